"""Telling the process that the log has grown, so that nobody polls.

The appender publishes each commit; listeners on any event loop wake up. A listener's flag stays
up until it looks, and listening starts before the first read, so a commit between a read and the
wait after it is never missed. Being told is only a hint to go and read: what counts is the log.

Other processes write to the same log. :meth:`LogChanges.watch` looks at its head now and then, one
look for all listeners of the process, and wakes them for what was appended elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence

from eventstore.store import RecordedEvent


class Listener:
    """One waiting place. Belongs to the event loop that made it."""

    def __init__(self, types: frozenset[str] | None) -> None:
        self.types = types
        self.loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Return once the log has grown by an event of interest since the last wait began."""
        await self._changed.wait()
        self._changed.clear()

    def is_concerned(self, types: Collection[str] | None) -> bool:
        """Whether events of ``types`` (None: whatever they are) are of interest."""
        return self.types is None or types is None or not self.types.isdisjoint(types)

    def wake(self) -> None:
        """Let the waiter look; only on the listener's own loop."""
        self._changed.set()


class LogChanges:
    """Who wants to know that the log has grown. Publishing is safe from any thread."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._position = 0

    @property
    def position(self) -> int:
        """The last position that was told about."""
        return self._position

    @contextlib.contextmanager
    def listen(self, types: frozenset[str] | None = None) -> Iterator[Listener]:
        """Listen for events of these types (None: of any), for as long as the block runs."""
        listener = Listener(types)
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def publish(self, events: Sequence[RecordedEvent]) -> None:
        """Tell that ``events`` were committed; what an ``Appender`` takes as ``on_commit``."""
        self.publish_position(events[-1].position, {event.type for event in events})

    def publish_position(self, position: int, types: Collection[str] | None = None) -> None:
        """Tell that the log has come to ``position``, by events of ``types`` (None: not known)."""
        with self._lock:
            self._position = max(self._position, position)
            concerned = [each for each in self._listeners if each.is_concerned(types)]
        by_loop: dict[asyncio.AbstractEventLoop, list[Listener]] = {}
        for listener in concerned:
            by_loop.setdefault(listener.loop, []).append(listener)
        for loop, listeners in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(_wake, listeners)

    async def watch(
        self, head: Callable[[], Awaitable[int]], pause: Callable[[], Awaitable[object]]
    ) -> None:
        """Until cancelled: look at the log's head after each ``pause``, and tell what is new.

        ``pause`` decides how late an append by another process is noticed; a second is plenty,
        since what is urgent there has been told there.
        """
        while True:
            await pause()
            position = await head()
            if position > self._position:
                self.publish_position(position)


def _wake(listeners: Iterable[Listener]) -> None:
    for listener in listeners:
        listener.wake()
