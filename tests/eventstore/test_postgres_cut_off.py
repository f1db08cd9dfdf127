"""Appenders that are cut off, stopped, or lose their server: nothing is lost, and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Connection
from sqlalchemy import event as on

from eventstore import reading
from eventstore.postgres_database import PostgresDatabase
from eventstore.store import NO_STREAM, Appended, StoreUnavailable, VersionConflict
from tests.eventstore.building import append, event
from tests.eventstore.interleaving import (
    STUCK,
    Process,
    Reader,
    answer_of,
    places_of,
)
from tests.eventstore.notes import kill
from tests.servers.postgres import Databases, PostgresServer


def test_a_backend_that_is_killed_before_the_commit_costs_nothing_but_a_second_try(
    process: Callable[[], Process], reader: Reader, postgres: Databases
) -> None:
    one = process()
    future = one.append_and_hold(append("a", NO_STREAM))
    kill(postgres, one.backend)
    assert reader.sees() == []

    one.go_on()

    answer = answer_of(future)
    assert places_of(answer) == [(1, "a", 1)]
    assert not answer.repeated
    assert reader.sees() == ["a"]


def test_the_second_try_meets_what_others_appended_meanwhile(
    process: Callable[[], Process], reader: Reader, postgres: Databases
) -> None:
    one, other = process(), process()
    future = one.append_and_hold(append("a", NO_STREAM), append("b", NO_STREAM))
    kill(postgres, one.backend)
    other.append(append("a", NO_STREAM)).result(STUCK)

    one.go_on()

    conflict, fine = future.result(STUCK)
    assert isinstance(conflict, VersionConflict)
    assert isinstance(fine, Appended)
    assert places_of(fine) == [(2, "b", 1)]
    assert reader.sees() == ["a", "b"]


class LosesAnswers:
    """Has a database's connections lose the answer to so many commits, done or not."""

    def __init__(self, database: PostgresDatabase, times: int, *, committed: bool) -> None:
        self._left = times
        self._committed = committed
        on.listen(database.engine, "commit", self._lose)

    def _lose(self, connection: Connection) -> None:
        if self._left:
            self._left -= 1
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            if self._committed:
                driver.execute("COMMIT")
            driver.pgconn.finish()


def test_a_commit_whose_answer_got_lost_is_answered_as_repeated(
    process: Callable[[], Process], reader: Reader
) -> None:
    one = process()
    LosesAnswers(one.database, 1, committed=True)
    batch = [append("a", NO_STREAM, event(), event()), append("b", NO_STREAM)]

    first, second = one.append(*batch).result(STUCK)

    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert first.repeated
    assert second.repeated
    assert places_of(first) == [(1, "a", 1), (2, "a", 2)]
    assert reader.sees() == ["a", "a", "b"]


def test_a_commit_that_never_arrived_is_made_again(
    process: Callable[[], Process], reader: Reader
) -> None:
    one = process()
    LosesAnswers(one.database, 1, committed=False)

    answer = answer_of(one.append(append("a", NO_STREAM)))

    assert not answer.repeated
    assert reader.sees() == ["a"]


def test_after_two_lost_answers_a_retry_of_the_caller_is_still_safe(
    process: Callable[[], Process], reader: Reader
) -> None:
    one = process()
    LosesAnswers(one.database, 2, committed=True)
    same = append("a", NO_STREAM)

    with pytest.raises(StoreUnavailable):
        one.append(same).result(STUCK)

    assert answer_of(one.append(same)).repeated
    assert reader.sees() == ["a"]


def test_a_stopped_holder_of_the_append_lock_loses_it(
    process: Callable[..., Process], reader: Reader, postgres: Databases, url: str
) -> None:
    stopped, other = process(idle_timeout=0.2), process()
    first = stopped.append_and_hold(append("a", NO_STREAM))
    second = other.append(append("a", NO_STREAM))

    assert places_of(answer_of(second)) == [(1, "a", 1)]
    stopped.go_on()

    [conflict] = first.result(STUCK)
    assert isinstance(conflict, VersionConflict)
    assert reader.sees() == ["a"]


def test_an_append_that_waits_too_long_says_so_and_can_be_made_later(
    process: Callable[..., Process], reader: Reader
) -> None:
    slow, impatient = process(), process(lock_timeout=0.01)
    held = slow.append_and_hold(append("slow", NO_STREAM))

    with pytest.raises(StoreUnavailable, match="another process holds its lock"):
        impatient.append(append("a", NO_STREAM)).result(STUCK)
    slow.go_on()
    held.result(STUCK)

    assert places_of(answer_of(impatient.append(append("a", NO_STREAM)))) == [(2, "a", 1)]
    assert reader.sees() == ["slow", "a"]


# ---- the server goes away


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with PostgresServer() as server:
        yield server


async def test_a_restart_between_appends_and_reads_is_not_noticed(
    own_server: PostgresServer,
) -> None:
    with own_server.fresh_database() as url:
        one = Process(url)
        reader = Reader(one.database)
        for n in range(3):
            assert answer_of(one.append(append("a", n))).events[0].position == n + 1
            assert (await one.database.read(reading.head)).position == n + 1
            assert len(reader.sees()) == n + 1
            own_server.restart()
        assert (await one.database.read(reading.head)).position == 3
        one.close()


def test_a_server_that_is_killed_in_the_middle_of_an_append_keeps_what_it_had_answered(
    own_server: PostgresServer,
) -> None:
    with own_server.fresh_database() as url:
        one, other = Process(url), Process(url)
        answer_of(other.append(append("kept", NO_STREAM)))
        held = one.append_and_hold(append("a", NO_STREAM))

        own_server.kill()
        one.go_on()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            held.result(STUCK)
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            other.database.read_now(reading.head)
        own_server.start()

        assert places_of(answer_of(one.append(append("a", NO_STREAM)))) == [(2, "a", 1)]
        assert Reader(other.database).sees() == ["kept", "a"]
        one.close()
        other.close()


async def test_while_the_server_is_away_everything_says_so_and_then_goes_on(
    own_server: PostgresServer,
) -> None:
    with own_server.fresh_database() as url:
        one = Process(url)
        await one.database.read(reading.head)
        own_server.stop()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await one.database.read(reading.head)
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            async with one.database.claim(reading.head):
                pytest.fail("nothing was claimed")
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            one.append(append("a", NO_STREAM)).result(STUCK)
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            one.database.purge_freed()
        own_server.start()
        async with one.database.claim(reading.head) as head:
            assert head.position == 0
        assert (await one.database.read(reading.head)).position == 0
        assert answer_of(one.append(append("a", NO_STREAM))).events[0].position == 1
        one.close()
