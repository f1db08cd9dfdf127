"""The log in SQLite. ``BEGIN IMMEDIATE`` is its append lock, in this process or another."""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, String, bindparam, column, func, select

from eventstore import reading, statements
from eventstore.admission import Facts
from eventstore.sql_store import NamedRows, Names, SqlEventStore
from eventstore.sqlite_database import SqliteDatabase
from eventstore.store import ApplyProjections, RecordedEvent
from eventstore.tables import to_microseconds

_LISTED: Final = func.json_each(bindparam("names", type_=String)).table_valued(
    column("value", String), name="listed"
)


def among(name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether it is one of the names in a list that is given as JSON."""
    return name.in_(select(_LISTED.c.value))


NAMED_ROWS: Final = NamedRows(among, json.dumps)
PRESENT_VERSIONS: Final = statements.present_versions(_LISTED)
SEALED_AMONG: Final = statements.sealed_among(among)


class SqliteEventStore(SqlEventStore):
    """Implements :class:`~eventstore.store.EventStore`; safe to use from any thread."""

    def __init__(
        self,
        database: SqliteDatabase,
        apply: ApplyProjections,
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        super().__init__(database, apply, NAMED_ROWS, random_bytes)
        self._insert = str(statements.INSERT_EVENTS.compile(database.engine))

    def _facts(self, connection: Connection, names: Names) -> Facts:
        rows = NAMED_ROWS
        versions = rows.find(connection, PRESENT_VERSIONS, names.streams)
        return Facts(
            head=reading.head(connection),
            versions={stream: version or 0 for stream, version in versions},
            recorded=rows.recorded(connection, names.event_ids),
            sealed={row.subject for row in rows.find(connection, SEALED_AMONG, names.subjects)},
            secret_ids=set(rows.secrets(connection, names.secret_ids)),
        )

    def _insert_events(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        """Hand the values straight to the driver, which halves the cost of an insert.

        SQLAlchemy would look at each of the sixteen values of each row.
        """
        connection.exec_driver_sql(self._insert, [_values(event) for event in events])


def _values(event: RecordedEvent) -> tuple[object, ...]:
    """A row to insert, as the driver wants it."""
    return (
        event.position,
        event.stream,
        event.version,
        event.event_id,
        event.type,
        event.schema_version,
        event.payload,
        event.salt,
        event.payload_hash,
        event.chain_hash,
        event.subject,
        event.account,
        event.actor,
        to_microseconds(event.recorded_at),
        event.correlation_id,
        event.causation_id,
    )
