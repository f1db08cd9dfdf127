"""Hearing of other processes' appends: at once, by their types, and after every interruption."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest
import uvloop

from eventstore.changes import Listener, LogChanges
from eventstore.postgres_changes import CHANNEL, MAX_PAYLOAD, Follower, payload
from eventstore.postgres_connections import driver_settings
from eventstore.postgres_database import PostgresDatabase
from eventstore.store import ANY_VERSION, EventStore
from tests.eventstore.building import append, event
from tests.eventstore.places import PostgresPlace
from tests.servers.postgres import Databases

NEVER = 1e9
"""Seconds that no test waits."""


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


@pytest.fixture
def changes() -> LogChanges:
    return LogChanges()


class Pauses:
    """A pause that lasts until it is let go; tells how often it was begun."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.over = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self.begun.release()
        await self.over.acquire()


@asynccontextmanager
async def following(
    database: PostgresDatabase, changes: LogChanges, *, look_every: float = NEVER
) -> AsyncIterator[Pauses]:
    """Follow for the block, beginning once the connection listens."""
    pauses = Pauses()
    follower = Follower(driver_settings(database.engine), database.origin, changes)
    with changes.listen() as anything:
        task = asyncio.create_task(follower.run(pauses, look_every))
        await anything.wait()
    yield pauses
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def record(store: EventStore, *types: str) -> None:
    store.append([append("a", ANY_VERSION, *(event(type=each) for each in types))])


def is_awake(listener: Listener) -> bool:
    return listener._changed.is_set()


async def test_an_append_elsewhere_wakes_who_listens_for_its_types(
    database: PostgresDatabase, changes: LogChanges, beside: Callable[[], EventStore]
) -> None:
    other = beside()
    async with following(database, changes):
        with (
            changes.listen(frozenset({"Other"})) as uninterested,
            changes.listen(frozenset({"Due", "Rare"})) as interested,
        ):
            record(other, "Due", "Created")
            await interested.wait()
            assert changes.position == 2
            assert not is_awake(uninterested)

            record(other, "Other")
            await uninterested.wait()
            assert not is_awake(interested)


async def test_what_this_process_appended_itself_is_not_told_again(
    database: PostgresDatabase,
    store: EventStore,
    changes: LogChanges,
    beside: Callable[[], EventStore],
) -> None:
    other = beside()
    async with following(database, changes):
        with changes.listen(frozenset({"Mine"})) as mine, changes.listen() as anything:
            record(store, "Mine")
            record(other, "Theirs")
            await anything.wait()
            assert changes.position == 2
            assert not is_awake(mine)


async def test_what_was_appended_before_the_connection_is_told_to_everybody(
    database: PostgresDatabase, changes: LogChanges, beside: Callable[[], EventStore]
) -> None:
    record(beside(), "Due")
    with changes.listen(frozenset({"Whatever"})) as listener:
        async with following(database, changes):
            await listener.wait()
    assert changes.position == 1


async def test_what_was_missed_while_the_connection_was_lost_is_told_on_the_next(
    database: PostgresDatabase,
    changes: LogChanges,
    beside: Callable[[], EventStore],
    postgres: Databases,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = beside()
    async with following(database, changes) as pauses:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{database.engine.url.database}' AND query LIKE '%max(position)%'"
        )
        await pauses.begun.acquire()
        with changes.listen(frozenset({"Whatever"})) as listener:
            record(other, "Due")
            pauses.over.release()
            await listener.wait()
            assert changes.position == 1
        with changes.listen(frozenset({"Due"})) as listener:
            record(other, "Due")
            await listener.wait()
    assert [each.getMessage() for each in caplog.records] == [
        "the database can't be listened to; trying until it can"
    ]


async def test_a_server_that_is_away_is_tried_until_it_is_back(
    database: PostgresDatabase, changes: LogChanges, caplog: pytest.LogCaptureFixture
) -> None:
    pauses = Pauses()
    nowhere = {"conninfo": "host=127.0.0.1 port=1 dbname=nowhere"}
    task = asyncio.create_task(Follower(nowhere, "origin", changes).run(pauses, NEVER))
    for _ in range(3):
        await pauses.begun.acquire()
        pauses.over.release()
    task.cancel()
    assert len(caplog.records) == 1
    assert "127.0.0.1" not in caplog.text


async def test_a_notification_that_got_lost_is_made_up_for_by_looking(
    database: PostgresDatabase, store: EventStore, changes: LogChanges
) -> None:
    """The store's own notification is skipped, and here no appender tells of the event."""
    async with following(database, changes, look_every=0):
        with changes.listen(frozenset({"Whatever"})) as listener:
            record(store, "Due")
            await listener.wait()
    assert changes.position == 1


@pytest.mark.parametrize("told", ["", "stranger", "stranger x Due", "stranger -1 Due"])
async def test_a_notification_of_somebody_elses_is_passed_over(
    database: PostgresDatabase, changes: LogChanges, url: str, told: str
) -> None:
    async with following(database, changes):
        with changes.listen() as listener, psycopg.connect(url, autocommit=True) as stranger:
            stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, told))
            stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, "stranger 7 "))
            await listener.wait()
    assert changes.position == 7


async def test_one_notification_tells_of_a_whole_batch(
    store: EventStore, url: str, database: PostgresDatabase
) -> None:
    with psycopg.connect(url, autocommit=True) as listening:
        listening.execute(f"LISTEN {CHANNEL}")
        store.append(
            [append(f"s-{n}", ANY_VERSION, event(type=f"T{n % 3}"), event()) for n in range(50)]
        )
        store.append([append("s-1", 0)])
        listening.execute("SELECT 1")
        told = [each.payload for each in listening.notifies(timeout=0)]
    assert told == [f"{database.origin} 100 Happened,T0,T1,T2"]


def test_too_many_types_are_left_out_of_a_notification() -> None:
    types = {f"Type{n:04}" for n in range(1000)}
    assert payload("o", 12, types) == "o 12 "
    fitting = payload("o", 12, {"x" * (MAX_PAYLOAD - 5)})
    assert len(fitting) == MAX_PAYLOAD
    assert payload("o", 12, {"é" * (MAX_PAYLOAD - 5)}) == "o 12 "


def test_an_append_of_very_many_types_is_recorded_and_told(store: EventStore) -> None:
    for types in (790, 2000):
        record(store, *(f"Type{n:05}" for n in range(types)))
    assert store.head().position == 2790


def test_following_works_on_uvloop(
    database: PostgresDatabase, changes: LogChanges, beside: Callable[[], EventStore]
) -> None:
    async def follow() -> None:
        async with following(database, changes):
            with changes.listen(frozenset({"Due"})) as listener:
                await asyncio.to_thread(record, beside(), "Due")
                await listener.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(follow())
    assert changes.position == 1


async def test_a_database_follows_by_itself(
    database: PostgresDatabase, changes: LogChanges, beside: Callable[[], EventStore]
) -> None:
    other = beside()
    with changes.listen() as listener:
        task = asyncio.create_task(database.follow(changes))
        await listener.wait()
        record(other, "Due")
        await listener.wait()
        task.cancel()
    assert changes.position == 1
