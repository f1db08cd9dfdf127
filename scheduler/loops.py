"""Keeping steps going: each runs when it asked to, or earlier when the log tells of a change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from eventstore.changes import LogChanges
from eventstore.store import StoreUnavailable

AFTER_A_FAULT: Final = timedelta(seconds=1)
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
    with changes.listen(wake_types) as listener:
        while True:
            try:
                wanted = await step()
            except StoreUnavailable as unavailable:
                _log.warning("the database can't be reached: %s", unavailable)
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
    while True:
        try:
            await run()
        except StoreUnavailable as unavailable:
            _log.warning("the database can't be reached: %s", unavailable)
        except Exception:  # noqa: BLE001  (the other loops and the API go on, whatever it is)
            _log.exception("a part of the scheduler failed")
        await asyncio.sleep(AFTER_A_FAULT.total_seconds())
