"""Events and appends for tests, short enough to read in a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from eventstore.store import Append, NewEvent, RecordedEvent, SealedSecret, StreamWrite

AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)

_numbers: Iterator[int] = itertools.count(1)


def event(subject: str = "job-1", /, **fields: Any) -> NewEvent:
    """An event with an id of its own."""
    values: dict[str, Any] = {
        "event_id": f"event-{next(_numbers)}",
        "type": "Happened",
        "schema_version": 1,
        "payload": b"{}",
        "subject": subject,
        "account": "account-1",
        "actor": "key:1",
        "recorded_at": AT,
        "correlation_id": "request-1",
        "causation_id": None,
    }
    return NewEvent(**(values | fields))


def write(stream: str, expected: int | None, *events: NewEvent) -> StreamWrite:
    """Events for one stream; with none, a guard."""
    return StreamWrite(stream=stream, expected_version=expected, events=events)


def append(
    stream: str,
    expected: int | None,
    *events: NewEvent,
    secrets: Sequence[SealedSecret] = (),
    seals: Sequence[str] = (),
) -> Append:
    """An append to one stream; one event of its own unless given."""
    return Append(
        writes=(write(stream, expected, *(events or (event(),))),),
        secrets=tuple(secrets),
        seals=tuple(seals),
    )


def secret(secret_id: str, subject: str, ciphertext: bytes = b"sealed") -> SealedSecret:
    return SealedSecret(secret_id=secret_id, subject=subject, key_id="key-1", ciphertext=ciphertext)


class Applied:
    """Stands in for the read models: keeps what it was given, and fails when told to."""

    def __init__(self) -> None:
        self.batches: list[list[RecordedEvent]] = []
        self.fail_on: str | None = None

    def __call__(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        for each in events:
            if each.type == self.fail_on:
                raise RuntimeError(f"can't apply {each.type}")
        self.batches.append(list(events))
