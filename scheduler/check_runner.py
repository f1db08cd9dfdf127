"""Running checks: many at once on the event loop, each recorded before it is called and after.

``CheckStarted`` is durable before the request leaves, so after a crash it is known which calls may
have been made. The outcome is appended against the version that ``CheckStarted`` got: a runner that was
given up for dead meanwhile finds a conflict, and its outcome is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
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
AGAIN_AFTER: Final = 0.5
"""Seconds to wait for a database that can't be reached."""

Pause = Callable[[float], Awaitable[object]]

_log = logging.getLogger(__name__)


class Checker(Protocol):
    """Makes calls; :class:`~scheduler.http_check.HttpChecker` is the one that really does."""

    def slot(self, url: str) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places that the host of the URL has."""

    async def check(self, request: CheckRequest) -> CheckResult:
        """Make the call and say what came of it."""


class CheckRunner:
    """Runs checks by their execution ids, at most ``concurrency`` at a time.

    ``alone`` says that no other process runs checks of this log: a call that was begun and is not in
    hand here is then in nobody's. Else it is once its deadline has passed.
    """

    def __init__(
        self,
        bench: Workbench,
        secrets: SecretBox,
        checker: Checker,
        *,
        concurrency: int = CONCURRENCY,
        alone: bool,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._bench = bench
        self._secrets = secrets
        self._checker = checker
        self._alone = alone
        self._pause = pause
        self._room = asyncio.Semaphore(concurrency)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._left: dict[str, None] = {}
        self._stopping = False

    async def admit(self, execution_ids: Iterable[str]) -> None:
        """Begin these checks; returns when there was room for each, not when they have ended.

        Ids of checks that have ended, or that this runner has in hand already, are passed over. A
        runner that is stopping begins nothing.
        """
        wanted = [each for each in dict.fromkeys(execution_ids) if each not in self._running]
        for prepared in await self._prepare(wanted):
            await self._room.acquire()
            execution_id = prepared.in_flight.execution_id
            if self._stopping or execution_id in self._running:
                self._room.release()
            else:
                self._begin(prepared)
        if self._stopping:
            self._left.update(dict.fromkeys(each for each in wanted if each not in self._running))

    async def idle(self) -> None:
        """Return when no check is running."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def stop(self, *, grace: float) -> None:
        """Begin nothing more, let calls that are under way end for ``grace`` seconds, cut off the rest.

        What was cut off stays unfinished in the log, for :mod:`scheduler.recovery` to find.
        """
        if not self._stopping:
            self._stopping = True
            self._room.release()  # so that whoever waits for room hears of it
        for execution_id, task in self._running.items():
            if execution_id not in self._begun:
                self._left[execution_id] = None
                task.cancel()
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=grace)
        for task in self._running.values():
            task.cancel()
        await self.idle()

    def hand_back(self) -> list[str]:
        """The ids that a stopping runner was given and did not begin: somebody else may have them."""
        left, self._left = list(self._left), {}
        return left

    async def _prepare(self, execution_ids: Sequence[str]) -> Sequence[PreparedCheck]:
        """Read what the calls need, as soon as the database can be reached."""
        query = partial(prepared_checks.by_ids, secrets=self._secrets, execution_ids=execution_ids)
        while not self._stopping:
            try:
                return await self._bench.log.database.read(query)
            except StoreUnavailable as unavailable:
                _log.warning("%d checks have to wait: %s", len(execution_ids), unavailable)
                await self._pause(AGAIN_AFTER)
        return ()

    def _begin(self, prepared: PreparedCheck) -> None:
        execution_id = prepared.in_flight.execution_id
        task = asyncio.create_task(self._run(prepared), name=f"check {execution_id}")
        self._running[execution_id] = task
        task.add_done_callback(lambda ended: self._ended(execution_id, ended))

    def _ended(self, execution_id: str, task: asyncio.Task[None]) -> None:
        del self._running[execution_id]
        self._begun.discard(execution_id)
        self._room.release()
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("execution %s could not be run", execution_id, exc_info=fault)

    async def _run(self, prepared: PreparedCheck) -> None:
        try:
            async with self._checker.slot(prepared.job.settings.url):
                self._begun.add(prepared.in_flight.execution_id)
                started = await self._start(prepared)
                if started is not None:
                    await self._call(prepared, deadline=started.deadline)
        except StoreUnavailable as unavailable:
            _log.warning(
                "execution %s is left to be found again: %s",
                prepared.in_flight.execution_id,
                unavailable,
            )

    async def _start(self, prepared: PreparedCheck) -> CheckStarted | None:
        at = self._bench.now()
        in_flight, settings = prepared.in_flight, prepared.job.settings
        try:
            (started,) = execution.start(
                in_flight.state(),
                method=settings.method,
                timeout=timedelta(seconds=settings.timeout),
                at=at,
                orphaned=self._alone,
            )
        except NotAllowed as refused:
            _log.info("execution %s is not called: %s", in_flight.execution_id, refused)
            return None
        recorded = await self._record(in_flight, started, expected_version=in_flight.version, at=at)
        return started if recorded else None

    async def _call(self, prepared: PreparedCheck, *, deadline: datetime) -> None:
        in_flight = prepared.in_flight
        began = self._bench.now()
        if (
            began >= deadline
        ):  # the process stood still: somebody else has decided what becomes of it
            _log.info("execution %s is not called: its time is over", in_flight.execution_id)
            return
        self._bench.observer.check_started()
        result = UNREADABLE_HEADERS
        try:
            if prepared.headers is not None:
                result = await self._checker.check(_request(prepared, prepared.headers))
        finally:
            status = "failed" if result.reason else "success"
            self._bench.observer.check_ended(status, result.reason, self._bench.now() - began)
        await self._report(in_flight, _outcome(result, self._bench.now()), deadline=deadline)

    async def _report(
        self, in_flight: CheckInFlight, outcome: Outcome, *, deadline: datetime
    ) -> None:
        """Record the outcome; where the database is away, again and again until the deadline."""
        while True:
            try:
                recorded = await self._record(
                    in_flight,
                    outcome,
                    expected_version=in_flight.version + 1,
                    at=outcome.finished_at,
                )
            except StoreUnavailable:
                if self._bench.now() >= deadline:
                    raise
                await self._pause(AGAIN_AFTER)
            else:
                break
        if not recorded:
            _log.info("the outcome of execution %s came too late", in_flight.execution_id)

    async def _record(
        self,
        in_flight: CheckInFlight,
        event: CheckStarted | Outcome,
        *,
        expected_version: int,
        at: datetime,
    ) -> bool:
        return await self._bench.record(
            execution.stream(in_flight.execution_id),
            (event,),
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
