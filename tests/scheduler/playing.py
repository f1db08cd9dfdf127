"""A scheduler whose parts are stepped by hand, and a stand-in for the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from scheduler import dispatch
from scheduler.check_runner import CheckRunner
from scheduler.dispatch import Dispatcher
from scheduler.erasure import Eraser
from scheduler.heartbeats import HeartbeatWatch
from scheduler.http_check import CheckRequest, CheckResult, Timings
from scheduler.observer import SILENT, Observer
from scheduler.recovery import Recovery
from scheduler.tick import Ticker
from scheduler.workbench import Workbench
from tests.shapes import Shape

TIMINGS = Timings(dns_ms=1, connect_ms=1, tls_ms=None, first_byte_ms=2, total_ms=5)
SUCCESS = CheckResult(reason=None, status_code=200, message=None, output=None, timings=TIMINGS)


@dataclass
class Receiver:
    """Writes down every call, and answers as it is told; ``answer`` may wait or raise."""

    calls: list[CheckRequest] = field(default_factory=list)
    answer: Callable[[CheckRequest], CheckResult] = lambda _: SUCCESS
    gate: asyncio.Event | None = None
    _called: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def slot(self, url: str) -> AsyncIterator[None]:
        yield

    async def check(self, request: CheckRequest) -> CheckResult:
        async with self._called:
            self.calls.append(request)
            self._called.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(request)

    async def was_called(self, *, times: int = 1) -> None:
        """Return once that many calls have come."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)


class Play:
    """The parts of a scheduler on a shape's log."""

    def __init__(
        self,
        shape: Shape,
        receiver: Receiver,
        *,
        observer: Observer = SILENT,
        concurrency: int = 50,
    ) -> None:
        bench = Workbench(log=shape.log, now=shape.clock, new_id=shape.new_id, observer=observer)
        self.shape = shape
        self.receiver = receiver
        self.sent: list[str] = []
        self.ticker = Ticker(bench)
        self.heartbeats = HeartbeatWatch(bench)
        self.runner = CheckRunner(
            bench,
            shape.service.secrets,
            receiver,
            concurrency=concurrency,
            alone=shape.core.alone,
            pause=_no_pause,
        )
        self.dispatcher = Dispatcher(self.sent.extend, pause=_no_pause)
        self.subscription = dispatch.subscription(shape.log, self.dispatcher)
        self.recovery = Recovery(bench, self.dispatcher)
        self.eraser = Eraser(bench, clear_freed=shape.core.database.purge_freed)

    async def begin_checks(self) -> None:
        """Dispatch what the log tells of, and let the runner begin it."""
        await self.subscription._advance()  # as run() does between two saved checkpoints
        sent, self.sent[:] = list(self.sent), []
        await self.runner.admit(sent)

    async def step(self) -> datetime | None:
        """Everything that is due: ticks, checks to their end, windows. Returns when more will be."""
        moments = [await self.ticker.step()]
        await self.begin_checks()
        await self.runner.idle()
        moments.append(await self.heartbeats.step())
        return min((each for each in moments if each is not None), default=None)

    async def step_until(self, end: datetime) -> None:
        """Move the clock from one moment at which something is due to the next, until the end."""
        clock = self.shape.clock
        while (moment := await self.step()) is not None and moment <= end:
            clock.move_to(max(clock(), moment))
        clock.move_to(end)


async def _no_pause(_: float) -> None:
    await asyncio.sleep(0)
