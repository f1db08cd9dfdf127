"""The log in SQLite: one append transaction for a batch, a handful of statements each.

``BEGIN IMMEDIATE`` is the append lock: between reading the head and committing, nobody else
writes, in this process or another. So positions have no gaps, and everything that
:func:`~eventstore.admission.admit` decides on is still true when it's written.
"""

from __future__ import annotations

import json
import secrets as randomness
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, FromClause, Row, Select, String, bindparam, column, func

from eventstore import reading, statements
from eventstore.admission import Admission, Facts, admit
from eventstore.sqlite_database import SqliteDatabase
from eventstore.store import (
    Append,
    Appended,
    AppendRefused,
    ApplyProjections,
    Erasure,
    Head,
    RecordedEvent,
    SealedSecret,
)
from eventstore.tables import to_microseconds

_LISTED: Final[FromClause] = func.json_each(bindparam("names", type_=String)).table_valued(
    column("value", String), name="listed"
)
_RECORDED_WITH_IDS: Final = statements.recorded_with_ids(_LISTED)
_PRESENT_VERSIONS: Final = statements.present_versions(_LISTED)
_SEALED_AMONG: Final = statements.sealed_among(_LISTED)
_SECRETS_AMONG: Final = statements.secrets_among(_LISTED)


class SqliteEventStore:
    """Implements :class:`~eventstore.store.EventStore`; safe to use from any thread."""

    def __init__(
        self,
        database: SqliteDatabase,
        apply: ApplyProjections,
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._database = database
        self._apply = apply
        self._random_bytes = random_bytes
        self._insert_events = str(statements.INSERT_EVENTS.compile(database.engine))

    def append(self, appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        """Record every append that can be, in one transaction, each whole or not at all."""
        if not appends:
            return []
        with self._database.transaction() as connection:
            facts = _facts(connection, appends)
            admission = admit(appends, facts, self._random_bytes)
            self._write(connection, admission, facts.head)
        return admission.answers

    def _write(self, connection: Connection, admission: Admission, head: Head) -> None:
        if admission.events:
            connection.exec_driver_sql(
                self._insert_events, [_values(event) for event in admission.events]
            )
            connection.execute(
                statements.MOVE_HEAD,
                {"to_position": head.position, "to_chain_hash": head.chain_hash},
            )
        if admission.secrets:
            connection.execute(
                statements.INSERT_SECRETS, [_row(each) for each in admission.secrets]
            )
        if admission.seals:
            connection.execute(
                statements.INSERT_SEALS,
                [
                    {
                        "subject": subject,
                        "sealed_position": position,
                        "erased_position": 0,
                        "finished": False,
                    }
                    for subject, position in admission.seals.items()
                ],
            )
        if admission.events:
            self._apply(connection, admission.events)

    def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        """Events of a stream, oldest first, with versions above ``after_version``."""
        return self._database.read_now(
            lambda connection: reading.read_stream(
                connection, stream, after_version=after_version, limit=limit
            )
        )

    def read_stream_backward(
        self, stream: str, *, before_version: int | None = None, limit: int | None = None
    ) -> list[RecordedEvent]:
        """Events of a stream, newest first, with versions below ``before_version``."""
        return self._database.read_now(
            lambda connection: reading.read_stream_backward(
                connection, stream, before_version=before_version, limit=limit
            )
        )

    def read_all(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        limit: int,
        subject: str | None = None,
        types: frozenset[str] | None = None,
    ) -> list[RecordedEvent]:
        """Events in the order of the log, with positions above ``after`` and up to ``until``."""
        return self._database.read_now(
            lambda connection: reading.read_all(
                connection, after=after, until=until, limit=limit, subject=subject, types=types
            )
        )

    def read_all_backward(
        self,
        *,
        before: int | None = None,
        limit: int,
        subject: str | None = None,
        types: frozenset[str] | None = None,
    ) -> list[RecordedEvent]:
        """Events newest first, with positions below ``before``."""
        return self._database.read_now(
            lambda connection: reading.read_all_backward(
                connection, before=before, limit=limit, subject=subject, types=types
            )
        )

    def head(self) -> Head:
        """Where the log ends; position 0 while it is empty."""
        return self._database.read_now(reading.head)

    def checkpoint(self, name: str) -> int:
        """The position that the subscriber ``name`` has handled; 0 for a new one."""
        return self._database.read_now(lambda connection: reading.checkpoint(connection, name))

    def save_checkpoint(self, name: str, position: int) -> None:
        """Remember durably that ``name`` has handled everything up to ``position``."""
        with self._database.transaction() as connection:
            moved = connection.execute(
                statements.MOVE_CHECKPOINT, {"who": name, "to_position": position}
            )
            if moved.rowcount == 0:
                connection.execute(
                    statements.INSERT_CHECKPOINT, {"name": name, "position": position}
                )

    def unfinished_erasures(self) -> list[Erasure]:
        """Sealed subjects whose erasure has not ended, oldest first."""
        return self._database.read_now(reading.unfinished_erasures)

    def erase(self, subject: str, *, limit: int) -> int:
        """Erase up to ``limit`` payloads of a sealed subject, and all its secrets."""
        with self._database.transaction() as connection:
            seal = connection.execute(statements.SEAL, {"of_subject": subject}).one_or_none()
            if seal is None:
                raise ValueError(f"{subject} is not sealed")
            connection.execute(statements.DELETE_SECRETS, {"of_subject": subject})
            rows = connection.execute(
                statements.TO_ERASE,
                {
                    "of_subject": subject,
                    "after": seal.erased_position,
                    "until": seal.sealed_position,
                    "limit": limit,
                },
            )
            erased = [replace(reading.recorded(row), payload=None, salt=None) for row in rows]
            if erased:
                last = erased[-1].position
                connection.execute(
                    statements.ERASE_PAYLOADS,
                    {"of_subject": subject, "after": seal.erased_position, "until": last},
                )
                connection.execute(
                    statements.ERASED_UP_TO, {"of_subject": subject, "to_position": last}
                )
                self._apply(connection, erased)
        return len(erased)

    def finish_erasure(self, subject: str) -> None:
        """Take the subject off the list of unfinished erasures."""
        with self._database.transaction() as connection:
            connection.execute(statements.FINISH_ERASURE, {"of_subject": subject})

    def read_secrets(self, secret_ids: Sequence[str]) -> dict[str, SealedSecret]:
        """The secrets that there are, by id."""

        def query(connection: Connection) -> dict[str, SealedSecret]:
            rows = _among(connection, _SECRETS_AMONG, secret_ids)
            return {row.secret_id: _secret(row) for row in rows}

        return self._database.read_now(query)


def _facts(connection: Connection, appends: Sequence[Append]) -> Facts:
    writes = [write for append in appends for write in append.writes]
    events = [event for write in writes for event in write.events]
    new_secrets = [secret for append in appends for secret in append.secrets]
    subjects = {
        *(event.subject for event in events),
        *(secret.subject for secret in new_secrets),
        *(subject for append in appends for subject in append.seals),
    }
    recorded = [
        reading.recorded(row)
        for row in _among(connection, _RECORDED_WITH_IDS, [event.event_id for event in events])
    ]
    streams = {write.stream for write in writes}
    return Facts(
        head=reading.head(connection),
        versions={row[0]: row[1] or 0 for row in _among(connection, _PRESENT_VERSIONS, streams)},
        recorded={event.event_id: event for event in recorded},
        sealed={row[0] for row in _among(connection, _SEALED_AMONG, subjects)},
        secret_ids={
            row.secret_id
            for row in _among(
                connection, _SECRETS_AMONG, [secret.secret_id for secret in new_secrets]
            )
        },
    )


def _among(
    connection: Connection, statement: Select[*tuple[Any, ...]], names: Iterable[str]
) -> Sequence[Row[*tuple[Any, ...]]]:
    listed = list(names)
    if not listed:
        return ()
    return connection.execute(statement, {"names": json.dumps(listed)}).all()


def _values(event: RecordedEvent) -> tuple[object, ...]:
    """A row to insert, as the driver wants it.

    Handing these straight to the driver halves the cost of an insert: SQLAlchemy would look at each
    of the sixteen values of each row.
    """
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


def _secret(row: Row[*tuple[Any, ...]]) -> SealedSecret:
    return SealedSecret(
        secret_id=row.secret_id,
        subject=row.subject,
        key_id=row.key_id,
        ciphertext=row.ciphertext,
    )


def _row(secret: SealedSecret) -> dict[str, object]:
    return {
        "secret_id": secret.secret_id,
        "subject": secret.subject,
        "key_id": secret.key_id,
        "ciphertext": secret.ciphertext,
    }
