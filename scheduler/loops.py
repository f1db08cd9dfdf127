"""Keeping steps going: each runs when it asked to, or earlier when the log tells of a change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from eventstore.changes import LogChanges
from eventstore.store import StoreUnavailable
from scheduler.broker import BrokerUnavailable

AFTER_A_FAULT: Final = timedelta(seconds=1)
RAN_WELL: Final = 5.0
"""Seconds after which something that then failed had not failed before."""

SHORTEST_PAUSE: Final = timedelta(milliseconds=1)

_log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[datetime | None]]


async def keep_going(
    step: Step,
    *,
    changes: LogChanges,
    wake_types: frozenset[str],
    now: Callable[[], datetime],
    longest_pause: timedelta,
) -> None:
    """Run the step until cancelled: when it is due, on a change, or after ``longest_pause``.

    A fault makes it wait and try again: one part that fails must not take the others with it. That
    it fails shows in the log, and in the lag that the readiness check looks at.
    """
    outage = _Outage()
    with changes.listen(wake_types) as listener:
        while True:
            try:
                wanted = await step()
                outage.is_over()
            except (BrokerUnavailable, StoreUnavailable) as unavailable:
                outage.goes_on(unavailable)
                wanted = now() + AFTER_A_FAULT
            except Exception:  # noqa: BLE001  (the other loops and the API go on, whatever it is)
                _log.exception("a step of the scheduler failed")
                wanted = now() + AFTER_A_FAULT
            pause = longest_pause if wanted is None else min(wanted - now(), longest_pause)
            try:
                async with asyncio.timeout(max(pause, SHORTEST_PAUSE).total_seconds()):
                    await listener.wait()
            except TimeoutError:
                pass


async def keep_alive(run: Callable[[], Awaitable[None]]) -> None:
    """Run something that is not meant to end until cancelled, again after a fault."""
    outage = _Outage()
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await run()
        except (BrokerUnavailable, StoreUnavailable) as unavailable:
            if asyncio.get_running_loop().time() - began > RAN_WELL:
                outage.is_over()
            outage.goes_on(unavailable)
        except Exception:  # noqa: BLE001  (the other loops and the API go on, whatever it is)
            _log.exception("a part of the scheduler failed")
        await asyncio.sleep(AFTER_A_FAULT.total_seconds())


class _Outage:
    """Tells the log of an outage when it begins and when it is over, and not at each attempt."""

    def __init__(self) -> None:
        self._known: str | None = None

    def goes_on(self, unavailable: Exception) -> None:
        if self._known != str(unavailable):
            self._known = str(unavailable)
            _log.warning("a part of the scheduler has to wait: %s", unavailable)

    def is_over(self) -> None:
        if self._known is not None:
            self._known = None
            _log.info("a part of the scheduler goes on")


@asynccontextmanager
async def running(*coroutines: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run these beside the block, and cancel them at its end."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
