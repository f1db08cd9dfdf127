"""Subscriptions: at least once, in order, and without a sync for every commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from eventstore.changes import LogChanges
from eventstore.database import Database
from eventstore.store import ANY_VERSION, EventStore, RecordedEvent
from eventstore.subscription import Subscription
from tests.eventstore.building import append, event

NAME = "dispatcher"
NEVER = 1e9
"""Seconds that no test waits."""


class CountingStore:
    """Remembers which checkpoints were saved."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.saved: list[int] = []
        self.has_saved = threading.Semaphore(0)

    def save_checkpoint(self, name: str, position: int) -> None:
        self._store.save_checkpoint(name, position)
        self.saved.append(position)
        self.has_saved.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Handled:
    """A handler that keeps positions, can fail, and can be waited for."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.batches: list[int] = []
        self.fail_at: int | None = None
        self._more = asyncio.Condition()

    async def __call__(self, events: Sequence[RecordedEvent]) -> None:
        positions = [each.position for each in events]
        if self.fail_at in positions:
            raise LookupError(f"can't handle {self.fail_at}")
        self.positions += positions
        self.batches.append(len(positions))
        async with self._more:
            self._more.notify_all()

    async def until(self, position: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: position in self.positions)


@pytest.fixture
def counting(store: EventStore) -> CountingStore:
    return CountingStore(store)


@pytest.fixture
def changes() -> LogChanges:
    return LogChanges()


@pytest.fixture
async def handled() -> Handled:
    return Handled()


@pytest.fixture
def subscribe(
    database: Database, counting: CountingStore, changes: LogChanges, handled: Handled
) -> Callable[..., Subscription]:
    def make(**options: Any) -> Subscription:
        values: dict[str, Any] = {
            "database": database,
            "store": counting,
            "changes": changes,
            "name": NAME,
            "types": frozenset({"Due"}),
            "handle": handled,
            "save_after": NEVER,
        }
        return Subscription(**(values | options))

    return make


def record(store: EventStore | CountingStore, *types: str) -> list[RecordedEvent]:
    before = store.head().position
    store.append([append("a", ANY_VERSION, event(type=each)) for each in types])
    return store.read_all(after=before, limit=10_000)


async def test_catching_up_handles_everything_of_its_types_in_order(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, "Due", "Other", "Due", "Due", "Other")

    assert await subscribe().catch_up() == 3

    assert handled.positions == [1, 3, 4]
    assert counting.checkpoint(NAME) == 5


async def test_catching_up_again_handles_only_what_is_new(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, "Due")
    await subscribe().catch_up()
    record(counting, "Due")

    assert await subscribe().catch_up() == 1
    assert await subscribe().catch_up() == 0

    assert handled.positions == [1, 2]
    assert counting.saved == [1, 2]


async def test_batches_are_bounded_and_leave_no_gap(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, *["Due", "Other"] * 25)

    assert await subscribe(batch=10).catch_up() == 25

    assert handled.batches == [10, 10, 5]
    assert handled.positions == list(range(1, 51, 2))
    assert counting.checkpoint(NAME) == 50


async def test_every_type_can_be_subscribed_to(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, "Due", "Other")
    await subscribe(types=None).catch_up()
    assert handled.positions == [1, 2]


async def test_a_batch_that_could_not_be_handled_comes_again(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, *["Due"] * 5)
    subscription = subscribe(batch=2)
    handled.fail_at = 3

    with pytest.raises(LookupError):
        await subscription.catch_up()
    assert handled.positions == [1, 2]
    handled.fail_at = None
    await subscription.catch_up()

    assert handled.positions == [1, 2, 3, 4, 5]


async def test_after_a_crash_what_was_not_remembered_comes_again(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, *["Due"] * 5)
    handled.fail_at = 5
    with pytest.raises(LookupError):
        await subscribe(batch=2, save_every=4).catch_up()
    assert counting.saved == [4]
    handled.fail_at = None

    await subscribe(batch=2).catch_up()

    assert handled.positions == [1, 2, 3, 4, 5]


async def test_the_checkpoint_moves_over_a_log_that_does_not_matter(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, *["Other"] * 30)
    assert await subscribe().catch_up() == 0
    assert handled.batches == []
    assert counting.checkpoint(NAME) == 30


async def test_running_handles_commits_as_they_come_and_saves_seldom(
    subscribe: Callable[..., Subscription],
    counting: CountingStore,
    changes: LogChanges,
    handled: Handled,
) -> None:
    record(counting, "Due")
    running = asyncio.create_task(subscribe(save_every=10).run())
    await handled.until(1)

    for position in range(2, 26):
        changes.publish(record(counting, "Due"))
        await handled.until(position)
    saved_while_busy = list(counting.saved)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert handled.positions == list(range(1, 26))
    assert saved_while_busy == [10, 20]
    assert counting.checkpoint(NAME) == 25


async def test_running_saves_when_nothing_happens(
    subscribe: Callable[..., Subscription],
    counting: CountingStore,
    changes: LogChanges,
    handled: Handled,
) -> None:
    record(counting, "Due", "Other")
    running = asyncio.create_task(subscribe(save_after=0).run())
    await handled.until(1)
    assert await asyncio.to_thread(counting.has_saved.acquire, timeout=60)

    changes.publish(record(counting, "Due"))
    await handled.until(3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert counting.saved == [2, 3]


async def test_running_ends_with_what_the_handler_raised(
    subscribe: Callable[..., Subscription], counting: CountingStore, handled: Handled
) -> None:
    record(counting, *["Due"] * 4)
    handled.fail_at = 3

    with pytest.raises(LookupError):
        await subscribe(batch=2).run()

    assert counting.checkpoint(NAME) == 2


async def test_a_commit_while_handling_is_not_missed(
    subscribe: Callable[..., Subscription],
    counting: CountingStore,
    changes: LogChanges,
    handled: Handled,
) -> None:
    record(counting, "Due")

    async def handle_while_more_comes(events: Sequence[RecordedEvent]) -> None:
        if events[0].position == 1:
            changes.publish(record(counting, "Due"))
        await handled(events)

    running = asyncio.create_task(subscribe(handle=handle_while_more_comes).run())
    await handled.until(2)
    running.cancel()

    assert handled.positions == [1, 2]
