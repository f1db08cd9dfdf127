"""Group commit: one thread that turns waiting appends into few transactions.

A durable commit costs a sync of the disk, however much it holds. So a single thread takes whatever
queued while its last transaction ran, and records it all in the next one. There is no timer:
alone, an append is recorded at once; under load the batches grow by themselves.

What happens to an append that is not simply recorded:

- the store refuses it (:class:`~eventstore.store.AppendRefused`): its own waiter hears so;
- the database is unavailable: every waiter of that batch gets
  :class:`~eventstore.store.StoreUnavailable`, nothing was recorded, and the thread goes on;
- anything else goes wrong in a batch: its appends are tried again one by one, so that the one to
  blame gets the error and its neighbours get recorded;
- its waiter is cancelled: if it's still queued it is dropped, else it gets recorded all the same.

The queue is bounded. Beyond it, :meth:`Appender.append` waits for its turn, and
:meth:`Appender.submit`, which must never block an event loop, raises
:class:`~eventstore.store.StoreUnavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from eventstore.store import (
    Append,
    Appended,
    AppendRefused,
    EventStore,
    RecordedEvent,
    StoreUnavailable,
)

MAX_BATCH: Final = 512
"""Appends in one transaction: enough to hide the sync, few enough to answer soon."""

MAX_WAITING: Final = 8192
"""Appends that may wait, of threads and of each event loop."""

OnCommit: TypeAlias = Callable[[Sequence[RecordedEvent]], None]
OnTransaction: TypeAlias = Callable[[float], None]
"""Is told how many seconds a transaction took, whatever came of it."""
OnUnavailable: TypeAlias = Callable[[int], None]
"""Is told how many appends were not recorded because the database was unavailable."""

_Answer: TypeAlias = Appended | BaseException

_log = logging.getLogger(__name__)


class Appender:
    """The process's one writer. Starts its thread at once; :meth:`close` ends it."""

    def __init__(
        self,
        store: EventStore,
        *,
        on_commit: OnCommit | None = None,
        on_transaction: OnTransaction = lambda _seconds: None,
        on_unavailable: OnUnavailable = lambda _appends: None,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._store = store
        self._on_commit = on_commit
        self._on_transaction = on_transaction
        self._on_unavailable = on_unavailable
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[_Waiter | None] = SimpleQueue()
        self._room = threading.BoundedSemaphore(max_waiting)
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cronpulse-appender", daemon=True)
        self._thread.start()

    async def append(self, append: Append) -> Appended:
        """Record ``append`` and return what was recorded, once it is durable.

        Raises the :class:`~eventstore.store.AppendRefused` that refused it, or
        :class:`~eventstore.store.StoreUnavailable`.
        """
        running = asyncio.get_running_loop()
        loop = self._loops.get(running)
        if loop is None:
            loop = self._loops[running] = _Loop(running, self._max_waiting)
        await loop.room.acquire()
        waiter = _LoopWaiter(append, loop)
        try:
            self._enqueue(waiter)
        except StoreUnavailable:
            loop.room.release()
            raise
        return await waiter.future

    def submit(self, append: Append) -> Future[Appended]:
        """The same from any thread, without waiting.

        Raises :class:`~eventstore.store.StoreUnavailable` where too much is waiting already.
        """
        if not self._room.acquire(blocking=False):
            raise StoreUnavailable(f"{self._max_waiting} appends are waiting already")
        waiter = _ThreadWaiter(append, self._room)
        try:
            self._enqueue(waiter)
        except StoreUnavailable:
            self._room.release()
            raise
        return waiter.future

    def close(self) -> None:
        """Record what is queued, answer it, and end the thread. New appends are refused."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Appender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _enqueue(self, waiter: _Waiter) -> None:
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the service is shutting down")
            self._queue.put(waiter)

    # ---- the writer thread

    def _run(self) -> None:
        open_ = True
        while open_:
            first = self._queue.get()
            batch: list[_Waiter] = []
            open_ = self._take(first, batch)
            while open_ and len(batch) < self._max_batch:
                try:
                    open_ = self._take(self._queue.get_nowait(), batch)
                except Empty:
                    break
            if batch:
                self._settle(batch, self._record([waiter.append for waiter in batch]))

    @staticmethod
    def _take(waiter: _Waiter | None, batch: list[_Waiter]) -> bool:
        if waiter is None:
            return False
        if waiter.still_wanted():
            batch.append(waiter)
        return True

    def _record(self, appends: list[Append]) -> Sequence[_Answer]:
        try:
            with self._timed():
                answers = self._store.append(appends)
        except StoreUnavailable as error:
            self._on_unavailable(len(appends))
            return [_copy(error) for _ in appends]
        except BaseException as error:  # noqa: BLE001  (it is the waiter's to handle)
            if len(appends) == 1:
                return [error]
            return [answer for append in appends for answer in self._record([append])]
        self._announce(answers)
        return answers

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._on_transaction(time.perf_counter() - began)

    def _announce(self, answers: Sequence[Appended | AppendRefused]) -> None:
        if self._on_commit is None:
            return
        recorded = [
            event
            for answer in answers
            if isinstance(answer, Appended) and not answer.repeated
            for event in answer.events
        ]
        if recorded:
            try:
                self._on_commit(recorded)
            except Exception:  # noqa: BLE001  (it is committed: its waiters must hear so)
                _log.exception("telling about a commit failed")

    @staticmethod
    def _settle(batch: Sequence[_Waiter], answers: Sequence[_Answer]) -> None:
        by_loop: dict[_Loop, list[tuple[_LoopWaiter, _Answer]]] = {}
        for waiter, answer in zip(batch, answers, strict=True):
            if isinstance(waiter, _LoopWaiter):
                by_loop.setdefault(waiter.loop, []).append((waiter, answer))
            else:
                waiter.settle(answer)
        for loop, settled in by_loop.items():
            loop.settle(settled)


def _copy(error: StoreUnavailable) -> StoreUnavailable:
    """One for each waiter: an exception that is raised in several places gathers their traces."""
    copy = StoreUnavailable(*error.args)
    copy.__cause__ = error.__cause__
    return copy


class _Waiter(Protocol):
    """Somebody who waits for an append."""

    append: Append

    def still_wanted(self) -> bool:
        """Whether to record it; asked once, just before."""

    def settle(self, answer: _Answer) -> None:
        """Give the answer, and make room for another."""


class _ThreadWaiter:
    __slots__ = ("_room", "append", "future")

    def __init__(self, append: Append, room: threading.Semaphore) -> None:
        self.append = append
        self.future: Future[Appended] = Future()
        self._room = room

    def still_wanted(self) -> bool:
        wanted = self.future.set_running_or_notify_cancel()
        if not wanted:
            self._room.release()
        return wanted

    def settle(self, answer: _Answer) -> None:
        self._room.release()
        if isinstance(answer, Appended):
            self.future.set_result(answer)
        else:
            self.future.set_exception(answer)


class _Loop:
    """One event loop's waiters: bounded, and woken together, once a batch."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_waiting: int) -> None:
        self.loop = loop
        self.room = asyncio.Semaphore(max_waiting)

    def settle(self, settled: Sequence[tuple[_LoopWaiter, _Answer]]) -> None:
        def settle_here() -> None:
            for waiter, answer in settled:
                waiter.settle(answer)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(settle_here)


class _LoopWaiter:
    __slots__ = ("append", "future", "loop")

    def __init__(self, append: Append, loop: _Loop) -> None:
        self.append = append
        self.loop = loop
        self.future: asyncio.Future[Appended] = loop.loop.create_future()

    def still_wanted(self) -> bool:
        if self.future.cancelled():
            with contextlib.suppress(RuntimeError):  # as in _Loop.settle
                self.loop.loop.call_soon_threadsafe(self.loop.room.release)
            return False
        return True

    def settle(self, answer: _Answer) -> None:
        self.loop.room.release()
        if self.future.done():
            return
        if isinstance(answer, Appended):
            self.future.set_result(answer)
        else:
            self.future.set_exception(answer)
