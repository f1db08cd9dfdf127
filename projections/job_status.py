"""How each job fares: what changes with every check and ping, apart from how the job is set up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Boolean, Column, Connection, String, Table

from domain.execution import CheckFailed, CheckSucceeded
from domain.heartbeat import HeartbeatMissed, PingReceived
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed
from eventstore.tables import UtcMicroseconds
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

job_status = Table(
    "job_status",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("last_status", String),
    Column("last_status_at", UtcMicroseconds),
    Column("last_activity_at", UtcMicroseconds),
)

_STATUS_OF_PING: Final = {"beat": "success", "success": "success", "fail": "failed", "start": None}


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, job_status)
    rows.load(event.subject for event in events)
    for event in events:
        job_id = event.subject
        match event.content:
            case JobCreated() as created:
                rows.put(
                    {
                        "job_id": job_id,
                        "paused": created.paused,
                        "last_status": None,
                        "last_status_at": None,
                        "last_activity_at": None,
                    }
                )
            case JobPaused():
                rows.change(job_id, paused=True)
            case JobResumed():
                rows.change(job_id, paused=False)
            case JobDeleted():
                rows.remove(job_id)
            case CheckSucceeded(finished_at=at):
                _note(rows, job_id, "success", at)
                _note_activity(rows, job_id, at)
            case CheckFailed(finished_at=at):
                _note(rows, job_id, "failed", at)
                _note_activity(rows, job_id, at)
            case PingReceived(kind=kind, received_at=at) if _heeds_pings(rows, job_id):
                _note(rows, job_id, _STATUS_OF_PING[kind], at)
                _note_activity(rows, job_id, at)
            case HeartbeatMissed(missed_at=at):
                _note(rows, job_id, "missed", at)
    rows.write()


PROJECTION = Projection(
    name="job_status",
    tables=(job_status,),
    handles=(
        JobCreated,
        JobPaused,
        JobResumed,
        JobDeleted,
        CheckSucceeded,
        CheckFailed,
        PingReceived,
        HeartbeatMissed,
    ),
    apply=apply,
)


def _heeds_pings(rows: Rows, job_id: str) -> bool:
    row = rows.get(job_id)
    return row is not None and not row["paused"]


def _note(rows: Rows, job_id: str, status: str | None, at: datetime) -> None:
    """What ended last by its own time counts, whenever it came to be known."""
    row = rows.get(job_id)
    if row is None or status is None:
        return
    if row["last_status_at"] is None or at >= row["last_status_at"]:
        rows.change(job_id, last_status=status, last_status_at=at)


def _note_activity(rows: Rows, job_id: str, at: datetime) -> None:
    row = rows.get(job_id)
    if row is not None and (row["last_activity_at"] is None or at > row["last_activity_at"]):
        rows.change(job_id, last_activity_at=at)
