"""Heartbeats over the log: what was missed is recorded once, and a ping that came first wins."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api import queries
from api.commands import jobs
from domain.heartbeat import HeartbeatMissed
from eventstore.store import Append, Appended
from projections.executions import ExecutionView
from scheduler.heartbeats import ON_ITS_WAY
from tests.clock import START
from tests.jobs import a_job, ping
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape


@pytest.fixture
def play(shape: Shape) -> Play:
    return Play(shape, Receiver())


async def a_watched_job(shape: Shape) -> str:
    """Passive, due on the hour, with a tolerance of five minutes."""
    return await a_job(
        shape, mode="passive", schedule="0 * * * *", heartbeat=True, heartbeatTolerance=5
    )


async def history(shape: Shape, job_id: str) -> list[ExecutionView]:
    return await queries.execution_page(shape.service, "default", job_id, limit=100)


async def last_status(shape: Shape, job_id: str) -> str | None:
    return (await queries.job(shape.service, "default", job_id)).job.last_status


async def test_a_job_that_was_never_pinged_is_never_missed(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    shape.clock.move(days=3)
    assert await play.heartbeats.step() is None
    assert await last_status(shape, job_id) is None


async def test_a_window_that_closes_without_a_ping_is_recorded_as_missed_at_its_end(
    shape: Shape, play: Play
) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    shape.clock.move(hours=2, minutes=30)
    await play.heartbeats.step()
    missed, beat = await history(shape, job_id)
    assert (missed.trigger, missed.status) == ("heartbeat", "missed")
    assert missed.finished_at == START + timedelta(hours=1, minutes=5)
    assert missed.scheduled_for == START + timedelta(hours=1)
    assert beat.trigger == "ping"
    assert await last_status(shape, job_id) == "missed"


async def test_an_outage_is_recorded_once_however_long_it_lasts(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    for _ in range(100):
        shape.clock.move(minutes=30)
        await play.heartbeats.step()
    assert len(shape.events(HeartbeatMissed)) == 1
    await ping(shape, job_id)
    assert await last_status(shape, job_id) == "success"
    shape.clock.move(hours=2)
    await play.heartbeats.step()
    assert len(shape.events(HeartbeatMissed)) == 2
    assert shape.differences() == []


async def test_pings_in_time_are_never_called_missed(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    for minutes in (57, 66, 54, 60):
        shape.clock.move(minutes=minutes)
        await ping(shape, job_id)
        await play.heartbeats.step()
    assert shape.events(HeartbeatMissed) == []


async def test_a_miss_that_is_noticed_after_the_next_ping_is_still_recorded(
    shape: Shape, play: Play
) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    shape.clock.move(hours=1, minutes=20)
    await ping(shape, job_id)
    await play.heartbeats.step()
    (missed,) = shape.events(HeartbeatMissed)
    assert missed.missed_at == START + timedelta(hours=1, minutes=5)
    assert await last_status(shape, job_id) == "success"


async def test_a_ping_that_is_recorded_between_the_look_and_the_closing_wins(
    shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    shape.clock.move(hours=1, minutes=5)
    append, raced = shape.log.appender.append, False

    async def ping_first(wanted: Append) -> Appended:
        nonlocal raced
        if not raced:
            raced = True
            late, shape.clock.moment = shape.clock(), START + timedelta(hours=1, minutes=5)
            await ping(shape, job_id)
            shape.clock.moment = late
        return await append(wanted)

    shape.clock.move(seconds=5)
    monkeypatch.setattr(shape.log.appender, "append", ping_first)
    await play.heartbeats.step()
    assert raced
    assert shape.events(HeartbeatMissed) == []
    assert await last_status(shape, job_id) == "success"


async def test_a_window_is_closed_a_moment_after_its_end(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    end = START + timedelta(hours=1, minutes=5)
    assert await play.heartbeats.step() == end + ON_ITS_WAY
    shape.clock.move_to(end + ON_ITS_WAY)
    await play.heartbeats.step()
    assert shape.events(HeartbeatMissed) == []
    shape.clock.move(microseconds=1)
    await play.heartbeats.step()
    assert len(shape.events(HeartbeatMissed)) == 1


async def test_a_run_that_was_started_and_not_finished_is_missed(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    shape.clock.move(minutes=58)
    await ping(shape, job_id, "start")
    shape.clock.move(minutes=11, seconds=59)
    await play.heartbeats.step()
    assert shape.events(HeartbeatMissed) == []
    shape.clock.move(seconds=5)
    await play.heartbeats.step()
    run, _ = await history(shape, job_id)
    assert (run.trigger, run.status) == ("ping", "missed")
    assert run.finished_at == START + timedelta(hours=1, minutes=10)
    assert await last_status(shape, job_id) == "missed"


async def test_a_finish_closes_the_start_and_gives_the_duration(shape: Shape) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id, "start", client="cron")
    (running,) = await history(shape, job_id)
    assert (running.status, running.duration_ms) == ("running", None)
    shape.clock.move(seconds=90)
    await ping(shape, job_id, "success", output="done")
    (run,) = await history(shape, job_id)
    assert (run.status, run.duration_ms) == ("success", 90_000)
    assert (run.client, run.output) == ("cron", "done")


async def test_overlapping_runs_are_paired_by_their_run_ids(shape: Shape) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id, "start", run_id="a")
    shape.clock.move(seconds=10)
    await ping(shape, job_id, "start", run_id="b")
    shape.clock.move(seconds=10)
    await ping(shape, job_id, "fail", run_id="a", message="broken")
    shape.clock.move(seconds=10)
    await ping(shape, job_id, "success", run_id="b")
    second, first = await history(shape, job_id)
    assert (first.status, first.duration_ms, first.message) == ("failed", 20_000, "broken")
    assert (second.status, second.duration_ms) == ("success", 20_000)


async def test_a_paused_job_records_pings_and_ignores_them(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    await ping(shape, job_id, "fail")
    assert len(await history(shape, job_id)) == 1
    shown = await queries.job(shape.service, "default", job_id)
    assert (shown.job.last_status, shown.job.last_activity_at) == (None, None)
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})
    shape.clock.move(days=1)
    await play.heartbeats.step()
    assert shape.events(HeartbeatMissed) == []


async def test_pausing_ends_the_watch(shape: Shape, play: Play) -> None:
    job_id = await a_watched_job(shape)
    await ping(shape, job_id)
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    shape.clock.move(days=1)
    await play.heartbeats.step()
    assert shape.events(HeartbeatMissed) == []
