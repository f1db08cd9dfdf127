"""Retention: has executions expire once they are older than the operator wants to keep them.

Each portion is an event, appended against the version of the retention stream, so of several schedulers
one removes it. The projection of executions removes the rows when it applies the event.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from domain import retention
from domain.retention import ACCOUNT, BEGINNING, STREAM, SUBJECT, ExecutionsExpired
from eventstore import reading
from eventstore.store import NO_STREAM
from projections import expired_executions
from scheduler.workbench import Workbench

OTHERS_AT_IT: Final = timedelta(minutes=1)
"""How long to leave it to another scheduler that was faster."""

_LAST: Final = partial(reading.read_stream_backward, stream=STREAM, limit=1)


class Retention:
    """Has executions expire that happened longer than ``keep`` ago and have ended."""

    def __init__(
        self, bench: Workbench, keep: timedelta, *, portion: int = retention.PORTION
    ) -> None:
        self._bench = bench
        self._keep = keep
        self._portion = portion

    async def step(self) -> datetime:
        """Have everything expire that is old enough; returns when to look again."""
        database = self._bench.log.database
        turn = self._bench.new_id()
        since = BEGINNING
        while True:
            now = self._bench.now()
            last = await database.read(_LAST)
            oldest, beyond = await database.read(
                partial(expired_executions.portion, since=since, size=self._portion)
            )
            decided = retention.expire(oldest, beyond, horizon=now - self._keep)
            if not decided:
                return retention.next_look(beyond, keep=self._keep, at=now)
            version = last[0].version if last else NO_STREAM
            if not await self._record(decided, version, now, turn):
                return now + OTHERS_AT_IT
            (expired,) = decided
            since = (expired.before, expired.before_id)

    async def _record(
        self, decided: tuple[ExecutionsExpired, ...], version: int, at: datetime, turn: str
    ) -> bool:
        return await self._bench.record(
            STREAM,
            decided,
            expected_version=version,
            subject=SUBJECT,
            context=self._bench.context("retention", account=ACCOUNT, at=at, correlation_id=turn),
        )
