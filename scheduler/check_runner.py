"""Running checks: many at once on the event loop, each recorded before it is called and after.

``CheckStarted`` is durable before the request leaves, so after a crash it is known which calls may
have been made. The outcome is appended against the version that ``CheckStarted`` got: a runner that was
given up for dead meanwhile finds a conflict, and its outcome is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from domain import execution
from domain.errors import NotAllowed
from domain.execution import CheckFailed, CheckStarted, CheckSucceeded, CheckTimings, Outcome
from eventstore.secrets import SecretBox
from eventstore.store import StoreUnavailable
from eventstore.transact import Context
from projections import prepared_checks
from projections.checks_in_flight import CheckInFlight
from projections.prepared_checks import PreparedCheck
from scheduler.http_check import CheckRequest, CheckResult, Timings
from scheduler.workbench import Workbench

CONCURRENCY: Final = 500

_log = logging.getLogger(__name__)


class Checker(Protocol):
    """Makes calls; :class:`~scheduler.http_check.HttpChecker` is the one that really does."""

    def slot(self, url: str) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places that the host of the URL has."""

    async def check(self, request: CheckRequest) -> CheckResult:
        """Make the call and say what came of it."""


class CheckRunner:
    """Runs checks by their execution ids, at most ``concurrency`` at a time."""

    def __init__(
        self,
        bench: Workbench,
        secrets: SecretBox,
        checker: Checker,
        *,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self._bench = bench
        self._secrets = secrets
        self._checker = checker
        self._room = asyncio.Semaphore(concurrency)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def admit(self, execution_ids: Iterable[str]) -> None:
        """Begin these checks; returns when there was room for each, not when they have ended.

        Ids of checks that have ended, or that this runner has in hand already, are passed over; so
        are all once the runner is stopping.
        """
        wanted = [each for each in dict.fromkeys(execution_ids) if each not in self._running]
        found = await self._bench.log.database.read(
            partial(prepared_checks.by_ids, secrets=self._secrets, execution_ids=wanted)
        )
        for prepared in found:
            await self._room.acquire()
            if self._stopping or prepared.in_flight.execution_id in self._running:
                self._room.release()
            else:
                self._begin(prepared)

    async def idle(self) -> None:
        """Return when no check is running."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def stop(self, *, grace: float) -> None:
        """Begin nothing more, let what runs end for ``grace`` seconds, and cut off what is left.

        That stays unfinished in the log, for :mod:`scheduler.recovery` to find.
        """
        self._stopping = True
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=grace)
        for task in self._running.values():
            task.cancel()
        await self.idle()

    def _begin(self, prepared: PreparedCheck) -> None:
        execution_id = prepared.in_flight.execution_id
        task = asyncio.create_task(self._run(prepared), name=f"check {execution_id}")
        self._running[execution_id] = task
        task.add_done_callback(lambda ended: self._ended(execution_id, ended))

    def _ended(self, execution_id: str, task: asyncio.Task[None]) -> None:
        del self._running[execution_id]
        self._room.release()
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("execution %s could not be run", execution_id, exc_info=fault)

    async def _run(self, prepared: PreparedCheck) -> None:
        try:
            async with self._checker.slot(prepared.job.settings.url):
                started = await self._start(prepared)
                if started:
                    await self._call(prepared)
        except StoreUnavailable as unavailable:
            _log.warning(
                "execution %s is left to be found again: %s",
                prepared.in_flight.execution_id,
                unavailable,
            )

    async def _start(self, prepared: PreparedCheck) -> bool:
        at = self._bench.now()
        in_flight, settings = prepared.in_flight, prepared.job.settings
        try:
            events = execution.start(
                in_flight.state(),
                method=settings.method,
                timeout=timedelta(seconds=settings.timeout),
                at=at,
            )
        except NotAllowed as refused:
            _log.info("execution %s is not called: %s", in_flight.execution_id, refused)
            return False
        return await self._record(in_flight, events, expected_version=in_flight.version, at=at)

    async def _call(self, prepared: PreparedCheck) -> None:
        in_flight = prepared.in_flight
        began = self._bench.now()
        self._bench.observer.check_started()
        result = UNREADABLE_HEADERS
        try:
            if prepared.headers is not None:
                result = await self._checker.check(_request(prepared, prepared.headers))
        finally:
            status = "failed" if result.reason else "success"
            self._bench.observer.check_ended(status, result.reason, self._bench.now() - began)
        at = self._bench.now()
        recorded = await self._record(
            in_flight, (_outcome(result, at),), expected_version=in_flight.version + 1, at=at
        )
        if not recorded:
            _log.info("the outcome of execution %s came too late", in_flight.execution_id)

    async def _record(
        self,
        in_flight: CheckInFlight,
        events: Sequence[CheckStarted | Outcome | execution.ExecutionEvent],
        *,
        expected_version: int,
        at: datetime,
    ) -> bool:
        return await self._bench.record(
            execution.stream(in_flight.execution_id),
            events,
            expected_version=expected_version,
            subject=in_flight.job_id,
            context=self._context(in_flight, at),
        )

    def _context(self, in_flight: CheckInFlight, at: datetime) -> Context:
        return self._bench.context(
            "worker",
            account=in_flight.account,
            at=at,
            correlation_id=in_flight.correlation_id,
            causation_id=in_flight.cause,
        )


UNREADABLE_HEADERS: Final = CheckResult(
    reason="blocked",
    status_code=None,
    message="the stored header values can't be read: they were sealed with another secret key",
    output=None,
    timings=Timings(dns_ms=None, connect_ms=None, tls_ms=None, first_byte_ms=None, total_ms=0),
)


def _request(prepared: PreparedCheck, headers: dict[str, str]) -> CheckRequest:
    settings = prepared.job.settings
    return CheckRequest(
        execution_id=prepared.in_flight.execution_id,
        url=settings.url,
        method=settings.method,
        headers=headers,
        body=settings.body,
        timeout=settings.timeout,
        expected_status_code=settings.expected_status_code,
    )


def _outcome(result: CheckResult, at: datetime) -> Outcome:
    timings = CheckTimings(
        total_ms=result.timings.total_ms,
        dns_ms=result.timings.dns_ms,
        connect_ms=result.timings.connect_ms,
        tls_ms=result.timings.tls_ms,
        first_byte_ms=result.timings.first_byte_ms,
    )
    if result.reason is None and result.status_code is not None:
        return CheckSucceeded(finished_at=at, status_code=result.status_code, timings=timings)
    return CheckFailed(
        finished_at=at,
        reason=result.reason or "protocol",
        message=result.message or "the check failed",
        status_code=result.status_code,
        output=result.output,
        timings=timings,
    )
