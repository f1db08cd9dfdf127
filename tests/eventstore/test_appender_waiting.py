"""Waiting for the appender: giving up, a full queue, closing, loops that come and go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from eventstore.appender import Appender
from eventstore.store import (
    NO_STREAM,
    Appended,
    StoreUnavailable,
)
from tests.eventstore.building import append
from tests.eventstore.holding import HeldStore, queued


async def test_a_waiter_that_gives_up_in_the_queue_is_not_recorded(
    appender: Appender, held: HeldStore
) -> None:
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    patient = asyncio.create_task(appender.append(append("patient", NO_STREAM)))
    impatient = asyncio.create_task(appender.append(append("impatient", NO_STREAM)))
    thread = appender.submit(append("thread", NO_STREAM))
    await queued(2)
    impatient.cancel()
    assert thread.cancel()
    await queued(1)
    held.let_go(2)

    await patient

    assert first.done()
    assert impatient.cancelled()
    assert held.batches == [["first"], ["patient"]]


async def test_a_waiter_that_gives_up_too_late_is_recorded_and_harms_no_other(
    appender: Appender, held: HeldStore
) -> None:
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    impatient = asyncio.create_task(appender.append(append("impatient", NO_STREAM)))
    patient = asyncio.create_task(appender.append(append("patient", NO_STREAM)))
    await queued(2)
    held.let_go()
    await asyncio.to_thread(held.wait_until_entered)
    impatient.cancel()
    await queued(1)
    held.let_go()

    answer = await patient

    assert first.done()
    assert impatient.cancelled()
    assert held.batches == [["first"], ["impatient", "patient"]]
    assert answer.events[0].position == 3
    assert held.read_stream("impatient")[0].position == 2


async def test_who_gave_up_in_the_queue_leaves_room_for_others(
    appender_on: Callable[..., Appender], held: HeldStore
) -> None:
    appender = appender_on(max_waiting=2)
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    assert appender.submit(append("impatient", NO_STREAM)).cancel()
    tasks = [asyncio.create_task(appender.append(append(s, NO_STREAM))) for s in "abcd"]
    await queued(4)
    for task in tasks[:2]:
        task.cancel()
    await queued(2)
    held.let_everything_go()

    for task in tasks[2:]:
        assert isinstance(await task, Appended)
    await asyncio.wrap_future(first)
    for room in (appender._room, next(iter(appender._loops.values())).room):
        assert room._value == 2


def test_a_full_queue_refuses_threads_at_once_until_there_is_room(
    appender_on: Callable[..., Appender], held: HeldStore
) -> None:
    appender = appender_on(max_waiting=2)
    waiting = [appender.submit(append(stream, NO_STREAM)) for stream in "ab"]

    with pytest.raises(StoreUnavailable, match="2 appends are waiting"):
        appender.submit(append("c", NO_STREAM))

    held.let_everything_go()
    for future in waiting:
        future.result(60)
    assert appender.submit(append("c", NO_STREAM)).result(60).events[0].position == 3


async def test_a_full_queue_lets_coroutines_wait_their_turn(
    appender_on: Callable[..., Appender], held: HeldStore
) -> None:
    appender = appender_on(max_waiting=2)
    tasks = [asyncio.create_task(appender.append(append(s, NO_STREAM))) for s in "abcde"]
    await queued(5)
    assert appender._queue.qsize() <= 2

    tasks[1].cancel()
    held.let_everything_go()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    recorded = [answer for answer in answers if isinstance(answer, Appended)]
    assert [answer.events[0].stream for answer in recorded] == list("acde")
    assert max(len(batch) for batch in held.batches) <= 2


async def test_closing_records_what_is_queued_and_refuses_what_comes_later(
    appender: Appender, held: HeldStore
) -> None:
    waiting = [appender.submit(append(stream, NO_STREAM)) for stream in "abc"]
    held.let_everything_go()

    appender.close()
    appender.close()

    assert sorted(future.result(0).events[0].position for future in waiting) == [1, 2, 3]
    with pytest.raises(StoreUnavailable, match="shutting down"):
        appender.submit(append("d", NO_STREAM))
    with pytest.raises(StoreUnavailable, match="shutting down"):
        await appender.append(append("d", NO_STREAM))
    assert held.head().position == 3


def test_a_loop_that_is_gone_harms_nobody(appender: Appender, held: HeldStore) -> None:
    async def ask_and_leave() -> None:
        task = asyncio.create_task(appender.append(append("left", NO_STREAM)))
        await queued(1)
        await asyncio.to_thread(held.wait_until_entered)
        task.cancel()

    asyncio.run(ask_and_leave())
    there = appender.submit(append("there", NO_STREAM))
    held.let_everything_go()

    assert there.result(60).events[0].position == 2


def test_several_loops_share_one_appender(appender: Appender, held: HeldStore) -> None:
    held.let_everything_go()

    async def work(loop: int) -> list[int]:
        answers = await asyncio.gather(
            *(appender.append(append(f"{loop}-{n}", NO_STREAM)) for n in range(20))
        )
        return [answer.events[0].version for answer in answers]

    results: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(asyncio.run(work(n)))) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert results == [[1] * 20] * 3
    assert held.head().position == 60
