"""Several schedulers and workers on one log: the work is divided, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from api.commands import jobs
from domain.execution import CheckDue, CheckFailed, CheckStarted, CheckSucceeded
from domain.heartbeat import HeartbeatMissed
from eventstore import claims
from projections import due_ticks, heartbeats
from scheduler import dispatch
from scheduler.broker import BrokerUnavailable
from scheduler.dispatch import Dispatcher, DispatchTurns
from scheduler.recovery import QUEUED_TOO_LONG, Recovery
from scheduler.workbench import OTHERS_AT_IT, Workbench
from tests.jobs import a_job, a_project, ping
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape


def bench(shape: Shape) -> Workbench:
    return Workbench(log=shape.log, now=shape.clock, new_id=shape.new_id)


async def jobs_in_every_bucket(shape: Shape, **fields: object) -> list[str]:
    project_id = await a_project(shape)
    made = [await a_job(shape, project_id=project_id, **fields) for _ in range(30)]
    assert len({job_id[-1] for job_id in made}) == 10  # counted ids end in digits
    return made


def ticks(shape: Shape) -> list[str]:
    return [due.job_id for due in shape.events(CheckDue)]


async def test_schedulers_that_work_at_once_record_every_tick_once(shape: Shape) -> None:
    made = await jobs_in_every_bucket(shape)
    shape.clock.move(minutes=1)
    await asyncio.gather(*(Play(shape, Receiver()).ticker.step() for _ in range(3)))
    assert sorted(ticks(shape)) == sorted(made)
    assert shape.differences() == []


async def test_what_one_scheduler_has_claimed_others_leave_alone(scaled_shape: Shape) -> None:
    shape = scaled_shape
    made = await jobs_in_every_bucket(shape)
    moment = shape.clock.move(minutes=1)
    claim = partial(due_ticks.claim, moment=moment, limit=500)
    database = shape.log.database
    async with database.claim(claim) as first, database.claim(claim) as second:
        assert len({due.job_id[-1] for due in first}) == claims.BUCKETS_A_TURN
        assert sorted(due.job_id for due in (*first, *second)) == sorted(made)
        async with database.claim(claim) as third:
            assert third == []
    async with database.claim(claim) as again:
        assert again == first


async def test_a_scheduler_that_finds_all_claimed_looks_again_soon(scaled_shape: Shape) -> None:
    shape = scaled_shape
    await a_job(shape)
    moment = shape.clock.move(minutes=1)
    play = Play(shape, Receiver())
    async with shape.log.database.claim(partial(due_ticks.claim, moment=moment, limit=500)):
        assert await play.ticker.step() == moment + OTHERS_AT_IT
        assert ticks(shape) == []
    assert await play.ticker.step() == moment + timedelta(minutes=1)
    assert len(ticks(shape)) == 1


async def test_the_claim_of_a_scheduler_that_dies_is_free_again(scaled_shape: Shape) -> None:
    shape = scaled_shape
    made = await jobs_in_every_bucket(shape)
    moment = shape.clock.move(minutes=1)
    claim = partial(due_ticks.claim, moment=moment, limit=500)
    database = shape.log.database
    async with database.claim(claim), database.claim(claim):
        with database.transaction() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE state = 'idle in transaction' AND datname = current_database()"
            )
        await Play(shape, Receiver()).ticker.step()
    assert sorted(ticks(shape)) == sorted(made)


async def test_a_scheduler_that_stood_still_records_nothing_that_another_counted(
    shape: Shape,
) -> None:
    await a_job(shape, schedule="* * * * * *")
    stood_still_at = shape.clock.move(seconds=1)
    (stale,) = await shape.log.database.read(partial(due_ticks.due, moment=stood_still_at, limit=9))
    shape.clock.move(seconds=4)
    play = Play(shape, Receiver())
    await play.step()
    assert not await play.ticker._tick(stale, stood_still_at)
    shape.clock.move(seconds=1)
    await play.step()
    recorded = [(due.tick, due.skipped_ticks) for due in shape.events(CheckDue)]
    assert recorded == [
        (stood_still_at + timedelta(seconds=4), 4),
        (stood_still_at + timedelta(seconds=5), 0),
    ]


async def test_a_job_with_more_to_do_than_a_portion_does_not_keep_others_waiting(
    scaled_shape: Shape,
) -> None:
    shape = scaled_shape
    made = await jobs_in_every_bucket(shape)
    shape.clock.move(minutes=1)
    play = Play(shape, Receiver())
    play.ticker._batch = 6  # a job of each bucket at a time
    await play.ticker.step()
    assert sorted(ticks(shape)) == sorted(made)


async def test_windows_are_closed_once_by_several_schedulers(shape: Shape) -> None:
    made = await jobs_in_every_bucket(
        shape, mode="passive", heartbeat=True, schedule="*/10 * * * *", heartbeatTolerance=1
    )
    for job_id in made:
        await ping(shape, job_id)
    shape.clock.move(minutes=12)
    await asyncio.gather(*(Play(shape, Receiver()).heartbeats.step() for _ in range(3)))
    assert len(shape.events(HeartbeatMissed)) == len(made)
    assert shape.differences() == []


async def test_claimed_windows_are_left_alone(scaled_shape: Shape) -> None:
    shape = scaled_shape
    job_id = await a_job(
        shape, mode="passive", heartbeat=True, schedule="*/10 * * * *", heartbeatTolerance=1
    )
    await ping(shape, job_id)
    moment = shape.clock.move(minutes=12)
    play = Play(shape, Receiver())
    async with shape.log.database.claim(partial(heartbeats.claim, moment=moment, limit=9)) as found:
        assert [watched.job_id for watched in found] == [job_id]
        assert await play.heartbeats.step() == moment + OTHERS_AT_IT
    await play.heartbeats.step()
    assert len(shape.events(HeartbeatMissed)) == 1


async def test_dispatchers_take_turns_and_go_on_where_the_last_one_stopped(shape: Shape) -> None:
    sent: list[list[str]] = [[], []]
    turns = [DispatchTurns(bench(shape), Dispatcher(each.extend)) for each in sent]
    made = await jobs_in_every_bucket(shape)
    shape.clock.move(minutes=1)
    await Play(shape, Receiver()).ticker.step()
    await turns[0].step()
    assert len(sent[0]) == len(made)
    execution_id = await jobs.run_now(shape.service, CALLER, made[0])
    await turns[1].step()
    assert sent[1] == [execution_id]
    await turns[0].step()
    assert len(sent[0]) == len(made)


async def test_a_dispatcher_whose_turn_it_is_not_sends_nothing(scaled_shape: Shape) -> None:
    shape = scaled_shape
    sent: list[str] = []
    turns = DispatchTurns(bench(shape), Dispatcher(sent.extend))
    await jobs.run_now(shape.service, CALLER, await a_job(shape))
    async with shape.log.database.claim(partial(claims.take_turn, part=claims.DISPATCH)) as mine:
        assert mine
        assert await turns.step() == shape.clock() + dispatch.EVERY
        assert sent == []
    await turns.step()
    assert len(sent) == 1


async def test_what_can_not_be_sent_is_sent_when_the_broker_is_back(shape: Shape) -> None:
    sent: list[str] = []
    away = True

    def send(execution_ids: list[str]) -> None:
        if away:
            raise BrokerUnavailable("away")
        sent.extend(execution_ids)

    turns = DispatchTurns(bench(shape), Dispatcher(send))
    execution_id = await jobs.run_now(shape.service, CALLER, await a_job(shape))
    with pytest.raises(BrokerUnavailable):
        await turns.step()
    away = False
    await turns.step()
    assert sent == [execution_id]


async def test_a_check_whose_message_still_waits_is_not_sent_again(shape: Shape) -> None:
    play = Play(shape, Receiver())
    waiting_since = shape.clock()
    recovery = Recovery(bench(shape), play.dispatcher, oldest_message=lambda: waiting_since)
    shape.clock.move(seconds=1)
    execution_id = await jobs.run_now(shape.service, CALLER, await a_job(shape))
    shape.clock.move(seconds=10 * QUEUED_TOO_LONG.total_seconds())
    await recovery.step()
    assert play.sent == []
    waiting_since = shape.clock()
    await recovery.step()
    assert play.sent == [execution_id]


async def test_calls_are_given_up_in_time_while_the_broker_is_away(shape: Shape) -> None:
    def away(*_: object) -> None:
        raise BrokerUnavailable("away")

    await a_job(shape, method="POST")
    shape.clock.move(minutes=1)
    dead = Play(shape, Receiver(gate=asyncio.Event()))
    await dead.ticker.step()
    await dead.begin_checks()
    await dead.receiver.was_called()
    await jobs.run_now(shape.service, CALLER, await a_job(shape))
    shape.clock.move(minutes=1)
    recovery = Recovery(bench(shape), Dispatcher(away), oldest_message=away)
    with pytest.raises(BrokerUnavailable):
        await recovery.step()
    assert [failed.reason for failed in shape.events(CheckFailed)] == ["abandoned"]
    await dead.runner.stop(grace=0)


async def test_a_call_that_a_worker_is_making_is_not_made_by_another(scaled_shape: Shape) -> None:
    shape = scaled_shape
    first, second = Play(shape, Receiver(gate=asyncio.Event())), Play(shape, Receiver())
    await a_job(shape, method="GET")
    shape.clock.move(minutes=1)
    await first.ticker.step()
    await first.begin_checks()
    await first.receiver.was_called()
    (due,) = shape.events(CheckDue)
    await second.runner.admit([due.execution_id])
    await second.runner.idle()
    assert second.receiver.calls == []
    shape.clock.move(seconds=45)  # past time-out and grace
    await second.runner.admit([due.execution_id])
    await second.runner.idle()
    assert len(second.receiver.calls) == 1
    first.receiver.gate.set()
    await first.runner.idle()
    assert [started.attempt for started in shape.events(CheckStarted)] == [1, 2]
    assert len(shape.events(CheckSucceeded)) == 1
    assert shape.differences() == []
