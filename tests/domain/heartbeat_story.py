"""The words in which the tests of the heartbeat watch are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from domain.heartbeat import (
    INITIAL,
    Heartbeat,
    HeartbeatEvent,
    HeartbeatMissed,
    evolve,
    misses,
)
from domain.job import JobCreated, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from domain.pings import PingKind, PingReceived
from tests.domain.decider import Decider, Given

HEARTBEAT: Decider[Heartbeat, HeartbeatEvent] = Decider(INITIAL, evolve)
INSTANT = timedelta(microseconds=1)


def at(clock: str) -> datetime:
    """``HH:MM`` or ``HH:MM:SS`` on the day of all these tests."""
    return datetime.fromisoformat(f"2026-03-10T{clock}").replace(tzinfo=UTC)


def asking(**settings: Any) -> JobSettings:
    """An hourly job with a tolerance of five minutes."""
    usual: dict[str, Any] = {"schedule": "0 * * * *", "heartbeat": True, "heartbeat_tolerance": 5}
    return JobSettings(name="n", url="https://example.com/", method="GET", **usual | settings)


def created(*, paused: bool = False, **settings: Any) -> JobCreated:
    return JobCreated(
        job_id="j",
        project_id="p",
        settings=asking(**settings),
        paused=paused,
        created_at=at("00:00"),
        next_tick=None,
    )


def updated(clock: str, **settings: Any) -> JobUpdated:
    return JobUpdated(
        settings=asking(**settings), changed=tuple(settings), updated_at=at(clock), next_tick=None
    )


def paused(clock: str) -> JobPaused:
    return JobPaused(paused_at=at(clock))


def resumed(clock: str) -> JobResumed:
    return JobResumed(resumed_at=at(clock), next_tick=None)


def ping(kind: PingKind, clock: str, run: str | None = None) -> PingReceived:
    return PingReceived(ping_id=f"{kind} {clock}", kind=kind, received_at=at(clock), run_id=run)


def missed(tick: str, when: str, *, started: str | None = None, number: int = 0) -> HeartbeatMissed:
    return HeartbeatMissed(
        execution_id=f"x{number}",
        tick=at(tick),
        missed_at=at(when),
        started_id=None if started is None else f"start {started}",
    )


def found(
    given: Given[Heartbeat, HeartbeatEvent], clock: str, *, later: timedelta = INSTANT
) -> tuple[HeartbeatEvent, ...]:
    """What the closer of windows finds just after the clock showed that."""
    numbers = count()
    answer = given.when(misses, at=at(clock) + later, new_id=lambda: f"x{next(numbers)}")
    return answer.events
