"""Operations on executions: the history of a job, and asking for one more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api import queries
from api.commands import jobs as commands
from api.rest import rendering, schemas
from api.rest.call import Call
from api.rest.documented import EXECUTION_FILTERS, JOB_ID, LIST_PARAMETERS, documented
from api.rest.listing import PAGING, Order, answer_list
from api.rest.operation import OperationRoute
from api.rest.query import time_of
from domain.errors import InvalidField
from domain.fields import choice
from eventstore.tables import from_microseconds, to_microseconds
from projections.executions import ExecutionView, Place

router: Final = APIRouter(prefix="/api/v1", tags=["Executions"], route_class=OperationRoute)

STATUSES: Final = ("queued", "running", "success", "failed", "missed", "skipped")

_ORDER: Final[Order[ExecutionView, Place]] = Order(
    kind="executions",
    shape="([0-9]{1,17}) ([a-z0-9]{1,64})",
    place=lambda view: (view.happened_at, view.id),
    spell=lambda place: (to_microseconds(place[0]), place[1]),
    read=lambda parts: (from_microseconds(int(parts[0])), parts[1]),
)


@router.get(
    "/jobs/{job_id}/executions",
    **documented(
        "listExecutions",
        "List executions",
        permission="read:jobs",
        answer=list[schemas.Execution],
        answer_description="The executions, newest first.",
        paged=True,
        parameters=(JOB_ID, *EXECUTION_FILTERS, *LIST_PARAMETERS),
    ),
)
async def list_executions(call: Call) -> Response:
    """The history of a job: its checks, the runs that its pings tell of, and missed heartbeats.

    Its order and `since` and `until` go by the tick of a scheduled check, by when a manual one was
    asked for, by when a ping arrived, and by when a heartbeat window closed.
    """
    query = call.query("status", "since", "until", *PAGING)
    job_id = call.id_of("job")
    status = query.get("status")
    if status is not None:
        choice("status", status, among=STATUSES)
    since, until = time_of(query, "since"), time_of(query, "until")

    async def read(before: Place | None, limit: int) -> Sequence[ExecutionView]:
        return await queries.execution_page(
            call.service,
            call.account,
            job_id,
            limit=limit,
            before=before,
            status=status,
            since=since,
            until=until,
        )

    return await answer_list(call, query, _ORDER, read, rendering.execution)


@router.post(
    "/jobs/{job_id}/run",
    **documented(
        "runJob",
        "Run a job now",
        permission="write:jobs",
        status=202,
        answer=schemas.Execution,
        answer_description="The queued execution.",
        parameters=(JOB_ID,),
        errors=(413, 415),
    ),
)
async def run_job(call: Call) -> Response:
    """Calls the job's URL now, outside its schedule, also while it is paused.

    A passive job is never called: for one, this is refused with 400.
    """
    call.query()
    job_id = call.id_of("job")
    for name in await call.fields(may_be_missing=True):
        raise InvalidField(name, "unknown field; none are allowed here")
    execution_id = await commands.run_now(call.service, call.caller, job_id)
    view = await queries.execution(call.service, execution_id)
    return rendering.answer(rendering.execution(view), 202)
