"""Which jobs are due: the next tick of every active job that is not paused."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
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

from domain.errors import InvalidField
from domain.execution import CheckDue, CheckSkipped
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from domain.missed_ticks import Missed, missed
from domain.schedule import parse_schedule
from eventstore import claims
from eventstore.tables import UtcMicroseconds
from projections import buckets
from projections.checks_in_flight import checks_in_flight
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Row, Rows

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
    Column("last_tick", UtcMicroseconds),
    Column("overdue", BigInteger, nullable=False, server_default="0"),
    Column("job_version", BigInteger, nullable=False),
    Index("due_ticks_by_tick", "tick").ddl_if(dialect="sqlite"),
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
                        "last_tick": None,
                        "overdue": 0,
                        "job_version": version,
                    }
                )
            case JobUpdated() as updated:
                rows.change(job_id, job_version=version)
                if updated.reschedules:
                    _reschedule(rows, job_id, updated)
            case JobPaused() as paused:
                rows.change(job_id, job_version=version)
                _stop(rows, job_id, paused.paused_at)
            case JobResumed() as resumed:
                rows.change(job_id, job_version=version)
                _follow(rows, job_id, resumed.next_tick, since=resumed.resumed_at)
            case JobDeleted() | None:
                rows.remove(job_id)
            case CheckDue() | CheckSkipped() as ticked:
                rows.change(job_id, tick=ticked.next_tick, last_tick=ticked.tick, overdue=0)
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
    """Follow the new schedule; the latest tick of the old one that had come is still to be recorded."""
    row = rows.get(job_id)
    if row is None:
        return
    settings = updated.settings
    come = _come(row, updated.updated_at)
    if come is None or settings.mode != "active":
        _stop(rows, job_id, updated.updated_at)
    rows.change(job_id, mode=settings.mode, schedule=settings.schedule, timezone=settings.timezone)
    _follow(rows, job_id, updated.next_tick, since=updated.updated_at)
    if come is not None and settings.mode == "active":
        rows.change(job_id, tick=come.tick, overdue=row["overdue"] + come.others)


def _stop(rows: Rows, job_id: str, at: datetime) -> None:
    """No more ticks; those that had come and were not recorded count with the next one that is."""
    row = rows.get(job_id)
    if row is not None:
        come = _come(row, at)
        others = 0 if come is None else 1 + come.others
        rows.change(job_id, tick=None, overdue=row["overdue"] + others)


def _follow(rows: Rows, job_id: str, next_tick: datetime | None, *, since: datetime) -> None:
    """Go on with ``next_tick``, the first after ``since``; but never with one that is behind the last.

    What was decided before a tick was recorded may be recorded after it.
    """
    row = rows.get(job_id)
    if row is None:
        return
    last_tick = row["last_tick"]
    if last_tick is not None and last_tick > since:
        since = last_tick
        with suppress(InvalidField):  # a time zone that is not known here, say
            next_tick = parse_schedule(row["schedule"], row["timezone"]).next_after(since)
    rows.change(job_id, tick=next_tick if row["mode"] == "active" else None, scheduled_since=since)


def _come(row: Row, until: datetime) -> Missed | None:
    """What had come by then and was not recorded."""
    if row["tick"] is None or row["tick"] > until:
        return None
    try:
        schedule = parse_schedule(row["schedule"], row["timezone"])
    except InvalidField:  # as above
        return Missed(tick=row["tick"], others=0)
    return missed(schedule, tick=row["tick"], since=row["scheduled_since"], until=until)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTick:
    """A job whose tick has come. ``job_version`` is the version of its stream that says so.

    Ticks of its present schedule are those after ``scheduled_since``; ``overdue`` counts others that
    came before and are in no record. ``running`` names an unfinished check of the job, if there is one.
    """

    job_id: str
    account: str
    schedule: str
    timezone: str
    scheduled_since: datetime
    tick: datetime
    overdue: int
    job_version: int
    running: str | None


_RUNNING = (
    select(checks_in_flight.c.execution_id)
    .where(checks_in_flight.c.job_id == due_ticks.c.job_id)
    .limit(1)  # any will do; to find the least of them, PostgreSQL may walk them all by their ids
    .correlate(due_ticks)
    .scalar_subquery()
)
DUE = (
    select(due_ticks, _RUNNING.label("running"))
    .where(due_ticks.c.tick <= bindparam("moment"))
    .order_by(due_ticks.c.tick)
    .limit(bindparam("row_limit"))
)
DUE_IN_BUCKETS = buckets.of_each(DUE, due_ticks.c.job_id, due_ticks.c.tick)
NEXT = select(func.min(due_ticks.c.tick))
NEXT_OF_BUCKETS = buckets.earliest(due_ticks.c.job_id, due_ticks.c.tick)


def due(connection: Connection, moment: datetime, *, limit: int) -> list[DueTick]:
    """Up to ``limit`` jobs whose tick has come by the moment, the longest due first."""
    found = connection.execute(DUE, {"moment": moment, "row_limit": limit})
    return [_due_tick(row) for row in found.mappings()]


def claim(connection: Connection, moment: datetime, *, limit: int) -> list[DueTick]:
    """The same, of jobs that nobody else has claimed; they are ours until the transaction ends.

    Empty where nothing is due, or others are at all of it.
    """
    if connection.dialect.name == "sqlite":
        return due(connection, moment, limit=limit)
    mine = claims.take_buckets(
        connection, claims.TICKS, job_id=due_ticks.c.job_id, due=due_ticks.c.tick, moment=moment
    )
    if not mine:
        return []
    parameters = {"moment": moment, "buckets": mine, "row_limit": limit // len(mine)}
    found = connection.execute(DUE_IN_BUCKETS, parameters)
    return [_due_tick(row) for row in found.mappings()]


def next_tick(connection: Connection) -> datetime | None:
    """The earliest tick of all, due already or to come."""
    if connection.dialect.name == "sqlite":
        return connection.execute(NEXT).scalar()
    return connection.execute(NEXT_OF_BUCKETS, {"buckets": buckets.ALL}).scalar()


def _due_tick(row: Any) -> DueTick:  # noqa: ANN401  (a row of any shape)
    names = (name for name in DueTick.__slots__)
    return DueTick(**{name: row[name] for name in names})
