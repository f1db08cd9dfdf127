"""The rows of one table that a batch of events touches: read once, changed in memory, written once.

Rows whose former content does not matter need not be read: they are changed or removed unseen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)

Row = dict[str, Any]

CHUNK: Final = 500
"""How many keys one statement names."""


class Rows:
    """Rows by primary key. What is changed here reaches the table with :meth:`write`."""

    def __init__(self, connection: Connection, table: Table) -> None:
        (key,) = table.primary_key.columns
        self._key = key.name
        self._connection = connection
        self._table = table
        self._rows: dict[str, Row | None] = {}
        self._new: dict[str, None] = {}
        self._changes: defaultdict[str, Row] = defaultdict(dict)
        self._deleted: set[str] = set()

    def load(self, keys: Iterable[str]) -> None:
        """Read the rows of these keys, as far as they are not here already."""
        unread = [key for key in dict.fromkeys(keys) if key not in self._rows]
        self._rows.update(dict.fromkeys(unread))
        for chunk in chunks(unread):
            found = self._connection.execute(_select(self._table), {"row_keys": chunk})
            self._rows.update({row[self._key]: dict(row) for row in found.mappings()})

    def get(self, key: str) -> Row | None:
        """The row as it is now; None if there is none. It must have been loaded or put before."""
        return self._rows[key]

    def put(self, row: Row) -> None:
        """Add a row, or take the place of the one with the same key."""
        key = row[self._key]
        if self._rows.get(key) is None and key not in self._deleted:
            self._new[key] = None
        else:
            self._changes[key].update(row)
        self._deleted.discard(key)
        self._rows[key] = row

    def change(self, key: str, **values: object) -> None:
        """Set some columns of a row; nothing happens if there is none."""
        if key not in self._rows:
            self._changes[key].update(values)
            return
        row = self._rows[key]
        if row is not None:
            changed = {name: value for name, value in values.items() if row[name] != value}
            row.update(changed)
            self._changes[key].update(changed)

    def remove(self, key: str) -> None:
        """Delete a row; nothing happens if there is none."""
        if key in self._rows and self._rows[key] is None:
            return
        if key not in self._new:
            self._deleted.add(key)
        self._new.pop(key, None)
        self._changes.pop(key, None)
        self._rows[key] = None

    def write(self) -> None:
        """Bring the table up to date with what was changed since the last time."""
        for chunk in chunks(sorted(self._deleted)):
            self._connection.execute(_delete(self._table), {"row_keys": chunk})
        if self._new:
            new = [row for key in self._new if (row := self._rows[key]) is not None]
            self._connection.execute(_insert(self._table), new)
        for columns, parameters in self._by_changed_columns().items():
            self._connection.execute(_update(self._table, columns), parameters)
        self._deleted.clear()
        self._new.clear()
        self._changes.clear()

    def _by_changed_columns(self) -> dict[tuple[str, ...], list[Row]]:
        groups: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        for key, changes in self._changes.items():
            if changes and key not in self._new:
                parameters = {f"new_{name}": value for name, value in changes.items()}
                groups[tuple(sorted(changes))].append({"row_key": key, **parameters})
        return groups


def chunks(keys: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Keys in portions that one statement can name."""
    return (tuple(keys[start : start + CHUNK]) for start in range(0, len(keys), CHUNK))


# Building a statement costs more than running it on so few rows; there are few different ones.


@cache
def _select(table: Table) -> Select[Any]:
    (key,) = table.primary_key.columns
    return select(table).where(key.in_(bindparam("row_keys", expanding=True)))


@cache
def _delete(table: Table) -> Delete:
    (key,) = table.primary_key.columns
    return delete(table).where(key.in_(bindparam("row_keys", expanding=True)))


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


@cache
def _update(table: Table, columns: tuple[str, ...]) -> Update:
    (key,) = table.primary_key.columns
    values: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in columns}
    return update(table).where(key == bindparam("row_key")).values(values)
