"""The history of a job: every check, ping and missed heartbeat, newest first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    bindparam,
    delete,
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
from domain.heartbeat import HeartbeatMissed, OpenStart, PingReceived, pair
from eventstore.tables import UtcMicroseconds
from projections.checks_in_flight import execution_id
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows, chunks

executions = Table(
    "executions",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("account", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("happened_at", UtcMicroseconds, nullable=False),
    Column("scheduled_for", UtcMicroseconds),
    Column("started_at", UtcMicroseconds),
    Column("finished_at", UtcMicroseconds),
    Column("duration_ms", Integer),
    Column("status_code", Integer),
    Column("message", Text),
    Column("output", Text),
    Column("client", Text),
    Column("run_id", Text),
    Column("skipped_ticks", BigInteger, nullable=False),
    Index("executions_of_job", "job_id", "happened_at", "id"),
)
_OPEN_PINGS = (executions.c.status == "running") & (executions.c.trigger == "ping")
Index(
    "executions_open_pings",
    executions.c.job_id,
    sqlite_where=_OPEN_PINGS,
    postgresql_where=_OPEN_PINGS,
)

_STATUS_OF_REPORT: Final = {"beat": "success", "success": "success", "fail": "failed"}


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, executions)
    rows.load(_missed_starts(events))
    open_starts = _open_starts(connection, events)
    rows.load(start.ping_id for starts in open_starts.values() for start in starts)
    for event in events:
        match event.content:
            case CheckDue() | RunRequested() | CheckSkipped():
                rows.put(_begun(event))
            case CheckStarted() as started:
                rows.change(execution_id(event), status="running", started_at=started.started_at)
            case CheckSucceeded() | CheckFailed():
                rows.change(execution_id(event), **_ended(event.content))
            case PingReceived() as ping:
                open_starts[event.subject] = _pinged(rows, event, ping, open_starts[event.subject])
            case HeartbeatMissed() as missed:
                _missed(rows, event, missed)
                open_starts[event.subject] = tuple(
                    start
                    for start in open_starts[event.subject]
                    if start.ping_id != missed.started_id
                )
    rows.write()
    _forget_erased(connection, events)


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
        ErasureCompleted,
    ),
    apply=apply,
)


def _missed_starts(events: Iterable[DecodedEvent]) -> Iterable[str]:
    for event in events:
        if isinstance(event.content, HeartbeatMissed) and event.content.started_id is not None:
            yield event.content.started_id


def _row(event: DecodedEvent, key: str, **values: object) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in executions.columns)
    row |= {"id": key, "job_id": event.subject, "account": event.envelope.account}
    return row | {"skipped_ticks": 0} | values


def _begun(event: DecodedEvent) -> dict[str, Any]:
    key = execution_id(event)
    match event.content:
        case RunRequested(requested_at=at):
            return _row(event, key, trigger="manual", status="queued", happened_at=at)
        case CheckSkipped() as skipped:
            return _row(
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
    return _row(
        event,
        key,
        trigger="schedule",
        status="queued",
        happened_at=due.tick,
        scheduled_for=due.tick,
        skipped_ticks=due.skipped_ticks,
    )


def _ended(outcome: Outcome) -> dict[str, Any]:
    ended: dict[str, Any] = {"finished_at": outcome.finished_at, "status_code": outcome.status_code}
    if outcome.timings is not None:
        ended["duration_ms"] = round(outcome.timings.total_ms)
    if isinstance(outcome, CheckSucceeded):
        return ended | {"status": "success"}
    return ended | {
        "status": "failed",
        "reason": outcome.reason,
        "message": outcome.message,
        "output": outcome.output,
    }


def _pinged(
    rows: Rows, event: DecodedEvent, ping: PingReceived, open_starts: tuple[OpenStart, ...]
) -> tuple[OpenStart, ...]:
    pairing = pair(open_starts, ping)
    if pairing.given_up is not None:
        rows.change(
            pairing.given_up.ping_id,
            status="failed",
            reason="abandoned",
            message="too many later runs were started without a finish",
            finished_at=ping.received_at,
        )
    said = {"client": ping.client, "message": ping.message, "output": ping.output}
    if ping.kind == "start":
        started = {"status": "running", "started_at": ping.received_at, "run_id": ping.run_id}
        rows.put(_pinged_row(event, ping, **said, **started))
        return pairing.still_open
    ended = {"status": _STATUS_OF_REPORT[ping.kind], "finished_at": ping.received_at}
    if pairing.finished is None:
        rows.put(
            _pinged_row(
                event, ping, **said, **ended, started_at=ping.received_at, run_id=ping.run_id
            )
        )
        return pairing.still_open
    ran_for = ping.received_at - pairing.finished.started_at
    ended |= {"duration_ms": max(0, round(ran_for.total_seconds() * 1000))}
    known = {name: value for name, value in said.items() if value is not None}
    rows.change(pairing.finished.ping_id, **ended, **known)
    return pairing.still_open


def _pinged_row(event: DecodedEvent, ping: PingReceived, **values: object) -> dict[str, Any]:
    return _row(event, ping.ping_id, trigger="ping", happened_at=ping.received_at, **values)


def _missed(rows: Rows, event: DecodedEvent, missed: HeartbeatMissed) -> None:
    started = rows.get(missed.started_id) if missed.started_id is not None else None
    if started is not None and started["status"] == "running":
        rows.change(
            started["id"],
            status="missed",
            finished_at=missed.missed_at,
            scheduled_for=missed.tick,
            message="it was started and did not report its end in time",
        )
        return
    rows.put(
        _row(
            event,
            missed.execution_id,
            trigger="heartbeat",
            status="missed",
            happened_at=missed.missed_at,
            scheduled_for=missed.tick,
            finished_at=missed.missed_at,
            message="no ping came in time",
        )
    )


def _open_starts(
    connection: Connection, events: Sequence[DecodedEvent]
) -> defaultdict[str, tuple[OpenStart, ...]]:
    pinged = dict.fromkeys(
        event.subject for event in events if isinstance(event.content, PingReceived)
    )
    found: defaultdict[str, tuple[OpenStart, ...]] = defaultdict(tuple)
    for chunk in chunks(list(pinged)):
        for row in connection.execute(_STARTED.where(executions.c.job_id.in_(chunk))):
            start = OpenStart(ping_id=row.id, started_at=row.started_at, run_id=row.run_id)
            found[row.job_id] += (start,)
    return found


_STARTED = (
    select(executions.c.id, executions.c.job_id, executions.c.started_at, executions.c.run_id)
    .where(_OPEN_PINGS)
    .order_by(executions.c.happened_at, executions.c.id)
)


def _forget_erased(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Drop as many rows of a job as payloads of its events went: a bounded portion each time."""
    erased = Counter(event.subject for event in events if event.content is None)
    for job_id, portion in erased.items():
        some = select(executions.c.id).where(executions.c.job_id == job_id).limit(portion)
        connection.execute(delete(executions).where(executions.c.id.in_(some)))
    for event in events:
        if isinstance(event.content, ErasureCompleted):
            connection.execute(delete(executions).where(executions.c.job_id == event.subject))


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
