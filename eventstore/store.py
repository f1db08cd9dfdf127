"""The append-only log: what goes in, what was recorded, and what a store promises.

An event has two lives. As a :class:`NewEvent` it is what somebody wants to record; as a
:class:`RecordedEvent` it has its place: a *version* in its stream and a *position* in the log. The
store knows bytes and names; what they mean is the caller's.

Promises of every store, proven by ``tests/eventstore/contract.py``:

- versions of a stream are 1, 2, 3 … and positions of the log are 1, 2, 3 …, both without gaps, and
  no reader ever sees a position before every earlier one;
- an :class:`Append` happens whole or not at all, also when it spans streams;
- an expected version that is not the stream's present one refuses the append
  (:class:`VersionConflict`) and leaves its neighbours in the same batch alone;
- an append whose event ids are all recorded already is answered with what was recorded
  (so that a retry after a lost answer is safe);
- recorded events never change, except that a sealed subject's payloads are erased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Connection

NO_STREAM: Final = 0
"""The expected version of a stream that must not exist yet."""

ANY_VERSION: Final = None
"""The expected version of a writer that does not mind what was written before."""

ERASURE_STREAM_PREFIX: Final = "erasure-"
"""Streams that may still speak about a sealed subject: they record the end of its erasure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event that somebody wants to record."""

    event_id: str
    """Unique in the log; recording the same id again is recognised as a retry."""
    type: str
    """The stored type name, such as ``JobCreated``: a contract, never a class path."""
    schema_version: int
    """The version of the payload's shape, from 1."""
    payload: bytes
    """The event's content, opaque to the store."""
    subject: str
    """The id of the job, project or key that it is about; erasure goes by it."""
    account: str
    """The account that the subject belongs to."""
    actor: str
    """Who did it: ``key:<id>``, ``system:<part>`` or ``cli``."""
    recorded_at: datetime
    """When, in UTC, by the clock of the command that decided it."""
    correlation_id: str
    """The id of the request or loop turn that everything which followed from it shares."""
    causation_id: str | None = None
    """The event id that this one was a reaction to, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event with its place in the log."""

    position: int
    stream: str
    version: int
    event_id: str
    type: str
    schema_version: int
    payload: bytes | None
    """None once erased."""
    subject: str
    account: str
    actor: str
    recorded_at: datetime
    correlation_id: str
    causation_id: str | None
    salt: bytes | None
    """What the payload was hashed with, so that its hash tells nothing once both are erased."""
    payload_hash: bytes
    chain_hash: bytes
    """The head of the hash chain after this event (see ``eventstore/hashing.py``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWrite:
    """Events for one stream. With no events it only guards the stream's version."""

    stream: str
    expected_version: int | None
    events: tuple[NewEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """An encrypted value that belongs to a subject and is deleted with it."""

    secret_id: str
    subject: str
    key_id: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What is recorded together or not at all."""

    writes: tuple[StreamWrite, ...]
    secrets: tuple[SealedSecret, ...] = ()
    seals: tuple[str, ...] = ()
    """Subjects about which nothing may be recorded after this append; their payloads get erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What was recorded, in the order of the log."""

    events: tuple[RecordedEvent, ...]
    repeated: bool = False
    """True when the events had been recorded before and nothing was written now."""


class AppendRefused(Exception):
    """An append was not recorded, for a reason of its own."""


class VersionConflict(AppendRefused):
    """The stream is not at the version that the writer had read."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class SubjectSealed(AppendRefused):
    """The subject was deleted for good: nothing can be recorded about it again."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} was deleted for good")
        self.subject = subject


class EventIdReused(AppendRefused):
    """Some of the append's event ids are recorded already, and some are not."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"event id {event_id} is recorded already, with other events")
        self.event_id = event_id


class SecretIdReused(AppendRefused):
    """A secret with this id is stored already; secrets are replaced by new ones, never changed."""

    def __init__(self, secret_id: str) -> None:
        super().__init__(f"secret id {secret_id} is taken")
        self.secret_id = secret_id


class StoreUnavailable(Exception):
    """The database could not do it now: locked for too long, disk full, gone. Trying later may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the log ends."""

    position: int
    chain_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A sealed subject whose payloads are not all erased yet."""

    subject: str
    sealed_position: int


ApplyProjections = Callable[[Connection, Sequence[RecordedEvent]], None]
"""Brings the read models up to date, inside the transaction that appends or erases."""


class EventStore(Protocol):
    """A log in one database. Blocking: called from threads, or where a read is cheap."""

    def append(self, appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        """Record every append that can be, in one transaction, each whole or not at all.

        The answers stand in the order of the appends. Later appends see earlier ones of the same
        batch. Raises :class:`StoreUnavailable` for faults of the database, and whatever the read
        models raised; it has then recorded nothing.
        """

    def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        """Events of a stream, oldest first, with versions above ``after_version``."""

    def read_stream_backward(
        self, stream: str, *, before_version: int | None = None, limit: int | None = None
    ) -> list[RecordedEvent]:
        """Events of a stream, newest first, with versions below ``before_version``."""

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

    def read_all_backward(
        self,
        *,
        before: int | None = None,
        limit: int,
        subject: str | None = None,
        types: frozenset[str] | None = None,
    ) -> list[RecordedEvent]:
        """Events newest first, with positions below ``before``."""

    def head(self) -> Head:
        """Where the log ends; position 0 while it is empty."""

    def checkpoint(self, name: str) -> int:
        """The position that the subscriber ``name`` has handled; 0 for a new one."""

    def save_checkpoint(self, name: str, position: int) -> None:
        """Remember durably that ``name`` has handled everything up to ``position``."""

    def unfinished_erasures(self) -> list[Erasure]:
        """Sealed subjects whose erasure has not ended, oldest first."""

    def erase(self, subject: str, *, limit: int) -> int:
        """Erase up to ``limit`` payloads (and salts) of a sealed subject, and all its secrets.

        The read models are brought up to date in the same transaction: they are given the events
        as they are now, without payload. Returns how many payloads went; 0 means that none is left.
        Raises ``ValueError`` for a subject that is not sealed.
        """

    def finish_erasure(self, subject: str) -> None:
        """Take the subject off the list of unfinished erasures."""

    def read_secrets(self, secret_ids: Sequence[str]) -> dict[str, SealedSecret]:
        """The secrets that there are, by id."""
