"""What callers are shown, as JSON in the documented order of fields.

Times are RFC 3339 in UTC with ``Z``; the fraction is left out where it is zero, and has six digits
where it isn't.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from starlette.responses import Response

from api.queries import ShownJob
from projections.executions import ExecutionView
from projections.projects import ProjectView

NOT_STORED: Final = {"cache-control": "no-store"}
"""What is shown to one caller is nothing for a shared cache, and changes at any time."""

_ENCODER: Final = msgspec.json.Encoder()


class JobSummary(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """A job as its project lists it."""

    id: str
    name: str
    last_status: str | None


class Project(msgspec.Struct, rename="camel", frozen=True):
    """A project."""

    id: str
    name: str
    url: str
    jobs: tuple[JobSummary, ...]


class Job(msgspec.Struct, rename="camel", frozen=True):
    """A job: the documented fields first, then the additions."""

    id: str
    name: str
    project_id: str
    url: str
    method: str
    schedule: str
    heartbeat: bool
    heartbeat_tolerance: int
    timeout: int
    expected_status_code: int
    headers: dict[str, str]
    body: str | None
    last_status: str | None
    last_activity_at: datetime | None
    next_run_at: datetime | None
    timezone: str
    mode: str
    paused: bool


class Execution(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """An execution."""

    id: str
    job_id: str
    trigger: str
    status: str
    reason: str | None
    scheduled_for: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    status_code: int | None
    message: str | None
    output: str | None
    client: str | None
    skipped_ticks: int


Shown = Project | Job | Execution


def project(view: ProjectView) -> Project:
    """A project as it is shown."""
    summaries = (
        JobSummary(id=job.id, name=job.name, last_status=job.last_status) for job in view.jobs
    )
    return Project(id=view.id, name=view.name, url=view.url, jobs=tuple(summaries))


def job(shown: ShownJob) -> Job:
    """A job as it is shown."""
    view, settings = shown.job, shown.job.settings
    return Job(
        id=view.id,
        name=settings.name,
        project_id=view.project_id,
        url=settings.url,
        method=settings.method,
        schedule=settings.schedule,
        heartbeat=settings.heartbeat,
        heartbeat_tolerance=settings.heartbeat_tolerance,
        timeout=settings.timeout,
        expected_status_code=settings.expected_status_code,
        headers=shown.headers,
        body=settings.body,
        last_status=view.last_status,
        last_activity_at=view.last_activity_at,
        next_run_at=shown.next_run_at,
        timezone=settings.timezone,
        mode=settings.mode,
        paused=view.paused,
    )


def execution(view: ExecutionView) -> Execution:
    """An execution as it is shown."""
    return Execution(
        id=view.id,
        job_id=view.job_id,
        trigger=view.trigger,
        status=view.status,
        reason=view.reason,
        scheduled_for=view.scheduled_for,
        started_at=view.started_at,
        finished_at=view.finished_at,
        duration_ms=view.duration_ms,
        status_code=view.status_code,
        message=view.message,
        output=view.output,
        client=view.client,
        skipped_ticks=view.skipped_ticks,
    )


def json_bytes(shown: Shown | Sequence[Shown]) -> bytes:
    """As JSON in UTF-8."""
    return _ENCODER.encode(shown)


def answer(
    shown: Shown | Sequence[Shown], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A success that shows something."""
    all_headers = NOT_STORED if headers is None else NOT_STORED | headers
    return Response(json_bytes(shown), status, all_headers, media_type="application/json")
