"""A history to measure on: recorded through the store like any other, many appends to a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from api.bootstrap import Core
from api.ids import new_id
from domain import execution, heartbeat, job
from domain.api_key import DEFAULT_ACCOUNT
from domain.execution import CheckDue, CheckStarted, CheckSucceeded, CheckTimings
from domain.job import JobCreated
from domain.job_fields import JobSettings
from domain.pings import PingReceived
from domain.schedule import parse_schedule
from eventstore.store import ANY_VERSION, NO_STREAM, Append, Appended, StreamWrite
from eventstore.transact import Context

TOGETHER: Final = 500
TOOK: Final = timedelta(milliseconds=50)
PROJECT: Final = "cbench"
"""A project that nobody created: nothing here looks for it."""

_TIMINGS: Final = CheckTimings(
    total_ms=41.4, dns_ms=1.2, connect_ms=9.8, tls_ms=11.7, first_byte_ms=41.1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCheck:
    """A check that was recorded as due; what follows goes to its stream."""

    job_id: str
    execution_id: str
    tick: datetime


def jobs(core: Core, each: Iterable[JobSettings], *, at: datetime) -> list[str]:
    """Record jobs with these settings as created at a moment; returns their ids."""
    job_ids, writes = [], []
    for settings in each:
        job_id = new_id()
        schedule = parse_schedule(settings.schedule, settings.timezone)
        created = JobCreated(
            job_id=job_id,
            project_id=PROJECT,
            settings=settings,
            paused=False,
            created_at=at,
            next_tick=schedule.next_after(at),
        )
        job_ids.append(job_id)
        writes.append(
            _write(core, job.stream(job_id), created, version=NO_STREAM, subject=job_id, at=at)
        )
        if len(writes) == TOGETHER:
            _append(core, writes)
            writes.clear()
    _append(core, writes)
    return job_ids


def due(core: Core, job_ids: Iterable[str], *, tick: datetime) -> list[DueCheck]:
    """Record that a tick of these jobs has come; their next one is never."""
    checks = [
        DueCheck(job_id=job_id, execution_id=execution.scheduled_id(job_id, tick), tick=tick)
        for job_id in job_ids
    ]
    _append(
        core,
        [
            _of_check(
                core,
                check,
                CheckDue(
                    execution_id=check.execution_id,
                    job_id=check.job_id,
                    tick=tick,
                    next_tick=None,
                ),
                after_version=NO_STREAM,
            )
            for check in checks
        ],
    )
    return checks


def made(core: Core, checks: Sequence[DueCheck]) -> None:
    """Record that these checks began, and then that they succeeded."""
    begun = [
        CheckStarted(attempt=1, started_at=each.tick, deadline=each.tick + timedelta(seconds=45))
        for each in checks
    ]
    ended = [
        CheckSucceeded(finished_at=each.tick + TOOK, status_code=200, timings=_TIMINGS)
        for each in checks
    ]
    sides: tuple[Sequence[object], ...] = (begun, ended)
    for version, events in enumerate(sides, 1):
        _append(
            core,
            [
                _of_check(core, check, event, after_version=version)
                for check, event in zip(checks, events, strict=True)
            ],
        )


def pings(core: Core, job_ids: Iterable[str], *, at: datetime) -> None:
    """Record a ping of each of these jobs."""
    _append(
        core,
        [
            _write(
                core,
                heartbeat.stream(job_id),
                PingReceived(ping_id=new_id(), kind="beat", received_at=at),
                version=ANY_VERSION,
                subject=job_id,
                at=at,
            )
            for job_id in job_ids
        ],
    )


def _of_check(core: Core, check: DueCheck, event: object, *, after_version: int) -> StreamWrite:
    stream = execution.stream(check.execution_id)
    return _write(core, stream, event, version=after_version, subject=check.job_id, at=check.tick)


def _write(
    core: Core, stream: str, event: object, *, version: int | None, subject: str, at: datetime
) -> StreamWrite:
    context = Context(
        account=DEFAULT_ACCOUNT,
        actor="system:benchmark",
        at=at,
        correlation_id=new_id(),
        new_id=new_id,
    )
    return core.log.write(
        stream, (event,), expected_version=version, subject=subject, context=context
    )


def _append(core: Core, writes: Sequence[StreamWrite]) -> None:
    for start in range(0, len(writes), TOGETHER):
        portion = [Append(writes=(write,)) for write in writes[start : start + TOGETHER]]
        for answer in core.store.append(portion):
            if not isinstance(answer, Appended):
                raise answer
