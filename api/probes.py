"""What a process without an API answers: whether it is well, and what it measures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette

from api import health
from api.errors import EXCEPTION_HANDLERS
from api.health import Readiness
from api.metrics import Metrics
from api.middleware import Requests


def create_probes(*, metrics: Metrics, readiness: Callable[[], Awaitable[Readiness]]) -> Requests:
    """The whole application of such a process."""
    app = Starlette(routes=health.routes(metrics, readiness), exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return Requests(app, metrics)
