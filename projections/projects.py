"""The projects of an account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Row,
    String,
    Table,
    Text,
    bindparam,
    select,
)

from domain.project import ProjectCreated, ProjectDeleted, ProjectUpdated
from projections.job_status import job_status
from projections.jobs import jobs
from projections.listed import among
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

projects = Table(
    "projects",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Index("projects_of_account", "account", "position"),
)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, projects)
    rows.load(event.subject for event in events)
    for event in events:
        match event.content:
            case ProjectCreated() as created:
                rows.put(
                    {
                        "id": created.project_id,
                        "account": event.envelope.account,
                        "position": event.envelope.position,
                        "name": created.name,
                        "url": created.url,
                    }
                )
            case ProjectUpdated() as updated:
                rows.change(event.subject, name=updated.name, url=updated.url)
            case ProjectDeleted() | None:
                rows.remove(event.subject)
    rows.write()


PROJECTION = Projection(
    name="projects",
    tables=(projects,),
    handles=(ProjectCreated, ProjectUpdated, ProjectDeleted),
    apply=apply,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """A job as its project lists it."""

    id: str
    name: str
    last_status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectView:
    """A project with its jobs, oldest first. ``position`` is its place in lists."""

    id: str
    name: str
    url: str
    jobs: tuple[JobSummary, ...]
    position: int


_ACCOUNT_OF_PROJECT = select(projects.c.account).where(projects.c.id == bindparam("project_id"))
_PROJECT = select(projects).where(projects.c.id == bindparam("project_id"))


def find(connection: Connection, *, account: str, project_id: str) -> ProjectView | None:
    """The project, or None if the account has none of that id."""
    found = connection.execute(_PROJECT, {"project_id": project_id}).first()
    if found is None or found.account != account:
        return None  # asked in SQL, the account might be what a database looks for first
    return _with_jobs(connection, [found])[0]


def account_of(connection: Connection, project_id: str) -> str | None:
    """The account that a project belongs to; None if there is no such project."""
    return connection.execute(_ACCOUNT_OF_PROJECT, {"project_id": project_id}).scalar()


_PAGE = (
    select(projects)
    .where(projects.c.account == bindparam("account"), projects.c.position > bindparam("after"))
    .order_by(projects.c.position)
    .limit(bindparam("row_limit"))
)
_OF_PROJECTS = (
    select(jobs.c.id, jobs.c.name, jobs.c.project_id, job_status.c.last_status)
    .join(job_status, job_status.c.job_id == jobs.c.id)
    .where(among(jobs.c.project_id, "project_ids"))
    .order_by(jobs.c.position)
)


def page(connection: Connection, *, account: str, after: int = 0, limit: int) -> list[ProjectView]:
    """Up to ``limit`` projects of the account, oldest first, after the place ``after``."""
    parameters = {"account": account, "after": after, "row_limit": limit}
    return _with_jobs(connection, connection.execute(_PAGE, parameters).all())


def _with_jobs(
    connection: Connection, found: Sequence[Row[tuple[object, ...]]]
) -> list[ProjectView]:
    summaries = _summaries(connection, [row.id for row in found])
    return [
        ProjectView(
            id=row.id,
            name=row.name,
            url=row.url,
            jobs=tuple(summaries[row.id]),
            position=row.position,
        )
        for row in found
    ]


def _summaries(connection: Connection, project_ids: Sequence[str]) -> dict[str, list[JobSummary]]:
    by_project: defaultdict[str, list[JobSummary]] = defaultdict(list)
    for row in connection.execute(_OF_PROJECTS, {"project_ids": project_ids}):
        by_project[row.project_id].append(
            JobSummary(id=row.id, name=row.name, last_status=row.last_status)
        )
    return by_project
