"""Where a log can be: a place can be opened any number of times, also by other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection

from eventstore.database import Database
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_database import PostgresDatabase, open_postgres
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import SqliteDatabase, open_sqlite
from eventstore.store import EventStore
from tests.eventstore.building import Applied


@dataclass(frozen=True)
class SqlitePlace:
    """A file."""

    path: Path

    def open(self) -> SqliteDatabase:
        return open_sqlite(self.path, durable=False)


@dataclass(frozen=True)
class PostgresPlace:
    """A database on a server."""

    url: str

    def open(self) -> PostgresDatabase:
        return open_postgres(self.url)


Place: TypeAlias = SqlitePlace | PostgresPlace


def store_in(database: Database, applied: Callable[..., None]) -> EventStore:
    """The store of the database's kind."""
    if isinstance(database, PostgresDatabase):
        return PostgresEventStore(database, applied)
    assert isinstance(database, SqliteDatabase)
    return SqliteEventStore(database, applied)


@contextmanager
def opened(place: Place) -> Iterator[EventStore]:
    """A store of its own for the block."""
    database = place.open()
    try:
        yield store_in(database, Applied())
    finally:
        database.close()


def tables(connection: Connection) -> list[str]:
    """The names of the tables that there are."""
    name = "name FROM sqlite_master WHERE type = 'table'"
    if connection.dialect.name == "postgresql":
        name = "tablename FROM pg_tables WHERE schemaname = current_schema()"
    return sorted(connection.exec_driver_sql(f"SELECT {name}").scalars())
