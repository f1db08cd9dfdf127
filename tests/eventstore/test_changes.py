"""Waking up whoever waits for the log to grow."""

from __future__ import annotations

import asyncio
import threading

import pytest

from eventstore.changes import Listener, LogChanges
from eventstore.store import ANY_VERSION, Appended, EventStore, RecordedEvent
from tests.eventstore.building import append, event


@pytest.fixture
def changes() -> LogChanges:
    return LogChanges()


@pytest.fixture
def happened(store: EventStore) -> RecordedEvent:
    [answer] = store.append([append("a", ANY_VERSION, event(type="Happened"))])
    assert isinstance(answer, Appended)
    return answer.events[0]


async def is_woken(listener: Listener) -> bool:
    """Whether the listener's wait ends by what was published so far."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(0):
            await listener.wait()
    except TimeoutError:
        return False
    return True


async def test_a_commit_wakes_a_waiter_from_another_thread(
    changes: LogChanges, happened: RecordedEvent
) -> None:
    with changes.listen(frozenset({"Happened"})) as listener:
        waiting = asyncio.create_task(listener.wait())
        await asyncio.sleep(0)
        assert not waiting.done()

        thread = threading.Thread(target=changes.publish, args=([happened],))
        thread.start()
        await waiting
        thread.join()

    assert changes.position == 1


async def test_a_commit_before_the_wait_is_not_missed(
    changes: LogChanges, happened: RecordedEvent
) -> None:
    with changes.listen() as listener:
        changes.publish([happened])
        changes.publish([happened])
        assert await is_woken(listener)
        assert not await is_woken(listener)


async def test_only_who_listens_for_the_type_is_woken(
    changes: LogChanges, happened: RecordedEvent
) -> None:
    with (
        changes.listen(frozenset({"Other"})) as other,
        changes.listen(frozenset({"Other", "Happened"})) as both,
        changes.listen(None) as everything,
    ):
        changes.publish([happened])
        assert [await is_woken(each) for each in (other, both, everything)] == [False, True, True]


async def test_a_position_without_types_wakes_everybody(changes: LogChanges) -> None:
    with changes.listen(frozenset({"Other"})) as other:
        changes.publish_position(7)
        assert await is_woken(other)
    assert changes.position == 7


async def test_a_position_with_types_wakes_who_listens_for_one_of_them(
    changes: LogChanges,
) -> None:
    with (
        changes.listen(frozenset({"Other"})) as other,
        changes.listen(frozenset({"Other", "Happened"})) as both,
        changes.listen(None) as everything,
    ):
        changes.publish_position(7, ["Happened", "Rare"])
        assert [await is_woken(each) for each in (other, both, everything)] == [False, True, True]
    assert changes.position == 7


async def test_who_stopped_listening_is_left_alone(
    changes: LogChanges, happened: RecordedEvent
) -> None:
    with changes.listen() as listener:
        pass
    changes.publish([happened])
    assert not await is_woken(listener)


def test_a_listener_whose_loop_is_gone_harms_nobody(
    changes: LogChanges, happened: RecordedEvent
) -> None:
    entered = []

    async def listen_and_leave() -> None:
        listening = changes.listen()
        entered.append(listening)
        listening.__enter__()

    asyncio.run(listen_and_leave())
    changes.publish([happened])
    assert changes.position == 1


async def test_the_position_never_goes_back(changes: LogChanges, happened: RecordedEvent) -> None:
    changes.publish_position(5)
    changes.publish([happened])
    assert changes.position == 5


async def test_watching_tells_what_other_processes_appended(changes: LogChanges) -> None:
    heads = iter([3, 3, 5])
    moments: asyncio.Queue[None] = asyncio.Queue()

    async def head() -> int:
        return next(heads)

    changes.publish_position(3)
    with changes.listen(frozenset({"Other"})) as listener:
        assert await is_woken(listener) is False
        watching = asyncio.create_task(changes.watch(head, moments.get))
        woken = []
        for _ in range(3):
            moments.put_nowait(None)
            await asyncio.sleep(0)
            woken.append(await is_woken(listener))
        watching.cancel()

    assert woken == [False, False, True]
    assert changes.position == 5
