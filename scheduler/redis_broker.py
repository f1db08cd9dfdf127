"""The broker of many processes: wake-ups through Redis or Valkey.

Beyond what :mod:`scheduler.broker` asks for:

* A queue is full when ``max_messages`` wait in it. What consumers have taken doesn't count.
* **At most once, but for what is given back.** A message leaves Redis when a consumer takes it. A
  consumer that is closed gives back what was not acknowledged; one that is killed can't, and the
  checks are found in the database. An answer that got lost on its way can lose messages or double
  them.
* **No thread waits for Redis but those that must.** A sender is told within the time-outs that it
  can't be reached. A consumer's calls are made by a thread of their own, so that dramatiq's threads
  look up in time to be stopped; it goes on trying, and takes messages within a second of the return.
* Redis 6.2 or later, or Valkey; one server (with replicas if you like), no cluster. Others may use
  the same database: all keys begin with ``cronpulse:``, and there is one for each queue.

dramatiq's own Redis broker is not used: see docs/decisions/0015.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from concurrent import futures
from contextlib import suppress
from functools import partial
from typing import Any, Final

from dramatiq import Consumer, Message, MessageProxy
from dramatiq.errors import DecodeError
from redis import Redis

from scheduler.broker import (
    MAX_MESSAGES,
    WORKER_TIMEOUT_MS,
    BrokerClosed,
    BrokerUnavailable,
    CheckBroker,
    CheckQueue,
    Delivery,
    QueueFull,
)
from scheduler.errands import Errands
from scheduler.redis_connection import connect_to
from scheduler.redis_list import RedisList

NAMESPACE: Final = "cronpulse"
ANSWER_WITHIN: Final = 2.0
"""Seconds that Redis has for a connection, and for each answer."""

IDLE_PAUSE: Final = 0.05
"""Seconds between two looks at an empty queue."""

PAUSE_AFTER_A_FAULT: Final = 0.5
"""Seconds between two attempts to reach Redis."""

JOIN_EVERY: Final = 0.01

_log = logging.getLogger(__name__)


def open_redis_broker(
    url: str,
    *,
    max_messages: int = MAX_MESSAGES,
    namespace: str = NAMESPACE,
    answer_within: float = ANSWER_WITHIN,
    monotonic: Callable[[], float] = time.monotonic,
) -> CheckBroker:
    """Return a broker on the Redis of this URL. It doesn't connect before it is used.

    :param url: as :func:`scheduler.redis_connection.connect_to` takes it.
    :param max_messages: how many messages may wait in each queue, at least 1.
    :param namespace: what all keys begin with.
    :param answer_within: seconds that Redis has for a connection, and for each answer.
    :raises ValueError: the URL can't be used, or ``max_messages`` is below 1.
    """
    if max_messages < 1:
        raise ValueError(f"max_messages is {max_messages}; it must be at least 1")
    client = connect_to(url, answer_within=answer_within)

    def list_of(queue_name: str) -> RedisList:
        key = f"{namespace}:{queue_name}"
        return RedisList(client, key, answer_within=answer_within, monotonic=monotonic)

    return _RedisBroker(client, list_of, max_messages)


class _RedisBroker(CheckBroker):
    def __init__(
        self, client: Redis, list_of: Callable[[str], RedisList], max_messages: int
    ) -> None:
        super().__init__()
        self._client = client
        self._list_of = list_of
        self._max_messages = max_messages

    def open_queue(self, queue_name: str) -> CheckQueue:
        return _Queue(queue_name, self._list_of(queue_name), self._max_messages)

    def close(self) -> None:
        super().close()
        # What is under way in other threads may end.
        self._client.connection_pool.disconnect(inuse_connections=False)


class _Queue(CheckQueue):
    def __init__(self, name: str, messages: RedisList, max_messages: int) -> None:
        super().__init__(name)
        self.messages = messages
        self.tickets = itertools.count()
        self.closed = False
        self._max_messages = max_messages
        self._consumers: weakref.WeakSet[_Consumer] = weakref.WeakSet()

    def put(self, data: bytes) -> None:
        if self.closed:
            raise BrokerClosed(f"the broker is closed: queue {self.name!r} takes no messages")
        if not self.messages.put(data, at_most=self._max_messages):
            held = f"it holds max_messages ({self._max_messages})"
            raise QueueFull(f"queue {self.name!r} is full: {held}")

    def consumer(self, prefetch: int, timeout: float) -> Consumer:
        consumer = _Consumer(self, prefetch, timeout)
        self._consumers.add(consumer)
        return consumer

    def size(self) -> int:
        return self.messages.size()

    def first(self) -> bytes | None:
        return self.messages.first()

    def drop_waiting(self) -> None:
        self.messages.clear()

    def join(self, seconds: float | None) -> bool:
        end = None if seconds is None else time.monotonic() + seconds
        # In this order: what a consumer takes meanwhile is in its hand, or on its way there.
        while self.size() or any(consumer.busy() for consumer in tuple(self._consumers)):
            if end is not None and time.monotonic() >= end:
                return False
            time.sleep(JOIN_EVERY)
        return True

    def close(self) -> None:
        self.closed = True

    def read(self, data: bytes) -> Message[Any] | None:
        """Decode a message; None if it is none of ours, which would end a thread of dramatiq's worker."""
        with suppress(DecodeError):
            message: Message[Any] = Message.decode(data)
            named = message.queue_name == self.name and isinstance(message.actor_name, str)
            if named and message.options == {}:
                return message
        _log.error("what was found in queue %r is no message for it, and is dropped", self.name)
        return None


class _Consumer(Consumer):
    """Takes messages off one queue; unlike dramatiq's own consumers, it is thread-safe."""

    def __init__(self, queue: _Queue, prefetch: int, timeout: float) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._timeout = timeout
        self._errands = Errands(f"consumer of {queue.name}")
        self._look: futures.Future[None] | None = None
        self._changed = threading.Condition()
        self._in_hand: dict[int, bytes] = {}  # by ticket, in the order of the list
        self._arrived: deque[Delivery] = deque()  # in hand, and not yet delivered
        self._taking = False
        self._returning = 0
        self._closed = threading.Event()

    def __next__(self) -> MessageProxy | None:
        if self._closed.is_set():
            raise StopIteration
        if not self._arrived:
            self._look_for_more()
        with self._changed:
            return self._arrived.popleft() if self._arrived else None

    def ack(self, message: MessageProxy) -> None:
        self._settle(message)

    def nack(self, message: MessageProxy) -> None:
        if self._settle(message):
            self._queue.reject(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        with self._changed:
            if not self._closed.is_set():
                tickets = self._in_hand.keys() & {message.ticket for message in messages}
                self._errands.send(partial(self._give_back, self._let_go(sorted(tickets))))

    def close(self) -> None:
        """Give back what is in hand, and wait a little for that to be done."""
        with self._changed:
            if self._closed.is_set():
                return
            self._closed.set()
            given_back = self._errands.send(lambda: self._give_back(self._let_go(self._in_hand)))
            self._errands.end()
        futures.wait([given_back], WORKER_TIMEOUT_MS / 1000)

    def busy(self) -> bool:
        """Say whether any message is in hand, or on its way there or back."""
        with self._changed:
            return self._taking or bool(self._in_hand) or self._returning > 0

    def _look_for_more(self) -> None:
        """Return when a look into the list is over; or when the time is, and it is still under way."""
        if self._look is None:
            with self._changed:
                if not self._changed.wait_for(self._room, min(IDLE_PAUSE, self._timeout)):
                    return
            self._look = self._errands.send(self._take)
        look = self._look
        futures.wait([look], self._timeout)
        if look.done():
            self._look = None
            look.result()

    def _take(self) -> None:
        with self._changed:
            self._taking, room = True, self._room()
        pause = IDLE_PAUSE
        taken: list[bytes] = []
        try:
            if not self._queue.closed:
                taken = self._queue.messages.take(room)
        except BrokerUnavailable:
            pause = PAUSE_AFTER_A_FAULT
        finally:
            with self._changed:
                self._receive(taken)
                self._taking = False
        if not taken:
            self._closed.wait(pause)

    def _receive(self, taken: Iterable[bytes]) -> None:
        for data in taken:
            if (message := self._queue.read(data)) is not None:
                ticket = next(self._queue.tickets)
                self._in_hand[ticket] = data
                self._arrived.append(Delivery(ticket, message))

    def _let_go(self, tickets: Iterable[int]) -> list[bytes]:
        with self._changed:
            messages = [self._in_hand.pop(ticket) for ticket in tuple(tickets)]
            self._returning += len(messages)
            return messages

    def _give_back(self, messages: list[bytes]) -> None:
        try:
            if messages:
                self._queue.messages.give_back(messages)
        except BrokerUnavailable as unavailable:
            _log.warning("what was not begun is left to be found again: %s", unavailable)
        finally:
            with self._changed:
                self._returning -= len(messages)

    def _settle(self, message: MessageProxy) -> bool:
        """Forget a message for good; False when it is no longer in hand."""
        with self._changed:
            settled = self._in_hand.pop(message.ticket, None) is not None
            self._changed.notify_all()
            return settled

    def _room(self) -> int:
        return self._prefetch - len(self._in_hand)
