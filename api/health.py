"""Whether CronPulse is alive, whether it is ready, and what it measures: for probes and Prometheus.

None of these needs a key, and none tells anything about an account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.errors import error_response
from api.metrics import Metrics

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that should be well, such as the database; ``problem`` says what is wrong with it.

    Where it is not ``needed``, requests are served all the same. Anybody may read the problem: it must
    not tell secrets, addresses or accounts.
    """

    name: str
    problem: str | None = None
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Everything that should be well while requests are served."""

    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words; empty when all is well."""
        return tuple(
            f"{check.name}: {check.problem}"
            for check in self.checks
            if check.problem is not None and check.needed
        )


def routes(metrics: Metrics, readiness: Callable[[], Awaitable[Readiness]]) -> tuple[Route, ...]:
    """The routes of probes and of Prometheus; ``readiness`` is asked anew each time."""

    async def healthz(_request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def readyz(_request: Request) -> Response:
        found = await readiness()
        if found.problems:
            return error_response(503, f"not ready: {'; '.join(found.problems)}")
        checks = {check.name: check.problem or "ok" for check in found.checks}
        answer = msgspec.json.encode({"status": "ready", "checks": checks})
        return Response(answer, media_type=_JSON)

    async def measured(_request: Request) -> Response:
        content, content_type = metrics.render()
        return Response(content, headers={"content-type": content_type})

    return (Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measured))
