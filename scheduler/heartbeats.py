"""The closing of heartbeat windows: records what was missed, stamped with when it was.

A miss is appended against the version of the job's ping stream at which it was found. A ping that was
recorded first moves that version, and the window is looked at again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from domain import heartbeat
from projections import heartbeats
from projections.heartbeats import WatchedJob
from scheduler.workbench import Workbench

BATCH: Final = 500

ON_ITS_WAY: Final = timedelta(seconds=1)
"""How long a window's closing waits for pings that came in time and are being recorded."""


class HeartbeatWatch:
    """Closes windows as their time comes."""

    def __init__(self, bench: Workbench, *, batch: int = BATCH) -> None:
        self._bench = bench
        self._batch = batch

    async def step(self) -> datetime | None:
        """Close every window whose time has come; returns when the next one closes."""
        while await self._close_some():
            pass
        closes_at = await self._bench.log.database.read(heartbeats.next_closing)
        if closes_at is None:
            return None
        return self._bench.when_to_look(closes_at + ON_ITS_WAY)

    async def _close_some(self) -> bool:
        moment = self._bench.now() - ON_ITS_WAY
        mine = partial(heartbeats.claim, moment=moment, limit=self._batch)
        async with self._bench.log.database.claim(mine) as found:
            return any(await asyncio.gather(*(self._close(watched, moment) for watched in found)))

    async def _close(self, watched: WatchedJob, moment: datetime) -> bool:
        missed = heartbeat.misses(watched.heartbeat, at=moment, new_id=self._bench.new_id)
        if not missed:
            return False
        recorded = await self._bench.record(
            heartbeat.stream(watched.job_id),
            missed,
            expected_version=watched.version,
            subject=watched.job_id,
            context=self._bench.context(
                "heartbeats", account=watched.account, at=self._bench.now()
            ),
        )
        if recorded:
            for _ in missed:
                self._bench.observer.heartbeat_missed()
        return recorded
