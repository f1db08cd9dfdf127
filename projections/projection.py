"""What a projection is, and the events as it gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, MetaData, Table

from eventstore.store import RecordedEvent

metadata = MetaData()
"""The tables of every read model."""


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """A recorded event with its content, which is None once its payload is erased."""

    envelope: RecordedEvent
    content: Any

    @property
    def subject(self) -> str:
        """What the event is about: a project, a job or a key."""
        return self.envelope.subject


Apply = Callable[[Connection, Sequence[DecodedEvent]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A read model: its tables, the event classes that change it, and how.

    ``apply`` is given those events in the order of the log, never one twice. Of erased events it is
    given the envelope alone when their erasure happens; it forgets what it derived from them.
    """

    name: str
    tables: tuple[Table, ...]
    handles: tuple[type, ...]
    apply: Apply
