"""A store that stops at the moments that matter, for tests of what waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from eventstore.store import Append, Appended, AppendRefused, EventStore


class HeldStore:
    """A store that stops before each transaction until it is let go; counts the transactions."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.batches: list[list[str]] = []
        self.fault: Exception | None = None
        self._entered = threading.Semaphore(0)
        self._let_go = threading.Semaphore(0)

    def append(self, appends: Sequence[Append]) -> list[Appended | AppendRefused]:
        self._entered.release()
        self._let_go.acquire()
        self.batches.append([each.writes[0].stream for each in appends])
        if self.fault is not None:
            raise self.fault
        return self._store.append(appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def wait_until_entered(self) -> None:
        assert self._entered.acquire(timeout=60)

    def let_go(self, times: int = 1) -> None:
        for _ in range(times):
            self._let_go.release()

    def let_everything_go(self) -> None:
        self.let_go(1000)


async def queued(count: int) -> None:
    """Let the tasks that were just made run up to where they wait."""
    for _ in range(count + 1):
        await asyncio.sleep(0)
