"""The in-process broker: how one process wakes its own workers.

Beyond what :mod:`scheduler.broker` asks for:

* A queue is full when it holds ``max_messages`` that are not yet acknowledged, waiting and in hand
  together; it refuses without ever waiting, since the caller may be an event loop.
* A message that comes back takes its very place among the others.
* **At least once, while the process lives.** A message is gone when the consumer that holds it
  acknowledges or rejects it; from a consumer that no longer holds it, either does nothing.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterable

from dramatiq import Consumer, Message, MessageProxy

from scheduler.broker import (
    MAX_MESSAGES,
    BrokerClosed,
    CheckBroker,
    CheckQueue,
    Delivery,
    QueueFull,
)


class InProcessBroker(CheckBroker):
    """A dramatiq broker for the threads of one process, bounded and in memory.

    None of its methods but `join` waits. Closing it drops what waits.

    :param max_messages: how many unacknowledged messages each queue may hold, at least 1.
    :raises ValueError: ``max_messages`` is below 1.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages is {max_messages}; it must be at least 1")
        super().__init__()
        self._max_messages = max_messages

    def open_queue(self, queue_name: str) -> CheckQueue:
        """Return a new queue of this name."""
        return _Queue(queue_name, self._max_messages)


class _Queue(CheckQueue):
    """Messages in the order of their tickets; it and its consumers change only under its lock."""

    def __init__(self, name: str, max_messages: int) -> None:
        super().__init__(name)
        self.changed = threading.Condition()
        self.unsettled: dict[int, bytes] = {}
        self.waiting: list[int] = []  # a heap: a ticket that comes back finds its old place
        self.closed = False
        self._max_messages = max_messages
        self._tickets = itertools.count()

    def put(self, data: bytes) -> None:
        with self.changed:
            if self.closed:
                raise BrokerClosed(f"the broker is closed: queue {self.name!r} takes no messages")
            if len(self.unsettled) >= self._max_messages:
                held = f"it holds max_messages ({self._max_messages})"
                raise QueueFull(f"queue {self.name!r} is full: {held}")
            ticket = next(self._tickets)
            self.unsettled[ticket] = data
            heapq.heappush(self.waiting, ticket)
            self.changed.notify_all()

    def consumer(self, prefetch: int, timeout: float) -> Consumer:
        return _Consumer(self, prefetch, timeout)

    def size(self) -> int:
        return len(self.waiting)

    def first(self) -> bytes | None:
        with self.changed:
            return self.unsettled[self.waiting[0]] if self.waiting else None

    def drop_waiting(self) -> None:
        with self.changed:
            for ticket in self.waiting:
                del self.unsettled[ticket]
            self.waiting.clear()
            self.changed.notify_all()

    def join(self, seconds: float | None) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: not self.unsettled, seconds)

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.drop_waiting()


class _Consumer(Consumer):
    """Takes messages off one queue; unlike dramatiq's own consumers, it is thread-safe."""

    def __init__(self, queue: _Queue, prefetch: int, timeout: float) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._timeout = timeout
        self._in_hand: set[int] = set()
        self._closed = False

    def __next__(self) -> MessageProxy | None:
        queue = self._queue
        with queue.changed:
            # The broker's close ends a wait, but not those that begin later: they would spin.
            was_open = not queue.closed
            queue.changed.wait_for(
                lambda: self._can_take() or self._closed or (was_open and queue.closed),
                self._timeout,
            )
            if self._closed:
                raise StopIteration
            if not self._can_take():
                return None
            ticket = heapq.heappop(queue.waiting)
            self._in_hand.add(ticket)
            return Delivery(ticket, Message.decode(queue.unsettled[ticket]))

    def ack(self, message: MessageProxy) -> None:
        self._settle(message.ticket)

    def nack(self, message: MessageProxy) -> None:
        if self._settle(message.ticket):
            self._queue.reject(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._give_back([message.ticket for message in messages])

    def close(self) -> None:
        with self._queue.changed:
            self._closed = True
            self._give_back(tuple(self._in_hand))

    def _give_back(self, tickets: Iterable[int]) -> None:
        with self._queue.changed:
            for ticket in self._in_hand.intersection(tickets):
                self._in_hand.remove(ticket)
                heapq.heappush(self._queue.waiting, ticket)
            if self._queue.closed:
                self._queue.drop_waiting()
            self._queue.changed.notify_all()

    def _settle(self, ticket: int) -> bool:
        """Forget a message for good; False when it is no longer in hand."""
        with self._queue.changed:
            if ticket not in self._in_hand:
                return False
            self._in_hand.remove(ticket)
            del self._queue.unsettled[ticket]
            self._queue.changed.notify_all()
            return True

    def _can_take(self) -> bool:
        return bool(self._queue.waiting) and len(self._in_hand) < self._prefetch
