"""Watching a job that ticks every even second: who called, for which tick, and how late."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.live.receiver import Receiver
from tests.live.service import LiveService

SCHEDULE: Final = "*/2 * * * * *"
PERIOD: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was seen of so many ticks: those that should have come, and those that did.

    ``executions`` are the ticks that the API lists, ``arrivals`` the receiver's calls, each with the
    tick of the execution that its ``Idempotency-Key`` names.
    """

    expected: list[datetime]
    executions: list[datetime]
    arrivals: list[tuple[datetime, datetime]]

    def lateness(self) -> list[float]:
        """Milliseconds from each tick to the arrival of its call, ascending."""
        return sorted((at - tick).total_seconds() * 1000 for tick, at in self.arrivals)


def watch(service: LiveService, receiver: Receiver, *, ticks: int) -> Watched:
    """Create the job, let it tick so many times, and say what was seen of those ticks."""
    job_id = service.a_job(f"{receiver.url}/on-time", SCHEDULE)
    job = service.told("GET", f"/api/v1/jobs/{job_id}")
    first = datetime.fromisoformat(job["nextRunAt"]) + PERIOD  # the next one may just have come
    expected = [first + number * PERIOD for number in range(ticks)]
    time.sleep((expected[-1] + PERIOD / 2 - datetime.now(UTC)).total_seconds())
    listed = [each for each in service.executions(job_id) if each["status"] != "skipped"]
    tick_of = {each["id"]: datetime.fromisoformat(each["scheduledFor"]) for each in listed}
    calls = [(tick_of[call.idempotency_key or ""], call) for call in receiver.calls("/on-time")]
    return Watched(
        expected=expected,
        executions=[tick for tick in tick_of.values() if first <= tick <= expected[-1]],
        arrivals=[(tick, call.arrived_at) for tick, call in calls if first <= tick <= expected[-1]],
    )
