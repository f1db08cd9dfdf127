"""Appends that get in each other's way, step by step: what a reader sees in between, and after."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from eventstore import reading
from eventstore.store import ANY_VERSION, NO_STREAM, Append, Appended, VersionConflict
from tests.eventstore.building import append, event, write
from tests.eventstore.interleaving import (
    STUCK,
    Process,
    Reader,
    answer_of,
    places_of,
    wait_until_blocked,
)
from tests.servers.postgres import Databases

# ---- two appenders and a reader


def test_an_appender_waits_for_the_one_that_began_before_it(
    process: Callable[[], Process], reader: Reader, postgres: Databases, url: str
) -> None:
    slow, quick = process(), process()
    first = slow.append_and_hold(append("slow", NO_STREAM))
    second = quick.append(append("quick", NO_STREAM))
    wait_until_blocked(postgres, url)
    assert reader.sees() == []

    slow.go_on()

    assert places_of(answer_of(first)) == [(1, "slow", 1)]
    assert places_of(answer_of(second)) == [(2, "quick", 1)]
    assert reader.sees() == ["slow", "quick"]


def test_who_waited_decides_on_what_was_committed_meanwhile(
    process: Callable[[], Process], reader: Reader, postgres: Databases, url: str
) -> None:
    slow, quick = process(), process()
    first = slow.append_and_hold(append("job", NO_STREAM, event(), event()))
    second = quick.append(append("job", NO_STREAM), append("job", 2), append("other", NO_STREAM))
    wait_until_blocked(postgres, url)

    slow.go_on()

    assert len(answer_of(first).events) == 2
    conflict, fine, other = second.result(STUCK)
    assert isinstance(conflict, VersionConflict)
    assert (conflict.expected, conflict.actual) == (0, 2)
    assert isinstance(fine, Appended)
    assert isinstance(other, Appended)
    assert places_of(fine) == [(3, "job", 3)]
    assert places_of(other) == [(4, "other", 1)]
    assert reader.sees() == ["job", "job", "job", "other"]


def test_one_of_two_that_want_the_same_version_gets_it(
    process: Callable[[], Process], reader: Reader, postgres: Databases, url: str
) -> None:
    slow, quick = process(), process()
    first = slow.append_and_hold(append("tick", NO_STREAM))
    second = quick.append(append("tick", NO_STREAM))
    wait_until_blocked(postgres, url)

    slow.go_on()

    assert places_of(answer_of(first)) == [(1, "tick", 1)]
    [conflict] = second.result(STUCK)
    assert isinstance(conflict, VersionConflict)
    assert reader.sees() == ["tick"]


def test_an_append_that_was_rolled_back_leaves_no_gap(
    process: Callable[[], Process], reader: Reader, postgres: Databases, url: str
) -> None:
    failing, fine = process(), process()
    failing.fault = RuntimeError("the read model failed")
    first = failing.append_and_hold(append("lost", NO_STREAM), append("lost as well", NO_STREAM))
    second = fine.append(append("kept", NO_STREAM))
    wait_until_blocked(postgres, url)

    failing.go_on()

    with pytest.raises(RuntimeError, match="the read model failed"):
        first.result(STUCK)
    assert places_of(answer_of(second)) == [(1, "kept", 1)]
    assert reader.sees() == ["kept"]


def test_a_batch_that_spans_streams_appears_whole(
    process: Callable[[], Process], reader: Reader
) -> None:
    one = process()
    spanning = Append(
        writes=(
            write("a", NO_STREAM, event(), event()),
            write("b", NO_STREAM, event()),
            write("a", NO_STREAM, event()),
        )
    )
    future = one.append_and_hold(spanning, append("c", NO_STREAM))
    assert reader.sees() == []

    one.go_on()

    assert [type(each) for each in future.result(STUCK)] == [Appended, Appended]
    assert reader.sees() == ["a", "a", "b", "a", "c"]


def test_a_conflict_inside_a_batch_costs_no_position(
    process: Callable[[], Process], reader: Reader
) -> None:
    one = process()
    future = one.append_and_hold(
        append("a", NO_STREAM),
        append("a", NO_STREAM),
        Append(writes=(write("b", NO_STREAM, event()), write("a", 7, event()))),
        append("c", NO_STREAM),
    )
    one.go_on()

    assert [type(each) for each in future.result(STUCK)] == [
        Appended,
        VersionConflict,
        VersionConflict,
        Appended,
    ]
    assert reader.sees() == ["a", "c"]


def test_a_snapshot_in_the_middle_stays_at_its_moment(
    process: Callable[[], Process], reader: Reader
) -> None:
    one, other = process(), process()
    other.append(append("before", NO_STREAM)).result(STUCK)
    held = one.append_and_hold(append("during", NO_STREAM))

    with process().database.snapshot() as moment:
        assert reading.head(moment).position == 1
        one.go_on()
        held.result(STUCK)
        other.append(append("after", NO_STREAM)).result(STUCK)

        assert reading.head(moment).position == 1
        assert [e.stream for e in reading.read_all(moment, limit=10)] == ["before"]

    assert reader.sees() == ["before", "during", "after"]


# ---- strangers on the same database


def test_an_old_transaction_of_a_stranger_hides_nothing(
    process: Callable[[], Process], reader: Reader, url: str
) -> None:
    """Readers that go by transaction ids would wait for it, or skip what came after it."""
    one, other = process(), process()
    with psycopg.connect(url) as stranger:
        stranger.execute("CREATE TABLE strangers (word text)")
        assert stranger.execute("SELECT pg_current_xact_id()").fetchone() is not None
        one.append(append("a", NO_STREAM)).result(STUCK)
        held = other.append_and_hold(append("b", NO_STREAM))
        assert reader.sees() == ["a"]
        other.go_on()
        held.result(STUCK)
        assert reader.sees() == ["a", "b"]
        stranger.rollback()
    one.append(append("c", NO_STREAM)).result(STUCK)
    assert reader.sees() == ["a", "b", "c"]


def test_many_appenders_wait_and_each_is_served(
    process: Callable[[], Process], reader: Reader, postgres: Databases, url: str
) -> None:
    first, *others = [process() for _ in range(5)]
    held = first.append_and_hold(append("first", NO_STREAM))
    waiting = [each.append(append("shared", ANY_VERSION, event(), event())) for each in others]
    wait_until_blocked(postgres, url, len(others))

    first.go_on()

    held.result(STUCK)
    positions = sorted(each.position for f in waiting for each in answer_of(f).events)
    assert positions == list(range(2, 10))
    assert reader.sees() == ["first"] + ["shared"] * 8
