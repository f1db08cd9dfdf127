"""After a crash everything that was due or unfinished is found again, and ends once."""

from __future__ import annotations

import asyncio

import pytest

from api import queries
from domain.execution import MAX_ATTEMPTS, CheckStarted
from scheduler import recovery
from tests.jobs import a_job
from tests.scheduler.playing import Play, Receiver
from tests.shapes import Shape


async def crash_during_the_call(shape: Shape, method: str) -> str:
    """A job whose check was begun by a process that is no more."""
    job_id = await a_job(shape, method=method)
    shape.clock.move(minutes=1)
    before = Play(shape, Receiver(gate=asyncio.Event()))
    await before.ticker.step()
    await before.begin_checks()
    await before.receiver.was_called()
    await before.runner.stop(grace=0)
    return job_id


async def find_what_is_left(play: Play) -> None:
    """What a new process finds at its start; where there are others, what they find after a while."""
    if play.shape.core.alone:
        await play.recovery.after_start()
    else:
        play.shape.clock.move(seconds=46)  # past time-out and grace
        await play.recovery.step()
    await play.runner.admit(play.sent)


async def recover(shape: Shape) -> Play:
    after = Play(shape, Receiver())
    await find_what_is_left(after)
    await after.runner.idle()
    return after


async def status_and_reason(shape: Shape, job_id: str) -> tuple[str, str | None]:
    (found,) = await queries.execution_page(shape.service, "default", job_id, limit=10)
    return found.status, found.reason


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_call_that_may_be_repeated_is_repeated(shape: Shape, method: str) -> None:
    job_id = await crash_during_the_call(shape, method)
    after = await recover(shape)
    assert len(after.receiver.calls) == 1
    assert await status_and_reason(shape, job_id) == ("success", None)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_call_that_may_have_been_made_is_not_repeated_but_recorded_as_abandoned(
    shape: Shape, method: str
) -> None:
    job_id = await crash_during_the_call(shape, method)
    after = await recover(shape)
    assert after.receiver.calls == []
    assert await status_and_reason(shape, job_id) == ("failed", "abandoned")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_check_that_was_queued_and_not_begun_is_called(shape: Shape, method: str) -> None:
    job_id = await a_job(shape, method=method)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).ticker.step()
    after = await recover(shape)
    assert len(after.receiver.calls) == 1
    assert await status_and_reason(shape, job_id) == ("success", None)


async def test_a_call_that_crashes_the_service_every_time_is_given_up(shape: Shape) -> None:
    job_id = await crash_during_the_call(shape, "GET")
    for _ in range(MAX_ATTEMPTS - 1):
        again = Play(shape, Receiver(gate=asyncio.Event()))
        await find_what_is_left(again)
        await again.receiver.was_called()
        await again.runner.stop(grace=0)
    after = await recover(shape)
    assert after.receiver.calls == []
    assert await status_and_reason(shape, job_id) == ("failed", "abandoned")
    assert len(shape.events(CheckStarted)) == MAX_ATTEMPTS


async def test_a_message_that_was_lost_is_sent_again_after_a_while(shape: Shape) -> None:
    play = Play(shape, Receiver())
    await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.subscription.catch_up()
    play.sent.clear()
    await play.recovery.step()
    assert play.sent == []
    shape.clock.move(seconds=recovery.QUEUED_TOO_LONG.total_seconds())
    await play.recovery.step()
    assert len(play.sent) == 1


async def test_a_check_within_its_time_is_left_to_its_worker(shape: Shape) -> None:
    job_id = await crash_during_the_call(shape, "POST")
    shape.clock.move(seconds=44)  # time-out and grace are 45
    play = Play(shape, Receiver())
    await play.recovery.step()
    assert (await status_and_reason(shape, job_id))[0] == "running"
    shape.clock.move(seconds=1)
    await play.recovery.step()
    assert await status_and_reason(shape, job_id) == ("failed", "abandoned")


async def test_more_unfinished_checks_than_a_page_are_all_recovered(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BATCH", 4)
    for _ in range(11):
        await a_job(shape)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).ticker.step()
    after = await recover(shape)
    assert len(after.receiver.calls) == 11


async def test_recovering_twice_changes_nothing_more(shape: Shape) -> None:
    await crash_during_the_call(shape, "POST")
    await recover(shape)
    head = shape.core.store.head()
    shape.clock.move(hours=1)
    again = await recover(shape)
    assert again.receiver.calls == []
    assert shape.core.store.head() == head
    assert await again.recovery.step() == shape.clock() + recovery.EVERY
