"""The log in PostgreSQL: an append asks one question, writes with one statement, and is told once.

Every statement is a journey to the server and back, made while the append lock is held. So what an
append must know comes as one answer, and the events go, as one array for each column, with the
notification of other processes.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Connection, String, any_, bindparam
from sqlalchemy.dialects.postgresql import insert

from eventstore.admission import Facts
from eventstore.hashing import CHAIN_START
from eventstore.postgres_changes import CHANNEL, payload
from eventstore.postgres_database import PostgresDatabase
from eventstore.postgres_faults import ConnectionLost
from eventstore.sql_store import NamedRows, Names, SqlEventStore
from eventstore.store import (
    Append,
    Appended,
    AppendRefused,
    ApplyProjections,
    Head,
    RecordedEvent,
)
from eventstore.tables import checkpoints, to_microseconds

_NAMES: Final = bindparam("names", type_=ARRAY(String))


def among(name: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether it is one of the names in an array."""
    return name == any_(_NAMES)


NAMED_ROWS: Final = NamedRows(among, list)

FACTS: Final = """
(SELECT 'head' AS kind, '' AS name, position AS number, chain_hash FROM events
    ORDER BY position DESC LIMIT 1)
UNION ALL
SELECT 'version', stream, last.version, NULL FROM unnest(%b::text[]) AS stream
    CROSS JOIN LATERAL (
        SELECT version FROM events WHERE events.stream = stream.stream ORDER BY version DESC LIMIT 1
    ) AS last
UNION ALL
SELECT 'recorded', event_id, position, NULL FROM events WHERE event_id = ANY (%b::text[])
UNION ALL
SELECT 'sealed', subject, 0, NULL FROM sealed_subjects WHERE subject = ANY (%b::text[])
UNION ALL
SELECT 'secret', secret_id, 0, NULL FROM secrets WHERE secret_id = ANY (%b::text[])
"""
"""What an append must know; takes streams, event ids, subjects and secret ids."""

INSERT: Final = """
WITH inserted AS (
    INSERT INTO events (
        position, stream, version, event_id, type, schema_version, payload, salt, payload_hash,
        chain_hash, subject, account, actor, recorded_at, correlation_id, causation_id
    )
    SELECT * FROM unnest(
        %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::integer[], %b::bytea[],
        %b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::text[], %b::text[], %b::bigint[],
        %b::text[], %b::text[]
    )
)
SELECT pg_notify(%b::text, %b::text)
"""
"""Takes the columns as arrays, then what to notify: the channel and the payload."""

_INSERT_CHECKPOINT: Final = insert(checkpoints)
_SAVE_CHECKPOINT: Final = _INSERT_CHECKPOINT.on_conflict_do_update(
    index_elements=[checkpoints.c.name],
    set_={"position": _INSERT_CHECKPOINT.excluded.position},
)


class PostgresEventStore(SqlEventStore):
    """Implements :class:`~eventstore.store.EventStore`; safe to use from any thread."""

    def __init__(
        self,
        database: PostgresDatabase,
        apply: ApplyProjections,
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        super().__init__(database, apply, NAMED_ROWS, random_bytes)
        self._origin = database.origin
        self._unsynced = database.unsynced_transaction

    def append(self, appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        """Record every append that can be; where the connection is lost, once more on another.

        That is safe also where nobody knows whether the first attempt was committed: then its
        events are found by their ids, and answered as repeated.
        """
        try:
            return super().append(appends)
        except ConnectionLost:
            return super().append(appends)

    def save_checkpoint(self, name: str, position: int) -> None:
        """Remember that ``name`` has handled everything up to ``position``.

        A crash of the server may lose it: then a little is handled again.
        """
        with self._unsynced() as connection:
            connection.execute(_SAVE_CHECKPOINT, {"name": name, "position": position})

    def _facts(self, connection: Connection, names: Names) -> Facts:
        parameters = (names.streams, names.event_ids, names.subjects, names.secret_ids)
        facts = Facts(
            head=Head(position=0, chain_hash=CHAIN_START),
            versions={},
            recorded={},
            sealed=set(),
            secret_ids=set(),
        )
        repeated = []
        for kind, name, number, chain_hash in connection.exec_driver_sql(FACTS, parameters):
            match kind:
                case "head":
                    facts.head = Head(position=number, chain_hash=chain_hash)
                case "version":
                    facts.versions[name] = number
                case "recorded":
                    repeated.append(name)
                case "sealed":
                    facts.sealed.add(name)
                case "secret":
                    facts.secret_ids.add(name)
        facts.recorded = NAMED_ROWS.recorded(connection, repeated)
        return facts

    def _insert_events(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        told = payload(self._origin, events[-1].position, {event.type for event in events})
        connection.exec_driver_sql(INSERT, (*_columns(events), CHANNEL, told))


def _columns(events: Sequence[RecordedEvent]) -> tuple[list[object], ...]:
    return (
        [event.position for event in events],
        [event.stream for event in events],
        [event.version for event in events],
        [event.event_id for event in events],
        [event.type for event in events],
        [event.schema_version for event in events],
        [event.payload for event in events],
        [event.salt for event in events],
        [event.payload_hash for event in events],
        [event.chain_hash for event in events],
        [event.subject for event in events],
        [event.account for event in events],
        [event.actor for event in events],
        [to_microseconds(event.recorded_at) for event in events],
        [event.correlation_id for event in events],
        [event.causation_id for event in events],
    )
