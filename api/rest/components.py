"""The pieces that the operations of the published document share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args

from api.errors import CHALLENGE, RETRY_AFTER
from api.rest.field_schemas import ID_PATTERN, Status
from api.rest.query import LIMIT_RANGE
from domain import pings

Spec = dict[str, Any]
"""A piece of an OpenAPI 3.1 document."""

SECURITY_SCHEME: Final = "ApiKey"

_RESPONSES: Final = {
    400: (
        "BadRequest",
        "A parameter or field is missing, unknown or invalid; the message names it.",
    ),
    401: ("Unauthorized", "There is no API key, or it is malformed, unknown or revoked."),
    403: ("Forbidden", "The API key lacks the permission."),
    404: ("NotFound", "It does not exist, or belongs to another account."),
    413: ("ContentTooLarge", "The body is larger than what is read of one."),
    415: ("UnsupportedMediaType", "The body is something else than JSON in UTF-8."),
    500: ("InternalServerError", "A fault of the service; the log has it under the request's id."),
    503: ("ServiceUnavailable", "The service can't do it right now; trying again may help."),
}
_HEADERS_OF: Final = {401: ("WwwAuthenticate",), 503: ("RetryAfter",)}


def reference(kind: str, name: str) -> Spec:
    """A reference to a shared piece."""
    return {"$ref": f"#/components/{kind}/{name}"}


def json_content(model: str) -> Spec:
    """A JSON body that a model describes."""
    return {"application/json": {"schema": reference("schemas", model)}}


def headers(*names: str) -> Spec:
    """The headers of a response, by the names of shared ones."""
    return {_HEADERS[name][0]: reference("headers", name) for name in names}


def errors(statuses: Iterable[int]) -> Spec:
    """The responses of an operation that are no success, by status."""
    return {
        str(status): reference("responses", _RESPONSES[status][0]) for status in sorted(statuses)
    }


def shared() -> Spec:
    """Everything that is referred to, except the schemas."""
    return {
        "headers": {
            name: {"description": description, "schema": schema}
            for name, (_, description, schema) in _HEADERS.items()
        },
        "parameters": _PARAMETERS,
        "responses": {
            name: {
                "description": description,
                "headers": headers("RequestId", *_HEADERS_OF.get(status, ())),
                "content": json_content("Error"),
            }
            for status, (name, description) in _RESPONSES.items()
        },
        "securitySchemes": {
            SECURITY_SCHEME: {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": (
                    "A key of the account, with the permission that the operation names, or `*` "
                    "for full access. Write does not include read."
                ),
            }
        },
    }


_HEADERS: Final[dict[str, tuple[str, str, Spec]]] = {
    "Link": (
        "Link",
        'Where the next page is, if there is one: `<…>; rel="next"` (RFC 8288). Only with `limit`.',
        {"type": "string"},
    ),
    "Location": ("Location", "Where it is found from now on.", {"type": "string"}),
    "RequestId": (
        "X-Request-Id",
        "The id of the request: what was sent as `X-Request-Id`, or a new one.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    ),
    "RetryAfter": (
        "Retry-After",
        "Seconds after which trying again makes sense.",
        {"type": "string", "const": RETRY_AFTER},
    ),
    "WwwAuthenticate": (
        "WWW-Authenticate",
        "What is asked for.",
        {"type": "string", "const": CHALLENGE},
    ),
}


def _path_id(name: str, of: str) -> Spec:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"The id of the {of}.",
        "schema": {"type": "string", "pattern": ID_PATTERN},
    }


def _query(name: str, description: str, schema: Spec) -> Spec:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _ping_text(name: str, description: str, longest: int) -> Spec:
    kept = f"{description} Up to {longest:,} characters are kept."
    return _query(name, kept, {"type": "string"})


_TIME: Final = {"type": "string", "format": "date-time"}

_PARAMETERS: Final[Spec] = {
    "JobId": _path_id("job_id", "job"),
    "ProjectId": _path_id("project_id", "project"),
    "ProjectFilter": _query(
        "projectId",
        "Only the jobs of this project. 404 if there is no such project.",
        {"type": "string", "pattern": ID_PATTERN},
    ),
    "Limit": _query(
        "limit",
        "At most so many items, with a link to the next page in the `Link` header. "
        "Without it the list is complete.",
        {"type": "integer", "minimum": LIMIT_RANGE[0], "maximum": LIMIT_RANGE[1]},
    ),
    "After": _query(
        "after",
        "Only what comes after a place in the list: a cursor from the `Link` header of a page.",
        {"type": "string", "minLength": 1, "maxLength": 200},
    ),
    "Status": _query(
        "status",
        "Only executions of this status.",
        {"type": "string", "enum": list(get_args(Status))},
    ),
    "Since": _query("since", "Only executions from this moment on (RFC 3339).", _TIME),
    "Until": _query("until", "Only executions before this moment (RFC 3339).", _TIME),
    "Client": _ping_text("client", "What sends the ping.", pings.CLIENT_MAX_LENGTH),
    "RunId": _ping_text(
        "rid", "Pairs a start with its finish when runs overlap.", pings.RUN_ID_MAX_LENGTH
    ),
    "ErrorMessage": _ping_text(
        "errorMessage",
        "What went wrong; `True` and `true` stand for no message.",
        pings.MESSAGE_MAX_LENGTH,
    ),
    "Failed": _ping_text(
        "failed",
        "The run failed, with this as its message; `true`, `True` and `1` stand for no message. "
        "Empty, `false` or `0`, or left out: it succeeded.",
        pings.MESSAGE_MAX_LENGTH,
    ),
}
