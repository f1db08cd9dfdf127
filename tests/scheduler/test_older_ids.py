"""A log from before ids sorted by their time: its ids stay good, and no tick is lost or doubled."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from api import queries
from api.commands import jobs
from domain import execution
from domain.execution import CheckDue, CheckSkipped, CheckSucceeded
from tests.jobs import a_job
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def older_id(job_id: str, tick: datetime) -> str:
    """How the first version named a scheduled check."""
    seed = f"{job_id} {tick.astimezone(UTC).isoformat()}".encode()
    number = int.from_bytes(hashlib.sha256(seed).digest()[:16])
    digits = []
    for _ in range(25):
        number, digit = divmod(number, 36)
        digits.append(DIGITS[digit])
    return "e" + "".join(digits)


def ticks(shape: Shape) -> list[datetime]:
    return [
        event.tick
        for event in shape.events(CheckDue, CheckSkipped)
        if isinstance(event, CheckDue | CheckSkipped)
    ]


async def listed(shape: Shape, job_id: str) -> list[tuple[str, str]]:
    page = await queries.execution_page(shape.service, CALLER.account, job_id, limit=100)
    return [(each.id, each.status) for each in page]


@pytest.fixture
def before_the_upgrade(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The older version until it is undone."""
    monkeypatch.setattr(execution, "scheduled_id", older_id)
    return monkeypatch


async def test_ticks_go_on_where_the_older_version_left_off(
    shape: Shape, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    start = shape.clock()
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).step()
    before_the_upgrade.undo()
    after = Play(shape, Receiver())
    await after.recovery.after_start()
    for _ in range(3):
        await after.step()
    assert ticks(shape) == [start + timedelta(minutes=1)]
    shape.clock.move(minutes=1)
    await after.step()
    assert ticks(shape) == [start + timedelta(minutes=number) for number in (1, 2)]
    assert await listed(shape, job_id) == [
        (execution.scheduled_id(job_id, start + timedelta(minutes=2)), "success"),
        (older_id(job_id, start + timedelta(minutes=1)), "success"),
    ]
    assert shape.differences() == []


async def test_a_tick_that_the_older_version_did_not_come_to_record_is_recorded_once(
    shape: Shape, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    start = shape.clock()
    job_id = await a_job(shape)
    before_the_upgrade.undo()
    shape.clock.move(minutes=1)
    for _ in range(2):
        await Play(shape, Receiver()).step()
    assert ticks(shape) == [start + timedelta(minutes=1)]
    assert len(await listed(shape, job_id)) == 1


async def test_a_check_that_the_older_version_queued_is_made_and_one_that_it_began_is_ended(
    shape: Shape, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    start = shape.clock()
    queued, begun = await a_job(shape), await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    before = Play(shape, Receiver(gate=asyncio.Event()))
    await before.ticker.step()
    await before.runner.admit([older_id(begun, shape.clock())])
    await before.receiver.was_called()
    await before.runner.stop(grace=0)
    before_the_upgrade.undo()
    after = Play(shape, Receiver())
    await after.recovery.after_start()
    await after.begin_checks()
    await after.runner.idle()
    tick = start + timedelta(minutes=1)
    assert await listed(shape, queued) == [(older_id(queued, tick), "success")]
    assert await listed(shape, begun) == [(older_id(begun, tick), "failed")]
    assert len(shape.events(CheckSucceeded)) == 1
    shape.clock.move(minutes=1)
    await after.step()
    assert [status for _, status in await listed(shape, begun)] == ["success", "failed"]
    assert shape.differences() == []


async def test_a_change_of_the_job_right_after_the_upgrade_brings_no_tick_back(
    shape: Shape, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    start = shape.clock()
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).step()
    before_the_upgrade.undo()
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/1 * * * *"})
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})
    after = Play(shape, Receiver())
    await after.step()
    assert ticks(shape) == [start + timedelta(minutes=1)]
    shape.clock.move(minutes=1)
    await after.step()
    assert ticks(shape) == [start + timedelta(minutes=number) for number in (1, 2)]
    assert shape.differences() == []


async def test_a_clock_that_is_put_back_during_the_upgrade_brings_no_tick_back(
    shape: Shape, before_the_upgrade: pytest.MonkeyPatch
) -> None:
    start = shape.clock()
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).step()
    before_the_upgrade.undo()
    shape.clock.moment -= timedelta(seconds=30)
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})
    after = Play(shape, Receiver())
    for _ in range(2):
        shape.clock.move(minutes=1)
        await after.step()
    assert ticks(shape) == [start + timedelta(minutes=number) for number in (1, 2)]
    assert shape.differences() == []
