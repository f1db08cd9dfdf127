"""From a command to the log: load, fold, decide, append; and again where somebody was faster.

A stream is folded into a state by a :class:`Decider`; a command looks at the state and returns the
events that follow from it. :func:`transact` does that for a command about one stream, which most
are. A command about several streams loads each of them itself, makes one
:class:`~eventstore.store.Append` with a write (or a guard) for each, and runs inside
:func:`retrying`, so that it too starts over when any of its streams has moved on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from eventstore import reading
from eventstore.appender import Appender
from eventstore.changes import LogChanges
from eventstore.database import Database
from eventstore.store import (
    Append,
    Appended,
    EventStore,
    NewEvent,
    RecordedEvent,
    SealedSecret,
    StreamWrite,
    SubjectSealed,
    VersionConflict,
)

ATTEMPTS: Final = 8
"""How often a command starts over before its conflict is the caller's."""

S = TypeVar("S")
E = TypeVar("E")
T = TypeVar("T")


class Codec(Protocol[E]):
    """Stored name, version and bytes, to an event of the domain and back."""

    def encode(self, event: E) -> tuple[str, int, bytes]:
        """The stored type, the schema version, and the payload."""

    def decode(
        self,
        type: str,  # noqa: A002  (the event's own word)
        schema_version: int,
        payload: bytes,
    ) -> E:
        """The event, brought up to its present shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider(Generic[S, E]):
    """How a kind of stream becomes a state."""

    initial: S
    evolve: Callable[[S, E], S]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who does it, when, and in the course of what; and where new event ids come from."""

    account: str
    actor: str
    at: datetime
    correlation_id: str
    causation_id: str | None = None
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(Generic[S]):
    """A stream's state, and the version that it is the state of (0: there is no stream)."""

    state: S
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transacted(Generic[S]):
    """The state after a command, and what it recorded (nothing, where there was nothing to do)."""

    state: S
    version: int
    events: tuple[RecordedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """What commands get: the log, in terms of the domain's events."""

    database: Database
    store: EventStore
    appender: Appender
    codec: Codec[Any]
    changes: LogChanges

    async def load(self, stream: str, decider: Decider[S, E]) -> Loaded[S]:
        """Fold a stream. Raises :class:`~eventstore.store.SubjectSealed` for an erased one."""
        events = await self.database.read(
            lambda connection: reading.read_stream(connection, stream)
        )
        state, version = decider.initial, 0
        for event in events:
            if event.payload is None:
                raise SubjectSealed(event.subject)
            state = decider.evolve(
                state, self.codec.decode(event.type, event.schema_version, event.payload)
            )
            version = event.version
        return Loaded(state=state, version=version)

    def new_event(self, event: object, *, subject: str, context: Context) -> NewEvent:
        """``event`` as something to be recorded, about ``subject``."""
        name, schema_version, payload = self.codec.encode(event)
        return NewEvent(
            event_id=context.new_id(),
            type=name,
            schema_version=schema_version,
            payload=payload,
            subject=subject,
            account=context.account,
            actor=context.actor,
            recorded_at=context.at,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
        )

    def write(
        self,
        stream: str,
        decided: Iterable[object],
        *,
        expected_version: int | None,
        subject: str,
        context: Context,
    ) -> StreamWrite:
        """What was decided about a stream, ready to be appended."""
        return StreamWrite(
            stream=stream,
            expected_version=expected_version,
            events=tuple(
                self.new_event(event, subject=subject, context=context) for event in decided
            ),
        )

    async def append(self, append: Append) -> Appended:
        """Record it, durably. Raises :class:`~eventstore.store.AppendRefused` and its kinds."""
        return await self.appender.append(append)


async def transact(
    log: EventLog,
    stream: str,
    decider: Decider[S, E],
    decide: Callable[[S], Sequence[E]],
    *,
    subject: str,
    context: Context,
    guards: Sequence[StreamWrite] = (),
    secrets: Sequence[SealedSecret] = (),
    seals: Sequence[str] = (),
    attempts: int = ATTEMPTS,
) -> Transacted[S]:
    """Run a command about one stream. ``decide`` may run several times and must be pure.

    Where it returns no events nothing at all is recorded, and ``guards``, ``secrets`` and
    ``seals`` play no part. Raises what ``decide`` raises, the conflict of a guard at once and the
    conflict of ``stream`` after ``attempts``, and whatever else refuses the append.
    """

    async def attempt() -> Transacted[S]:
        loaded = await log.load(stream, decider)
        decided = decide(loaded.state)
        if not decided:
            return Transacted(state=loaded.state, version=loaded.version, events=())
        write = log.write(
            stream, decided, expected_version=loaded.version, subject=subject, context=context
        )
        appended = await log.append(
            Append(writes=(write, *guards), secrets=tuple(secrets), seals=tuple(seals))
        )
        state = loaded.state
        for event in decided:
            state = decider.evolve(state, event)
        return Transacted(
            state=state, version=loaded.version + len(decided), events=appended.events
        )

    return await retrying(
        attempt, attempts=attempts, when=lambda conflict: conflict.stream == stream
    )


async def retrying(
    attempt: Callable[[], Awaitable[T]],
    *,
    attempts: int = ATTEMPTS,
    when: Callable[[VersionConflict], bool] = lambda _conflict: True,
) -> T:
    """Run ``attempt`` until it meets no conflict; the last one's conflict is raised.

    ``attempt`` loads, decides and appends. ``when`` tells conflicts that reading again can solve.
    """
    for _ in range(attempts - 1):
        try:
            return await attempt()
        except VersionConflict as conflict:
            if not when(conflict):
                raise
    return await attempt()
