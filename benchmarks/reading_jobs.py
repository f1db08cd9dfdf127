"""``GET /jobs/{id}``: against a bare FastAPI route that runs the same SELECT through the driver's own pool.

The bare route knows no keys, no accounts, no header values and no log. It answers the columns of the row,
encoded by the same encoder. On PostgreSQL it has a few of the driver's asynchronous connections, which
was measured to be faster than threads with a connection each, and than more of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from fastapi import FastAPI, Response
from sqlalchemy import Connection, event
from starlette.types import ASGIApp

from benchmarks.load import Clients, request
from benchmarks.peers import serving
from benchmarks.places import KEY, Place, Servers, Shape
from benchmarks.processor import Meter
from benchmarks.rows import Effort, Row, in_turns
from domain.api_key import DEFAULT_ACCOUNT
from projections import jobs

JOBS = 64
CONNECTIONS = 4

Values = tuple[Any, ...]
Find = Callable[[str], Awaitable[tuple[list[str], Values]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """A statement in the driver's words, and which of its parameters is the job's id."""

    database: str
    text: str
    parameters: Any
    job_id: str

    def of(self, job_id: str) -> Any:  # noqa: ANN401  (a tuple or a dictionary, as the driver wants it)
        """The parameters for another job."""
        if isinstance(self.parameters, Mapping):
            return {
                name: job_id if value == self.job_id else value
                for name, value in self.parameters.items()
            }
        return tuple(job_id if value == self.job_id else value for value in self.parameters)


def measure(servers: Servers, shape: Shape, effort: Effort) -> Row:
    """One process that answers 64 clients, each with its key."""
    with servers.place(shape) as place, place.api() as api, Clients() as clients:
        ids = api.jobs(JOBS)
        with serving(bare_app, statement_of(place, ids[0])) as bare:
            headers = [f"X-API-Key: {KEY}"]
            paths = [f"/api/v1/jobs/{job_id}" for job_id in ids]
            asked = [request(api.url, path, headers=headers) for path in paths]
            asked_bare = [request(bare, path, headers=headers) for path in paths]
            meter = Meter(api.processes)

            def ours() -> float:
                with meter.running():
                    answered = clients.ask(api.url, asked, seconds=effort.seconds)
                    meter.count(answered.count)
                return answered.rate

            def peer() -> float:
                return clients.ask(bare, asked_bare, seconds=effort.seconds).rate

            ours()
            peer()
            seen = in_turns(effort.rounds, peer=peer, ours=ours)
    return Row(
        path="`GET /jobs/{id}`",
        shape=shape,
        unit="answers/s",
        ours=seen["ours"],
        limits={"the same SELECT in a bare FastAPI route": seen["peer"]},
        aim=0.8,
        took=meter.each(),
    )


def statement_of(place: Place, job_id: str) -> Select:
    """What CronPulse asks the database for a job."""
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, text: str, parameters: object, *_: object) -> None:
        asked.append((text, parameters))

    def find(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", note)
        jobs.find(connection, account=DEFAULT_ACCOUNT, job_id=job_id)
        event.remove(connection, "before_cursor_execute", note)

    with place.core() as core:
        core.database.read_now(find)
    ((text, parameters),) = asked
    path = place.settings.sqlite_path
    database = place.settings.database_url if path is None else str(path)
    return Select(database=database, text=text, parameters=parameters, job_id=job_id)


def bare_app(select: Select) -> ASGIApp:
    """FastAPI with one route that runs the statement."""
    app = FastAPI(openapi_url=None)
    find = _through_a_pool(select) if "://" in select.database else _right_here(select)
    encode = msgspec.json.Encoder().encode

    @app.get("/api/v1/jobs/{job_id}")
    async def get_job(job_id: str) -> Response:
        columns, row = await find(job_id)
        body = encode(dict(zip(columns, row, strict=True)))
        return Response(body, media_type="application/json")

    return app


def _right_here(select: Select) -> Find:
    connection = sqlite3.connect(select.database, isolation_level=None)

    async def find(job_id: str) -> tuple[list[str], Values]:
        cursor = connection.execute(select.text, select.of(job_id))
        return [each[0] for each in cursor.description], cursor.fetchone()

    return find


def _through_a_pool(select: Select) -> Find:
    pool: asyncio.LifoQueue[psycopg.AsyncCursor[Values] | None] = asyncio.LifoQueue()
    for _ in range(CONNECTIONS):
        pool.put_nowait(None)

    async def find(job_id: str) -> tuple[list[str], Values]:
        cursor = await pool.get()
        if cursor is None:
            connected = await psycopg.AsyncConnection.connect(select.database, autocommit=True)
            cursor = connected.cursor()
        await cursor.execute(select.text, select.of(job_id), prepare=True)
        row = await cursor.fetchone()
        assert row is not None
        assert cursor.description is not None
        columns = [each.name for each in cursor.description]
        pool.put_nowait(cursor)
        return columns, row

    return find
