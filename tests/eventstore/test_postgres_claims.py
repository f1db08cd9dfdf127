"""Claims: rows that others pass over for as long as a block runs, and never for longer."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Connection
from sqlalchemy.pool import QueuePool

from eventstore.postgres_claims import Claim
from eventstore.postgres_database import PostgresDatabase, open_postgres
from tests.eventstore.notes import MAKE_NOTES, count, note
from tests.eventstore.places import PostgresPlace


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


@pytest.fixture
def notes(database: PostgresDatabase) -> PostgresDatabase:
    with database.transaction() as connection:
        connection.exec_driver_sql(MAKE_NOTES)
    return database


def take_note(connection: Connection) -> list[str]:
    """Claim one note that nobody else has claimed."""
    statement = "SELECT words FROM notes ORDER BY words LIMIT 1 FOR UPDATE SKIP LOCKED"
    return list(connection.exec_driver_sql(statement).scalars())


def taken_from(database: PostgresDatabase) -> int:
    """How many connections of its pool are in use."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


@pytest.fixture
def two_notes(notes: PostgresDatabase) -> PostgresDatabase:
    with notes.transaction() as connection:
        note(connection, "a")
        note(connection, "b")
    return notes


async def test_a_claim_is_passed_over_by_others_until_its_block_ends(
    two_notes: PostgresDatabase, url: str
) -> None:
    other = open_postgres(url)
    async with two_notes.claim(take_note) as mine:
        async with other.claim(take_note) as theirs, two_notes.claim(take_note) as nothing:
            assert (mine, theirs, nothing) == (["a"], ["b"], [])
        async with other.claim(take_note) as theirs:
            assert theirs == ["b"]
    async with other.claim(take_note) as theirs:
        assert theirs == ["a"]
    other.close()


async def test_a_claim_ends_when_its_block_raises(two_notes: PostgresDatabase) -> None:
    with pytest.raises(LookupError):
        async with two_notes.claim(take_note):
            raise LookupError
    async with two_notes.claim(take_note) as again:
        assert again == ["a"]


async def test_a_query_that_fails_claims_nothing_and_holds_no_connection(
    two_notes: PostgresDatabase,
) -> None:
    def take_and_fail(connection: Connection) -> None:
        take_note(connection)
        raise LookupError

    for _ in range(50):
        with pytest.raises(LookupError):
            async with two_notes.claim(take_and_fail):
                pass
    async with two_notes.claim(take_note) as mine:
        assert mine == ["a"]


async def test_a_claim_keeps_nothing_of_what_was_written_in_it(two_notes: PostgresDatabase) -> None:
    async with two_notes.claim(note):
        pass
    assert await two_notes.read(count) == 2


async def test_a_claim_whose_taker_gave_up_waiting_is_let_go(two_notes: PostgresDatabase) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def take_slowly(connection: Connection) -> list[str]:
        begun.set()
        go_on.wait(60)
        return take_note(connection)

    async def take() -> None:
        async with two_notes.claim(take_slowly):
            pytest.fail("it was cancelled")

    taker = asyncio.create_task(take())
    await asyncio.to_thread(begun.wait, 60)
    taker.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await taker
    async with two_notes.claim(take_note) as mine:
        assert mine == ["a"]


def test_a_claim_that_was_let_go_before_it_was_taken_ends_at_once(
    two_notes: PostgresDatabase,
) -> None:
    claim = Claim(two_notes.engine.connect, take_note)
    claim.let_go()
    assert claim.take() == ["a"]
    assert taken_from(two_notes) == 0


async def test_a_claim_gives_its_connection_back(two_notes: PostgresDatabase) -> None:
    async with two_notes.claim(take_note):
        assert taken_from(two_notes) == 1
    assert taken_from(two_notes) == 0


async def test_a_claim_of_who_stands_still_is_taken_away(url: str, two_notes: object) -> None:
    still, other = open_postgres(url, idle_timeout=0.05), open_postgres(url)

    def take_and_wait(connection: Connection) -> list[str]:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
        return list(connection.exec_driver_sql("SELECT words FROM notes FOR UPDATE").scalars())

    async with still.claim(take_note) as mine:
        assert mine == ["a"]
        async with other.claim(take_and_wait) as theirs:
            assert theirs == ["a", "b"]
    async with still.claim(take_note) as mine:
        assert mine == ["a"]
    still.close()
    other.close()
