"""Executions that pings report, and those that are missed: their part of a job's history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from domain.heartbeat import HeartbeatMissed
from domain.pings import OpenStart, PingReceived, pair
from projections.execution_rows import OPEN_PINGS, executions, new_row
from projections.listed import among
from projections.projection import DecodedEvent
from projections.rows import Rows

_STATUS_OF_REPORT: Final = {"beat": "success", "success": "success", "fail": "failed"}
_STARTED = (
    select(executions)
    .where(OPEN_PINGS, among(executions.c.job_id, "job_ids"))
    .order_by(executions.c.position)
)


def open_starts(
    connection: Connection, rows: Rows, events: Sequence[DecodedEvent]
) -> defaultdict[str, tuple[OpenStart, ...]]:
    """The runs that pings among the events may end, by job, in the order of the log; loads them."""
    pinged_jobs = dict.fromkeys(
        event.subject for event in events if isinstance(event.content, PingReceived)
    )
    found: defaultdict[str, tuple[OpenStart, ...]] = defaultdict(tuple)
    if pinged_jobs:
        started = connection.execute(_STARTED, {"job_ids": list(pinged_jobs)}).mappings().all()
        rows.take(dict(row) for row in started)
        for row in started:
            start = OpenStart(ping_id=row["id"], started_at=row["started_at"], run_id=row["run_id"])
            found[row["job_id"]] += (start,)
    rows.load(
        event.content.started_id
        for event in events
        if isinstance(event.content, HeartbeatMissed) and event.content.started_id is not None
    )
    return found


def pinged(
    rows: Rows, event: DecodedEvent, ping: PingReceived, starts: tuple[OpenStart, ...]
) -> tuple[OpenStart, ...]:
    """Put a ping into the history of its job, whose open starts are given; returns those after it."""
    pairing = pair(starts, ping)
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
    return new_row(event, ping.ping_id, trigger="ping", happened_at=ping.received_at, **values)


def missed(rows: Rows, event: DecodedEvent, miss: HeartbeatMissed) -> None:
    """Put a miss into the history of its job: it ends the run that was begun, or is one of its own."""
    started = rows.get(miss.started_id) if miss.started_id is not None else None
    if started is not None and started["status"] == "running":
        rows.change(
            started["id"],
            status="missed",
            finished_at=miss.missed_at,
            scheduled_for=miss.tick,
            message="it was started and did not report its end in time",
        )
        return
    rows.put(
        new_row(
            event,
            miss.execution_id,
            trigger="heartbeat",
            status="missed",
            happened_at=miss.missed_at,
            scheduled_for=miss.tick,
            finished_at=miss.missed_at,
            message="no ping came in time",
        )
    )
