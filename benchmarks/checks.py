"""Checks: how many a process makes with one core, against an aiohttp loop without keep-alive.

Both call the same receiver. What counts is the processor time of the process that calls: of ``worker``,
or of ``serve``, where SQLite's work and the dispatching are in it. That of PostgreSQL, Valkey and the
receiver is told and not counted.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import uvloop

from api.bootstrap import Core, open_broker
from benchmarks import recording
from benchmarks.outbound_engine import raw_aiohttp
from benchmarks.places import Place, Servers, Shape
from benchmarks.processor import Meter, spent
from benchmarks.receiver import receiving
from benchmarks.rows import Effort, Row, in_turns
from domain.job_fields import JobSettings
from projections import checks_in_flight
from scheduler import actors
from scheduler.dispatch import Dispatcher

CHECKS = 3_000
"""In a round, each of another job."""

AT_ONCE = 100
"""As many as ``CRONPULSE_CHECKS_PER_HOST`` allows when nobody sets it."""

PATIENCE = 120.0


def measure(servers: Servers, shape: Shape, effort: Effort) -> Row:
    """One process that calls."""
    role = "serve" if shape == "embedded" else "worker"
    checks = effort.of(CHECKS)
    with ExitStack() as stack:
        place = stack.enter_context(servers.place(shape))
        receiver = stack.enter_context(receiving())
        core = stack.enter_context(place.core())
        job_ids = recording.jobs(core, settings_of(f"{receiver.url}/health", checks), at=now())
        process = stack.enter_context(place.begin(role)).ready()
        spawn = multiprocessing.get_context("spawn")
        peer = stack.enter_context(ProcessPoolExecutor(max_workers=1, mp_context=spawn))
        groups = {role: process.pid, "receiver": receiver.pid} | servers_of(place)
        meter = Meter(groups)

        def ours() -> float:
            before = spent(groups)[role]
            with meter.running():
                make_checks(place, core, job_ids)
                meter.count(checks)
            return checks / (spent(groups)[role] - before)

        def calls() -> float:
            return peer.submit(call_with_aiohttp, receiver.url, checks).result(PATIENCE)

        make_checks(place, core, job_ids[:200])
        seen = in_turns(effort.rounds, peer=calls, ours=ours)
    return Row(
        path="checks",
        shape=shape,
        unit="checks/s of one core",
        ours=seen["ours"],
        limits={"calls/s of one core, aiohttp": seen["peer"]},
        aim=0.7,
        took=meter.each(),
    )


def settings_of(url: str, count: int) -> list[JobSettings]:
    """Jobs that are due once an hour, each with a URL of its own."""
    return [
        JobSettings(name="Bench", url=f"{url}/{number}", method="GET", schedule="@hourly")
        for number in range(count)
    ]


def servers_of(place: Place) -> dict[str, int]:
    """The servers that a worker needs, by name."""
    if place.shape == "embedded":
        return {}
    return {"PostgreSQL": place.servers.postgres.pid, "Valkey": place.servers.valkey.pid}


def make_checks(place: Place, core: Core, job_ids: Sequence[str]) -> None:
    """Have a check of each job made; returns when all have ended.

    ``serve`` finds them in the log by itself; to workers they are sent.
    """
    due = recording.due(core, job_ids, tick=now())
    if place.shape == "scaled":
        with open_broker(place.settings) as broker:
            dispatcher = Dispatcher(actors.sender(broker, now))
            asyncio.run(dispatcher.dispatch([each.execution_id for each in due]))
    given_up = time.monotonic() + PATIENCE
    while core.database.read_now(checks_in_flight.count):
        if time.monotonic() > given_up:
            raise RuntimeError("checks are left over")
        time.sleep(0.02)


def call_with_aiohttp(url: str, calls: int) -> float:
    """Calls a second of this process's processor time."""
    return uvloop.run(_call_with_aiohttp(url, calls))


async def _call_with_aiohttp(url: str, calls: int) -> float:
    left = iter(range(calls))
    async with raw_aiohttp() as call:

        async def caller() -> None:
            for number in left:
                assert await call(f"{url}/health/{number}") == 200

        await asyncio.gather(*(call(url) for _ in range(AT_ONCE)))
        began = time.process_time()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        return calls / (time.process_time() - began)


def now() -> datetime:
    return datetime.now(UTC)
