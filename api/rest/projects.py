"""Operations on projects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api import queries
from api.commands import projects as commands
from api.rest import rendering, schemas
from api.rest.call import Call
from api.rest.documented import LIST_PARAMETERS, PROJECT_ID, documented
from api.rest.listing import PAGING, Order, answer_list
from api.rest.operation import OperationRoute
from projections.projects import ProjectView

router: Final = APIRouter(prefix="/api/v1", tags=["Projects"], route_class=OperationRoute)

_ORDER: Final[Order[ProjectView, int]] = Order(
    kind="projects",
    shape="([0-9]{1,18})",
    place=lambda view: view.position,
    spell=lambda place: (place,),
    read=lambda parts: int(parts[0]),
)


@router.get(
    "/projects",
    **documented(
        "listProjects",
        "List projects",
        permission="read:projects",
        answer=list[schemas.Project],
        answer_description="The projects of the account, oldest first.",
        paged=True,
        parameters=LIST_PARAMETERS,
    ),
)
async def list_projects(call: Call) -> Response:
    """Every project of the account, each with its jobs; or one page of them."""

    async def read(after: int | None, limit: int) -> Sequence[ProjectView]:
        return await queries.project_page(call.service, call.account, after=after or 0, limit=limit)

    return await answer_list(call, call.query(*PAGING), _ORDER, read, rendering.project)


@router.post(
    "/projects",
    **documented(
        "createProject",
        "Create a project",
        permission="write:projects",
        status=201,
        answer=schemas.Project,
        answer_description="The project that was created.",
        body=schemas.NewProject,
    ),
)
async def create_project(call: Call) -> Response:
    """A new project without jobs."""
    call.query()
    project_id = await commands.create(call.service, call.caller, await call.fields())
    headers = {"location": call.location(f"/api/v1/projects/{project_id}")}
    return await _shown(call, project_id, status=201, headers=headers)


@router.get(
    "/projects/{project_id}",
    **documented(
        "getProject",
        "Get a project",
        permission="read:projects",
        answer=schemas.Project,
        answer_description="The project.",
        parameters=(PROJECT_ID,),
    ),
)
async def get_project(call: Call) -> Response:
    """One project with its jobs."""
    call.query()
    return await _shown(call, call.id_of("project"))


@router.put(
    "/projects/{project_id}",
    **documented(
        "updateProject",
        "Update a project",
        permission="write:projects",
        answer=schemas.Project,
        answer_description="The project as it is now.",
        parameters=(PROJECT_ID,),
        body=schemas.ProjectChanges,
    ),
)
async def update_project(call: Call) -> Response:
    """Changes the fields that are sent; all others stay as they are."""
    call.query()
    project_id = call.id_of("project")
    await commands.update(call.service, call.caller, project_id, await call.fields())
    return await _shown(call, project_id)


@router.delete(
    "/projects/{project_id}",
    **documented(
        "deleteProject",
        "Delete a project",
        permission="write:projects",
        status=204,
        answer_description="It is gone.",
        parameters=(PROJECT_ID,),
    ),
)
async def delete_project(call: Call) -> Response:
    """Deletes the project for good, with all its jobs, their executions and their secrets.

    The permission to write projects is enough for that, also where the key may not write jobs.
    """
    call.query()
    await commands.delete(call.service, call.caller, call.id_of("project"))
    return Response(status_code=204)


async def _shown(
    call: Call, project_id: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    view = await queries.project(call.service, call.account, project_id)
    return rendering.answer(rendering.project(view), status, headers)
