"""The history of a job: every check, ping and missed heartbeat, newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    String,
    bindparam,
    select,
    tuple_,
)

from domain.erasure import ErasureCompleted
from domain.execution import (
    CheckDue,
    CheckFailed,
    CheckSkipped,
    CheckStarted,
    CheckSucceeded,
    Outcome,
    RunRequested,
)
from domain.heartbeat import HeartbeatMissed
from domain.pings import PingReceived
from domain.retention import ExecutionsExpired
from eventstore.tables import UtcMicroseconds
from projections import expired_executions, reported_executions
from projections.checks_in_flight import execution_id
from projections.execution_rows import executions, new_row
from projections.projection import DecodedEvent, Projection
from projections.reported_executions import missed, pinged
from projections.rows import Rows, bulk_on


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    for expired, some in groupby(
        events, lambda event: isinstance(event.content, ExecutionsExpired)
    ):
        if expired:
            for event in some:
                expired_executions.expire(connection, event.content)
        else:
            _told(connection, list(some))
    _forget_erased(connection, events)


def _told(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    rows = Rows(connection, executions)
    open_starts = reported_executions.open_starts(connection, rows, events)
    for event in events:
        match event.content:
            case CheckDue() | RunRequested() | CheckSkipped():
                rows.put(_begun(event))
            case CheckStarted() as started:
                rows.change(execution_id(event), status="running", started_at=started.started_at)
            case CheckSucceeded() | CheckFailed():
                rows.change(execution_id(event), **_ended(event.content))
            case PingReceived() as ping:
                starts = open_starts[event.subject]
                open_starts[event.subject] = pinged(rows, event, ping, starts)
            case HeartbeatMissed() as miss:
                missed(rows, event, miss)
                starts = open_starts[event.subject]
                open_starts[event.subject] = tuple(
                    start for start in starts if start.ping_id != miss.started_id
                )
    rows.write()


PROJECTION = Projection(
    name="executions",
    tables=(executions,),
    handles=(
        CheckDue,
        CheckSkipped,
        RunRequested,
        CheckStarted,
        CheckSucceeded,
        CheckFailed,
        PingReceived,
        HeartbeatMissed,
        ExecutionsExpired,
        ErasureCompleted,
    ),
    apply=apply,
)


def _begun(event: DecodedEvent) -> dict[str, Any]:
    key = execution_id(event)
    match event.content:
        case RunRequested(requested_at=at):
            return new_row(event, key, trigger="manual", status="queued", happened_at=at)
        case CheckSkipped() as skipped:
            return new_row(
                event,
                key,
                trigger="schedule",
                status="skipped",
                happened_at=skipped.tick,
                scheduled_for=skipped.tick,
                skipped_ticks=skipped.skipped_ticks,
                message="an earlier check of the job was still running",
            )
    due: CheckDue = event.content
    return new_row(
        event,
        key,
        trigger="schedule",
        status="queued",
        happened_at=due.tick,
        scheduled_for=due.tick,
        skipped_ticks=due.skipped_ticks,
    )


def _ended(outcome: Outcome) -> dict[str, Any]:
    """Always the same columns, so that all that end in a batch are written by one statement."""
    failure = outcome if isinstance(outcome, CheckFailed) else None
    timings = outcome.timings
    return {
        "status": "success" if failure is None else "failed",
        "finished_at": outcome.finished_at,
        "status_code": outcome.status_code,
        "duration_ms": None if timings is None else round(timings.total_ms),
        "reason": failure and failure.reason,
        "message": failure and failure.message,
        "output": failure and failure.output,
    }


def _forget_erased(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Drop as many rows of a job as payloads of its events went: a bounded portion each time."""
    bulk = bulk_on(connection)
    erased = Counter(event.subject for event in events if event.content is None)
    if erased:
        bulk.delete_portions(connection, executions.c.job_id, erased)
    gone = [event.subject for event in events if isinstance(event.content, ErasureCompleted)]
    if gone:
        bulk.delete(connection, executions.c.job_id, gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """An execution as it stands. ``happened_at`` and ``id`` are its place in lists."""

    id: str
    job_id: str
    trigger: str
    status: str
    reason: str | None
    happened_at: datetime
    scheduled_for: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    status_code: int | None
    message: str | None
    output: str | None
    client: str | None
    skipped_ticks: int


Place = tuple[datetime, str]
"""Where an execution stands in the history of its job: when it happened, and its id."""

_COLUMNS = [executions.c[name] for name in ExecutionView.__slots__]


def find(connection: Connection, execution: str) -> ExecutionView | None:
    """The execution of this id, of whatever account."""
    found = connection.execute(select(*_COLUMNS).where(executions.c.id == execution))
    row = found.mappings().first()
    return None if row is None else ExecutionView(**row)


def page_statement(
    *, before: Place | None, status: str | None, since: datetime | None, until: datetime | None
) -> Select[Any]:
    """A page of a job's executions, newest first; the parameters are ``job_id`` and ``row_limit``."""
    statement = select(*_COLUMNS).where(executions.c.job_id == bindparam("job_id"))
    if before is not None:
        place = tuple_(executions.c.happened_at, executions.c.id)
        statement = statement.where(place < tuple_(*before, types=[UtcMicroseconds, String]))
    if status is not None:
        statement = statement.where(executions.c.status == status)
    if since is not None:
        statement = statement.where(executions.c.happened_at >= since)
    if until is not None:
        statement = statement.where(executions.c.happened_at < until)
    newest_first = (executions.c.happened_at.desc(), executions.c.id.desc())
    return statement.order_by(*newest_first).limit(bindparam("row_limit"))


def page(
    connection: Connection,
    *,
    job_id: str,
    limit: int,
    before: Place | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ExecutionView]:
    """Up to ``limit`` executions of the job, newest first, from ``since`` up to before ``until``."""
    statement = page_statement(before=before, status=status, since=since, until=until)
    found = connection.execute(statement, {"job_id": job_id, "row_limit": limit})
    return [ExecutionView(**row) for row in found.mappings()]
