"""What a request finds on its way: the service behind the routes, and what is known about it so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from starlette.types import Scope

from api.auth import Authenticator
from api.commands.pings import PingRecorder
from api.metrics import Metrics
from api.service import Service

REQUEST_ID: Final = "cronpulse.request_id"
"""Where a request's scope holds its id."""

ROUTE: Final = "cronpulse.route"
"""Where it holds the template of its path, once that is found."""

_EDGE: Final = "cronpulse.edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the routes serve from. ``public_url`` is where callers reach this service, if known."""

    service: Service
    authenticator: Authenticator
    pings: PingRecorder
    metrics: Metrics
    public_url: str | None = None

    def enter(self, scope: Scope) -> None:
        """Let the route that serves the request find this."""
        scope[_EDGE] = self


def edge_of(scope: Scope) -> Edge:
    """What the request is to be served from."""
    return cast("Edge", scope[_EDGE])


def request_id_of(scope: Scope) -> str:
    """The id of the request, which what follows from it is recorded under."""
    return cast("str", scope[REQUEST_ID])
