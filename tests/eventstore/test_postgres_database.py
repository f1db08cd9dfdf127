"""A PostgreSQL database: isolation, waiting, and connections that are cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from eventstore.postgres_database import PostgresDatabase, open_postgres
from eventstore.postgres_faults import ConnectionLost
from eventstore.store import StoreUnavailable
from tests.eventstore.notes import MAKE_NOTES, backend, count, kill, note
from tests.eventstore.places import PostgresPlace
from tests.servers.postgres import Databases


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


@pytest.fixture
def notes(database: PostgresDatabase) -> PostgresDatabase:
    with database.transaction() as connection:
        connection.exec_driver_sql(MAKE_NOTES)
    return database


@pytest.fixture
def stranger(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's connection, in a transaction as soon as it says anything."""
    with psycopg.connect(url) as connection:
        yield connection


# ---- reading and writing


async def test_a_read_runs_in_a_thread_and_sees_the_newest_commit_of_anybody(
    notes: PostgresDatabase, stranger: psycopg.Connection[Any]
) -> None:
    assert await notes.read(count) == 0
    stranger.execute("INSERT INTO notes VALUES ('theirs')")
    assert await notes.read(count) == 0
    stranger.commit()
    assert await notes.read(count) == 1
    assert await notes.read(lambda _: threading.current_thread()) is not threading.main_thread()


async def test_reads_run_beside_each_other_on_connections_that_they_keep(url: str) -> None:
    database = open_postgres(url, readers=3)
    together = threading.Barrier(3, timeout=60)

    def meet(connection: Connection) -> int:
        together.wait()
        return backend(connection)

    first = await asyncio.gather(*(database.read(meet) for _ in range(3)))
    second = await asyncio.gather(*(database.read(meet) for _ in range(3)))
    database.close()

    assert len(set(first)) == 3
    assert set(second) == set(first)


def test_a_transaction_commits_at_its_end(notes: PostgresDatabase) -> None:
    with notes.transaction() as connection:
        note(connection)
        assert notes.read_now(count) == 0
    assert notes.read_now(count) == 1


@pytest.mark.parametrize("kind", ["transaction", "log_transaction", "unsynced_transaction"])
def test_a_transaction_rolls_back_when_its_body_raises(notes: PostgresDatabase, kind: str) -> None:
    def fail() -> None:
        with getattr(notes, kind)() as connection:
            note(connection)
            raise LookupError("no")

    with pytest.raises(LookupError):
        fail()
    assert notes.read_now(count) == 0
    with getattr(notes, kind)() as connection:
        note(connection)
    assert notes.read_now(count) == 1


def test_transactions_run_beside_each_other_and_beside_one_of_the_logs(
    notes: PostgresDatabase,
) -> None:
    with notes.transaction() as one, notes.transaction() as other, notes.log_transaction() as log:
        for connection in (one, other, log):
            note(connection)
    assert notes.read_now(count) == 3


def test_one_transaction_at_a_time_is_the_logs(url: str) -> None:
    patient, impatient = open_postgres(url), open_postgres(url, lock_timeout=0.001)
    with (
        patient.log_transaction(),
        pytest.raises(StoreUnavailable, match="another process holds its lock"),
        impatient.log_transaction(),
    ):
        pass
    with impatient.log_transaction():
        pass
    patient.close()
    impatient.close()


def test_what_is_read_under_the_append_lock_is_what_its_last_holder_committed(
    notes: PostgresDatabase, url: str
) -> None:
    other = open_postgres(url)
    waits = threading.Event()
    seen = []

    def look() -> None:
        waits.set()
        with other.log_transaction() as connection:
            seen.append(count(connection))

    with notes.log_transaction() as connection:
        thread = threading.Thread(target=look)
        thread.start()
        waits.wait(60)
        note(connection)
    thread.join(60)
    other.close()
    assert seen == [1]


def test_a_snapshot_does_not_see_later_commits(notes: PostgresDatabase) -> None:
    with notes.snapshot() as moment:
        assert count(moment) == 0
        with notes.transaction() as connection:
            note(connection)
        assert count(moment) == 0
    with notes.snapshot() as moment:
        assert count(moment) == 1


async def test_reading_can_not_write(notes: PostgresDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="can't be written"):
        notes.read_now(note)
    with pytest.raises(StoreUnavailable, match="can't be written"):
        await notes.read(note)
    with pytest.raises(StoreUnavailable, match="can't be written"), notes.snapshot() as moment:
        note(moment)
    assert notes.read_now(count) == 0


async def test_a_mistake_in_a_statement_stays_a_mistake(notes: PostgresDatabase) -> None:
    def nonsense(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(ProgrammingError, match="nowhere"):
        notes.read_now(nonsense)
    with pytest.raises(ProgrammingError, match="nowhere"):
        await notes.read(nonsense)
    with pytest.raises(ProgrammingError, match="nowhere"), notes.transaction() as connection:
        nonsense(connection)
    assert await notes.read(count) == 0


# ---- lost connections


async def test_a_read_whose_connection_was_cut_is_answered_on_another(
    url: str, postgres: Databases
) -> None:
    database = open_postgres(url, readers=1)
    first = await database.read(backend)
    kill(postgres, first)
    second = await database.read(backend)
    assert first != second
    assert await database.read(backend) == second
    database.close()


def test_a_read_here_and_a_transaction_replace_a_connection_that_was_cut(
    notes: PostgresDatabase, postgres: Databases
) -> None:
    kill(postgres, notes.read_now(backend))
    assert notes.read_now(count) == 0
    with notes.transaction() as connection:
        pid = backend(connection)
    kill(postgres, pid)
    with notes.log_transaction() as connection:
        assert backend(connection) != pid
        note(connection)
    assert notes.read_now(count) == 1


def test_a_transaction_that_is_cut_in_the_middle_is_undone_and_reported(
    notes: PostgresDatabase, postgres: Databases
) -> None:
    def write() -> None:
        with notes.transaction() as connection:
            note(connection)
            kill(postgres, backend(connection))

    with pytest.raises(ConnectionLost):
        write()
    assert notes.read_now(count) == 0


async def test_a_read_is_not_repeated_for_ever(
    notes: PostgresDatabase, postgres: Databases
) -> None:
    tries = []

    def die(connection: Connection) -> None:
        tries.append(backend(connection))
        kill(postgres, tries[-1])
        backend(connection)

    with pytest.raises(StoreUnavailable):
        await notes.read(die)
    assert len(set(tries)) == 2
    with pytest.raises(StoreUnavailable):
        notes.read_now(die)
    assert len(set(tries)) == 4
    assert await notes.read(count) == 0
