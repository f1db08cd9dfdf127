"""From the log to the broker: the ids of checks that are to be made, many to a message.

Messages hold nothing but ids, and losing all of them loses no check: :mod:`scheduler.recovery` finds
in the database what was not begun. Where several schedulers work on one log they take turns, each
going on from the checkpoint that the one before left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from domain.codec import Codec
from domain.execution import CheckDue, RunRequested
from eventstore import claims
from eventstore.store import RecordedEvent
from eventstore.subscription import SAVE_EVERY, Subscription
from eventstore.transact import EventLog
from scheduler.broker import QueueFull
from scheduler.workbench import Workbench

IDS_A_MESSAGE: Final = 50
CHECKPOINT: Final = "dispatch"
RETRY_AFTER: Final = 0.1
"""Seconds to wait for room in a full queue."""

EVERY: Final = timedelta(seconds=1)
"""How long a turn may go to nobody, where the one whose turn it was did not live to end it."""

LONGEST_TURN: Final = 5.0
"""Seconds after which a turn ends in any case: a claim must not be held for long."""

TO_BE_MADE: Final = Codec().names_of(CheckDue, RunRequested)

Send = Callable[[list[str]], object]
Pause = Callable[[float], Awaitable[object]]


class Dispatcher:
    """Sends execution ids through the broker; waits where its queue is full.

    ``send`` may block, and raises :class:`~scheduler.broker.QueueFull` or
    :class:`~scheduler.broker.BrokerUnavailable`.
    """

    def __init__(self, send: Send, *, pause: Pause = asyncio.sleep) -> None:
        self._send = send
        self._pause = pause

    async def dispatch(self, execution_ids: Sequence[str]) -> None:
        """Hand these ids to the workers. Raises :class:`~scheduler.broker.BrokerUnavailable`."""
        for start in range(0, len(execution_ids), IDS_A_MESSAGE):
            await self._send_portion(list(execution_ids[start : start + IDS_A_MESSAGE]))

    async def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Dispatch the checks that the events tell of."""
        await self.dispatch([event.stream.partition("-")[2] for event in events])

    async def _send_portion(self, execution_ids: list[str]) -> None:
        while True:
            try:
                await asyncio.to_thread(self._send, execution_ids)
            except QueueFull:
                await self._pause(RETRY_AFTER)
            else:
                return


class DispatchTurns:
    """Follows the log together with other schedulers, one of them at a time."""

    def __init__(self, bench: Workbench, dispatcher: Dispatcher) -> None:
        self._bench = bench
        self._dispatcher = dispatcher

    async def step(self) -> datetime:
        """Dispatch what is new, if nobody else is at it; returns when to look again."""
        log = self._bench.log
        async with log.database.claim(partial(claims.take_turn, part=claims.DISPATCH)) as mine:
            if mine:
                with contextlib.suppress(TimeoutError):  # the queue is full: the next turn goes on
                    async with asyncio.timeout(LONGEST_TURN):
                        await subscription(log, self._dispatcher, save_every=1).catch_up()
        return self._bench.now() + EVERY


def subscription(
    log: EventLog, dispatcher: Dispatcher, *, save_every: int = SAVE_EVERY
) -> Subscription:
    """Follow the log for checks to be made, from where the last process stopped."""
    return Subscription(
        database=log.database,
        store=log.store,
        changes=log.changes,
        name=CHECKPOINT,
        types=TO_BE_MADE,
        handle=dispatcher.handle,
        save_every=save_every,
    )
