"""The contract, on SQLite."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import open_sqlite
from eventstore.store import EventStore
from tests.eventstore.building import Applied
from tests.eventstore.contract import EventStoreContract
from tests.eventstore.contract_sharing import append_one_by_one


class TestSqlite(EventStoreContract):
    @pytest.fixture
    def beside(self, path: Path) -> Iterator[Callable[[], EventStore]]:
        opened = []

        def open_beside() -> EventStore:
            opened.append(open_sqlite(path, durable=False))
            return SqliteEventStore(opened[-1], Applied())

        yield open_beside
        for database in opened:
            database.close()

    @pytest.fixture
    def writer_processes(self, path: Path) -> Callable[[int], list[int]]:
        return partial(_write_from_processes, path)


def _write_from_processes(path: Path, writers: int) -> list[int]:
    with multiprocessing.get_context("spawn").Pool(writers) as pool:
        return pool.starmap(_append_here, [(path, writer) for writer in range(writers)])


def _append_here(path: Path, writer: int) -> int:
    database = open_sqlite(path, durable=False)
    try:
        return append_one_by_one(SqliteEventStore(database, Applied()), writer)
    finally:
        database.close()
