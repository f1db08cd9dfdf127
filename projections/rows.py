"""The rows of one table that a batch of events touches: read once, changed in memory, written once.

Rows whose former content does not matter need not be read: they are changed or removed unseen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Table

from projections.bulk import Bulk, Change, Row, key_of
from projections.bulk_postgres import PostgresBulk
from projections.bulk_sqlite import SqliteBulk

__all__ = ["Row", "Rows", "bulk_on"]

_BULK: Final[dict[str, Bulk]] = {"postgresql": PostgresBulk(), "sqlite": SqliteBulk()}


def bulk_on(connection: Connection) -> Bulk:
    """How the database behind a connection reads and writes many rows."""
    return _BULK[connection.dialect.name]


class Rows:
    """Rows by their key. What is changed here reaches the table with :meth:`write`."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self._key = key_of(table)
        self._connection = connection
        self._bulk = bulk_on(connection)
        self._table = table
        self._rows: dict[str, Row | None] = {}
        self._new: dict[str, None] = {}
        self._changes: defaultdict[str, Row] = defaultdict(dict)
        self._deleted: set[str] = set()

    def load(self, keys: Iterable[str]) -> None:
        """Read the rows of these keys, as far as they are not here already."""
        unread = [key for key in dict.fromkeys(keys) if key not in self._rows]
        if unread:
            self._rows.update(dict.fromkeys(unread))
            self.take(self._bulk.select(self._connection, self._table, unread))

    def take(self, found: Iterable[Row]) -> None:
        """Keep rows that were read from the table otherwise than by their keys."""
        for row in found:
            key = row[self._key.name]
            if self._rows.get(key) is None and key not in self._deleted:
                self._rows[key] = row | self._changes.get(key, {})

    def get(self, key: str) -> Row | None:
        """The row as it is now; None if there is none. It must have been loaded or put before."""
        return self._rows[key]

    def put(self, row: Row) -> None:
        """Add a row, or take the place of the one with the same key."""
        key = row[self._key.name]
        if self._rows.get(key) is not None:
            self.change(key, **row)
            return
        self._rows[key] = row
        self._new[key] = None
        self._changes.pop(key, None)

    def change(self, key: str, /, **values: object) -> None:
        """Set some columns of a row; nothing happens if there is none."""
        if key not in self._rows:
            self._changes[key].update(values)
            return
        row = self._rows[key]
        if row is not None:
            changed = {name: value for name, value in values.items() if row[name] != value}
            row.update(changed)
            if key not in self._new:
                self._changes[key].update(changed)

    def remove(self, key: str) -> None:
        """Delete a row; nothing happens if there is none."""
        if key in self._new:
            del self._new[key]
        elif key not in self._rows or self._rows[key] is not None:
            self._deleted.add(key)
        self._changes.pop(key, None)
        self._rows[key] = None

    def write(self) -> None:
        """Bring the table up to date with what was changed since the last time."""
        if self._deleted:
            self._bulk.delete(self._connection, self._key, sorted(self._deleted))
        new = [row for key in self._new if (row := self._rows[key]) is not None]
        if new:
            self._bulk.insert(self._connection, self._table, new)
        changes = [
            Change(key, values, self._rows.get(key))
            for key, values in self._changes.items()
            if values
        ]
        if changes:
            self._bulk.update(self._connection, self._table, changes)
        self._deleted.clear()
        self._new.clear()
        self._changes.clear()
