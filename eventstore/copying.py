"""Copying a whole log to another database, of either kind, without changing a bit of it.

Positions, versions, payloads, salts and hashes go as they are, so the head of the chain is the same on
arrival. The read models of the same moment go along: making them anew would rewrite the rows of busy
jobs over and over in one transaction, which on PostgreSQL leaves every version of them behind.

All of it goes in one transaction of the target, in portions, each of which is read back and compared: a
log arrives whole and ready to be served, or not at all, and memory doesn't grow with it.

What belongs to one database and not to the log, such as claims and the note of the secret key, is the
target's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, func, insert, inspect, select

from eventstore import reading
from eventstore.database import Database
from eventstore.schema import current_revision
from eventstore.store import Head
from eventstore.tables import checkpoints, events, sealed_subjects, secrets

LOG: Final = (sealed_subjects, secrets, events, checkpoints)
"""What makes a log, in the order in which it is copied."""

PORTION: Final = 1_000
"""Rows at a time."""


class NotCopied(Exception):
    """The log was not copied, and nothing was written; the message is a line that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What arrived: how many rows of each table, and where the log ends."""

    rows: dict[str, int]
    head: Head


def require_empty(database: Database) -> None:
    """Raise :class:`NotCopied` unless nothing is there yet, with or without a schema."""
    database.read_now(_require_empty)


def copy(source: Database, target: Database, *, beside: Sequence[Table] = ()) -> Copied:
    """Copy the log, and the tables ``beside`` it, as they are at one moment, into an empty database.

    Both must have the expected schema. Raises :class:`NotCopied`.
    """
    with source.snapshot() as old, target.log_transaction() as new:
        _require_empty(new)
        rows = {table: _copy(table, old, new) for table in (*LOG, *beside)}
        return _confirmed(rows, old, new)


def _require_empty(connection: Connection) -> None:
    known = set(inspect(connection).get_table_names())
    if known and current_revision(connection) is None:
        raise NotCopied("the database to copy to is not empty: it has tables of something else")
    for table in LOG:
        if table.name in known and connection.execute(select(table).limit(1)).first() is not None:
            raise NotCopied(
                f"the database to copy to is not empty: its table {table.name} has rows"
            )


def _copy(table: Table, old: Connection, new: Connection) -> int:
    (key,) = table.primary_key.columns
    first = select(table).order_by(key).limit(PORTION)
    copied, page = 0, first
    while sent := old.execute(page).all():
        new.execute(insert(table), [row._asdict() for row in sent])
        if new.execute(page).all() != sent:
            raise NotCopied(f"rows of the table {table.name} did not arrive as they were sent")
        copied += len(sent)
        page = first.where(key > getattr(sent[-1], key.name))
    return copied


def _confirmed(rows: dict[Table, int], old: Connection, new: Connection) -> Copied:
    for table, copied in rows.items():
        count = select(func.count()).select_from(table)
        if not copied == old.scalar(count) == new.scalar(count):
            raise NotCopied(f"the table {table.name} has not as many rows as it should")
    by_name = {table.name: copied for table, copied in rows.items()}
    return Copied(rows=by_name, head=reading.head(new))
