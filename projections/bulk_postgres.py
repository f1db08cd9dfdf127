"""Many rows of one table in one statement, on PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ARRAY,
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    String,
    Table,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from projections.bulk import Change, Row, key_of, restored, stored

_DIALECT: Final[Dialect] = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_GIVEN: Final = (
    func.jsonb_array_elements(bindparam("rows", type_=JSONB))
    .table_valued(column("row", JSONB))
    .render_derived(name="given")
)
_LISTED: Final = func.any(bindparam("listed", type_=ARRAY(String)))


class PostgresBulk:
    """Implements :class:`~projections.bulk.Bulk`: all rows go into a statement as one JSON text.

    Each is an array in there. Its elements come out as texts, and PostgreSQL reads them as the types
    of their columns.
    """

    def select(self, connection: Connection, table: Table, keys: Sequence[str]) -> list[Row]:
        """The rows with these keys."""
        found = connection.exec_driver_sql(_select(table), {"listed": list(keys)})
        return restored(table, found)

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add rows."""
        values = _json(stored(table, table.columns.keys(), rows))
        connection.exec_driver_sql(_insert(table), {"rows": values})

    def update(self, connection: Connection, table: Table, changes: Sequence[Change]) -> None:
        """Change rows: one statement for all that were read, one for each set of columns of others.

        A row that was read is written whole. That costs no more, since the server makes a new version
        of the row anyway, and looks which indexed values are not what they were.
        """
        key = key_of(table).name
        others = tuple(name for name in table.columns.keys() if name != key)  # noqa: SIM118
        by_columns: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        for change in changes:
            if change.row is None:
                names = tuple(sorted(change.values))
                by_columns[names].append({**change.values, key: change.key})
            else:
                by_columns[others].append(change.row)
        for names, rows in by_columns.items():
            values = _json(stored(table, (*names, key), rows))
            connection.exec_driver_sql(_update(table, names), {"rows": values})

    def delete(self, connection: Connection, column: Column[str], values: Sequence[str]) -> None:
        """Delete the rows with these values."""
        connection.exec_driver_sql(_delete(column), {"listed": list(values)})

    def delete_portions(
        self, connection: Connection, column: Column[str], portions: Mapping[str, int]
    ) -> None:
        """Delete up to so many rows with each value."""
        values = _json(portions.items())
        connection.exec_driver_sql(_delete_portions(column), {"rows": values})


def _json(rows: Iterable[object]) -> str:
    return msgspec.json.encode(list(rows)).decode()


@cache
def _select(table: Table) -> str:
    return _text(select(table).where(key_of(table) == _LISTED))


@cache
def _insert(table: Table) -> str:
    values = select(*(_given(n, each) for n, each in enumerate(table.columns)))
    return _text(insert(table).from_select(table.columns.keys(), values))


@cache
def _update(table: Table, names: tuple[str, ...]) -> str:
    key = key_of(table)
    new = {name: _given(n, table.columns[name]) for n, name in enumerate(names)}
    return _text(update(table).values(new).where(key == _given(len(names), key)))


@cache
def _delete(column: Column[str]) -> str:
    return _text(delete(column.table).where(column == _LISTED))


@cache
def _delete_portions(column: Column[str]) -> str:
    key = key_of(column.table)
    portion = (
        select(key)
        .where(column == _given(0, column))
        .limit(_given(1, Column("portion", Integer)))
        .correlate(_GIVEN)
        .lateral("portion")
    )
    chosen = select(portion.c[key.name]).select_from(_GIVEN).join(portion, true())
    return _text(delete(column.table).where(key == func.any(func.array(chosen.scalar_subquery()))))


def _given(place: int, column: Column[Any]) -> ColumnElement[Any]:
    text = _GIVEN.c.row.op("->>")(literal_column(str(place)))
    return cast(text, column.type)


def _text(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_DIALECT))
