"""What is published about an operation, in the words of OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from api.rest import components
from api.rest.components import Spec

JOB_ID: Final = "JobId"
PROJECT_ID: Final = "ProjectId"
PROJECT_FILTER: Final = "ProjectFilter"
LIST_PARAMETERS: Final = ("Limit", "After")
EXECUTION_FILTERS: Final = ("Status", "Since", "Until")
"""Names of shared parameters."""


def documented(
    operation_id: str,
    summary: str,
    *,
    permission: str,
    status: int = 200,
    answer: Any = None,  # noqa: ANN401  (a model, or a list of one)
    answer_description: str,
    body: type[BaseModel] | None = None,
    parameters: tuple[str, ...] = (),
    paged: bool = False,
    errors: Iterable[int] = (),
) -> dict[str, Any]:
    """The options of a FastAPI route that say all this about it.

    ``parameters`` are names of shared ones. ``errors`` are those that don't follow from the rest.
    """
    spec: Spec = {}
    statuses = {400, 401, 403, 500, 503, *errors}
    headers = ["RequestId"]
    if parameters:
        spec["parameters"] = [components.reference("parameters", name) for name in parameters]
    if not {PROJECT_ID, JOB_ID}.isdisjoint(parameters):
        statuses.add(404)
    if body is not None:
        spec["requestBody"] = {
            "required": True,
            "content": components.json_content(body.__name__),
        }
        statuses |= {413, 415}
    if status == HTTPStatus.CREATED:
        headers.append("Location")
    if paged:
        headers.append("Link")
    spec["responses"] = {
        str(status): {"headers": components.headers(*headers)},
        **components.errors(statuses),
    }
    spec["security"] = [{components.SECURITY_SCHEME: [permission]}]
    return {
        "operation_id": operation_id,
        "summary": summary,
        "status_code": status,
        "response_model": answer,
        "response_description": answer_description,
        "openapi_extra": spec,
    }


def permission_of(spec: Spec) -> str:
    """The permission that an operation asks for, as it is documented."""
    (requirement,) = spec["security"]
    (permission,) = requirement[components.SECURITY_SCHEME]
    return str(permission)
