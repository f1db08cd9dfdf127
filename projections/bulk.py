"""Many rows of one table in one statement: all in which the databases differ for the read models.

The text of a statement never depends on how many rows it is about, so that it is prepared once. Which
way is best was measured with 500 rows of executions; in microseconds a row, both ends together:

- PostgreSQL gets the rows as one JSON text: 7 to insert. ``COPY`` takes 6.5 and can't update; arrays
  through ``unnest`` take 21, because the driver builds them value by value; a statement a row takes 26.
- SQLite runs in this process, where a statement a row costs little more than the row: 5 to insert,
  and 8 from a JSON text. Only looking up is better done for all at once: 2 against 40.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Boolean, Column, Connection, Table

from eventstore.tables import UtcMicroseconds, from_microseconds, to_microseconds

Row = dict[str, Any]


class Change(NamedTuple):
    """New values for some columns of the row with a key; ``row`` is all of it, if it was read."""

    key: str
    values: Row
    row: Row | None


class Bulk(Protocol):
    """How a database reads and writes many rows of one table. What is listed is never empty."""

    def select(self, connection: Connection, table: Table, keys: Sequence[str]) -> list[Row]:
        """The rows with these keys, as far as there are any."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, each with a value for every column."""

    def update(self, connection: Connection, table: Table, changes: Sequence[Change]) -> None:
        """Change rows, each once; nothing happens to one that does not exist."""

    def delete(self, connection: Connection, column: Column[str], values: Sequence[str]) -> None:
        """Delete the rows that have one of these values in the column."""

    def delete_portions(
        self, connection: Connection, column: Column[str], portions: Mapping[str, int]
    ) -> None:
        """Delete, of the rows with each of these values in the column, up to so many."""


def key_of(table: Table) -> Column[str]:
    """The table's key, which is one column."""
    (key,) = table.primary_key.columns
    return key


def stored(table: Table, names: Sequence[str], rows: Sequence[Row]) -> Iterator[tuple[object, ...]]:
    """These columns of the rows as a database stores them."""
    moments = {name for name, convert in _conversions(table) if convert is from_microseconds}
    columns: list[list[object]] = []
    for name in names:
        column = [row[name] for row in rows]
        if name in moments:
            column = [None if moment is None else to_microseconds(moment) for moment in column]
        columns.append(column)
    return zip(*columns, strict=True)


def restored(table: Table, found: Iterable[Sequence[Any]]) -> list[Row]:
    """Rows of all columns of a table, as a database stores them, made into what they mean."""
    names = table.columns.keys()
    rows = [dict(zip(names, each, strict=True)) for each in found]
    for name, convert in _conversions(table):
        for row in rows:
            value = row[name]
            if value is not None:
                row[name] = convert(value)
    return rows


_MEANINGS: Final[Mapping[type, Callable[[int], object]]] = {
    UtcMicroseconds: from_microseconds,
    Boolean: bool,
}


@cache
def _conversions(table: Table) -> tuple[tuple[str, Callable[[int], object]], ...]:
    return tuple(
        (column.name, _MEANINGS[type(column.type)])
        for column in table.columns
        if type(column.type) in _MEANINGS
    )
