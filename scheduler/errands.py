"""Calls that take their time, made by a thread that nobody has to wait for."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class Errands:
    """Makes calls one after another in a thread of its own.

    Neither the end of the process nor that of this object waits for the thread. It ends after `end`,
    or when nobody has this object any more, and makes the calls that were sent before.
    """

    def __init__(self, name: str) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._end = weakref.finalize(self, self._waiting.put, None)
        threading.Thread(target=_run, args=(self._waiting,), name=name, daemon=True).start()

    def send(self, call: Callable[[], object]) -> Future[None]:
        """Have a call made, after those that were sent before."""
        future: Future[None] = Future()

        def make() -> None:
            try:
                call()
            except BaseException as fault:  # noqa: BLE001  (goes to whoever asks for the result)
                future.set_exception(fault)
            else:
                future.set_result(None)

        self._waiting.put(make)
        return future

    def end(self) -> None:
        """Let the thread end when it has made the calls that were sent."""
        self._end()


def _run(waiting: SimpleQueue[Callable[[], None] | None]) -> None:
    while _make_next(waiting):
        pass


def _make_next(waiting: SimpleQueue[Callable[[], None] | None]) -> bool:
    """Wait for a call and make it; its own frame, so that nothing is held while the next is awaited."""
    call = waiting.get()
    if call is None:
        return False
    call()
    return True
