"""Commands about projects."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from api.commands.deciders import PROJECT
from api.service import Caller, Service
from domain import job, project
from domain.errors import NotFound
from eventstore.store import Append
from eventstore.transact import retrying, transact
from projections import jobs, projects


async def create(service: Service, caller: Caller, given: Mapping[str, object]) -> str:
    """Create a project from the fields of a request; returns its id."""
    project_id = service.new_id()
    await transact(
        service.log,
        project.stream(project_id),
        PROJECT,
        lambda state: project.create(state, project_id=project_id, given=given),
        subject=project_id,
        context=service.context(caller, at=service.now()),
    )
    return project_id


async def update(
    service: Service, caller: Caller, project_id: str, given: Mapping[str, object]
) -> None:
    """Change the fields that were sent."""
    await require_in_account(service, caller, project_id)
    await transact(
        service.log,
        project.stream(project_id),
        PROJECT,
        lambda state: project.update(state, given=given),
        subject=project_id,
        context=service.context(caller, at=service.now()),
    )


async def delete(service: Service, caller: Caller, project_id: str) -> None:
    """Delete the project and all its jobs, for good and at once.

    A job that changes meanwhile makes this start over. One that is created meanwhile is deleted by
    :mod:`scheduler.erasure`; afterwards none can be.
    """
    await require_in_account(service, caller, project_id)
    context = service.context(caller, at=service.now())

    async def attempt() -> None:
        loaded = await service.log.load(project.stream(project_id), PROJECT)
        writes = [
            service.log.write(
                project.stream(project_id),
                project.delete(loaded.state),
                expected_version=loaded.version,
                subject=project_id,
                context=context,
            )
        ]
        left = await service.log.database.read(partial(jobs.of_project, project_id=project_id))
        writes += (
            service.log.write(
                job.stream(job_id),
                (job.JobDeleted(),),
                expected_version=version,
                subject=job_id,
                context=context,
            )
            for job_id, version in left
        )
        seals = tuple(event.subject for stream_write in writes for event in stream_write.events)
        await service.log.append(Append(writes=tuple(writes), seals=seals))

    await retrying(attempt)


async def require_in_account(service: Service, caller: Caller, project_id: str) -> None:
    """Raise ``NotFound`` unless the project is one of the caller's account."""
    found = await service.log.database.read(
        lambda c: projects.account_of(c, project_id) == caller.account
    )
    if not found:
        raise NotFound("project")
