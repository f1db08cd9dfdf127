"""The ASGI application: every route there is, and what stands in front of them.

From the outside in: :class:`~api.middleware.Requests` (ids, the log, metrics, answers to whatever was
raised), a table of paths, and the routes. FastAPI has declared and documented the REST operations;
it serves what is not in the table, which is the lifespan and whatever gets mounted on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from api import health, ping
from api.auth import Authenticator, KeyUsage
from api.commands.pings import PingRecorder
from api.edge import ROUTE, Edge
from api.errors import EXCEPTION_HANDLERS, error_response
from api.health import Readiness
from api.metrics import Metrics
from api.middleware import Requests
from api.path_table import PathTable
from api.rest import docs_page
from api.rest.openapi import ROUTERS
from api.service import Service


def create_app(
    service: Service,
    *,
    metrics: Metrics,
    readiness: Callable[[], Awaitable[Readiness]],
    usage: KeyUsage,
    public_url: str | None = None,
    lifespan: Lifespan[FastAPI] | None = None,
) -> Requests:
    """The whole application.

    ``readiness`` is asked by ``/readyz``. ``usage`` is told which keys are used; somebody has to
    flush it now and then. ``public_url`` is where callers reach the service, where that is not what
    their ``Host`` says. ``lifespan`` runs around the application's life.
    """
    edge = Edge(
        service=service,
        authenticator=Authenticator(service, usage),
        pings=PingRecorder(service),
        metrics=metrics,
        public_url=public_url,
    )
    table = PathTable(routes(metrics, readiness))
    return Requests(_Dispatch(table, edge, _fastapi(lifespan)), metrics)


def routes(metrics: Metrics, readiness: Callable[[], Awaitable[Readiness]]) -> tuple[Route, ...]:
    """Every route there is."""
    rest = (route for router in ROUTERS for route in router.routes if isinstance(route, Route))
    return (*ping.ROUTES, *rest, *health.routes(metrics, readiness), *docs_page.ROUTES)


def _fastapi(lifespan: Lifespan[FastAPI] | None) -> FastAPI:
    return FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        exception_handlers=EXCEPTION_HANDLERS,
    )


class _Dispatch:
    """Sends a request to the route of its path and method."""

    def __init__(self, table: PathTable, edge: Edge, otherwise: ASGIApp) -> None:
        self._table = table
        self._edge = edge
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._table.find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        path, scope["path_params"] = found
        scope[ROUTE] = path.template
        self._edge.enter(scope)
        app = path.methods.get(scope["method"]) or _refuse_method(scope["method"], path.allow)
        await app(scope, receive, send)


def _refuse_method(method: str, allow: str) -> ASGIApp:
    message = f"{method} is not allowed here; allowed are {allow}"
    return error_response(405, message, {"allow": allow})
