"""The limit of everything that is recorded: the same rows, inserted through the database's own driver.

The rows are those that CronPulse left, as many to a transaction as clients wait for one, into the same
tables of another database. What a row must not share with another (ids, positions) is numbered.
"""

from __future__ import annotations

import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final

import psycopg
from psycopg import sql

from benchmarks.places import Place
from eventstore.sqlite_database import open_sqlite

Line = Sequence[Any]
Number = Callable[[int], object]


def position(number: int) -> int:
    """A number that nothing else has."""
    return 1_000_000_000 + number


def name(number: int) -> str:
    """An id that nothing else has, as long as ours and in the order of time."""
    return f"c{number:033d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Rows that something leaves in a table, and what is numbered in them."""

    table: str
    where: str = "1 = 1"
    numbered: Mapping[str, Number]


PING: Final = (
    Left(
        table="events",
        where="type = 'PingReceived'",
        numbered={"position": position, "version": position, "event_id": name},
    ),
    Left(table="executions", numbered={"id": name}),
)
"""A ping also changes a row about its job, which is left out here."""

JOB: Final = (
    Left(
        table="events",
        where="type = 'JobCreated'",
        numbered={"position": position, "stream": name, "event_id": name},
    ),
    Left(table="jobs", numbered={"id": name}),
    Left(table="job_status", numbered={"job_id": name}),
    Left(table="due_ticks", numbered={"job_id": name}),
    Left(table="heartbeats", numbered={"job_id": name}),
)


class Driver(ABC):
    """A connection of the database's own driver."""

    @abstractmethod
    def run(self, statement: str) -> tuple[list[str], list[Line]]:
        """Run it; returns the columns and rows that came of it, if any did."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], lines: Sequence[Line]) -> None:
        """Add rows in the way that is the fastest."""


class Sqlite(Driver):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, statement: str) -> tuple[list[str], list[Line]]:
        cursor = self._connection.execute(statement)
        return [each[0] for each in cursor.description or ()], cursor.fetchall()

    def insert(self, table: str, columns: Sequence[str], lines: Sequence[Line]) -> None:
        places = ", ".join("?" * len(columns))
        names = ", ".join(f'"{each}"' for each in columns)
        self._connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", lines)


class Postgres(Driver):
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def run(self, statement: str) -> tuple[list[str], list[Line]]:
        cursor = self._connection.execute(statement.encode())
        if cursor.description is None:
            return [], []
        return [each.name for each in cursor.description], cursor.fetchall()

    def insert(self, table: str, columns: Sequence[str], lines: Sequence[Line]) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
        with self._connection.cursor() as cursor, cursor.copy(into) as copy:
            for line in lines:
                copy.write_row(line)


@contextmanager
def driver_of(place: Place) -> Iterator[Driver]:
    """A connection to the place's database, set up as CronPulse sets up its own."""
    path = place.settings.sqlite_path
    if path is None:
        with psycopg.connect(place.settings.database_url, autocommit=True) as connection:
            yield Postgres(connection)
        return
    database = open_sqlite(path)
    try:
        with database.engine.connect() as ours:
            driver = ours.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            yield Sqlite(driver)
    finally:
        database.close()


@contextmanager
def inserting(
    like: Place, into: Place, lefts: Sequence[Left], *, together: int
) -> Iterator[Callable[[float], float]]:
    """Gives what inserts for so many seconds rows such as there are in ``like``, ``together`` of them to a
    transaction, and returns how many a second became durable.
    """
    with driver_of(like) as source:
        models = [_Model.taken(source, left, together) for left in lefts]
    numbers = count()

    with driver_of(into) as driver:

        def insert(seconds: float) -> float:
            began, done = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                some = list(islice(numbers, together))
                driver.run("BEGIN IMMEDIATE" if isinstance(driver, Sqlite) else "BEGIN")
                for model in models:
                    driver.insert(model.table, model.columns, model.numbered(some))
                driver.run("COMMIT")
                done += together
            return done / (time.perf_counter() - began)

        yield insert


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    table: str
    columns: Sequence[str]
    lines: Sequence[Line]
    places: Sequence[tuple[int, Number]]

    @classmethod
    def taken(cls, source: Driver, left: Left, limit: int) -> _Model:
        columns, lines = source.run(f"SELECT * FROM {left.table} WHERE {left.where} LIMIT {limit}")
        assert len(lines) == limit, f"{left.table} has {len(lines)} rows to insert more of"
        places = [(columns.index(each), numbering) for each, numbering in left.numbered.items()]
        return cls(table=left.table, columns=columns, lines=lines, places=places)

    def numbered(self, numbers: Sequence[int]) -> list[list[Any]]:
        lines = [list(line) for line in self.lines]
        for at, numbering in self.places:
            for line, number in zip(lines, numbers, strict=True):
                line[at] = numbering(number)
        return lines
