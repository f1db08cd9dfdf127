"""Projects and jobs as tests set them up."""

from __future__ import annotations

from api.commands import jobs, pings, projects
from api.commands.pings import Ping
from domain.pings import PingKind
from tests.shapes import CALLER, Shape


async def a_project(shape: Shape) -> str:
    return await projects.create(
        shape.service, CALLER, {"name": "Website", "url": "https://example.com"}
    )


async def a_job(shape: Shape, *, project_id: str | None = None, **fields: object) -> str:
    given = {
        "name": "Health check",
        "projectId": project_id or await a_project(shape),
        "url": "https://example.com/health",
        "method": "GET",
        "schedule": "* * * * *",
    }
    return await jobs.create(shape.service, CALLER, given | fields)


async def ping(shape: Shape, job_id: str, kind: PingKind = "beat", **said: str) -> None:
    recorder = pings.PingRecorder(shape.service)
    await recorder.record(job_id, Ping(kind=kind, **said), correlation_id="request-3")
