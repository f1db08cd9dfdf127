"""Several processes that append to one log, step by step, and a reader that looks at every step.

An appender is held inside its transaction by its read models: they are brought up to date after the
events were written, and before the commit.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection

from eventstore import reading
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_database import PostgresDatabase, open_postgres
from eventstore.store import Append, Appended, AppendRefused, RecordedEvent
from tests.eventstore.contract_reading import chain_of
from tests.servers.postgres import Databases

STUCK = 30.0
"""Seconds after which a step counts as stuck."""


class Process:
    """One process of several: a store whose appends are made in a thread, and can be held."""

    def __init__(self, url: str, **options: Any) -> None:
        self.database = open_postgres(url, **options)
        self.store = PostgresEventStore(self.database, self._apply)
        self.backend = 0
        self.fault: Exception | None = None
        self._thread = ThreadPoolExecutor(1)
        self._hold = threading.Event()
        self._held = threading.Event()
        self._go_on = threading.Event()

    def append(self, *appends: Append) -> Future[list[Appended | AppendRefused]]:
        """Begin to append."""
        return self._thread.submit(self.store.append, appends)

    def append_and_hold(self, *appends: Append) -> Future[list[Appended | AppendRefused]]:
        """Append up to the moment before the commit, and stay there."""
        self._hold.set()
        future = self.append(*appends)
        assert self._held.wait(STUCK)
        return future

    def go_on(self) -> None:
        self._hold.clear()
        self._go_on.set()

    def close(self) -> None:
        self.go_on()
        self._thread.shutdown()
        self.database.close()

    def _apply(self, connection: Connection, _events: Sequence[RecordedEvent]) -> None:
        if self._hold.is_set():
            self.backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            self._held.set()
            assert self._go_on.wait(STUCK)
            if self.fault is not None:
                raise self.fault


class Reader:
    """Reads as other processes do; fails at the first hole."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def sees(self) -> list[str]:
        """The streams of everything in the log, in its order."""
        events = self._database.read_now(lambda c: reading.read_all(c, limit=10_000))
        head = self._database.read_now(reading.head)
        assert [e.position for e in events] == list(range(1, len(events) + 1))
        assert (head.position, head.chain_hash) == (len(events), chain_of(events))
        return [e.stream for e in events]


def wait_until_blocked(postgres: Databases, url: str, count: int = 1) -> None:
    """Return once so many backends of the database wait for the append lock."""
    name = url.rsplit("/", 1)[1]
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
        f" WHERE datname = '{name}' AND locktype = 'advisory' AND NOT granted"
    )
    for _ in range(100_000):
        if postgres.execute(waiting) == [(count,)]:
            return
    pytest.fail("nobody waits")


def answer_of(future: Future[list[Appended | AppendRefused]]) -> Appended:
    [answer] = future.result(STUCK)
    assert isinstance(answer, Appended), answer
    return answer


def places_of(answer: Appended) -> list[tuple[int, str, int]]:
    return [(each.position, each.stream, each.version) for each in answer.events]
