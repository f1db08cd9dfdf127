"""An execution: one check of a job, from its tick (or a manual run) to its end.

Stream ``execution-<id>``. The id of a scheduled check is derived from job and tick (where it stands for
several ticks, from the first of them), so that recording a tick twice is a version conflict and not a
duplicate. The version of the stream when a worker began is its fence: whoever comes back from the
dead finds that the stream has moved on.

Executions that pings report are not in here: :mod:`domain.heartbeat` tells them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from domain.errors import NotAllowed
from domain.ids import sortable_id

Reason = Literal[
    "status", "timeout", "dns", "connect", "tls", "blocked", "protocol", "too_large", "abandoned"
]
"""Why a check failed."""

REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose call may be repeated after a crash; all others are called at most once."""

MAX_ATTEMPTS: Final = 3
"""How often a repeatable call is begun before it counts as abandoned."""

GRACE: Final = timedelta(seconds=15)
"""How long after its time-out a check may still report, before it counts as unfinished."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def stream(execution_id: str) -> str:
    """The name of the execution's stream."""
    return f"execution-{execution_id}"


def scheduled_id(job_id: str, tick: datetime) -> str:
    """The id of the execution for a job's tick: always the same one for the same two.

    It must never come out differently: a tick that is looked at again would be recorded again.
    """
    tick = tick.astimezone(UTC)
    seed = f"{job_id} {tick.isoformat()}".encode()
    chance = int.from_bytes(hashlib.sha256(seed).digest()[:16])
    return sortable_id("e", (tick - _EPOCH) // timedelta(milliseconds=1), chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDue:
    """A tick of the job came; the job's next one is ``next_tick`` (None: there is none).

    ``skipped_ticks`` counts the ticks before this one that a downtime swallowed.
    """

    execution_id: str
    job_id: str
    tick: datetime
    next_tick: datetime | None
    skipped_ticks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSkipped:
    """A tick came while an earlier check of the job was still running: it is not called."""

    execution_id: str
    job_id: str
    tick: datetime
    next_tick: datetime | None
    running_execution_id: str
    skipped_ticks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequested:
    """Somebody asked for a check now, outside the schedule."""

    execution_id: str
    job_id: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStarted:
    """A worker is about to send the request; past ``deadline`` it is taken for dead."""

    attempt: int
    started_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTimings:
    """How long each part of the exchange took, in milliseconds; None for a part not reached."""

    total_ms: float
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSucceeded:
    """The expected status came in time."""

    finished_at: datetime
    status_code: int
    timings: CheckTimings


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailed:
    """It did not. ``output`` is the kept part of the answer's body."""

    finished_at: datetime
    reason: Reason
    message: str
    status_code: int | None = None
    output: str | None = None
    timings: CheckTimings | None = None


ExecutionEvent = (
    CheckDue | CheckSkipped | RunRequested | CheckStarted | CheckSucceeded | CheckFailed
)
Outcome = CheckSucceeded | CheckFailed

Status = Literal["none", "queued", "running", "success", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """An execution as its events tell it; status ``none`` before its first event."""

    status: Status = "none"
    attempt: int = 0
    deadline: datetime | None = None
    """While it is running: when whoever made the call is taken for dead."""

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come."""
        return self.status in {"queued", "running"}


INITIAL: Final = Execution()


def evolve(execution: Execution, event: ExecutionEvent) -> Execution:
    """The execution after the event."""
    match event:
        case CheckDue() | RunRequested():
            return replace(execution, status="queued")
        case CheckSkipped():
            return replace(execution, status="skipped")
        case CheckStarted():
            return replace(
                execution, status="running", attempt=event.attempt, deadline=event.deadline
            )
        case CheckSucceeded():
            return replace(execution, status="success")
        case CheckFailed():
            return replace(execution, status="failed")


def start(
    execution: Execution, *, method: str, timeout: timedelta, at: datetime, orphaned: bool = False
) -> tuple[CheckStarted]:
    """Begin the call, or begin it again where the method may be repeated.

    It may be begun again past its deadline, or earlier where it is ``orphaned``: known to be in
    nobody's hands. Raises ``NotAllowed`` for an execution that has ended, whose call may have been
    made, or is still being made.
    """
    if not execution.is_open:
        raise NotAllowed(f"the execution has ended: {execution.status}")
    if execution.status == "running":
        if not may_repeat(execution, method):
            raise NotAllowed(f"the {method} call may have been made already")
        if not orphaned and execution.deadline is not None and at < execution.deadline:
            raise NotAllowed(f"the call has until {execution.deadline} to end")
    return (
        CheckStarted(attempt=execution.attempt + 1, started_at=at, deadline=at + timeout + GRACE),
    )


def finish(execution: Execution, *, outcome: Outcome) -> tuple[ExecutionEvent, ...]:
    """Record how the call ended. Raises ``NotAllowed`` unless it is running."""
    if execution.status != "running":
        raise NotAllowed(f"the execution is not running: {execution.status}")
    return (outcome,)


def abandon(execution: Execution, *, message: str, at: datetime) -> tuple[ExecutionEvent, ...]:
    """End an execution of whose call nobody will report any more; nothing to do for an ended one."""
    if not execution.is_open:
        return ()
    return (CheckFailed(finished_at=at, reason="abandoned", message=message),)


def may_repeat(execution: Execution, method: str) -> bool:
    """Whether a call that was begun may be made again."""
    return method in REPEATABLE_METHODS and execution.attempt < MAX_ATTEMPTS
