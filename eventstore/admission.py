"""Which appends of a batch are recorded, and as what: a pure decision, the same for every store.

A store reads the :class:`Facts` that the batch touches, inside its append transaction, has
:func:`admit` decide, and writes what the :class:`Admission` says. This is the one place where
"that can't be recorded" gets its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from eventstore import hashing
from eventstore.store import (
    ERASURE_STREAM_PREFIX,
    Append,
    Appended,
    AppendRefused,
    EventIdReused,
    Head,
    NewEvent,
    RecordedEvent,
    SealedSecret,
    SecretIdReused,
    SubjectSealed,
    VersionConflict,
)
from eventstore.tables import to_microseconds


@dataclass(slots=True, kw_only=True)
class Facts:
    """What the database says about everything that a batch names; moves on with each append."""

    head: Head
    versions: dict[str, int]
    """Present versions by stream; a stream that is missing has none."""
    recorded: dict[str, RecordedEvent]
    """Events by id, of those ids in the batch that are recorded."""
    sealed: set[str]
    """Sealed subjects."""
    secret_ids: set[str]
    """Secret ids that are taken."""


@dataclass(slots=True, kw_only=True)
class Admission:
    """What to answer, and what to write."""

    answers: list[Appended | AppendRefused] = field(default_factory=list)
    events: list[RecordedEvent] = field(default_factory=list)
    secrets: list[SealedSecret] = field(default_factory=list)
    seals: dict[str, int] = field(default_factory=dict)
    """Newly sealed subjects, and the position up to which their payloads have to go."""


def admit(
    appends: Iterable[Append], facts: Facts, random_bytes: Callable[[int], bytes]
) -> Admission:
    """Decide every append in order; later ones see what earlier ones did. ``facts`` moves on."""
    admission = Admission()
    for append in appends:
        try:
            answer = _repeated(append, facts) or _admitted(append, facts, admission, random_bytes)
        except AppendRefused as refusal:
            admission.answers.append(refusal)
        else:
            admission.answers.append(answer)
    return admission


def _repeated(append: Append, facts: Facts) -> Appended | None:
    """What was recorded, where the append is a retry; None where it is new.

    Raises :class:`EventIdReused` where its ids are neither all new nor all its own.
    """
    wanted = [(write.stream, event.event_id) for write in append.writes for event in write.events]
    if len({event_id for _, event_id in wanted}) < len(wanted):
        raise EventIdReused(_first_duplicate([event_id for _, event_id in wanted]))
    known = [facts.recorded.get(event_id) for _, event_id in wanted]
    found = [event for event in known if event is not None]
    if not found:
        return None
    for (stream, event_id), event in zip(wanted, known, strict=True):
        if event is None or event.stream != stream:
            raise EventIdReused(event_id if event is not None else found[0].event_id)
    return Appended(events=tuple(sorted(found, key=lambda event: event.position)), repeated=True)


def _admitted(
    append: Append, facts: Facts, admission: Admission, random_bytes: Callable[[int], bytes]
) -> Appended:
    _refuse_conflicts(append, facts)
    _refuse_sealed(append, facts)
    _refuse_taken_secrets(append.secrets, facts)
    recorded = tuple(
        _record(event, write.stream, facts, admission, random_bytes)
        for write in append.writes
        for event in write.events
    )
    for secret in append.secrets:
        facts.secret_ids.add(secret.secret_id)
        admission.secrets.append(secret)
    for subject in append.seals:
        facts.sealed.add(subject)
        admission.seals[subject] = facts.head.position
    return Appended(events=recorded)


def _refuse_conflicts(append: Append, facts: Facts) -> None:
    """Expected versions are those before the append, also of a stream that it names twice."""
    for write in append.writes:
        actual = facts.versions.get(write.stream, 0)
        if write.expected_version is not None and write.expected_version != actual:
            raise VersionConflict(write.stream, write.expected_version, actual)


def _refuse_sealed(append: Append, facts: Facts) -> None:
    for write in append.writes:
        if not write.stream.startswith(ERASURE_STREAM_PREFIX):
            for event in write.events:
                if event.subject in facts.sealed:
                    raise SubjectSealed(event.subject)
    for subject in (*append.seals, *(secret.subject for secret in append.secrets)):
        if subject in facts.sealed:
            raise SubjectSealed(subject)


def _refuse_taken_secrets(secrets: Sequence[SealedSecret], facts: Facts) -> None:
    taken = set(facts.secret_ids)
    for secret in secrets:
        if secret.secret_id in taken:
            raise SecretIdReused(secret.secret_id)
        taken.add(secret.secret_id)


def _record(
    event: NewEvent,
    stream: str,
    facts: Facts,
    admission: Admission,
    random_bytes: Callable[[int], bytes],
) -> RecordedEvent:
    position = facts.head.position + 1
    version = facts.versions.get(stream, 0) + 1
    salt = random_bytes(hashing.SALT_BYTES)
    payload_hash = hashing.payload_hash(salt, event.payload)
    envelope = hashing.envelope(
        position=position,
        stream=stream,
        version=version,
        event_id=event.event_id,
        type=event.type,
        schema_version=event.schema_version,
        subject=event.subject,
        account=event.account,
        actor=event.actor,
        recorded_at=to_microseconds(event.recorded_at),
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
    )
    chain_hash = hashing.link(facts.head.chain_hash, hashing.leaf(envelope, payload_hash))
    recorded = RecordedEvent(
        position=position,
        stream=stream,
        version=version,
        event_id=event.event_id,
        type=event.type,
        schema_version=event.schema_version,
        payload=event.payload,
        salt=salt,
        payload_hash=payload_hash,
        chain_hash=chain_hash,
        subject=event.subject,
        account=event.account,
        actor=event.actor,
        recorded_at=event.recorded_at,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
    )
    facts.head = Head(position=position, chain_hash=chain_hash)
    facts.versions[stream] = version
    facts.recorded[event.event_id] = recorded
    admission.events.append(recorded)
    return recorded


def _first_duplicate(ids: list[str]) -> str:
    return next(each for n, each in enumerate(ids) if each in ids[:n])
