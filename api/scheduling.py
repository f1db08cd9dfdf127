"""The scheduler and the workers of the embedded shape, as long as the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from api.bootstrap import Core
from domain.codec import Codec
from domain.job import JobCreated, JobDeleted, JobResumed, JobUpdated
from domain.project import ProjectDeleted
from eventstore import reading
from projections import due_ticks
from scheduler import actors, dispatch
from scheduler.broker import InProcessBroker, start_worker
from scheduler.check_runner import Checker, CheckRunner
from scheduler.dispatch import Dispatcher
from scheduler.erasure import Eraser
from scheduler.heartbeats import HeartbeatWatch
from scheduler.loops import Step, keep_alive, keep_going
from scheduler.observer import Observer
from scheduler.recovery import EVERY, Recovery
from scheduler.tick import Ticker
from scheduler.workbench import Workbench

STOP_GRACE: Final = 2.0
"""Seconds that running checks have to end when the service stops."""

OTHER_PROCESSES: Final = 1.0
"""Seconds between looks for events that another process appended, such as the command line."""


Loop = Coroutine[None, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """The running scheduler, for those who want to know how it fares."""

    core: Core
    broker: InProcessBroker
    runner: CheckRunner

    def queue_depth(self) -> int:
        """How many messages wait for a worker."""
        return self.broker.size(actors.QUEUE)

    async def lag(self) -> timedelta:
        """How long the tick that waits the longest has been due; zero if none is."""
        tick = await self.core.database.read(due_ticks.next_tick)
        return max(timedelta(), self.core.service.now() - tick) if tick else timedelta()

    async def wind_down(self) -> None:
        """Begin no more checks, and give those that run the time they have to end.

        The end of the block does so by itself; called before, other things can end meanwhile.
        """
        await self.runner.stop(grace=STOP_GRACE)


@asynccontextmanager
async def scheduling(
    core: Core, checker: Checker, *, observer: Observer, concurrency: int
) -> AsyncIterator[Scheduling]:
    """Run the scheduler and the workers while the block runs.

    This is the only process that works on the log, so what is unfinished at the start is nobody's.
    """
    service, loop = core.service, asyncio.get_running_loop()
    bench = Workbench(log=core.log, now=service.now, new_id=service.new_id, observer=observer)
    runner = CheckRunner(bench, service.secrets, checker, concurrency=concurrency)
    broker = InProcessBroker()
    dispatcher = Dispatcher(actors.declare(broker, runner, loop), pause=asyncio.sleep)
    worker = start_worker(broker, threads=actors.WORKER_THREADS)
    recovery = Recovery(bench, dispatcher)
    tasks: list[asyncio.Task[None]] = []
    try:
        await recovery.after_start()
        loops = _loops(core, bench, dispatcher, recovery)
        tasks += (asyncio.create_task(each) for each in loops)
        yield Scheduling(core=core, broker=broker, runner=runner)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.stop(grace=STOP_GRACE)
        await asyncio.to_thread(worker.stop, timeout=round(STOP_GRACE * 1000))
        broker.close()


def _loops(core: Core, bench: Workbench, dispatcher: Dispatcher, recovery: Recovery) -> list[Loop]:
    log, codec = core.log, Codec()
    ticker, heartbeats = Ticker(bench), HeartbeatWatch(bench)
    eraser = Eraser(bench, clear_freed=core.database.purge_freed)

    def kept(step: Step, longest_pause: timedelta, *wake: type) -> Loop:
        return keep_going(
            step,
            changes=log.changes,
            wake_types=codec.names_of(*wake),
            now=bench.now,
            longest_pause=longest_pause,
        )

    async def look_at_other_processes() -> None:
        await log.changes.watch(_head(core), lambda: asyncio.sleep(OTHER_PROCESSES))

    return [
        kept(ticker.step, timedelta(seconds=1), JobCreated, JobUpdated, JobResumed),
        kept(heartbeats.step, timedelta(seconds=1)),
        kept(eraser.step, timedelta(minutes=1), JobDeleted, ProjectDeleted),
        kept(recovery.step, EVERY),
        keep_alive(dispatch.subscription(log, dispatcher).run),
        keep_alive(look_at_other_processes),
    ]


def _head(core: Core) -> Callable[[], Awaitable[int]]:
    async def head() -> int:
        return (await core.database.read(reading.head)).position

    return head
