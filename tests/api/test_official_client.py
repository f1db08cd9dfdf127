"""The service's published Python client (PyPI ``cronpulse``), in everything that it can say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import cronpulse.monitor
import pytest
import requests
from cronpulse import Monitor, wrap

from tests.api.asking import Api
from tests.api.serving import Served


async def executions(api: Api, job_id: str) -> list[dict[str, Any]]:
    """What is known of the job's runs, newest first: status, message, client."""
    shown = (await api.me.get(f"/jobs/{job_id}/executions")).json()
    return [
        {name: each[name] for name in ("trigger", "status", "message", "client")} for each in shown
    ]


def run(status: str, message: str | None = None) -> dict[str, Any]:
    return {"trigger": "ping", "status": status, "message": message, "client": "cronpulse python"}


class TestMonitor:
    @pytest.mark.parametrize(
        ("said", "recorded"),
        [
            ("beat", run("success")),
            ("start", run("running")),
            ("success", run("success")),
            ("fail", run("failed")),
            ({"state": "beat"}, run("success")),
            ({"state": "fail"}, run("failed")),
            ({"state": "fail", "message": ""}, run("failed")),
            ({"state": "fail", "message": "disk full"}, run("failed", "disk full")),
            ({"state": "fail", "message": "50% & größer?"}, run("failed", "50% & größer?")),
            ({"state": "success", "message": "ignored"}, run("success")),
        ],
    )
    async def test_every_state_is_recorded_as_it_was_meant(
        self, api: Api, served: Served, said: Any, recorded: dict[str, Any]
    ) -> None:
        job_id = await api.me.a_job()
        monitor = Monitor(job_id, base_url=served.url)
        assert await asyncio.to_thread(monitor.ping, said) == '{"status": "ok"}'
        assert await executions(api, job_id) == [recorded]

    async def test_a_run_has_the_time_between_start_and_success(
        self, api: Api, served: Served
    ) -> None:
        job_id = await api.me.a_job()
        monitor = Monitor(job_id, base_url=served.url)
        await asyncio.to_thread(monitor.ping, "start")
        api.shape.clock.move(seconds=90)
        await asyncio.to_thread(monitor.ping, "success")
        (shown,) = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        assert (shown["status"], shown["durationMs"]) == ("success", 90_000)

    async def test_an_unknown_job_is_an_error_for_the_client(self, served: Served) -> None:
        monitor = Monitor("c0000000000000000000099999", base_url=served.url)
        with pytest.raises(requests.HTTPError, match="404 Client Error"):
            await asyncio.to_thread(monitor.ping, "beat")


class TestWrap:
    @pytest.fixture(autouse=True)
    def _its_address_and_exit(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        """It knows one address only, replaces ``sys.exit``, and calls it when the job is done."""
        monkeypatch.setattr(cronpulse.monitor, "Monitor", partial(Monitor, base_url=served.url))
        original = sys.exit
        yield
        sys.exit = original

    async def wrapped(self, job_id: str, job: Callable[[], Awaitable[None]]) -> int | str | None:
        """Run the job as its user would; returns what the process would exit with."""

        def run_it() -> int | str | None:
            try:
                asyncio.run(wrap(job_id, job)())
            except SystemExit as end:
                return end.code
            return "it did not exit"

        return await asyncio.to_thread(run_it)

    async def test_a_job_that_ends_well_is_one_successful_run(self, api: Api) -> None:
        async def job() -> None:
            api.shape.clock.move(seconds=3)

        job_id = await api.me.a_job()
        assert await self.wrapped(job_id, job) == 0
        assert await executions(api, job_id) == [run("success")]
        (shown,) = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        assert shown["durationMs"] == 3_000

    async def test_a_job_that_raises_is_one_failed_run_with_its_message(self, api: Api) -> None:
        async def job() -> None:
            raise RuntimeError("the disk is full")

        job_id = await api.me.a_job()
        assert await self.wrapped(job_id, job) == 1
        assert await executions(api, job_id) == [run("failed", "the disk is full")]

    async def test_a_job_that_exits_by_itself_is_one_run(self, api: Api) -> None:
        async def job() -> None:
            sys.exit(0)

        job_id = await api.me.a_job()
        assert await self.wrapped(job_id, job) == 0
        assert await executions(api, job_id) == [run("success")]
