"""Group commit: batches, faults in them, and who is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy.exc import DataError

from eventstore.appender import Appender
from eventstore.store import (
    NO_STREAM,
    Appended,
    RecordedEvent,
    StoreUnavailable,
    VersionConflict,
)
from tests.eventstore.building import Applied, append, event
from tests.eventstore.holding import HeldStore, queued


def test_what_queued_during_a_transaction_shares_the_next_one(
    appender: Appender, held: HeldStore
) -> None:
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    others = [appender.submit(append(f"other-{n}", NO_STREAM)) for n in range(99)]
    held.let_go(2)

    answers = [future.result(60) for future in (first, *others)]

    assert [len(batch) for batch in held.batches] == [1, 99]
    assert [answer.events[0].position for answer in answers] == list(range(1, 101))


def test_a_lonely_append_waits_for_nobody(appender: Appender, held: HeldStore) -> None:
    held.let_go()
    assert appender.submit(append("a", NO_STREAM)).result(60).events[0].position == 1
    assert held.batches == [["a"]]


def test_a_batch_is_bounded(appender_on: Callable[..., Appender], held: HeldStore) -> None:
    appender = appender_on(max_batch=4)
    futures = [appender.submit(append("s0", NO_STREAM))]
    held.wait_until_entered()
    futures += [appender.submit(append(f"s{n}", NO_STREAM)) for n in range(1, 11)]
    held.let_everything_go()

    for future in futures:
        future.result(60)

    assert [len(batch) for batch in held.batches] == [1, 4, 4, 2]


async def test_many_waiters_on_a_loop_are_answered_by_few_transactions(
    appender: Appender, held: HeldStore
) -> None:
    first = asyncio.create_task(appender.append(append("first", NO_STREAM)))
    await queued(1)
    await asyncio.to_thread(held.wait_until_entered)
    others = [
        asyncio.create_task(appender.append(append(f"other-{n}", NO_STREAM))) for n in range(200)
    ]
    await queued(200)
    held.let_go(2)

    answers = await asyncio.gather(first, *others)

    assert [len(batch) for batch in held.batches] == [1, 200]
    assert [answer.events[0].position for answer in answers] == list(range(1, 202))


async def test_a_loop_is_woken_once_for_a_batch(
    appender: Appender, held: HeldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    wake_up = loop.call_soon_threadsafe
    from_the_writer: list[str] = []

    def counted(*args: Any, **options: Any) -> asyncio.Handle:
        if threading.current_thread().name == "cronpulse-appender":
            from_the_writer.append("woken")
        return wake_up(*args, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    first = asyncio.create_task(appender.append(append("first", NO_STREAM)))
    await queued(1)
    await asyncio.to_thread(held.wait_until_entered)
    others = [
        asyncio.create_task(appender.append(append(f"other-{n}", NO_STREAM))) for n in range(50)
    ]
    await queued(50)
    held.let_go(2)

    await asyncio.gather(first, *others)

    assert len(from_the_writer) == 2


async def test_a_refusal_reaches_its_own_waiter_only(appender: Appender, held: HeldStore) -> None:
    held.let_everything_go()
    await appender.append(append("a", NO_STREAM))

    fine, refused = await asyncio.gather(
        appender.append(append("b", NO_STREAM)),
        appender.append(append("a", NO_STREAM)),
        return_exceptions=True,
    )

    assert isinstance(fine, Appended)
    assert isinstance(refused, VersionConflict)
    with pytest.raises(VersionConflict):
        appender.submit(append("a", NO_STREAM)).result(60)


def test_a_poisonous_append_harms_no_neighbour(
    appender: Appender, held: HeldStore, applied: Applied
) -> None:
    applied.fail_on = "Poison"
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    before = appender.submit(append("before", NO_STREAM))
    poison = appender.submit(append("poison", NO_STREAM, event(type="Poison")))
    after = appender.submit(append("after", NO_STREAM))
    held.let_everything_go()

    assert [future.result(60).events[0].position for future in (first, before, after)] == [1, 2, 3]
    with pytest.raises(RuntimeError, match="can't apply Poison"):
        poison.result(60)
    assert held.batches == [
        ["first"],
        ["before", "poison", "after"],
        ["before"],
        ["poison"],
        ["after"],
    ]


def test_a_value_that_the_database_can_not_hold_harms_no_neighbour(
    appender: Appender, held: HeldStore
) -> None:
    first = appender.submit(append("first", NO_STREAM))
    held.wait_until_entered()
    odd = appender.submit(append("odd", NO_STREAM, event(schema_version=2**70)))
    fine = appender.submit(append("fine", NO_STREAM))
    held.let_everything_go()

    assert first.result(60).events[0].position == 1
    assert fine.result(60).events[0].position == 2
    with pytest.raises((OverflowError, DataError)):
        odd.result(60)


def test_a_fault_of_the_database_fails_its_batch_and_nothing_after_it(
    appender: Appender, held: HeldStore
) -> None:
    held.fault = StoreUnavailable("the disk is full")
    futures = [appender.submit(append("a", NO_STREAM))]
    held.wait_until_entered()
    futures += [appender.submit(append(stream, NO_STREAM)) for stream in "bc"]
    held.let_go(2)

    faults = [future.exception(60) for future in futures]
    held.fault = None
    held.let_everything_go()

    assert [type(fault) for fault in faults] == [StoreUnavailable] * 3
    assert [str(fault) for fault in faults] == ["the disk is full"] * 3
    assert len({id(fault) for fault in faults}) == 3
    assert held.batches == [["a"], ["b", "c"]]
    assert appender.submit(append("a", NO_STREAM)).result(60).events[0].position == 1


def test_commits_are_told_before_they_are_answered(
    appender_on: Callable[..., Appender], held: HeldStore
) -> None:
    told: list[tuple[str, bool]] = []
    futures: list[Future[Appended]] = []

    def tell(events: Sequence[RecordedEvent]) -> None:
        told.extend((each.stream, futures[0].done()) for each in events)

    appender = appender_on(on_commit=tell)
    futures.append(appender.submit(append("a", NO_STREAM)))
    held.let_everything_go()
    futures[0].result(60)

    assert told == [("a", False)]


def test_only_what_is_new_is_told(appender_on: Callable[..., Appender], held: HeldStore) -> None:
    told: list[list[int]] = []
    appender = appender_on(on_commit=lambda events: told.append([e.position for e in events]))
    held.let_everything_go()
    once = append("a", NO_STREAM)
    appender.submit(once).result(60)

    assert appender.submit(once).result(60).repeated
    assert appender.submit(append("a", NO_STREAM)).exception(60) is not None

    assert told == [[1]]


def test_a_listener_that_fails_does_not_fail_the_commit(
    appender_on: Callable[..., Appender], held: HeldStore, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_events: Sequence[RecordedEvent]) -> None:
        raise RuntimeError("deaf")

    appender = appender_on(on_commit=fail)
    held.let_everything_go()

    assert appender.submit(append("a", NO_STREAM)).result(60).events[0].position == 1
    assert appender.submit(append("b", NO_STREAM)).result(60).events[0].position == 2
    assert "telling about a commit failed" in caplog.text


def test_each_transaction_tells_how_long_it_took(
    appender_on: Callable[..., Appender], held: HeldStore
) -> None:
    took: list[float] = []
    appender = appender_on(on_transaction=took.append)
    held.let_everything_go()

    appender.submit(append("a", NO_STREAM)).result(60)
    appender.submit(append("b", NO_STREAM)).result(60)

    assert len(took) == len(held.batches) == 2
    assert min(took) > 0
