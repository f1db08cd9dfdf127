"""Stored events: which name and version stands for which class, and how old bytes are read.

A stored type is never changed in meaning. When the shape of an event changes, its class gets a new
version here and an *upcaster* that turns the old JSON object into the new one; old bytes stay as they
are in the log, and are brought up to date, version by version, each time they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from domain.api_key import ApiKeyCreated, ApiKeyRevoked
from domain.erasure import ErasureCompleted
from domain.execution import (
    CheckDue,
    CheckFailed,
    CheckSkipped,
    CheckStarted,
    CheckSucceeded,
    RunRequested,
)
from domain.heartbeat import HeartbeatMissed
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from domain.pings import PingReceived
from domain.project import ProjectCreated, ProjectDeleted, ProjectUpdated
from domain.retention import ExecutionsExpired

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the JSON object of one version of an event into that of the next."""


class UnknownEventType(Exception):
    """The log holds an event that this version of CronPulse does not know."""


@dataclass(frozen=True, slots=True)
class EventType:
    """A stored type: its class is the latest version; ``upcasters[n]`` leads from version n + 1."""

    event_class: type
    upcasters: tuple[Upcaster, ...] = ()

    @property
    def version(self) -> int:
        """The schema version that is written today."""
        return len(self.upcasters) + 1


EVENT_TYPES: Final[Mapping[str, EventType]] = {
    "ProjectCreated": EventType(ProjectCreated),
    "ProjectUpdated": EventType(ProjectUpdated),
    "ProjectDeleted": EventType(ProjectDeleted),
    "JobCreated": EventType(JobCreated),
    "JobUpdated": EventType(JobUpdated),
    "JobPaused": EventType(JobPaused),
    "JobResumed": EventType(JobResumed),
    "JobDeleted": EventType(JobDeleted),
    "CheckDue": EventType(CheckDue),
    "CheckSkipped": EventType(CheckSkipped),
    "RunRequested": EventType(RunRequested),
    "CheckStarted": EventType(CheckStarted),
    "CheckSucceeded": EventType(CheckSucceeded),
    "CheckFailed": EventType(CheckFailed),
    "PingReceived": EventType(PingReceived),
    "HeartbeatMissed": EventType(HeartbeatMissed),
    "ApiKeyCreated": EventType(ApiKeyCreated),
    "ApiKeyRevoked": EventType(ApiKeyRevoked),
    "ErasureCompleted": EventType(ErasureCompleted),
    "ExecutionsExpired": EventType(ExecutionsExpired),
}


class Codec:
    """Turns events into stored bytes and back."""

    def __init__(self, event_types: Mapping[str, EventType] = EVENT_TYPES) -> None:
        self._by_name = dict(event_types)
        self._name_of = {known.event_class: name for name, known in event_types.items()}

    def encode(self, event: object) -> tuple[str, int, bytes]:
        """The stored type name, the schema version, and the payload as JSON in UTF-8."""
        name = self._name_of[type(event)]
        return name, self._by_name[name].version, _ENCODER.encode(event)

    def decode(self, type_name: str, schema_version: int, payload: bytes) -> Any:  # noqa: ANN401  (any event class)
        """The event, brought up to today's version. Raises :class:`UnknownEventType`."""
        known = self._by_name.get(type_name)
        if known is None or not 1 <= schema_version <= known.version:
            raise UnknownEventType(
                f"{type_name} version {schema_version} is not one that this CronPulse knows;"
                " a newer one may have recorded it"
            )
        if schema_version == known.version:
            return _decoder(known.event_class).decode(payload)
        fields = msgspec.json.decode(payload)
        for upcast in known.upcasters[schema_version - 1 :]:
            fields = upcast(fields)
        return msgspec.convert(fields, known.event_class)

    def names_of(self, *event_classes: type) -> frozenset[str]:
        """The stored names of event classes."""
        return frozenset(self._name_of[event_class] for event_class in event_classes)


_ENCODER: Final = msgspec.json.Encoder()


@cache
def _decoder(event_class: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(event_class)
