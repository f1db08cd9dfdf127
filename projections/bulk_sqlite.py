"""Many rows of one table at once, on SQLite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ClauseElement,
    Column,
    Connection,
    Delete,
    String,
    Table,
    bindparam,
    column,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from projections.bulk import Change, Row, key_of, restored, stored

_DIALECT: Final = sqlite.dialect()
_LISTED: Final = func.json_each(bindparam("listed", type_=String)).table_valued(
    column("value", String), name="listed"
)
_VALUES: Final = select(_LISTED.c.value)


class SqliteBulk:
    """Implements :class:`~projections.bulk.Bulk`: finds rows by one JSON text, writes them singly."""

    def select(self, connection: Connection, table: Table, keys: Sequence[str]) -> list[Row]:
        """The rows with these keys."""
        return restored(table, connection.exec_driver_sql(_select(table), (_json(keys),)))

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add rows."""
        values = stored(table, table.columns.keys(), rows)
        connection.exec_driver_sql(_insert(table), list(values))

    def update(self, connection: Connection, table: Table, changes: Sequence[Change]) -> None:
        """Write what changed and no more: SQLite rewrites the indexes of all columns it is given."""
        key = key_of(table).name
        by_columns: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        for change in changes:
            by_columns[tuple(sorted(change.values))].append({**change.values, key: change.key})
        for names, rows in by_columns.items():
            values = stored(table, (*names, key), rows)
            connection.exec_driver_sql(_update(table, names), list(values))

    def delete(self, connection: Connection, column: Column[str], values: Sequence[str]) -> None:
        """Delete the rows with these values."""
        connection.exec_driver_sql(_delete(column), (_json(values),))

    def delete_portions(
        self, connection: Connection, column: Column[str], portions: Mapping[str, int]
    ) -> None:
        """Delete up to so many rows with each value."""
        parameters = [{"value": value, "portion": size} for value, size in portions.items()]
        connection.execute(_delete_portion(column), parameters)


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


@cache
def _select(table: Table) -> str:
    return _text(select(table).where(key_of(table).in_(_VALUES)))


@cache
def _insert(table: Table) -> str:
    return _text(insert(table))


@cache
def _update(table: Table, names: tuple[str, ...]) -> str:
    new: list[tuple[Column[Any], object]] = [
        (table.columns[name], bindparam(f"new_{name}")) for name in names
    ]
    return _text(update(table).ordered_values(*new).where(key_of(table) == bindparam("row_key")))


@cache
def _delete(column: Column[str]) -> str:
    return _text(delete(column.table).where(column.in_(_VALUES)))


@cache
def _delete_portion(column: Column[str]) -> Delete:
    key = key_of(column.table)
    portion = select(key).where(column == bindparam("value")).limit(bindparam("portion"))
    return delete(column.table).where(key.in_(portion))


def _text(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))
