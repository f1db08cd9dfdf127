"""Applying events to the read models, inside the transaction that appends or erases them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from domain.codec import Codec
from eventstore.store import RecordedEvent
from projections import (
    api_keys,
    checks_in_flight,
    due_ticks,
    executions,
    heartbeats,
    job_status,
    jobs,
    projects,
)
from projections.projection import DecodedEvent, Projection

PROJECTIONS: Final[tuple[Projection, ...]] = (
    projects.PROJECTION,
    jobs.PROJECTION,
    job_status.PROJECTION,
    executions.PROJECTION,
    due_ticks.PROJECTION,
    checks_in_flight.PROJECTION,
    heartbeats.PROJECTION,
    api_keys.PROJECTION,
)


class Runner:
    """Applies events to projections. Holds nothing between two calls, so any thread may use it."""

    def __init__(self, codec: Codec, projections: Sequence[Projection] = PROJECTIONS) -> None:
        self._codec = codec
        self._projections = [
            (projection, codec.names_of(*projection.handles)) for projection in projections
        ]

    def apply(self, connection: Connection, recorded: Sequence[RecordedEvent]) -> None:
        """Bring every projection up to date with the events, which are in the order of the log."""
        decoded = [self._decoded(event) for event in recorded]
        for projection, names in self._projections:
            handled = [event for event in decoded if event.envelope.type in names]
            if handled:
                projection.apply(connection, handled)

    def _decoded(self, event: RecordedEvent) -> DecodedEvent:
        if event.payload is None:
            return DecodedEvent(event, None)
        return DecodedEvent(
            event, self._codec.decode(event.type, event.schema_version, event.payload)
        )
