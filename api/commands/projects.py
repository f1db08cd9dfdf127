"""Commands about projects."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from api.commands.deciders import JOB, PROJECT, write
from api.service import Caller, Service
from domain import job, project
from domain.errors import NotFound
from eventstore.store import Append, SubjectSealed
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

    A job that is created meanwhile, or one that changes, makes this start over: both stand against
    the versions that were read.
    """
    await require_in_account(service, caller, project_id)
    context = service.context(caller, at=service.now())

    async def attempt() -> None:
        loaded = await service.log.load(project.stream(project_id), PROJECT)
        writes = [
            write(
                service.log,
                project.stream(project_id),
                project.delete(loaded.state),
                expected_version=loaded.version,
                subject=project_id,
                context=context,
            )
        ]
        job_ids = await service.log.database.read(lambda c: jobs.ids_of_project(c, project_id))
        for job_id in job_ids:
            with suppress(SubjectSealed):  # deleted since the list was read
                loaded_job = await service.log.load(job.stream(job_id), JOB)
                writes.append(
                    write(
                        service.log,
                        job.stream(job_id),
                        job.delete(loaded_job.state),
                        expected_version=loaded_job.version,
                        subject=job_id,
                        context=context,
                    )
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
