"""The scheduler and the workers, wired: each as long as its block runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from api.bootstrap import Core
from domain.codec import Codec
from domain.execution import CheckDue, RunRequested
from domain.job import JobCreated, JobDeleted, JobResumed, JobUpdated
from domain.project import ProjectDeleted
from projections import due_ticks
from scheduler import actors, dispatch
from scheduler.broker import BrokerUnavailable, CheckBroker, start_worker
from scheduler.check_runner import Checker, CheckRunner
from scheduler.dispatch import Dispatcher, DispatchTurns
from scheduler.erasure import Eraser
from scheduler.heartbeats import HeartbeatWatch
from scheduler.loops import Step, keep_alive, keep_going, running
from scheduler.observer import Observer
from scheduler.recovery import EVERY, Recovery
from scheduler.retention import Retention
from scheduler.tick import Ticker
from scheduler.workbench import Workbench

WORKER_STOPS_WITHIN: Final = 2_000
"""Milliseconds that the broker's threads have to end."""

Loop = Coroutine[object, object, None]


def workbench(core: Core, observer: Observer) -> Workbench:
    """What the parts of the scheduler work with."""
    service = core.service
    return Workbench(log=core.log, now=service.now, new_id=service.new_id, observer=observer)


def dispatcher(core: Core, broker: CheckBroker) -> Dispatcher:
    """What sends ids through the broker."""
    return Dispatcher(actors.sender(broker, core.service.now))


async def lag(core: Core) -> timedelta:
    """How long the tick that waits the longest has been due; zero if none is."""
    tick = await core.database.read(due_ticks.next_tick)
    return max(timedelta(), core.service.now() - tick) if tick else timedelta()


class Working:
    """Workers that run checks."""

    def __init__(
        self,
        runner: CheckRunner,
        take_no_more: Callable[[], None],
        hand_back: Dispatcher | None,
        grace: float,
    ) -> None:
        self._runner = runner
        self._take_no_more = take_no_more
        self._hand_back = hand_back
        self._grace = grace

    async def wind_down(self) -> None:
        """Begin no more checks, and give those that run the time they have to end.

        What was taken and not begun goes to other workers at once. The end of the block winds down by
        itself; called before, other things can end meanwhile.
        """
        await asyncio.gather(self._runner.stop(grace=self._grace), self._leave_to_others())

    async def _leave_to_others(self) -> None:
        await asyncio.to_thread(self._take_no_more)
        if self._hand_back is not None:
            with contextlib.suppress(BrokerUnavailable):  # they will be found in the database
                await self._hand_back.dispatch(self._runner.hand_back())


@asynccontextmanager
async def working(
    core: Core,
    broker: CheckBroker,
    checker: Checker,
    *,
    observer: Observer,
    concurrency: int,
    grace: float,
) -> AsyncIterator[Working]:
    """Run the checks that the broker tells of."""
    bench = workbench(core, observer)
    runner = CheckRunner(
        bench, core.service.secrets, checker, concurrency=concurrency, alone=core.alone
    )
    actors.declare(broker, runner, asyncio.get_running_loop())
    others = None if core.alone else dispatcher(core, broker)
    worker = start_worker(broker, threads=actors.WORKER_THREADS)
    take_no_more = partial(worker.stop, timeout=WORKER_STOPS_WITHIN)
    work = Working(runner, take_no_more, others, grace)
    try:
        yield work
    finally:
        await work.wind_down()


@asynccontextmanager
async def scheduling(
    core: Core, broker: CheckBroker, *, observer: Observer, keep_executions: timedelta | None
) -> AsyncIterator[None]:
    """Record what is due, and have it dispatched, looked after and cleared away."""
    bench = workbench(core, observer)
    sending = dispatcher(core, broker)
    recovery = Recovery(bench, sending, oldest_message=lambda: broker.oldest(actors.QUEUE))
    if core.alone:
        await recovery.after_start()
    async with running(
        *_loops(core, bench, sending, recovery, keep_executions), core.follow_changes()
    ):
        yield


def _loops(
    core: Core,
    bench: Workbench,
    sending: Dispatcher,
    recovery: Recovery,
    keep_executions: timedelta | None,
) -> list[Loop]:
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

    loops = [
        kept(ticker.step, timedelta(seconds=1), JobCreated, JobUpdated, JobResumed),
        kept(heartbeats.step, timedelta(seconds=1)),
        kept(eraser.step, timedelta(minutes=1), JobDeleted, ProjectDeleted),
        kept(recovery.step, EVERY),
    ]
    if keep_executions is not None:
        loops.append(kept(Retention(bench, keep_executions).step, timedelta(hours=1)))
    if core.alone:
        loops.append(keep_alive(dispatch.subscription(log, sending).run))
    else:
        turns = DispatchTurns(bench, sending)
        loops.append(kept(turns.step, dispatch.EVERY, CheckDue, RunRequested))
    return loops
