"""What is old enough leaves the history, in portions, and a rebuilt history lacks it too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import delete

from api import queries
from api.commands import jobs
from domain.pings import MAX_OPEN_STARTS
from domain.retention import ACCOUNT, EVERY, STREAM, SUBJECT, ExecutionsExpired
from projections.execution_rows import executions
from projections.executions import ExecutionView
from scheduler.http_check import CheckResult
from scheduler.retention import OTHERS_AT_IT, Retention
from scheduler.workbench import Workbench
from tests.jobs import a_job, ping
from tests.scheduler.playing import TIMINGS, Play, Receiver
from tests.shapes import CALLER, Shape

KEEP = timedelta(days=30)
FAILURE = CheckResult(reason="status", status_code=500, message="no", output=None, timings=TIMINGS)


def retention_of(shape: Shape, *, portion: int = 1_000) -> Retention:
    bench = Workbench(log=shape.log, now=shape.clock, new_id=shape.new_id)
    return Retention(bench, KEEP, portion=portion)


@pytest.fixture
def play(shape: Shape) -> Play:
    return Play(shape, Receiver())


@pytest.fixture
def retention(shape: Shape) -> Retention:
    return retention_of(shape)


async def history(shape: Shape, job_id: str) -> list[ExecutionView]:
    """What is left of the job's executions, newest first."""
    return await queries.execution_page(shape.service, CALLER.account, job_id, limit=1_000)


async def tick(shape: Shape, play: Play, times: int) -> None:
    for _ in range(times):
        shape.clock.move(minutes=1)
        await play.step()


async def pause_for(shape: Shape, job_id: str, span: timedelta) -> None:
    """Let time pass without ticks of the job."""
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    shape.clock.move(seconds=span.total_seconds())
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})


def stretches(shape: Shape) -> list[ExecutionsExpired]:
    found = shape.events(ExecutionsExpired)
    return [event for event in found if isinstance(event, ExecutionsExpired)]


class TestAge:
    async def test_what_was_kept_for_long_enough_goes_and_the_rest_stays(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape)
        await tick(shape, play, 3)
        await pause_for(shape, job_id, KEEP - timedelta(minutes=1))
        await tick(shape, play, 2)
        await retention.step()
        ticks = [each.scheduled_for for each in await history(shape, job_id)]
        now = shape.clock()
        assert ticks == [now, now - timedelta(minutes=1)]
        assert shape.differences() == []

    async def test_it_goes_a_moment_after_its_time_and_not_before(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape)
        await tick(shape, play, 1)
        await pause_for(shape, job_id, KEEP)
        await retention.step()
        assert len(await history(shape, job_id)) == 1
        assert stretches(shape) == []
        shape.clock.move(microseconds=1)
        await retention.step()
        assert await history(shape, job_id) == []
        assert shape.differences() == []

    async def test_all_kinds_of_executions_go(self, shape: Shape, retention: Retention) -> None:
        play = Play(shape, Receiver(answer=lambda _: FAILURE))
        job_id = await a_job(shape, heartbeat=True)
        await tick(shape, play, 1)
        await jobs.run_now(shape.service, CALLER, job_id)
        await play.step()
        await ping(shape, job_id, "fail")
        await jobs.run_now(shape.service, CALLER, job_id)
        shape.clock.move(minutes=1)
        await play.ticker.step()
        shape.clock.move(minutes=9)
        await play.step()
        kinds = {(each.trigger, each.status) for each in await history(shape, job_id)}
        assert kinds == {
            ("schedule", "failed"),
            ("manual", "failed"),
            ("ping", "failed"),
            ("schedule", "skipped"),
            ("heartbeat", "missed"),
        }
        await jobs.update(shape.service, CALLER, job_id, {"paused": True})
        shape.clock.move(days=31)
        await retention.step()
        assert await history(shape, job_id) == []
        assert shape.differences() == []

    async def test_of_a_long_history_a_page_goes_on_behind_an_execution_that_is_gone(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape)
        await tick(shape, play, 4)
        newest = (await history(shape, job_id))[0]
        await pause_for(shape, job_id, KEEP + timedelta(hours=1))
        await retention.step()
        page = await queries.execution_page(
            shape.service,
            CALLER.account,
            job_id,
            limit=10,
            before=(newest.happened_at, newest.id),
        )
        assert page == []


class TestWhatHasNotEnded:
    async def test_a_check_that_is_queued_stays_and_goes_after_its_end(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape, paused=True)
        await jobs.run_now(shape.service, CALLER, job_id)
        shape.clock.move(days=31)
        await retention.step()
        assert [each.status for each in await history(shape, job_id)] == ["queued"]
        await play.step()
        assert [each.status for each in await history(shape, job_id)] == ["success"]
        await retention.step()
        assert await history(shape, job_id) == []
        assert shape.differences() == []

    async def test_a_run_that_was_started_by_a_ping_stays_and_its_finish_finds_it(
        self, shape: Shape, retention: Retention
    ) -> None:
        job_id = await a_job(shape, mode="passive")
        await ping(shape, job_id, "beat")
        await ping(shape, job_id, "start")
        shape.clock.move(days=31)
        await retention.step()
        assert [each.status for each in await history(shape, job_id)] == ["running"]
        await ping(shape, job_id, "success")
        (ended,) = await history(shape, job_id)
        assert ended.duration_ms == 31 * 24 * 3600 * 1000
        assert shape.differences() == []
        await retention.step()
        assert await history(shape, job_id) == []
        assert shape.differences() == []

    async def test_old_runs_that_never_end_are_in_nobodys_way(self, shape: Shape) -> None:
        job_id = await a_job(shape, mode="passive")
        for _ in range(5):
            await ping(shape, job_id, "start")
            shape.clock.move(minutes=1)
        for _ in range(3):
            await ping(shape, job_id, "beat")
        shape.clock.move(days=31)
        for _ in range(2):
            await retention_of(shape, portion=2).step()
            assert [each.status for each in await history(shape, job_id)] == ["running"] * 5
            assert len(stretches(shape)) == 2
        assert shape.differences() == []


class TestWhatComesLate:
    async def test_a_miss_that_is_recorded_after_a_long_downtime_is_told_and_then_goes(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape, mode="passive", heartbeat=True)
        await ping(shape, job_id)
        shape.clock.move(days=31)
        await retention.step()
        assert await history(shape, job_id) == []
        await play.step()
        (missed,) = await history(shape, job_id)
        assert missed.status == "missed"
        assert missed.happened_at < stretches(shape)[-1].before
        assert shape.differences() == []
        await retention.step()
        assert await history(shape, job_id) == []
        assert shape.differences() == []
        shown = await queries.job(shape.service, CALLER.account, job_id)
        assert shown.job.last_status == "missed"

    async def test_the_finish_of_a_run_that_was_missed_and_is_gone_is_one_of_its_own(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        job_id = await a_job(shape, mode="passive", heartbeat=True)
        await ping(shape, job_id, "start", run_id="a")
        shape.clock.move(hours=1)
        await play.step()
        ended = {(each.trigger, each.status) for each in await history(shape, job_id)}
        assert ("ping", "missed") in ended
        shape.clock.move(days=31)
        await retention.step()
        assert await history(shape, job_id) == []
        await ping(shape, job_id, "success", run_id="a")
        assert [each.duration_ms for each in await history(shape, job_id)] == [None]
        assert shape.differences() == []

    async def test_the_finish_of_a_run_that_was_given_up_and_is_gone_is_one_of_its_own(
        self, shape: Shape, retention: Retention
    ) -> None:
        job_id = await a_job(shape, mode="passive")
        await ping(shape, job_id, "start", run_id="first")
        for _ in range(MAX_OPEN_STARTS):
            await ping(shape, job_id, "start", run_id="later")
        shape.clock.move(days=31)
        await retention.step()
        assert len(await history(shape, job_id)) == MAX_OPEN_STARTS
        await ping(shape, job_id, "success", run_id="first")
        assert (await history(shape, job_id))[0].duration_ms is None
        assert shape.differences() == []

    async def test_the_outcome_of_an_execution_that_is_in_no_history_is_no_fault(
        self, shape: Shape, play: Play
    ) -> None:
        job_id = await a_job(shape, paused=True)
        await ping(shape, job_id, "start")
        await jobs.run_now(shape.service, CALLER, job_id)
        with shape.core.database.transaction() as connection:
            connection.execute(delete(executions))
        await play.step()
        assert await history(shape, job_id) == []
        shown = await queries.job(shape.service, CALLER.account, job_id)
        assert shown.job.last_status == "success"
        await ping(shape, job_id, "success")
        assert [each.trigger for each in await history(shape, job_id)] == ["ping"]


class TestWhatElseIsKnownOfAJob:
    async def test_it_stays(self, shape: Shape, play: Play, retention: Retention) -> None:
        job_id = await a_job(shape, heartbeat=True)
        await ping(shape, job_id)
        await tick(shape, play, 2)
        await jobs.update(shape.service, CALLER, job_id, {"paused": True})
        shape.clock.move(days=31)
        before = await queries.job(shape.service, CALLER.account, job_id)
        await retention.step()
        assert await history(shape, job_id) == []
        after = await queries.job(shape.service, CALLER.account, job_id)
        assert after == before
        assert after.job.last_status == "success"
        assert after.job.last_activity_at is not None

    async def test_a_check_that_runs_is_still_ended_and_its_job_still_ticks(
        self, shape: Shape, retention: Retention
    ) -> None:
        play = Play(shape, Receiver(gate=asyncio.Event()))
        job_id = await a_job(shape, timeout=300)
        await tick(shape, play, 0)
        shape.clock.move(minutes=1)
        await play.ticker.step()
        await play.begin_checks()
        await play.receiver.was_called()
        shape.clock.move(days=31)
        await retention.step()
        assert play.receiver.gate is not None
        play.receiver.gate.set()
        await play.runner.idle()
        assert [each.status for each in await history(shape, job_id)] == ["success"]
        await play.step()
        assert len(await history(shape, job_id)) == 2
        assert shape.differences() == []

    async def test_a_job_whose_history_expired_is_deleted_for_good_like_any_other(
        self, shape: Shape, play: Play
    ) -> None:
        gone, other = await a_job(shape), await a_job(shape)
        await tick(shape, play, 6)
        for each in (gone, other):
            await jobs.update(shape.service, CALLER, each, {"paused": True})
        shape.clock.move(days=29, hours=23, minutes=57)
        await retention_of(shape, portion=2).step()
        left = await history(shape, other)
        assert 0 < len(left) < 6
        await jobs.delete(shape.service, CALLER, gone)
        assert shape.differences() == []
        await play.eraser.step()
        assert shape.differences() == []
        assert await history(shape, other) == left


class TestPortions:
    @pytest.mark.parametrize("portion", [1, 2, 3, 4, 5, 9, 10, 11, 1_000])
    async def test_none_covers_more_than_its_share(
        self, shape: Shape, play: Play, portion: int
    ) -> None:
        """Also where everything happened at the same moment, as it does at noon."""
        job_ids = [await a_job(shape) for _ in range(5)]
        await tick(shape, play, 2)
        for job_id in job_ids:
            await jobs.update(shape.service, CALLER, job_id, {"paused": True})
        places = sorted(
            [
                (each.happened_at, each.id)
                for job_id in job_ids
                for each in await history(shape, job_id)
            ]
        )
        assert len(places) == 10
        shape.clock.move(days=31)
        await retention_of(shape, portion=portion).step()
        covered = [
            [place for place in places if _covers(stretch, place)] for stretch in stretches(shape)
        ]
        assert [place for some in covered for place in some] == places
        assert [len(some) for some in covered[:-1]] == [portion] * (len(covered) - 1)
        assert 0 < len(covered[-1]) <= portion
        assert [await history(shape, job_id) for job_id in job_ids] == [[]] * 5
        assert shape.differences() == []

    async def test_nothing_is_recorded_where_nothing_expires(
        self, shape: Shape, play: Play, retention: Retention
    ) -> None:
        await retention.step()
        await a_job(shape)
        await tick(shape, play, 3)
        await retention.step()
        assert stretches(shape) == []

    async def test_it_is_recorded_as_what_the_system_did_to_all_accounts(
        self, shape: Shape, play: Play
    ) -> None:
        await a_job(shape)
        await tick(shape, play, 3)
        shape.clock.move(days=31)
        await retention_of(shape, portion=2).step()
        recorded = shape.core.store.read_stream(STREAM)
        assert len(recorded) == 2
        for each in recorded:
            assert (each.subject, each.account, each.actor) == (
                SUBJECT,
                ACCOUNT,
                "system:retention",
            )
        assert len({each.correlation_id for each in recorded}) == 1
        assert await retention_of(shape).step() == shape.clock() + EVERY


class TestWhenToLookAgain:
    async def test_an_empty_history_is_looked_at_every_hour(
        self, shape: Shape, retention: Retention
    ) -> None:
        assert await retention.step() == shape.clock() + EVERY

    async def test_a_busy_one_once_a_portion_is_old_enough(self, shape: Shape, play: Play) -> None:
        await a_job(shape)
        await tick(shape, play, 4)
        third = shape.clock() - timedelta(minutes=1)
        shape.clock.move_to(third + KEEP - timedelta(minutes=2))
        assert await retention_of(shape, portion=2).step() == third + KEEP
        assert await retention_of(shape, portion=5).step() == shape.clock() + EVERY


class TestSeveralSchedulers:
    async def test_one_does_it_and_the_others_leave_it_to_that_one(
        self, shape: Shape, play: Play
    ) -> None:
        await a_job(shape)
        await tick(shape, play, 7)
        shape.clock.move(days=31)
        crowd = [retention_of(shape, portion=2) for _ in range(3)]
        looks = await asyncio.gather(*(each.step() for each in crowd))
        assert sorted(looks) == [shape.clock() + OTHERS_AT_IT] * 2 + [shape.clock() + EVERY]
        assert len(stretches(shape)) == 4
        assert shape.differences() == []

    async def test_one_that_was_interrupted_is_taken_over_from(
        self, shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job_id = await a_job(shape)
        await tick(shape, play, 7)
        shape.clock.move(days=31)
        dying = retention_of(shape, portion=2)
        with monkeypatch.context() as death:
            death.setattr(dying, "_record", partial(_record_and_die, dying._record))
            with pytest.raises(InterruptedError):
                await dying.step()
        assert len(await history(shape, job_id)) == 5
        await retention_of(shape, portion=2).step()
        assert await history(shape, job_id) == []
        assert len(stretches(shape)) == 4
        assert shape.differences() == []


async def _record_and_die(record: Callable[..., object], *decided: object) -> bool:
    await record(*decided)  # type: ignore[misc]
    raise InterruptedError


def _covers(stretch: ExecutionsExpired, place: tuple[datetime, str]) -> bool:
    since, before = (stretch.since, stretch.since_id), (stretch.before, stretch.before_id)
    return since <= place < before
