"""Finding what was queued or begun and not ended, and bringing it to an end.

A check that was not begun, or whose call may be repeated, is dispatched again, unless its message still
waits for a worker: a queue that is long must not be made longer. One whose call may have been made and
must not be repeated is recorded as abandoned.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from domain import execution
from projections import checks_in_flight, jobs
from projections.checks_in_flight import CheckInFlight
from scheduler.broker import BrokerUnavailable
from scheduler.dispatch import Dispatcher
from scheduler.workbench import Workbench

BATCH: Final = 500
EVERY: Final = timedelta(seconds=5)
QUEUED_TOO_LONG: Final = timedelta(seconds=10)
"""After this long in the queue a check is dispatched once more. Sending one twice harms nothing."""

ABANDONED: Final = "the service stopped during the call; whether it arrived is not known"
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

OldestMessage = Callable[[], datetime | None]
"""When the message was sent that waits the longest for a worker; may block."""


class Recovery:
    """Looks for unfinished checks that nobody is working on."""

    def __init__(
        self,
        bench: Workbench,
        dispatcher: Dispatcher,
        *,
        oldest_message: OldestMessage = lambda: None,
    ) -> None:
        self._bench = bench
        self._dispatcher = dispatcher
        self._oldest_message = oldest_message

    async def after_start(self) -> None:
        """Everything unfinished is nobody's, because the only process that worked is new."""
        await self._recover(queued_until=_END_OF_TIME, moment=_END_OF_TIME)

    async def step(self) -> datetime | None:
        """Recover what waited or ran for too long; returns when to look again."""
        now = self._bench.now()
        waiting_since = await self._waiting_since() or now
        await self._recover(queued_until=min(waiting_since, now) - QUEUED_TOO_LONG, moment=now)
        return now + EVERY

    async def _waiting_since(self) -> datetime | None:
        with contextlib.suppress(
            BrokerUnavailable
        ):  # what must not wait for it is done all the same
            return await asyncio.to_thread(self._oldest_message)
        return None

    async def _recover(self, *, queued_until: datetime, moment: datetime) -> None:
        again: list[str] = []
        last: CheckInFlight | None = None
        while True:
            page = await self._bench.log.database.read(
                partial(
                    checks_in_flight.unfinished,
                    queued_until=queued_until,
                    moment=moment,
                    after=last,
                    limit=BATCH,
                )
            )
            again += await self._abandon_some(page)
            if len(page) < BATCH:
                break
            last = page[-1]
        await self._dispatcher.dispatch(again)

    async def _abandon_some(self, checks: Sequence[CheckInFlight]) -> list[str]:
        """Give up the checks whose call must not be repeated; returns the ids of the others."""
        job_ids = list({each.job_id for each in checks})
        views = await self._bench.log.database.read(partial(jobs.by_ids, job_ids=job_ids))
        again = []
        for each in checks:
            view = views.get(each.job_id)
            method = "" if view is None else view.settings.method
            if each.status == "queued" or execution.may_repeat(each.state(), method):
                again.append(each.execution_id)
            else:
                await self._abandon(each)
        return again

    async def _abandon(self, check: CheckInFlight) -> None:
        at = self._bench.now()
        recorded = await self._bench.record(
            execution.stream(check.execution_id),
            execution.abandon(check.state(), message=ABANDONED, at=at),
            expected_version=check.version,
            subject=check.job_id,
            context=self._bench.context(
                "recovery",
                account=check.account,
                at=at,
                correlation_id=check.correlation_id,
                causation_id=check.cause,
            ),
        )
        if recorded:
            self._bench.observer.check_abandoned()
