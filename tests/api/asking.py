"""Asking the API: the application on a shape's service, and callers with keys of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from starlette.types import ASGIApp

from api.app import create_app
from api.auth import KeyUsage
from api.commands import api_keys
from api.health import Check, Readiness
from api.metrics import Metrics
from api.service import Caller
from domain.api_key import FULL_ACCESS
from tests.shapes import Shape

JOB = {
    "name": "Health Check",
    "url": "https://example.com/health",
    "method": "GET",
    "schedule": "*/5 * * * *",
}
"""The fields of a job, but for its project."""

PROJECT = {"name": "My Project", "url": "https://example.com"}


@dataclass
class Asked:
    """One who asks with a key (None: without), through a client."""

    client: httpx.AsyncClient
    key: str | None

    async def __call__(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request; a path without ``/api`` in front is one of REST."""
        headers = dict(sent.pop("headers", {}))
        if self.key is not None:
            headers.setdefault("X-API-Key", self.key)
        url = path if path.startswith(("/api", "http")) else f"/api/v1{path}"
        return await self.client.request(method, url, headers=headers, **sent)

    async def get(self, path: str, **sent: Any) -> httpx.Response:
        return await self("GET", path, **sent)

    async def post(self, path: str, json: object = None, **sent: Any) -> httpx.Response:
        return await self("POST", path, **({"json": json} if json is not None else {}), **sent)

    async def put(self, path: str, json: object = None, **sent: Any) -> httpx.Response:
        return await self("PUT", path, **({"json": json} if json is not None else {}), **sent)

    async def delete(self, path: str, **sent: Any) -> httpx.Response:
        return await self("DELETE", path, **sent)

    async def a_project(self, **fields: object) -> str:
        created = await self.post("/projects", PROJECT | fields)
        assert created.status_code == 201, created.text
        return str(created.json()["id"])

    async def a_job(self, project_id: str | None = None, **fields: object) -> str:
        project_id = project_id or await self.a_project()
        created = await self.post("/jobs", {**JOB, "projectId": project_id, **fields})
        assert created.status_code == 201, created.text
        return str(created.json()["id"])


@dataclass
class Api:
    """The application, and whoever may want to ask it."""

    shape: Shape
    app: ASGIApp
    client: httpx.AsyncClient
    metrics: Metrics
    usage: KeyUsage
    me: Asked
    problems: dict[str, str | None] = field(default_factory=dict)

    async def holder(self, *permissions: str, account: str = "default") -> Asked:
        """Somebody with a key that has these permissions."""
        return replace(self.me, key=await make_key(self.shape, *permissions, account=account))

    @property
    def anonymous(self) -> Asked:
        return replace(self.me, key=None)

    async def stranger(self) -> Asked:
        """Somebody with full access to another account."""
        return await self.holder(FULL_ACCESS, account="stranger")


async def make_key(shape: Shape, *permissions: str, account: str = "default") -> str:
    maker = Caller(account=account, actor="cli", correlation_id="making-keys")
    made = await api_keys.create(
        shape.service, maker, name="for a test", permissions=permissions or (FULL_ACCESS,)
    )
    return made.key


@asynccontextmanager
async def asking(shape: Shape, *, public_url: str | None = None) -> AsyncIterator[Api]:
    """The application on a shape, asked in this process without a network."""
    metrics, usage = Metrics(), KeyUsage(shape.service)
    problems: dict[str, str | None] = {"database": None, "scheduler": None}

    async def readiness() -> Readiness:
        return Readiness(
            checks=tuple(Check(name=name, problem=why) for name, why in problems.items())
        )

    app = create_app(
        shape.service, metrics=metrics, readiness=readiness, usage=usage, public_url=public_url
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://cron.test") as client:
        me = Asked(client, await make_key(shape))
        yield Api(
            shape=shape,
            app=app,
            client=client,
            metrics=metrics,
            usage=usage,
            me=me,
            problems=problems,
        )
