"""What the scheduler and the log tell of themselves, counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from api.metrics import Metrics
from eventstore.store import RecordedEvent, StoreUnavailable
from scheduler import actors
from scheduler.broker import BrokerUnavailable, CheckBroker
from scheduler.observer import Observer, TickOutcome

LOOKED_AT_EVERY: Final = 5.0
"""Seconds between looks at the broker, and at the tick that waits the longest."""


class CountingObserver(Observer):
    """Counts what the scheduler does."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def ticked(self, outcome: TickOutcome, lateness: timedelta) -> None:
        """Count the tick, and how late it was."""
        self._metrics.ticks_total.labels(outcome).inc()
        self._metrics.tick_lateness_seconds.observe(max(0.0, lateness.total_seconds()))

    def check_started(self) -> None:
        """Count the check as being made."""
        self._metrics.checks_in_flight.inc()

    def check_ended(self, status: str, reason: str | None, took: timedelta) -> None:
        """Count how it ended."""
        self._metrics.checks_in_flight.dec()
        self._metrics.observe_check(
            status=status, reason=reason, seconds=max(0.0, took.total_seconds())
        )

    def check_abandoned(self) -> None:
        """Count it as failed; how long it took nobody knows."""
        self._metrics.observe_check(status="failed", reason="abandoned", seconds=None)

    def heartbeat_missed(self) -> None:
        """Count the miss."""
        self._metrics.heartbeats_missed_total.inc()

    def erasing(self, pending: int) -> None:
        """Keep the number of what is still to be erased."""
        self._metrics.erasures_pending.set(pending)


def count_commit(metrics: Metrics, events: Sequence[RecordedEvent]) -> None:
    """Count what one durable transaction appended."""
    metrics.events_appended_total.inc(len(events))
    metrics.append_batch_size.observe(len(events))
    metrics.log_position.set(events[-1].position)


async def watch_broker(broker: CheckBroker, metrics: Metrics) -> None:
    """Until cancelled: keep whether the broker answers, and how many messages no worker has taken."""
    while True:
        try:
            depth = await asyncio.to_thread(broker.size, actors.QUEUE)
        except BrokerUnavailable:
            metrics.broker_up.set(0)
        else:
            metrics.broker_up.set(1)
            metrics.dispatch_queue_depth.set(depth)
        await asyncio.sleep(LOOKED_AT_EVERY)


async def watch_lag(lag: Callable[[], Awaitable[timedelta]], metrics: Metrics) -> None:
    """Until cancelled: keep how long the tick that waits the longest has been due."""
    while True:
        with contextlib.suppress(StoreUnavailable):
            metrics.scheduler_lag_seconds.set((await lag()).total_seconds())
        await asyncio.sleep(LOOKED_AT_EVERY)
