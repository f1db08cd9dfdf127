"""Checks: recorded before they are called and after, and never overwritten by a latecomer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from api import queries
from api.commands import jobs
from domain import execution
from domain.execution import CheckFailed, CheckStarted, CheckSucceeded
from eventstore.secrets import SecretBox
from eventstore.store import Append, Appended, AppendRefused, StoreUnavailable
from projections import prepared_checks
from projections.executions import ExecutionView
from scheduler.http_check import CheckRequest, CheckResult
from tests.clock import START
from tests.jobs import a_job
from tests.scheduler.playing import SUCCESS, TIMINGS, Play, Receiver
from tests.shapes import CALLER, Shape


def failing(reason: str = "status", **fields: object) -> CheckResult:
    known = {"status_code": 500, "message": "500 instead of 200", "output": "boom"} | fields
    return CheckResult(reason=reason, timings=TIMINGS, **known)


async def executions_of(shape: Shape, job_id: str) -> list[ExecutionView]:
    return await queries.execution_page(shape.service, "default", job_id, limit=100)


async def test_a_successful_check_is_recorded_with_its_times_and_status(shape: Shape) -> None:
    play = Play(shape, Receiver())
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await play.step()
    (done,) = await executions_of(shape, job_id)
    assert (done.status, done.trigger, done.reason) == ("success", "schedule", None)
    assert (done.status_code, done.duration_ms) == (200, 5)
    assert done.scheduled_for == done.started_at == done.finished_at == START + timedelta(minutes=1)
    shown = await queries.job(shape.service, "default", job_id)
    assert (shown.job.last_status, shown.job.last_activity_at) == ("success", done.finished_at)
    assert shown.next_run_at == START + timedelta(minutes=2)


async def test_a_failed_check_keeps_reason_message_and_the_beginning_of_the_body(
    shape: Shape,
) -> None:
    play = Play(shape, Receiver(answer=lambda _: failing()))
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await play.step()
    (done,) = await executions_of(shape, job_id)
    assert (done.status, done.reason, done.status_code) == ("failed", "status", 500)
    assert (done.message, done.output) == ("500 instead of 200", "boom")
    assert (await queries.job(shape.service, "default", job_id)).job.last_status == "failed"


async def test_the_request_is_what_the_job_says_with_its_secret_header_values(
    shape: Shape,
) -> None:
    play = Play(shape, Receiver())
    await a_job(
        shape,
        method="POST",
        body="hello",
        timeout=7,
        expectedStatusCode=204,
        headers={"Authorization": "Bearer s3cr3t", "X-Plain": "1"},
    )
    shape.clock.move(minutes=1)
    await play.step()
    (request,) = play.receiver.calls
    assert request.headers == {"Authorization": "Bearer s3cr3t", "X-Plain": "1"}
    assert (request.method, request.body, request.timeout) == ("POST", "hello", 7)
    assert request.expected_status_code == 204


async def test_the_idempotency_key_is_another_one_for_each_tick(shape: Shape) -> None:
    play = Play(shape, Receiver())
    await a_job(shape)
    for _ in range(3):
        shape.clock.move(minutes=1)
        await play.step()
    assert len({call.execution_id for call in play.receiver.calls}) == 3


async def test_the_start_is_durable_before_the_call_is_made(shape: Shape) -> None:
    recorded: list[int] = []

    def look(_: CheckRequest) -> CheckResult:
        recorded.append(len(shape.events(CheckStarted)))
        return SUCCESS

    play = Play(shape, Receiver(answer=look))
    await a_job(shape)
    shape.clock.move(minutes=1)
    await play.step()
    assert recorded == [1]


async def test_a_check_that_was_handed_over_twice_is_called_once(shape: Shape) -> None:
    gate = asyncio.Event()
    play = Play(shape, Receiver(gate=gate))
    other = Play(shape, Receiver(gate=gate))
    await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.subscription.catch_up()
    ids = play.sent * 2
    await asyncio.gather(play.runner.admit(ids), play.runner.admit(ids), other.runner.admit(ids))
    gate.set()
    await asyncio.gather(play.runner.idle(), other.runner.idle())
    assert len(play.receiver.calls) + len(other.receiver.calls) == 1
    assert len(shape.events(CheckSucceeded)) == 1


async def test_an_outcome_that_comes_after_another_was_decided_is_dropped(shape: Shape) -> None:
    gate = asyncio.Event()
    play = Play(shape, Receiver(gate=gate))
    job_id = await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.begin_checks()
    await play.receiver.was_called()
    shape.clock.move(minutes=5)
    await play.recovery.step()
    gate.set()
    await play.runner.idle()
    (done,) = await executions_of(shape, job_id)
    assert (done.status, done.reason) == ("failed", "abandoned")
    assert shape.events(CheckSucceeded) == []
    assert shape.differences() == []


async def test_the_outcome_of_a_check_of_a_deleted_job_is_dropped(shape: Shape) -> None:
    gate = asyncio.Event()
    play = Play(shape, Receiver(gate=gate))
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.begin_checks()
    await play.receiver.was_called()
    await jobs.delete(shape.service, CALLER, job_id)
    gate.set()
    await play.runner.idle()
    assert shape.events(CheckSucceeded, CheckFailed) == []
    assert shape.differences() == []


async def test_no_more_checks_run_at_once_than_there_is_room_for(shape: Shape) -> None:
    gate = asyncio.Event()
    play = Play(shape, Receiver(gate=gate), concurrency=2)
    for _ in range(5):
        await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.subscription.catch_up()
    admission = asyncio.create_task(play.runner.admit(play.sent))
    await play.receiver.was_called(times=2)
    assert not admission.done()
    assert len(play.receiver.calls) == 2
    gate.set()
    await admission
    await play.runner.idle()
    assert len(play.receiver.calls) == 5


async def test_a_check_that_is_cut_off_stays_unfinished_in_the_log(shape: Shape) -> None:
    play = Play(shape, Receiver(gate=asyncio.Event()))
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.begin_checks()
    await play.receiver.was_called()
    await play.runner.stop(grace=0)
    (running,) = await executions_of(shape, job_id)
    assert running.status == "running"
    await play.runner.admit([running.id])
    assert len(play.receiver.calls) == 1


async def test_header_values_sealed_with_another_key_block_the_call_and_say_so(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(shape, Receiver())
    job_id = await a_job(shape, headers={"X-Token": "s3cr3t"})
    monkeypatch.setattr(play.runner, "_secrets", SecretBox("another key, long enough for it"))
    shape.clock.move(minutes=1)
    await play.step()
    (done,) = await executions_of(shape, job_id)
    assert (done.status, done.reason) == ("failed", "blocked")
    assert "another secret key" in (done.message or "")
    assert play.receiver.calls == []


async def test_a_database_that_fails_for_a_while_leaves_the_check_to_be_found_again(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(shape, Receiver())
    job_id = await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()

    async def fail(_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(shape.log.appender, "append", fail)
        await play.begin_checks()
        await play.runner.idle()
    assert play.receiver.calls == []
    await play.recovery.after_start()
    await play.runner.admit(play.sent)
    await play.runner.idle()
    (done,) = await executions_of(shape, job_id)
    assert done.status == "success"


async def test_a_manual_run_is_called_outside_the_schedule_also_while_paused(
    shape: Shape,
) -> None:
    play = Play(shape, Receiver())
    job_id = await a_job(shape, paused=True)
    execution_id = await jobs.run_now(shape.service, CALLER, job_id)
    (queued,) = await executions_of(shape, job_id)
    assert (queued.status, queued.trigger, queued.scheduled_for) == ("queued", "manual", None)
    await play.step()
    (done,) = await executions_of(shape, job_id)
    assert (done.id, done.status) == (execution_id, "success")
    assert (await queries.job(shape.service, "default", job_id)).next_run_at is None


async def test_every_event_of_a_check_names_its_cause(shape: Shape) -> None:
    play = Play(shape, Receiver())
    await a_job(shape)
    shape.clock.move(minutes=1)
    await play.step()
    due, started, ended = shape.core.store.read_all(
        limit=10,
        types=shape.log.codec.names_of(execution.CheckDue, CheckStarted, CheckSucceeded),
    )
    assert started.causation_id == due.event_id
    assert ended.correlation_id == started.correlation_id == due.correlation_id
    assert (due.actor, started.actor) == ("system:scheduler", "system:worker")


async def test_what_a_stopping_runner_was_given_and_did_not_begin_is_handed_back(
    shape: Shape,
) -> None:
    gate = asyncio.Event()
    play = Play(shape, Receiver(gate=gate), concurrency=2)
    for _ in range(5):
        await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.subscription.catch_up()
    admission = asyncio.create_task(play.runner.admit(play.sent))
    await play.receiver.was_called(times=2)
    stopping = asyncio.create_task(play.runner.stop(grace=60))
    await admission
    called = {call.execution_id for call in play.receiver.calls}
    assert sorted(play.runner.hand_back()) == sorted(set(play.sent) - called)
    assert play.runner.hand_back() == []
    gate.set()
    await stopping
    assert len(shape.events(CheckSucceeded)) == 2


async def test_an_outcome_waits_for_a_database_that_is_away_and_is_recorded(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(shape, Receiver(gate=asyncio.Event()))
    job_id = await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.begin_checks()
    await play.receiver.was_called()
    append, failures = shape.core.store.append, [StoreUnavailable("away")] * 3

    def fails_at_first(appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        if failures:
            raise failures.pop()
        return append(appends)

    monkeypatch.setattr(shape.core.store, "append", fails_at_first)
    assert play.receiver.gate is not None
    play.receiver.gate.set()
    await play.runner.idle()
    (done,) = await executions_of(shape, job_id)
    assert (done.status, failures) == ("success", [])


async def test_a_process_that_stood_still_before_its_call_does_not_make_it_too_late(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(shape, Receiver())
    await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    await play.ticker.step()
    append = shape.core.store.append

    def stands_still(appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        answers = append(appends)
        shape.clock.move(minutes=5)
        return answers

    monkeypatch.setattr(shape.core.store, "append", stands_still)
    await play.begin_checks()
    await play.runner.idle()
    assert play.receiver.calls == []
    assert len(shape.events(CheckStarted)) == 1


async def test_checks_wait_for_a_database_that_can_not_be_read(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(shape, Receiver())
    await a_job(shape)
    shape.clock.move(minutes=1)
    await play.ticker.step()
    await play.subscription.catch_up()
    by_ids, failures = prepared_checks.by_ids, [StoreUnavailable("away")] * 3

    def fails_at_first(*given: object, **named: object) -> object:
        if failures:
            raise failures.pop()
        return by_ids(*given, **named)

    monkeypatch.setattr(prepared_checks, "by_ids", fails_at_first)
    await play.runner.admit(play.sent)
    await play.runner.idle()
    assert len(play.receiver.calls) == 1
