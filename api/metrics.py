"""What CronPulse measures about itself, for Prometheus.

One :class:`Metrics` a process, made where the process is wired, with a registry of its own: nothing is
global, so two applications in one process (as in tests) don't mix. Labels only ever take a few
values that are known beforehand: a route's template and never a path, no ids, no names, no URLs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from domain.execution import Reason
from domain.heartbeat import PingKind
from scheduler.observer import TickOutcome

UNMATCHED: Final = "unmatched"
"""The route of a request whose path no route has."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_MILLISECONDS_TO_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_UP_TO_A_TIMEOUT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_UP_TO_A_DAY: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)
_POWERS_OF_TWO: Final = tuple(2**power for power in range(12))


class Metrics:
    """The metrics by name; in Prometheus each has the prefix ``cronpulse_``. Durations are in seconds."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._http()
        self._log()
        self._checks()
        self._schedules()

    def _http(self) -> None:
        self.http_requests_total = self._counter(
            "http_requests_total",
            "Requests answered, by method, route and status.",
            "method",
            "route",
            "status",
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            _MILLISECONDS_TO_SECONDS,
            "method",
            "route",
        )
        self.pings_total = self._counter("pings_total", "Pings recorded, by kind.", "kind")
        for kind in get_args(PingKind):
            self.pings_total.labels(kind)

    def _log(self) -> None:
        self.events_appended_total = self._counter(
            "events_appended_total", "Events appended to the log by this process."
        )
        self.append_batch_size = self._histogram(
            "append_batch_size", "Events in one durable transaction.", _POWERS_OF_TWO
        )
        self.append_seconds = self._histogram(
            "append_seconds", "Time that one durable transaction took.", _MILLISECONDS_TO_SECONDS
        )
        self.appends_failed_total = self._counter(
            "appends_failed_total",
            "Appends that were not recorded because the database was unavailable.",
        )
        self.log_position = self._gauge("log_position", "Position of the newest event.")
        self.erasures_pending = self._gauge(
            "erasures_pending", "Deleted things whose payloads are still to be erased."
        )

    def _checks(self) -> None:
        self.checks_total = self._counter(
            "checks_total",
            "Checks that ended, by status and, for failed ones, reason.",
            "status",
            "reason",
        )
        self.checks_total.labels("success", "")
        for reason in get_args(Reason):
            self.checks_total.labels("failed", reason)
        self.check_seconds = self._histogram(
            "check_seconds", "Time that a check's whole exchange took.", _UP_TO_A_TIMEOUT
        )
        self.checks_in_flight = self._gauge("checks_in_flight", "Checks that are being made.")
        self.broker_up = self._gauge(
            "broker_up", "Whether the broker answered when it was last asked: 1 or 0."
        )
        self.dispatch_queue_depth = self._gauge(
            "dispatch_queue_depth", "Messages with executions that no worker has taken."
        )

    def _schedules(self) -> None:
        self.scheduler_lag_seconds = self._gauge(
            "scheduler_lag_seconds", "How long the tick that waits the longest has been due."
        )
        self.tick_lateness_seconds = self._histogram(
            "tick_lateness_seconds", "How long after its time a tick was recorded.", _UP_TO_A_DAY
        )
        self.ticks_total = self._counter("ticks_total", "Ticks, by what became of them.", "outcome")
        for outcome in get_args(TickOutcome):
            self.ticks_total.labels(outcome)
        self.heartbeats_missed_total = self._counter(
            "heartbeats_missed_total", "Outages that a heartbeat window found."
        )

    def observe_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. ``route`` is a template, or :data:`UNMATCHED`.

        Methods that callers make up are counted together as ``other``.
        """
        known = method if method in _METHODS else "other"
        self.http_requests_total.labels(known, route, str(status)).inc()
        self.http_request_seconds.labels(known, route).observe(seconds)

    def observe_check(self, *, status: str, reason: str | None, seconds: float | None) -> None:
        """Count a check that ended; ``seconds`` is None for one whose call nobody timed."""
        self.checks_total.labels(status, reason or "").inc()
        if seconds is not None:
            self.check_seconds.observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """All metrics in the Prometheus text format, and its content type."""
        return generate_latest(_WithoutCreated(self._registry)), CONTENT_TYPE_PLAIN_0_0_4

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"cronpulse_{name}", meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"cronpulse_{name}", meaning, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"cronpulse_{name}", meaning, labels, buckets=buckets, registry=self._registry
        )


class _WithoutCreated(Collector):
    """Leaves out the time at which each series began.

    The text format has no place for it, so it would double every counter with a gauge; the library
    can only leave it out for the whole process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            family.samples = [
                sample for sample in family.samples if not sample.name.endswith("_created")
            ]
            yield family
