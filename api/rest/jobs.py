"""Operations on jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api import queries
from api.commands import jobs as commands
from api.commands.projects import require_in_account as require_project
from api.queries import ShownJob
from api.rest import rendering, schemas
from api.rest.call import Call, checked_id
from api.rest.documented import JOB_ID, LIST_PARAMETERS, PROJECT_FILTER, documented
from api.rest.listing import PAGING, Order, answer_list
from api.rest.operation import OperationRoute

router: Final = APIRouter(prefix="/api/v1", tags=["Jobs"], route_class=OperationRoute)

_ORDER: Final[Order[ShownJob, int]] = Order(
    kind="jobs",
    shape="([0-9]{1,18})",
    place=lambda shown: shown.job.position,
    spell=lambda place: (place,),
    read=lambda parts: int(parts[0]),
)


@router.get(
    "/jobs",
    **documented(
        "listJobs",
        "List jobs",
        permission="read:jobs",
        answer=list[schemas.Job],
        answer_description="The jobs, oldest first.",
        paged=True,
        parameters=(PROJECT_FILTER, *LIST_PARAMETERS),
        errors=(404,),
    ),
)
async def list_jobs(call: Call) -> Response:
    """The jobs of a project, or all jobs of the account."""
    query = call.query("projectId", *PAGING)
    project_id = query.get("projectId")
    if project_id is not None:
        project_id = checked_id("project", project_id)
        await require_project(call.service, call.caller, project_id)

    async def read(after: int | None, limit: int) -> Sequence[ShownJob]:
        return await queries.job_page(
            call.service, call.account, project_id=project_id, after=after or 0, limit=limit
        )

    return await answer_list(call, query, _ORDER, read, rendering.job)


@router.post(
    "/jobs",
    **documented(
        "createJob",
        "Create a job",
        permission="write:jobs",
        status=201,
        answer=schemas.Job,
        answer_description="The job that was created.",
        body=schemas.NewJob,
        errors=(404,),
    ),
)
async def create_job(call: Call) -> Response:
    """A new job in a project of the account; 404 if there is no such project."""
    call.query()
    job_id = await commands.create(call.service, call.caller, await call.fields())
    headers = {"location": call.location(f"/api/v1/jobs/{job_id}")}
    return await _shown(call, job_id, status=201, headers=headers)


@router.get(
    "/jobs/{job_id}",
    **documented(
        "getJob",
        "Get a job",
        permission="read:jobs",
        answer=schemas.Job,
        answer_description="The job.",
        parameters=(JOB_ID,),
    ),
)
async def get_job(call: Call) -> Response:
    """One job: how it is set up, how it fared last, and when it runs next."""
    call.query()
    return await _shown(call, call.id_of("job"))


@router.put(
    "/jobs/{job_id}",
    **documented(
        "updateJob",
        "Update a job",
        permission="write:jobs",
        answer=schemas.Job,
        answer_description="The job as it is now.",
        parameters=(JOB_ID,),
        body=schemas.JobChanges,
    ),
)
async def update_job(call: Call) -> Response:
    """Changes the fields that are sent; all others stay as they are.

    `"body": null` clears the body. `headers` are replaced as a whole, except that a secret header
    sent as `********` keeps its value.
    """
    call.query()
    job_id = call.id_of("job")
    await commands.update(call.service, call.caller, job_id, await call.fields())
    return await _shown(call, job_id)


@router.delete(
    "/jobs/{job_id}",
    **documented(
        "deleteJob",
        "Delete a job",
        permission="write:jobs",
        status=204,
        answer_description="It is gone.",
        parameters=(JOB_ID,),
    ),
)
async def delete_job(call: Call) -> Response:
    """Deletes the job for good, with all its executions and secrets."""
    call.query()
    await commands.delete(call.service, call.caller, call.id_of("job"))
    return Response(status_code=204)


async def _shown(
    call: Call, job_id: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    shown = await queries.job(call.service, call.account, job_id)
    return rendering.answer(rendering.job(shown), status, headers)
