"""A job that is changed while ticks of it are overdue: each of them is still in a record, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from api.commands import jobs
from domain.execution import CheckDue
from tests.clock import START
from tests.jobs import a_job
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape


def second(number: float) -> datetime:
    return START + timedelta(seconds=number)


async def overdue_job(shape: Shape, play: Play) -> str:
    """A job of every second; that of second 1 is recorded, those of 2 to 6 have come."""
    job_id = await a_job(shape, schedule="* * * * * *")
    shape.clock.move(seconds=1)
    await play.step()
    shape.clock.move(seconds=5)
    return job_id


def recorded(shape: Shape) -> list[tuple[datetime, int]]:
    return [(due.tick, due.skipped_ticks) for due in shape.events(CheckDue)]


@pytest.fixture
def play(shape: Shape) -> Play:
    return Play(shape, Receiver())


async def test_a_new_schedule_records_the_latest_tick_of_the_old_one_for_all(
    shape: Shape, play: Play
) -> None:
    job_id = await overdue_job(shape, play)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/10 * * * * *"})
    await play.step()
    assert recorded(shape)[1:] == [(second(6), 4)]
    shape.clock.move(seconds=14)
    await play.step()
    assert recorded(shape)[2:] == [(second(20), 1)]
    assert shape.differences() == []


async def test_old_ticks_count_with_the_first_of_the_new_schedule_where_both_are_overdue(
    shape: Shape, play: Play
) -> None:
    job_id = await overdue_job(shape, play)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/10 * * * * *"})
    shape.clock.move(seconds=4)
    await play.step()
    assert recorded(shape)[1:] == [(second(10), 5)]


async def test_a_schedule_that_is_changed_twice_loses_no_tick(shape: Shape, play: Play) -> None:
    job_id = await overdue_job(shape, play)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/10 * * * * *"})
    shape.clock.move(seconds=5)
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/5 * * * * *"})
    shape.clock.move(seconds=5)
    await play.step()
    assert recorded(shape)[1:] == [(second(15), 6)]


@pytest.mark.parametrize("stopped", ["paused", "passive"])
async def test_what_was_overdue_when_a_job_stopped_counts_once_it_goes_on(
    shape: Shape, play: Play, stopped: str
) -> None:
    stop, go_on = {
        "paused": ({"paused": True}, {"paused": False}),
        "passive": ({"mode": "passive"}, {"mode": "active"}),
    }[stopped]
    job_id = await overdue_job(shape, play)
    await jobs.update(shape.service, CALLER, job_id, stop)
    shape.clock.move(seconds=10)
    await play.step()
    assert recorded(shape)[1:] == []
    await jobs.update(shape.service, CALLER, job_id, go_on)
    shape.clock.move(seconds=1)
    await play.step()
    assert recorded(shape)[1:] == [(second(17), 5)]
    shape.clock.move(seconds=1)
    await play.step()
    assert recorded(shape)[2:] == [(second(18), 0)]
    assert shape.differences() == []


Change = Callable[[Shape, str], Awaitable[object]]


async def reschedule(late: Shape, job_id: str) -> None:
    await jobs.update(late.service, CALLER, job_id, {"schedule": "*/1 * * * * *"})


async def pause_and_resume(late: Shape, job_id: str) -> None:
    await jobs.update(late.service, CALLER, job_id, {"paused": True})
    await jobs.update(late.service, CALLER, job_id, {"paused": False})


@pytest.mark.parametrize("change", [reschedule, pause_and_resume])
async def test_a_change_that_is_decided_before_a_tick_and_recorded_after_it_repeats_none(
    shape: Shape, play: Play, change: Change
) -> None:
    job_id = await a_job(shape, schedule="* * * * * *")
    shape.clock.move(seconds=1)
    await play.step()
    decided_at = second(1.5)
    shape.clock.move(seconds=1)
    await play.step()
    late = replace(shape, service=replace(shape.service, now=lambda: decided_at))
    await change(late, job_id)
    for _ in range(3):
        assert await play.step() == shape.clock() + timedelta(seconds=1)
        shape.clock.move(seconds=1)
    assert recorded(shape) == [(second(number), 0) for number in (1, 2, 3, 4)]
    assert shape.differences() == []
