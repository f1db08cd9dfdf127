"""Commands about jobs."""

from __future__ import annotations

from collections.abc import Mapping

from api.commands.deciders import JOB, PROJECT
from api.commands.projects import require_in_account as require_project
from api.service import Caller, Service
from domain import execution, headers, job, job_fields, project
from domain.errors import NotAllowed, NotFound
from domain.headers import HeaderSet
from eventstore.store import NO_STREAM, Append, SealedSecret, StreamWrite
from eventstore.transact import retrying, transact
from projections import header_values, jobs


async def create(service: Service, caller: Caller, given: Mapping[str, object]) -> str:
    """Create a job from the fields of a request; returns its id.

    The append stands against the version of the project, so a job can't slip into one that is being
    deleted.
    """
    sent = job_fields.check_new(given)
    project_id = sent.project_id or ""
    job_id = service.new_id()
    at = service.now()
    context = service.context(caller, at=at)
    values = headers.keep_masked("headers", sent.headers or {}, {})
    header_set, sealed = _seal(service, job_id, values)
    decided = job.create(
        job.INITIAL,
        job_id=job_id,
        project_id=project_id,
        sent=sent,
        headers=header_set,
        at=at,
    )

    async def attempt() -> None:
        await require_project(service, caller, project_id)
        owner = await service.log.load(project.stream(project_id), PROJECT)
        project.require_existing(owner.state)
        created = service.log.write(
            job.stream(job_id),
            decided,
            expected_version=NO_STREAM,
            subject=job_id,
            context=context,
        )
        guard = StreamWrite(stream=project.stream(project_id), expected_version=owner.version)
        await service.log.append(Append(writes=(created, guard), secrets=sealed))

    await retrying(attempt)
    return job_id


async def update(
    service: Service, caller: Caller, job_id: str, given: Mapping[str, object]
) -> None:
    """Change the fields that were sent."""
    sent = job_fields.check_changes(given)
    await require_in_account(service, caller, job_id)
    at = service.now()
    context = service.context(caller, at=at)

    async def attempt() -> None:
        loaded = await service.log.load(job.stream(job_id), JOB)
        header_set, sealed = await _headers_after(
            service, job_id, loaded.state.settings.headers, sent.headers
        )
        decided = job.update(loaded.state, sent=sent, headers=header_set, at=at)
        if not decided:
            return
        updated = service.log.write(
            job.stream(job_id),
            decided,
            expected_version=loaded.version,
            subject=job_id,
            context=context,
        )
        await service.log.append(Append(writes=(updated,), secrets=sealed))

    await retrying(attempt)


async def delete(service: Service, caller: Caller, job_id: str) -> None:
    """Delete the job for good. Its history is erased in the background."""
    await require_in_account(service, caller, job_id)
    await transact(
        service.log,
        job.stream(job_id),
        JOB,
        job.delete,
        subject=job_id,
        context=service.context(caller, at=service.now()),
        seals=(job_id,),
    )


async def run_now(service: Service, caller: Caller, job_id: str) -> str:
    """Ask for a check outside the schedule, also of a paused job; returns the execution's id."""
    found = await service.log.database.read(
        lambda c: jobs.find(c, account=caller.account, job_id=job_id)
    )
    if found is None:
        raise NotFound("job")
    if found.settings.mode == "passive":
        raise NotAllowed("mode: a passive job is never called; only an active one can be run")
    execution_id = service.new_id()
    at = service.now()
    requested = execution.RunRequested(execution_id=execution_id, job_id=job_id, requested_at=at)
    queued = service.log.write(
        execution.stream(execution_id),
        (requested,),
        expected_version=NO_STREAM,
        subject=job_id,
        context=service.context(caller, at=at),
    )
    await service.log.append(Append(writes=(queued,)))
    return execution_id


async def require_in_account(service: Service, caller: Caller, job_id: str) -> None:
    """Raise ``NotFound`` unless the job is one of the caller's account."""
    account = await service.log.database.read(lambda c: jobs.account_of(c, job_id))
    if account != caller.account:
        raise NotFound("job")


async def _headers_after(
    service: Service, job_id: str, present: HeaderSet, sent: Mapping[str, str] | None
) -> tuple[HeaderSet, tuple[SealedSecret, ...]]:
    """Where the header values are kept after an update, and what is to be stored for it."""
    if sent is None:
        return present, ()
    found = await service.log.database.read(
        lambda c: header_values.find(c, service.secrets, [present])
    )
    before = header_values.of(present, found) or {}
    after = headers.keep_masked("headers", sent, before)
    if list(after.items()) == list(before.items()) and len(after) == len(present.marks):
        return present, ()
    return _seal(service, job_id, after)


def _seal(
    service: Service, job_id: str, values: Mapping[str, str]
) -> tuple[HeaderSet, tuple[SealedSecret, ...]]:
    return header_values.seal(
        service.secrets, secret_id=service.new_id(), job_id=job_id, values=values
    )
