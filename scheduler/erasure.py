"""The erasure of what was deleted: payload by payload, in portions, until nothing is left.

A deletion seals its subject at once; this goes on from there in the background, wherever the last
process stopped. Its end is recorded, and the freed pages of the database are cleared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from domain.codec import Codec
from domain.erasure import ErasureCompleted, stream
from domain.job import JobDeleted
from domain.project import ProjectDeleted
from eventstore.store import NO_STREAM, Erasure
from eventstore.transact import EventLog
from scheduler.observer import SILENT, Observer
from scheduler.recording import record, system_context

PORTION: Final = 1_000
"""How many payloads one transaction erases, so that appends never wait long."""

DELETIONS: Final = Codec().names_of(JobDeleted, ProjectDeleted)


class Eraser:
    """Erases sealed subjects. ``clear_freed`` makes sure that no freed page keeps what was there."""

    def __init__(
        self,
        log: EventLog,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        clear_freed: Callable[[], object],
        observer: Observer = SILENT,
    ) -> None:
        self._log = log
        self._now = now
        self._new_id = new_id
        self._clear_freed = clear_freed
        self._observer = observer

    async def step(self) -> datetime | None:
        """Erase everything that is sealed and not erased yet; None: nothing is left to do."""
        unfinished = await asyncio.to_thread(self._log.store.unfinished_erasures)
        for done, erasure in enumerate(unfinished):
            self._observer.erasing(len(unfinished) - done)
            await self._erase(erasure)
        self._observer.erasing(0)
        if unfinished:
            await asyncio.to_thread(self._clear_freed)
        return None

    async def _erase(self, erasure: Erasure) -> None:
        store = self._log.store
        while await asyncio.to_thread(lambda: store.erase(erasure.subject, limit=PORTION)):
            pass
        (deletion,) = await asyncio.to_thread(
            lambda: store.read_all_backward(subject=erasure.subject, types=DELETIONS, limit=1)
        )
        at = self._now()
        await record(
            self._log,
            stream(erasure.subject),
            (ErasureCompleted(erased_at=at),),
            expected_version=NO_STREAM,
            subject=erasure.subject,
            context=system_context(
                "erasure",
                account=deletion.account,
                at=at,
                new_id=self._new_id,
                correlation_id=deletion.correlation_id,
                causation_id=deletion.event_id,
            ),
        )
        await asyncio.to_thread(lambda: store.finish_erasure(erasure.subject))
