"""Everything that can be read, whichever edge asks: the read models with header values put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from api.service import Service
from domain import headers
from domain.errors import NotFound
from domain.schedule import parse_schedule
from projections import executions, header_values, jobs, projects
from projections.executions import ExecutionView, Place
from projections.jobs import JobView
from projections.projects import ProjectView


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A job as it is shown: secret header values masked, its next run as of the time of asking."""

    job: JobView
    headers: dict[str, str]
    next_run_at: datetime | None


async def project(service: Service, account: str, project_id: str) -> ProjectView:
    """A project of the account. Raises ``NotFound``."""
    found = await service.log.database.read(
        partial(projects.find, account=account, project_id=project_id)
    )
    if found is None:
        raise NotFound("project")
    return found


async def project_page(
    service: Service, account: str, *, after: int = 0, limit: int
) -> list[ProjectView]:
    """Projects of the account, oldest first, after a place in the list."""
    return await service.log.database.read(
        partial(projects.page, account=account, after=after, limit=limit)
    )


async def job(service: Service, account: str, job_id: str) -> ShownJob:
    """A job of the account. Raises ``NotFound``."""
    found = await service.log.database.read(partial(jobs.find, account=account, job_id=job_id))
    if found is None:
        raise NotFound("job")
    (shown,) = await _shown(service, [found])
    return shown


async def job_page(
    service: Service, account: str, *, project_id: str | None = None, after: int = 0, limit: int
) -> list[ShownJob]:
    """Jobs of the account or of one of its projects, oldest first, after a place in the list."""
    found = await service.log.database.read(
        partial(jobs.page, account=account, project_id=project_id, after=after, limit=limit)
    )
    return await _shown(service, found)


async def execution_page(
    service: Service,
    account: str,
    job_id: str,
    *,
    limit: int,
    before: Place | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ExecutionView]:
    """Executions of a job of the account, newest first. Raises ``NotFound`` for the job."""
    owner = await service.log.database.read(lambda c: jobs.account_of(c, job_id))
    if owner != account:
        raise NotFound("job")
    return await service.log.database.read(
        partial(
            executions.page,
            job_id=job_id,
            limit=limit,
            before=before,
            status=status,
            since=since,
            until=until,
        )
    )


async def execution(service: Service, execution_id: str) -> ExecutionView:
    """An execution that the caller is known to own. Raises ``NotFound``."""
    found = await service.log.database.read(lambda c: executions.find(c, execution_id))
    if found is None:
        raise NotFound("execution")
    return found


async def _shown(service: Service, found: Sequence[JobView]) -> list[ShownJob]:
    header_sets = [each.settings.headers for each in found if each.settings.headers.marks]
    values = (
        await service.log.database.read(
            lambda c: header_values.find(c, service.secrets, header_sets)
        )
        if header_sets
        else {}
    )
    now = service.now()
    return [
        ShownJob(
            job=each,
            headers=_shown_headers(each, values),
            next_run_at=next_run_at(each, now),
        )
        for each in found
    ]


def _shown_headers(view: JobView, found: Mapping[str, dict[str, str]]) -> dict[str, str]:
    values = header_values.of(view.settings.headers, found)
    if values is None:
        return {mark.name: headers.MASK for mark in view.settings.headers.marks}
    return headers.masked(values)


def next_run_at(view: JobView, now: datetime) -> datetime | None:
    """The next tick. A passive job's ticks are not recorded: its next one follows from now."""
    if view.paused or view.settings.mode == "active":
        return view.next_tick
    return parse_schedule(view.settings.schedule, view.settings.timezone).next_after(now)
