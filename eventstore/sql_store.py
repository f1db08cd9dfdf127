"""The log in a SQL database: one append transaction for a batch, a handful of statements each.

Between reading the head and committing, nobody else appends: the transaction holds the log's append
lock (:meth:`~eventstore.database.Database.log_transaction`). So positions have no gaps, and
everything that :func:`~eventstore.admission.admit` decides on is still true when it's written.

A database's own store says how it looks up what it must know about a batch, and how events go into
their table.
"""

from __future__ import annotations

import secrets as randomness
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select

from eventstore import reading, statements
from eventstore.admission import Admission, Facts, admit
from eventstore.database import Database
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Everything that a batch names, and that an append must know about."""

    streams: list[str]
    event_ids: list[str]
    subjects: list[str]
    secret_ids: list[str]

    @classmethod
    def of(cls, appends: Sequence[Append]) -> Names:
        """Collect them; done before the lock is taken."""
        streams: dict[str, None] = {}
        subjects: dict[str, None] = {}
        event_ids: list[str] = []
        secret_ids: list[str] = []
        for append in appends:
            for write in append.writes:
                streams[write.stream] = None
                for event in write.events:
                    event_ids.append(event.event_id)
                    subjects[event.subject] = None
            for secret in append.secrets:
                secret_ids.append(secret.secret_id)
                subjects[secret.subject] = None
            subjects.update(dict.fromkeys(append.seals))
        return cls(
            streams=list(streams),
            event_ids=event_ids,
            subjects=list(subjects),
            secret_ids=secret_ids,
        )


class NamedRows:
    """Finds rows by a list of names, which is one parameter of a statement, ``names``.

    ``among`` says how a statement uses it, and ``as_parameter`` makes it of the names.
    """

    def __init__(
        self, among: statements.Among, as_parameter: Callable[[list[str]], object]
    ) -> None:
        self._recorded = statements.recorded_with_ids(among)
        self._secrets = statements.secrets_among(among)
        self._as_parameter = as_parameter

    def recorded(self, connection: Connection, event_ids: list[str]) -> dict[str, RecordedEvent]:
        """The events of those ids that are recorded, by id."""
        events = map(reading.recorded, self.find(connection, self._recorded, event_ids))
        return {event.event_id: event for event in events}

    def secrets(self, connection: Connection, secret_ids: list[str]) -> dict[str, SealedSecret]:
        """The secrets of those ids that there are, by id."""
        rows = self.find(connection, self._secrets, secret_ids)
        return {row.secret_id: _secret(row) for row in rows}

    def find(
        self, connection: Connection, statement: Select[*tuple[Any, ...]], names: list[str]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows of a statement that takes ``names``; asks nothing where none are given."""
        if not names:
            return ()
        return connection.execute(statement, {"names": self._as_parameter(names)}).all()


class SqlEventStore(ABC):
    """Implements :class:`~eventstore.store.EventStore`; safe to use from any thread."""

    def __init__(
        self,
        database: Database,
        apply: ApplyProjections,
        named_rows: NamedRows,
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._database = database
        self._apply = apply
        self._named_rows = named_rows
        self._random_bytes = random_bytes

    @abstractmethod
    def _facts(self, connection: Connection, names: Names) -> Facts:
        """What the database says about the names, and where the log ends."""

    @abstractmethod
    def _insert_events(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        """Add events to the log, as fast as the database can.

        Where there is a way to do so, have other processes told of them once they are committed.
        """

    def append(self, appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        """Record every append that can be, in one transaction, each whole or not at all."""
        if not appends:
            return []
        names = Names.of(appends)
        with self._database.log_transaction() as connection:
            facts = self._facts(connection, names)
            admission = admit(appends, facts, self._random_bytes)
            self._write(connection, admission)
        return admission.answers

    def _write(self, connection: Connection, admission: Admission) -> None:
        if admission.events:
            self._insert_events(connection, admission.events)
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
        with self._database.log_transaction() as connection:
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
        return self._database.read_now(
            lambda connection: self._named_rows.secrets(connection, list(secret_ids))
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
