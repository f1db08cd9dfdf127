"""Which jobs are due: the next tick of every active job that is not paused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
)

from domain.execution import CheckDue, CheckSkipped
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from eventstore.tables import UtcMicroseconds
from projections.checks_in_flight import checks_in_flight
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

due_ticks = Table(
    "due_ticks",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("timezone", String, nullable=False),
    Column("scheduled_since", UtcMicroseconds, nullable=False),
    Column("tick", UtcMicroseconds),
    Column("job_version", BigInteger, nullable=False),
    Index("due_ticks_by_tick", "tick"),
)


_TICKS = (CheckDue, CheckSkipped)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, due_ticks)
    rows.load(event.subject for event in events if not isinstance(event.content, _TICKS))
    for event in events:
        job_id, version = event.subject, event.envelope.version
        match event.content:
            case JobCreated(settings=settings) as created:
                rows.put(
                    {
                        "job_id": job_id,
                        "account": event.envelope.account,
                        "mode": settings.mode,
                        "schedule": settings.schedule,
                        "timezone": settings.timezone,
                        "scheduled_since": created.created_at,
                        "tick": created.next_tick if settings.mode == "active" else None,
                        "job_version": version,
                    }
                )
            case JobUpdated() as updated:
                rows.change(job_id, job_version=version)
                if updated.reschedules:
                    _reschedule(rows, job_id, updated)
            case JobPaused():
                rows.change(job_id, tick=None, job_version=version)
            case JobResumed() as resumed:
                row = rows.get(job_id)
                active = row is not None and row["mode"] == "active"
                rows.change(
                    job_id,
                    tick=resumed.next_tick if active else None,
                    scheduled_since=resumed.resumed_at,
                    job_version=version,
                )
            case JobDeleted() | None:
                rows.remove(job_id)
            case CheckDue() | CheckSkipped() as ticked:
                rows.change(job_id, tick=ticked.next_tick)
    rows.write()


PROJECTION = Projection(
    name="due_ticks",
    tables=(due_ticks,),
    handles=(
        JobCreated,
        JobUpdated,
        JobPaused,
        JobResumed,
        JobDeleted,
        CheckDue,
        CheckSkipped,
    ),
    apply=apply,
)


def _reschedule(rows: Rows, job_id: str, updated: JobUpdated) -> None:
    """Follow the new schedule; a tick of the old one that had come by then is still to be recorded."""
    row = rows.get(job_id)
    if row is None:
        return
    settings = updated.settings
    had_come = row["tick"] is not None and row["tick"] <= updated.updated_at
    if settings.mode != "active":
        tick = None
    elif had_come:
        tick = row["tick"]
    else:
        tick = updated.next_tick
    rows.change(
        job_id,
        mode=settings.mode,
        schedule=settings.schedule,
        timezone=settings.timezone,
        scheduled_since=updated.updated_at,
        tick=tick,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTick:
    """A job whose tick has come. ``job_version`` is the version of its stream that says so.

    Ticks of its present schedule are those after ``scheduled_since``. ``running`` names an
    unfinished check of the job, if there is one.
    """

    job_id: str
    account: str
    schedule: str
    timezone: str
    scheduled_since: datetime
    tick: datetime
    job_version: int
    running: str | None


_RUNNING = (
    select(func.min(checks_in_flight.c.execution_id))
    .where(checks_in_flight.c.job_id == due_ticks.c.job_id)
    .correlate(due_ticks)
    .scalar_subquery()
)
DUE = (
    select(due_ticks, _RUNNING.label("running"))
    .where(due_ticks.c.tick <= bindparam("moment"))
    .order_by(due_ticks.c.tick)
    .limit(bindparam("row_limit"))
)
NEXT = select(func.min(due_ticks.c.tick))


def due(connection: Connection, moment: datetime, *, limit: int) -> list[DueTick]:
    """Up to ``limit`` jobs whose tick has come by the moment, the longest due first."""
    found = connection.execute(DUE, {"moment": moment, "row_limit": limit})
    return [_due_tick(row) for row in found.mappings()]


def next_tick(connection: Connection) -> datetime | None:
    """The earliest tick of all, due already or to come."""
    return connection.execute(NEXT).scalar()


def _due_tick(row: Any) -> DueTick:  # noqa: ANN401  (a row of any shape)
    names = (name for name in DueTick.__slots__)
    return DueTick(**{name: row[name] for name in names})
