"""From the log to the broker: the ids of checks that are to be made, many to a message.

Messages hold nothing but ids, and losing all of them loses no check: :mod:`scheduler.recovery` finds
in the database what was not begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from domain.codec import Codec
from domain.execution import CheckDue, RunRequested
from eventstore.store import RecordedEvent
from eventstore.subscription import Subscription
from eventstore.transact import EventLog
from scheduler.broker import QueueFull

IDS_A_MESSAGE: Final = 50
CHECKPOINT: Final = "dispatch"
RETRY_AFTER: Final = 0.1
"""Seconds to wait for room in a full queue."""

Send = Callable[[list[str]], object]
Pause = Callable[[float], Awaitable[object]]


class Dispatcher:
    """Sends execution ids through the broker; waits where its queue is full."""

    def __init__(self, send: Send, *, pause: Pause) -> None:
        self._send = send
        self._pause = pause

    async def dispatch(self, execution_ids: Sequence[str]) -> None:
        """Hand these ids to the workers."""
        for start in range(0, len(execution_ids), IDS_A_MESSAGE):
            await self._send_portion(list(execution_ids[start : start + IDS_A_MESSAGE]))

    async def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Dispatch the checks that the events tell of."""
        await self.dispatch([event.stream.partition("-")[2] for event in events])

    async def _send_portion(self, execution_ids: list[str]) -> None:
        while True:
            try:
                self._send(execution_ids)
            except QueueFull:
                await self._pause(RETRY_AFTER)
            else:
                return


def subscription(log: EventLog, dispatcher: Dispatcher) -> Subscription:
    """Follow the log for checks to be made, from where the last process stopped."""
    return Subscription(
        database=log.database,
        store=log.store,
        changes=log.changes,
        name=CHECKPOINT,
        types=Codec().names_of(CheckDue, RunRequested),
        handle=dispatcher.handle,
    )
