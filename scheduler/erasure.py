"""The erasure of what was deleted: payload by payload, in portions, until nothing is left.

A deletion seals its subject at once; this goes on from there in the background, wherever the last
process stopped. Its end is recorded, and the freed pages of the database are cleared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from domain import job
from domain.codec import Codec
from domain.erasure import ErasureCompleted, stream
from domain.job import JobDeleted
from domain.project import ProjectDeleted
from eventstore.store import NO_STREAM
from eventstore.transact import Context, EventLog
from projections import jobs
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
        store = self._log.store
        while unfinished := await asyncio.to_thread(store.unfinished_erasures):
            for done, erasure in enumerate(unfinished):
                self._observer.erasing(len(unfinished) - done)
                await self._erase(erasure.subject)
            await asyncio.to_thread(self._clear_freed)
        self._observer.erasing(0)
        return None

    async def _erase(self, subject: str) -> None:
        store = self._log.store
        (deletion,) = await asyncio.to_thread(
            lambda: store.read_all_backward(subject=subject, types=DELETIONS, limit=1)
        )
        context = system_context(
            "erasure",
            account=deletion.account,
            at=self._now(),
            new_id=self._new_id,
            correlation_id=deletion.correlation_id,
            causation_id=deletion.event_id,
        )
        await self._delete_jobs_left(subject, context)
        while await asyncio.to_thread(lambda: store.erase(subject, limit=PORTION)):
            pass
        await record(
            self._log,
            stream(subject),
            (ErasureCompleted(erased_at=context.at),),
            expected_version=NO_STREAM,
            subject=subject,
            context=context,
        )
        await asyncio.to_thread(lambda: store.finish_erasure(subject))

    async def _delete_jobs_left(self, project_id: str, context: Context) -> None:
        """Delete what was created in a project while its jobs were being listed for deletion.

        Nothing more can come: since then the project's stream has moved, and creating a job stands
        against it.
        """
        log = self._log
        while left := await log.database.read(partial(jobs.of_project, project_id=project_id)):
            for job_id, version in left:
                await record(
                    log,
                    job.stream(job_id),
                    (JobDeleted(),),
                    expected_version=version,
                    subject=job_id,
                    context=context,
                    seals=(job_id,),
                )
