"""What serves an operation: authenticates, checks the permission, calls the endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.auth import caller, require
from api.edge import edge_of, request_id_of
from api.rest.call import Call
from api.rest.documented import permission_of

Endpoint = Callable[[Call], Awaitable[Response]]


class Operation:
    """An endpoint, as an ASGI application that lets nobody through who may not call it."""

    def __init__(self, endpoint: Endpoint, permission: str) -> None:
        self._endpoint = endpoint
        self._permission = permission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refusals come out as exceptions of :data:`api.errors.REFUSALS`."""
        key = await edge_of(scope).authenticator.authenticate(scope["headers"])
        require(key, self._permission)
        call = Call(scope, receive, caller(key, request_id=request_id_of(scope)))
        response = await self._endpoint(call)
        await response(scope, receive, send)


class OperationRoute(APIRoute):
    """A route that FastAPI documents and an :class:`Operation` serves.

    The permission that it asks for is the one that its documentation names, so the two can't differ.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401  (FastAPI's own)
        super().__init__(path, endpoint, **options)
        self.app = Operation(cast("Endpoint", endpoint), permission_of(self.openapi_extra or {}))
