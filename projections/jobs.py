"""The jobs of an account or project, as they are set up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    select,
)

from domain.headers import HeaderMark, HeaderSet
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from eventstore.tables import UtcMicroseconds
from projections.due_ticks import due_ticks
from projections.job_status import job_status
from projections.listed import among
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

jobs = Table(
    "jobs",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("project_id", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("method", String, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("timezone", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("heartbeat", Boolean, nullable=False),
    Column("heartbeat_tolerance", Integer, nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("expected_status_code", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("headers_secret_id", String),
    Column("body", Text),
    Column("paused", Boolean, nullable=False),
    Column("created_at", UtcMicroseconds, nullable=False),
    Index("jobs_of_account", "account", "position"),
    Index("jobs_of_project", "project_id", "position"),
)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, jobs)
    rows.load(event.subject for event in events)
    for event in events:
        match event.content:
            case JobCreated() as created:
                rows.put(
                    {
                        "id": created.job_id,
                        "account": event.envelope.account,
                        "project_id": created.project_id,
                        "position": event.envelope.position,
                        "paused": created.paused,
                        "created_at": created.created_at,
                        **_columns(created.settings),
                    }
                )
            case JobUpdated() as updated:
                rows.change(event.subject, **_columns(updated.settings))
            case JobPaused():
                rows.change(event.subject, paused=True)
            case JobResumed():
                rows.change(event.subject, paused=False)
            case JobDeleted() | None:
                rows.remove(event.subject)
    rows.write()


PROJECTION = Projection(
    name="jobs",
    tables=(jobs,),
    handles=(JobCreated, JobUpdated, JobPaused, JobResumed, JobDeleted),
    apply=apply,
)

_MARKS: Final = msgspec.json.Decoder(tuple[HeaderMark, ...])


def _columns(settings: JobSettings) -> dict[str, Any]:
    columns = {name: getattr(settings, name) for name in JobSettings.__slots__}
    columns["headers"] = msgspec.json.encode(settings.headers.marks).decode()
    columns["headers_secret_id"] = settings.headers.secret_id
    return columns


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job, how it fares and when it is due.

    ``next_tick`` is None for a paused job, and for a passive one, which has no ticks recorded: its
    next one follows from its schedule and the time of asking. ``position`` is its place in lists.
    """

    id: str
    account: str
    project_id: str
    settings: JobSettings
    paused: bool
    created_at: datetime
    last_status: str | None
    last_activity_at: datetime | None
    next_tick: datetime | None
    position: int


_VIEW = (
    select(
        jobs,
        job_status.c.last_status,
        job_status.c.last_activity_at,
        due_ticks.c.tick.label("next_tick"),
    )
    .join(job_status, job_status.c.job_id == jobs.c.id)
    .join(due_ticks, due_ticks.c.job_id == jobs.c.id)
)
_OF_ACCOUNT = jobs.c.account == bindparam("account")
_JOB = _VIEW.where(jobs.c.id == bindparam("job_id"))
_BY_IDS = _VIEW.where(among(jobs.c.id, "job_ids"))
_PAGE = (
    _VIEW.where(_OF_ACCOUNT, jobs.c.position > bindparam("after"))
    .order_by(jobs.c.position)
    .limit(bindparam("row_limit"))
)
_PAGE_OF_PROJECT = _PAGE.where(jobs.c.project_id == bindparam("project_id"))
_ACCOUNT_OF_JOB = select(jobs.c.account).where(jobs.c.id == bindparam("job_id"))
_OF_PROJECT = (
    select(jobs.c.id, due_ticks.c.job_version)
    .join(due_ticks, due_ticks.c.job_id == jobs.c.id)
    .where(jobs.c.project_id == bindparam("project_id"))
    .order_by(jobs.c.position)
)


def find(connection: Connection, *, account: str, job_id: str) -> JobView | None:
    """The job, or None if the account has none of that id."""
    found = connection.execute(_JOB, {"job_id": job_id}).first()
    if found is None or found.account != account:
        return None  # asked in SQL, the account might be what a database looks for first
    return _view(found)


def page(
    connection: Connection,
    *,
    account: str,
    project_id: str | None = None,
    after: int = 0,
    limit: int,
) -> list[JobView]:
    """Up to ``limit`` jobs of the account (or one of its projects), oldest first."""
    parameters: dict[str, object] = {"account": account, "after": after, "row_limit": limit}
    if project_id is None:
        return [_view(row) for row in connection.execute(_PAGE, parameters)]
    parameters["project_id"] = project_id
    return [_view(row) for row in connection.execute(_PAGE_OF_PROJECT, parameters)]


def by_ids(connection: Connection, job_ids: Sequence[str]) -> dict[str, JobView]:
    """The jobs of these ids, of whatever account: for the service's own use."""
    found = connection.execute(_BY_IDS, {"job_ids": job_ids})
    return {row.id: _view(row) for row in found}


def account_of(connection: Connection, job_id: str) -> str | None:
    """The account that a job belongs to; None if there is no such job."""
    return connection.execute(_ACCOUNT_OF_JOB, {"job_id": job_id}).scalar()


def of_project(connection: Connection, project_id: str) -> list[tuple[str, int]]:
    """The project's jobs by id, each with the version of its stream."""
    found = connection.execute(_OF_PROJECT, {"project_id": project_id})
    return [(row.id, row.job_version) for row in found]


def _view(row: Row[Any]) -> JobView:
    columns = {name: getattr(row, name) for name in JobSettings.__slots__ if name != "headers"}
    headers = HeaderSet(marks=_MARKS.decode(row.headers), secret_id=row.headers_secret_id)
    return JobView(
        id=row.id,
        account=row.account,
        project_id=row.project_id,
        settings=JobSettings(headers=headers, **columns),
        paused=row.paused,
        created_at=row.created_at,
        last_status=row.last_status,
        last_activity_at=row.last_activity_at,
        next_tick=row.next_tick,
        position=row.position,
    )
