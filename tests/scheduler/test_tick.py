"""Ticks: every one recorded once, whatever happens around it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from api import queries
from api.commands import jobs
from domain.errors import InvalidField
from domain.execution import CheckDue, CheckSkipped
from domain.job import JobPaused
from domain.schedule import Schedule
from eventstore.store import Append, Appended
from scheduler import tick
from tests.clock import START
from tests.jobs import a_job
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape

NOON = START


@pytest.fixture
def play(shape: Shape) -> Play:
    return Play(shape, Receiver())


def ticks(shape: Shape) -> list[datetime]:
    return [event.tick for event in shape.events(CheckDue, CheckSkipped)]


async def test_a_job_is_not_due_before_its_tick(shape: Shape, play: Play) -> None:
    await a_job(shape)
    assert await play.ticker.step() == NOON + timedelta(minutes=1)
    assert ticks(shape) == []


async def test_a_tick_is_recorded_when_its_time_has_come(shape: Shape, play: Play) -> None:
    await a_job(shape)
    shape.clock.move(minutes=1)
    assert await play.ticker.step() == NOON + timedelta(minutes=2)
    assert ticks(shape) == [NOON + timedelta(minutes=1)]


async def test_a_tick_is_recorded_once_though_two_schedulers_find_it(
    shape: Shape, play: Play
) -> None:
    for _ in range(20):
        await a_job(shape)
    other = Play(shape, Receiver())
    shape.clock.move(minutes=1)
    await asyncio.gather(play.ticker.step(), other.ticker.step())
    assert ticks(shape) == [NOON + timedelta(minutes=1)] * 20
    assert shape.differences() == []


async def test_after_downtime_the_latest_missed_tick_runs_once_and_counts_the_skipped_ones(
    shape: Shape, play: Play
) -> None:
    await a_job(shape)
    shape.clock.move(hours=3, seconds=20)
    assert await play.ticker.step() == NOON + timedelta(hours=3, minutes=1)
    (due,) = shape.events(CheckDue)
    assert due.tick == NOON + timedelta(hours=3)
    assert due.skipped_ticks == 179


async def test_a_tick_that_comes_while_a_check_still_runs_is_recorded_as_skipped(
    shape: Shape,
) -> None:
    job_id = await a_job(shape, timeout=300)
    play = Play(shape, Receiver(gate=asyncio.Event()))
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.begin_checks()
    await play.receiver.was_called()
    shape.clock.move(minutes=1)
    await play.ticker.step()
    (skipped,) = shape.events(CheckSkipped)
    assert skipped.tick == NOON + timedelta(minutes=2)
    latest, running = await queries.execution_page(shape.service, "default", job_id, limit=10)
    assert (latest.status, running.status) == ("skipped", "running")
    assert skipped.running_execution_id == running.id
    play.receiver.gate.set()
    await play.runner.idle()
    assert len(play.receiver.calls) == 1


async def test_ticks_go_on_as_before_when_something_else_of_the_job_changes(
    shape: Shape, play: Play
) -> None:
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await jobs.update(shape.service, CALLER, job_id, {"name": "Renamed", "timeout": 10})
    await play.ticker.step()
    assert ticks(shape) == [NOON + timedelta(minutes=1)]


async def test_a_tick_of_the_old_schedule_that_had_come_is_not_lost_to_a_new_schedule(
    shape: Shape, play: Play
) -> None:
    job_id = await a_job(shape)
    shape.clock.move(minutes=1, seconds=1)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/10 * * * *"})
    assert await play.ticker.step() == NOON + timedelta(minutes=10)
    assert ticks(shape) == [NOON + timedelta(minutes=1)]
    (due,) = shape.events(CheckDue)
    assert due.skipped_ticks == 0


async def test_ticks_of_a_new_schedule_from_before_it_was_set_do_not_count_as_skipped(
    shape: Shape, play: Play
) -> None:
    job_id = await a_job(shape, schedule="0 * * * *")
    shape.clock.move(hours=1, minutes=5)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "* * * * *"})
    shape.clock.move(minutes=2)
    await play.ticker.step()
    (due,) = shape.events(CheckDue)
    assert due.tick == NOON + timedelta(hours=1, minutes=7)
    assert due.skipped_ticks == 2  # 13:00 by the old schedule, 13:06 by the new one


async def test_a_paused_job_has_no_ticks_and_no_next_run(shape: Shape, play: Play) -> None:
    job_id = await a_job(shape)
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    shape.clock.move(hours=1)
    assert await play.ticker.step() is None
    assert ticks(shape) == []
    assert (await queries.job(shape.service, "default", job_id)).next_run_at is None


async def test_a_resumed_job_ticks_from_then_on(shape: Shape, play: Play) -> None:
    job_id = await a_job(shape, paused=True)
    shape.clock.move(hours=1)
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})
    assert await play.ticker.step() == NOON + timedelta(hours=1, minutes=1)
    assert ticks(shape) == []


async def test_a_passive_job_is_never_ticked_and_still_tells_its_next_run(
    shape: Shape, play: Play
) -> None:
    job_id = await a_job(shape, mode="passive")
    shape.clock.move(minutes=5, seconds=30)
    assert await play.ticker.step() is None
    assert ticks(shape) == []
    shown = await queries.job(shape.service, "default", job_id)
    assert shown.next_run_at == NOON + timedelta(minutes=6)


async def test_an_active_job_made_passive_stops_ticking_after_what_had_come(
    shape: Shape, play: Play
) -> None:
    job_id = await a_job(shape)
    await jobs.update(shape.service, CALLER, job_id, {"mode": "passive"})
    shape.clock.move(minutes=5)
    assert await play.ticker.step() is None
    assert ticks(shape) == []


async def test_a_deleted_job_is_never_ticked_again(shape: Shape, play: Play) -> None:
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await jobs.delete(shape.service, CALLER, job_id)
    assert await play.ticker.step() is None
    assert ticks(shape) == []


async def test_a_tick_found_before_a_change_of_the_job_is_decided_again_after_it(
    shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    append, changed = shape.log.appender.append, False

    async def change_first(wanted: Append) -> Appended:
        nonlocal changed
        if not changed:
            changed = True
            await jobs.update(shape.service, CALLER, job_id, {"paused": True})
        return await append(wanted)

    monkeypatch.setattr(shape.log.appender, "append", change_first)
    assert await play.ticker.step() is None
    assert ticks(shape) == []
    assert shape.events(JobPaused)


async def test_more_jobs_than_a_batch_are_all_ticked(shape: Shape) -> None:
    play = Play(shape, Receiver())
    play.ticker._batch = 7
    for _ in range(30):
        await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    assert len(ticks(shape)) == 30


async def test_a_job_whose_stored_schedule_is_unusable_is_paused_and_holds_up_no_other(
    shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = await a_job(shape, timezone="Europe/Berlin")
    await a_job(shape)
    known = tick.parse_schedule

    def without_berlin(expression: str, timezone: str = "UTC") -> Schedule:
        if timezone == "Europe/Berlin":  # as after an upgrade of the time zone database
            raise InvalidField("timezone", "is not known")
        return known(expression, timezone)

    monkeypatch.setattr(tick, "parse_schedule", without_berlin)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    assert len(ticks(shape)) == 1
    assert (await queries.job(shape.service, "default", bad)).job.paused
    assert bad in caplog.text


async def test_ticks_are_utc_whatever_the_zone(shape: Shape, play: Play) -> None:
    await a_job(shape, schedule="30 9 * * *", timezone="America/New_York")
    shape.clock.move(days=1)
    await play.ticker.step()
    (due,) = shape.events(CheckDue)
    assert due.tick == datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
