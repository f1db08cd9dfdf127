"""The erasure of what was deleted: payload by payload, in portions, until nothing is left.

A deletion seals its subject at once; this goes on from there in the background, wherever the last
process stopped. Its end is recorded, and the freed pages of the database are cleared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from domain import job
from domain.codec import Codec
from domain.erasure import ErasureCompleted, stream
from domain.job import JobDeleted
from domain.project import ProjectDeleted
from eventstore.store import NO_STREAM
from eventstore.transact import Context
from projections import jobs
from scheduler.workbench import Workbench

PORTION: Final = 1_000
"""How many payloads one transaction erases, so that appends never wait long."""

CLEAR_AGAIN: Final = timedelta(seconds=5)

DELETIONS: Final = Codec().names_of(JobDeleted, ProjectDeleted)


class Eraser:
    """Erases sealed subjects.

    ``clear_freed`` makes sure that no freed page keeps what was there; it may have to wait for a
    reader, and says whether it could.
    """

    def __init__(self, bench: Workbench, *, clear_freed: Callable[[], bool]) -> None:
        self._bench = bench
        self._clear_freed = clear_freed
        self._is_cleared = False  # the last process may have erased and not come to clear

    async def step(self) -> datetime | None:
        """Erase everything that is sealed and not erased yet; returns when to try again to clear.

        None: nothing is left to do.
        """
        store = self._bench.log.store
        while unfinished := await asyncio.to_thread(store.unfinished_erasures):
            for done, erasure in enumerate(unfinished):
                self._bench.observer.erasing(len(unfinished) - done)
                self._is_cleared = False
                await self._erase(erasure.subject)
        self._bench.observer.erasing(0)
        if not self._is_cleared:
            self._is_cleared = await asyncio.to_thread(self._clear_freed)
        return None if self._is_cleared else self._bench.now() + CLEAR_AGAIN

    async def _erase(self, subject: str) -> None:
        store = self._bench.log.store
        (deletion,) = await asyncio.to_thread(
            lambda: store.read_all_backward(subject=subject, types=DELETIONS, limit=1)
        )
        context = self._bench.context(
            "erasure",
            account=deletion.account,
            at=self._bench.now(),
            correlation_id=deletion.correlation_id,
            causation_id=deletion.event_id,
        )
        await self._delete_jobs_left(subject, context)
        while await asyncio.to_thread(lambda: store.erase(subject, limit=PORTION)):
            pass
        await self._bench.record(
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
        database = self._bench.log.database
        while left := await database.read(partial(jobs.of_project, project_id=project_id)):
            for job_id, version in left:
                await self._bench.record(
                    job.stream(job_id),
                    (JobDeleted(),),
                    expected_version=version,
                    subject=job_id,
                    context=context,
                    seals=(job_id,),
                )
