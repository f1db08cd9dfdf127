"""Rebuilt read models are the live ones, row by row, after any history."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import Connection, delete, update

from api.commands import api_keys as keys
from api.commands import jobs, projects
from domain.errors import DomainError
from projections import executions, heartbeats, job_status, rebuild
from projections.jobs import jobs as jobs_table
from projections.runner import PROJECTIONS
from scheduler.http_check import CheckRequest, CheckResult
from scheduler.retention import Retention
from scheduler.workbench import Workbench
from tests.jobs import a_job, a_project, ping
from tests.scheduler.playing import SUCCESS, TIMINGS, Play, Receiver
from tests.shapes import CALLER, Shape, embedded

SCHEDULES = ["* * * * *", "*/10 * * * * *", "0 * * * *", "30 9 * * 1-5", "@daily"]
FAILURE = CheckResult(
    reason="timeout", status_code=None, message="too slow", output="", timings=TIMINGS
)


class History(RuleBasedStateMachine):
    """Everything that can happen, in any order; time goes on in between."""

    project_ids = Bundle("project_ids")
    job_ids = Bundle("job_ids")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.loop = asyncio.new_event_loop()
        self.stack.callback(self.loop.close)
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.shape = self.stack.enter_context(embedded(Path(directory)))
        self.answers: list[CheckResult] = []
        self.play = self.wait_for(self._play())
        self.steps = 0

    async def _play(self) -> Play:
        return Play(self.shape, Receiver(answer=self._answer))

    def _answer(self, _: CheckRequest) -> CheckResult:
        return self.answers.pop() if self.answers else SUCCESS

    def wait_for(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def tolerantly(self, work: Awaitable[object]) -> None:
        """Something deleted may be asked for again; that is refused."""
        with contextlib.suppress(DomainError):
            self.wait_for(work)

    @initialize(target=project_ids)
    def begin(self) -> str:
        return self.wait_for(a_project(self.shape))

    @rule(target=project_ids)
    def create_project(self) -> str:
        return self.wait_for(a_project(self.shape))

    @rule(project_id=project_ids, name=st.sampled_from(["A", "B"]))
    def rename_project(self, project_id: str, name: str) -> None:
        self.wait_for(projects.update(self.shape.service, CALLER, project_id, {"name": name}))

    @rule(
        target=job_ids,
        project_id=project_ids,
        schedule=st.sampled_from(SCHEDULES),
        mode=st.sampled_from(["active", "passive"]),
        method=st.sampled_from(["GET", "POST"]),
        heartbeat=st.booleans(),
        tolerance=st.sampled_from([0, 1, 5, 120]),
        paused=st.booleans(),
    )
    def create_job(  # noqa: PLR0917
        self,
        project_id: str,
        schedule: str,
        mode: str,
        method: str,
        heartbeat: bool,
        tolerance: int,
        paused: bool,
    ) -> str:
        return self.wait_for(
            a_job(
                self.shape,
                project_id=project_id,
                schedule=schedule,
                mode=mode,
                method=method,
                heartbeat=heartbeat,
                heartbeatTolerance=tolerance,
                paused=paused,
                headers={"X-Token": "s3cr3t"},
            )
        )

    @rule(
        job_id=job_ids,
        fields=st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["C", "D"]),
                "schedule": st.sampled_from(SCHEDULES),
                "paused": st.booleans(),
                "heartbeat": st.booleans(),
                "heartbeatTolerance": st.sampled_from([0, 3]),
                "mode": st.sampled_from(["active", "passive"]),
                "body": st.sampled_from([None, "b"]),
                "headers": st.sampled_from([{}, {"X-A": "1"}]),
            },
        ),
    )
    def update_job(self, job_id: str, fields: dict[str, object]) -> None:
        self.tolerantly(jobs.update(self.shape.service, CALLER, job_id, fields))

    @rule(job_id=job_ids)
    def run_job(self, job_id: str) -> None:
        self.tolerantly(jobs.run_now(self.shape.service, CALLER, job_id))

    @rule(
        job_id=job_ids,
        kind=st.sampled_from(["beat", "start", "success", "fail"]),
        run_id=st.sampled_from([None, "a", "b"]),
    )
    def ping_job(self, job_id: str, kind: Any, run_id: str | None) -> None:
        self.tolerantly(ping(self.shape, job_id, kind, run_id=run_id, message="m"))

    @rule(span=st.sampled_from([1, 9, 61, 600, 3_700, 90_000]))
    def let_time_pass(self, span: int) -> None:
        self.shape.clock.move(seconds=span)

    @rule(failing=st.booleans())
    def run_the_scheduler(self, failing: bool) -> None:
        if failing:
            self.answers.append(FAILURE)
        self.wait_for(self.play.step())

    @rule()
    def tick_and_crash(self) -> None:
        self.wait_for(self.play.ticker.step())
        self.play = self.wait_for(self._play())
        self.wait_for(self.play.recovery.after_start())

    @rule(kept=st.sampled_from([0, 60, 3_600, 86_400]), portion=st.sampled_from([1, 3, 1_000]))
    def let_what_is_old_expire(self, kept: int, portion: int) -> None:
        bench = Workbench(log=self.shape.log, now=self.shape.clock, new_id=self.shape.new_id)
        self.wait_for(Retention(bench, timedelta(seconds=kept), portion=portion).step())

    @rule(job_id=consumes(job_ids))
    def delete_job(self, job_id: str) -> None:
        self.tolerantly(jobs.delete(self.shape.service, CALLER, job_id))

    @rule(target=project_ids, project_id=consumes(project_ids))
    def delete_project(self, project_id: str) -> Any:
        self.wait_for(projects.delete(self.shape.service, CALLER, project_id))
        return multiple()

    @rule()
    def erase(self) -> None:
        self.wait_for(self.play.eraser.step())

    @rule()
    def create_and_revoke_a_key(self) -> None:
        made = self.wait_for(keys.create(self.shape.service, CALLER, name="k", permissions=["*"]))
        self.wait_for(keys.revoke(self.shape.service, CALLER, made.key_id))

    @precondition(lambda self: self.steps % 5 == 0)
    @invariant()
    def the_rebuilt_read_models_are_the_live_ones(self) -> None:
        assert self.shape.differences() == []

    @invariant()
    def count(self) -> None:
        self.steps += 1

    def teardown(self) -> None:
        try:
            assert self.shape.differences() == []
        finally:
            self.stack.close()


History.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistory = History.TestCase


async def a_short_history(shape: Shape) -> str:
    job_id = await a_job(shape, heartbeat=True)
    await ping(shape, job_id)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).step()
    return job_id


def write(shape: Shape, statement: Any) -> None:
    with shape.core.database.transaction() as connection:
        connection.execute(statement)


async def test_a_row_that_was_changed_by_hand_is_found_with_its_column(shape: Shape) -> None:
    job_id = await a_short_history(shape)
    write(shape, update(jobs_table).values(name="forged"))
    (difference,) = shape.differences()
    assert (difference.table, difference.key) == ("jobs", job_id)
    assert difference.told() == "differs in name"


async def test_a_row_that_was_removed_by_hand_is_found(shape: Shape) -> None:
    await a_short_history(shape)
    write(shape, delete(job_status.job_status))
    (difference,) = shape.differences()
    assert difference.told() == "is missing"


async def test_a_row_that_was_added_by_hand_is_found(shape: Shape) -> None:
    await a_short_history(shape)
    write(
        shape,
        heartbeats.heartbeats.insert().values(
            job_id="forged", account="default", version=1, state="{}"
        ),
    )
    (difference,) = shape.differences()
    assert difference.told() == "is not in the log"


async def test_rebuilding_mends_whatever_was_broken(shape: Shape) -> None:
    await a_short_history(shape)
    for projection in PROJECTIONS:
        for table in projection.tables:
            write(shape, delete(table))
    write(shape, executions.executions.delete())
    assert shape.differences() != []
    core = shape.core
    assert (
        rebuild.rebuild(core.database, core.store, core.read_models) == core.store.head().position
    )
    assert shape.differences() == []


async def test_a_rebuild_does_not_depend_on_how_the_log_is_cut_into_batches(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await a_short_history(shape)
    for kind in ("start", "start", "fail", "success", "beat"):
        await ping(shape, job_id, kind)
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    await ping(shape, job_id)
    for size in (1, 2, 3, 1000):
        monkeypatch.setattr(rebuild, "BATCH", size)
        assert shape.differences() == []


async def test_a_rebuild_that_fails_leaves_the_read_models_as_they_were(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_short_history(shape)

    def fail(*_: object, **__: object) -> None:
        raise InterruptedError

    core = shape.core
    with monkeypatch.context() as failing:
        failing.setattr(rebuild, "replay", fail)
        with pytest.raises(InterruptedError):
            rebuild.rebuild(core.database, core.store, core.read_models)
    assert shape.differences() == []

    def count(connection: Connection) -> int:
        return len(connection.execute(jobs_table.select()).all())

    assert core.database.read_now(count) == 1


async def test_runs_that_were_recorded_in_another_order_than_they_began_are_paired_by_the_log(
    shape: Shape,
) -> None:
    job_id = await a_job(shape)
    began = shape.clock.move(minutes=1)
    await ping(shape, job_id, "start")
    shape.clock.moment = began - timedelta(seconds=1)
    await ping(shape, job_id, "start")
    shape.clock.moment = began + timedelta(seconds=10)
    await ping(shape, job_id, "success")
    assert shape.differences() == []


async def test_what_is_appended_during_a_check_is_no_difference(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await a_short_history(shape)
    replay = rebuild.replay

    def append_meanwhile(*given: Any, **named: Any) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, ping(shape, job_id)).result()
        replay(*given, **named)

    monkeypatch.setattr(rebuild, "replay", append_meanwhile)
    assert shape.differences() == []
