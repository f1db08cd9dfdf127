"""From a refusal to an HTTP answer: the one table, and the one shape ``{"error": "message"}``.

What is not in the table is a fault of ours: :mod:`api.middleware` logs it and answers 500.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import DomainError, InvalidField, NotAllowed, NotFound
from eventstore.store import StoreUnavailable, SubjectSealed, VersionConflict

Headers = dict[str, str]

MESSAGE_MAX_LENGTH: Final = 1_000
"""Characters of a message that are shown: it may repeat a name that the caller made up."""


class RequestRefused(Exception):
    """The request can't be served as it was sent; ``message`` is fit to be shown to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedRequest(RequestRefused):
    """What was sent can't be read."""


class Unauthenticated(RequestRefused):
    """There is no API key, or it opens nothing."""


class PermissionMissing(RequestRefused):
    """The API key is good, and not for this."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"this API key lacks the permission {permission}")


class BodyTooLarge(RequestRefused):
    """The body is longer than what is read of one."""


class UnsupportedMediaType(RequestRefused):
    """The body is in a format that is not understood."""


STATUS: Final[Mapping[type[Exception], int]] = {
    InvalidField: 400,
    NotAllowed: 400,
    MalformedRequest: 400,
    Unauthenticated: 401,
    PermissionMissing: 403,
    NotFound: 404,
    SubjectSealed: 404,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    StoreUnavailable: 503,
    VersionConflict: 503,
}
"""Every refusal there is, and its status."""

REFUSALS: Final = tuple(STATUS)

CHALLENGE: Final = 'ApiKey realm="CronPulse", header="X-API-Key"'
"""What a 401 asks for (RFC 9110, section 11.6.1)."""

RETRY_AFTER: Final = "1"
"""Seconds after which trying again makes sense, for a 503."""

_HEADERS: Final[Mapping[int, Headers]] = {
    401: {"www-authenticate": CHALLENGE},
    503: {"retry-after": RETRY_AFTER},
}
_OWN_WORDS: Final[Mapping[type[Exception], str]] = {
    SubjectSealed: "not found: it was deleted",
    StoreUnavailable: "the service can't do this right now; try again",
    VersionConflict: "too much is changing at once; try again",
}


def refusal(error: Exception) -> Response:
    """The answer for one of :data:`REFUSALS`."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return error_response(status, _message(error), _HEADERS.get(status))


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is not a success."""
    all_headers = {"cache-control": "no-store", **(headers or {})}
    return Response(error_body(message), status, all_headers, media_type="application/json")


def error_body(message: str) -> bytes:
    """``{"error": message}``, whatever characters a caller has got into the message."""
    if len(message) > MESSAGE_MAX_LENGTH:
        message = f"{message[:MESSAGE_MAX_LENGTH]}…"
    sendable = message.encode("utf-8", "replace").decode()  # unpaired surrogates have no UTF-8
    return msgspec.json.encode({"error": sendable})


def _message(error: Exception) -> str:
    if isinstance(error, DomainError | RequestRefused):
        return error.message
    return next(words for kind, words in _OWN_WORDS.items() if isinstance(error, kind))


async def _http_error(_request: Request, error: Exception) -> Response:
    """What the framework refuses, in the one shape of errors."""
    if not isinstance(error, HTTPException):
        raise error
    message = "not found" if error.status_code == 404 else str(error.detail)  # noqa: PLR2004
    return error_response(error.status_code, message, error.headers)


async def _fault(_request: Request, _error: Exception) -> Response:
    """The framework raises it again once this is sent, so that :mod:`api.middleware` can log it."""
    return error_response(500, "Internal server error")


EXCEPTION_HANDLERS: Final[dict[Any, Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    HTTPException: _http_error,
    Exception: _fault,
}
"""For the framework's applications."""
