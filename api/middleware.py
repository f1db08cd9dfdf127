"""Around every request: its id, its line in the log, its metrics, and an answer if all else fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from secrets import token_hex
from time import perf_counter
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.edge import REQUEST_ID, ROUTE
from api.errors import REFUSALS, error_response, refusal
from api.logs import log_access
from api.metrics import UNMATCHED, Metrics

NOBODY_ANSWERED: Final = 499
"""The status that is logged for a caller who hung up first (nginx's word for it)."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")
_log = logging.getLogger("cronpulse.requests")


def new_request_id() -> str:
    """128 random bits in hexadecimal."""
    return token_hex(16)


class Requests:
    """Serves HTTP by ``app``; everything else is passed through.

    A request's id is what the caller sent as ``X-Request-Id``, if that is sane, or a new one. The
    answer carries it, and events that follow from the request are recorded under it.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        new_id: Callable[[], str] = new_request_id,
        stopwatch: Callable[[], float] = perf_counter,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._new_id = new_id
        self._stopwatch = stopwatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, whatever becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._stopwatch()
        scope[REQUEST_ID] = _sent_id(scope) or self._new_id()
        answer = _Answer(scope, send)
        try:
            await self._serve(scope, receive, answer)
        finally:
            self._account(scope, answer.status, self._stopwatch() - began)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, the caller gets an answer)
            if answer.started or not isinstance(error, REFUSALS):
                answer.log_fault(error)
            if not answer.started:
                await _instead(error)(scope, receive, answer.send)

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        method, request_id = scope["method"], scope[REQUEST_ID]
        route = scope.get(ROUTE, UNMATCHED)
        self._metrics.observe_request(method=method, route=route, status=status, seconds=seconds)
        log_access(
            method=method,
            path=scope["path"],
            status=status,
            milliseconds=seconds * 1000,
            request_id=request_id,
        )


class _Answer:
    """What goes back to the caller, with the request's id on it; to HEAD, without its body."""

    __slots__ = ("_scope", "_send", "_without_body", "started", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._without_body = scope["method"] == "HEAD"
        self.status = NOBODY_ANSWERED
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            request_id = (b"x-request-id", self._scope[REQUEST_ID].encode())
            headers = [*message.get("headers", ()), request_id, _NO_SNIFFING]
            message = {**message, "headers": headers}
        elif self._without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def log_fault(self, error: Exception) -> None:
        """Log why the request failed; of an answer that has begun, nothing more will follow."""
        self.status = 500
        _log.error(
            "a request failed",
            exc_info=error,
            extra={"request_id": self._scope[REQUEST_ID], "route": self._scope.get(ROUTE)},
        )


def _instead(error: Exception) -> Response:
    if isinstance(error, REFUSALS):
        return refusal(error)
    return error_response(500, "Internal server error")


def _sent_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value, "ascii")
    return None
