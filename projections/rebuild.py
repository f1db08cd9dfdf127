"""Rebuilding the read models from the log, and proving that the live ones say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, create_engine, delete, select
from sqlalchemy.pool import StaticPool

from eventstore import reading
from eventstore.database import Database
from eventstore.store import EventStore
from projections.projection import metadata
from projections.runner import PROJECTIONS, Runner

BATCH: Final = 1_000
"""How many events are read and applied at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that the live read models and the log don't agree on; None where it does not exist."""

    table: str
    key: str
    live: dict[str, Any] | None
    rebuilt: dict[str, Any] | None

    def told(self) -> str:
        """Which columns differ, by name: values may be private."""
        if self.live is None:
            return "is missing"
        if self.rebuilt is None:
            return "is not in the log"
        differing = (name for name in self.live if self.live[name] != self.rebuilt[name])
        return f"differs in {', '.join(differing)}"


def rebuild(database: Database, store: EventStore, runner: Runner) -> int:
    """Replace every read model by what the log says, in one transaction; returns the position.

    Whoever wants to append meanwhile waits.
    """
    with database.log_transaction() as connection:
        until = store.head().position
        for projection in PROJECTIONS:
            for table in projection.tables:
                connection.execute(delete(table))
        replay(connection, store, runner, until=until)
    return until


def check(database: Database, store: EventStore, runner: Runner) -> list[Difference]:
    """Rebuild every read model in memory and return each row that differs from the live one.

    Rows about a subject whose erasure is under way are left out: they are going.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with database.snapshot() as live, engine.begin() as scratch:
            until = reading.head(
                live
            ).position  # the first statement: the snapshot is of this moment
            metadata.create_all(scratch)
            going = {erasure.subject for erasure in store.unfinished_erasures()}
            replay(scratch, store, runner, until=until)
            return [
                difference
                for projection in PROJECTIONS
                for table in projection.tables
                for difference in _differences(table, live, scratch)
                if not _is_about(difference, going)
            ]
    finally:
        engine.dispose()


def replay(connection: Connection, store: EventStore, runner: Runner, *, until: int) -> None:
    """Apply the log up to a position to the read models behind the connection."""
    position = 0
    while events := store.read_all(after=position, until=until, limit=BATCH):
        runner.apply(connection, events)
        position = events[-1].position


def _differences(table: Table, live: Connection, scratch: Connection) -> Iterator[Difference]:
    (key,) = table.primary_key.columns
    rebuilt = {row[key.name]: dict(row) for row in scratch.execute(select(table)).mappings()}
    for row in live.execute(select(table)).mappings():
        expected = rebuilt.pop(row[key.name], None)
        if expected != dict(row):
            yield Difference(table=table.name, key=row[key.name], live=dict(row), rebuilt=expected)
    for missing, expected in rebuilt.items():
        yield Difference(table=table.name, key=missing, live=None, rebuilt=expected)


def _is_about(difference: Difference, subjects: set[str]) -> bool:
    row = difference.live or difference.rebuilt or {}
    return row.get("job_id", row.get("id")) in subjects
