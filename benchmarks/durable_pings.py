"""Durable pings: against a bare ASGI route on the same server, and batched inserts into a database.

A ping is answered once it is on disk and in the read models. The first limit is what the web server
itself can do; the second what the database can, with 64 rows to a durable transaction.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.load import requests_a_second

CONNECTIONS = 64
SECONDS = 4.0
JOBS = 64
KEY = "cpk_benchmarkbenchmarkbenchmarkbenchmark"
PEER_PORT = 18_765


async def _bare(_scope: Scope, _receive: Receive, send: Send) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"16")]}
    await send(start)
    await send({"type": "http.response.body", "body": b'{"status": "ok"}'})


def _serve_bare(started: Event) -> None:
    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(
        _bare, port=PEER_PORT, log_config=None, access_log=False, lifespan="off", http="httptools"
    )
    asyncio.run(Server(config).serve())


def bare_route() -> float:
    """Requests a second of a route that does nothing, on the same server."""
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    server = context.Process(target=_serve_bare, args=(started,), daemon=True)
    server.start()
    try:
        started.wait(20)
        url = f"http://127.0.0.1:{PEER_PORT}/"
        return requests_a_second([url], connections=CONNECTIONS, seconds=SECONDS)
    finally:
        server.kill()
        server.join()


def batched_inserts(directory: Path) -> float:
    """Rows a second, 64 to a durable transaction, as wide as an event."""
    connection = sqlite3.connect(directory / "peer.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, a TEXT, b TEXT UNIQUE, c BLOB)")
    rows, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        batch = [(f"pings-{n}", f"id-{rows + n}", b"x" * 200) for n in range(CONNECTIONS)]
        connection.executemany("INSERT INTO rows (a, b, c) VALUES (?, ?, ?)", batch)
        connection.execute("COMMIT")
        rows += CONNECTIONS
    took = time.perf_counter() - began
    connection.close()
    return rows / took


@contextmanager
def running_service(directory: Path) -> Iterator[str]:
    """The real service on a fresh database; yields its address."""
    command = [sys.executable, "-m", "api.cli", "serve", "--data-dir", str(directory / "data")]
    process = subprocess.Popen(
        [*command, "--port", "0", "--log-level", "warning"],
        env={"CRONPULSE_API_KEY": KEY, "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = next(line for line in process.stdout if "is ready at" in line)
        yield ready.rsplit(" ", 1)[1].strip()
    finally:
        process.terminate()
        process.wait()


def _post(url: str, fields: dict[str, object]) -> dict[str, Any]:
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(fields).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def service_pings(directory: Path) -> float:
    """Pings a second of the service, over several jobs."""
    with running_service(directory) as address:
        project = _post(
            f"{address}/api/v1/projects", {"name": "Bench", "url": "https://example.com"}
        )
        job = {
            "name": "Bench",
            "projectId": project["id"],
            "url": "https://example.com",
            "method": "GET",
            "schedule": "@hourly",
            "mode": "passive",
        }
        ids = [_post(f"{address}/api/v1/jobs", job)["id"] for _ in range(JOBS)]
        urls = [f"{address}/api/ping/{job_id}" for job_id in ids]
        requests_a_second(urls, connections=CONNECTIONS, seconds=1.0)
        return requests_a_second(urls, connections=CONNECTIONS, seconds=SECONDS)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bare, inserts = bare_route(), batched_inserts(directory)
        pings = service_pings(directory)
    limit = min(bare, inserts)
    print(f"a bare ASGI route         {bare:9,.0f} /s")
    print(f"batched durable inserts   {inserts:9,.0f} /s")
    print(f"durable pings             {pings:9,.0f} /s   {pings / limit:.0%} of the lower limit")


if __name__ == "__main__":
    main()
