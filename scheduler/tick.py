"""The tick loop: records every tick of every active job, once.

A tick is appended to the stream of its execution, whose id follows from the job and the first tick that
was not recorded, and against the version of the job's stream that told of it. So two schedulers that
act on the same state have one winner, also where one of them stood still meanwhile and the other
recorded a later tick that stands for more; and a job that was changed is looked at again. That they
rarely act on the same, and share the work, is what claims are for (:mod:`eventstore.claims`).

After downtime the latest tick that was missed stands for all of them, with their number.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from functools import partial
from typing import Final

from domain import execution, job
from domain.errors import InvalidField
from domain.execution import CheckDue, CheckSkipped
from domain.missed_ticks import missed
from domain.schedule import parse_schedule
from eventstore.store import NO_STREAM, StreamWrite
from projections import due_ticks
from projections.due_ticks import DueTick
from scheduler.workbench import Workbench

BATCH: Final = 500

_log = logging.getLogger(__name__)


class Ticker:
    """Records ticks as their time comes."""

    def __init__(self, bench: Workbench, *, batch: int = BATCH) -> None:
        self._bench = bench
        self._batch = batch

    async def step(self) -> datetime | None:
        """Record every tick that has come; returns when the next one comes, None for never."""
        while await self._tick_some():
            pass
        next_tick = await self._bench.log.database.read(due_ticks.next_tick)
        return None if next_tick is None else self._bench.when_to_look(next_tick)

    async def _tick_some(self) -> bool:
        now = self._bench.now()
        mine = partial(due_ticks.claim, moment=now, limit=self._batch)
        async with self._bench.log.database.claim(mine) as found:
            return any(await asyncio.gather(*(self._tick(due, now) for due in found)))

    async def _tick(self, due: DueTick, now: datetime) -> bool:
        try:
            ticked = decide(due, now)
        except InvalidField as unusable:
            return await self._pause(due, now, unusable)
        recorded = await self._bench.record(
            execution.stream(ticked.execution_id),
            (ticked,),
            expected_version=NO_STREAM,
            subject=due.job_id,
            context=self._bench.context("scheduler", account=due.account, at=now),
            guard=StreamWrite(stream=job.stream(due.job_id), expected_version=due.job_version),
        )
        if recorded:
            lateness = self._bench.now() - ticked.tick
            self._bench.observer.ticked(
                "due" if isinstance(ticked, CheckDue) else "skipped", lateness
            )
        return recorded

    async def _pause(self, due: DueTick, now: datetime, unusable: InvalidField) -> bool:
        """A stored schedule that can't be followed any more must not hold up all others."""
        _log.error("job %s is paused: its schedule can't be followed: %s", due.job_id, unusable)
        return await self._bench.record(
            job.stream(due.job_id),
            (job.JobPaused(paused_at=now),),
            expected_version=due.job_version,
            subject=due.job_id,
            context=self._bench.context("scheduler", account=due.account, at=now),
        )


def decide(due: DueTick, now: datetime) -> CheckDue | CheckSkipped:
    """What is to be recorded of a job whose tick has come.

    Raises :class:`~domain.errors.InvalidField` for a schedule or time zone that is not known here.
    """
    schedule = parse_schedule(due.schedule, due.timezone)
    come = missed(schedule, tick=due.tick, since=due.scheduled_since, until=now)
    skipped_ticks = due.overdue + come.others
    next_tick = schedule.next_after(max(come.tick, due.scheduled_since))
    execution_id = execution.scheduled_id(due.job_id, due.tick)
    if due.running is not None:
        return CheckSkipped(
            execution_id=execution_id,
            job_id=due.job_id,
            tick=come.tick,
            next_tick=next_tick,
            running_execution_id=due.running,
            skipped_ticks=skipped_ticks,
        )
    return CheckDue(
        execution_id=execution_id,
        job_id=due.job_id,
        tick=come.tick,
        next_tick=next_tick,
        skipped_ticks=skipped_ticks,
    )
