"""The in-process broker: how one process wakes its own workers.

It carries dramatiq messages from the dispatcher to the worker threads, in memory. It promises
little, on purpose: the database is the truth and a message only says "look there", so whatever is
lost here (a crash, a close, a full queue) is dispatched again. What it does promise:

* **Bounded.** A queue holds at most ``max_messages`` messages that are not yet acknowledged,
  waiting and in hand together, so taking one back never overflows. A full queue refuses at once
  with `QueueFull` and never waits: the caller may be an event loop, and backs off by itself.
* **In order.** Messages are delivered in the order they were sent. One that comes back (requeued,
  or held by a consumer that was closed) takes its old place, ahead of whatever came later.
* **At least once, while the process lives.** A message is gone when the consumer that holds it
  acknowledges or rejects it; from a consumer that no longer holds it, either does nothing.
* **No delays.** There is no delay queue, so dramatiq's worker starts no thread for one, and a
  message with a delay is refused with `DelayRefused`: what is due later stands in the database.
* **Encoded**, as on a network: what can't be sent there is refused here too.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterable

from dramatiq import Broker, Consumer, Message, MessageProxy, Worker
from dramatiq.errors import BrokerError, ConnectionClosed, QueueJoinTimeout, QueueNotFound

logger = logging.getLogger(__name__)

WORKER_TIMEOUT_MS = 100
"""How long an idle thread of dramatiq's worker sleeps, in milliseconds.

``Worker.stop`` can't wake idle threads: it waits until they look up by themselves, first the worker
threads, then the consumer threads. So a stop takes at most twice this long beyond what the running
actors take; the price is ten cheap wake-ups a second for each idle thread.
"""

DEAD_LETTERS_KEPT = 100
"""How many rejected messages can be looked at; older ones are only counted."""


class _Worded:
    """Gives dramatiq's errors, whose own constructor is untyped, one that takes a sentence."""

    def __init__(self, message: str) -> None:
        self.message = message


class QueueFull(_Worded, BrokerError):
    """The queue holds as many unacknowledged messages as it may: try again when some are done."""


class DelayRefused(_Worded, BrokerError):
    """A message was sent with a delay, and this broker keeps none."""


class UnknownQueue(_Worded, QueueNotFound):
    """The queue was never declared; no actor listens to it."""


class BrokerClosed(_Worded, ConnectionClosed):
    """The broker was closed, and takes no more messages."""


class JoinTimedOut(_Worded, QueueJoinTimeout):
    """The time was up before every message of the queue was acknowledged."""


def start_worker(broker: Broker, *, threads: int) -> Worker:
    """Start dramatiq's worker on a broker, so that its stop takes no longer than it must."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=WORKER_TIMEOUT_MS)
    worker.start()
    return worker


class InProcessBroker(Broker):
    """A dramatiq broker for the threads of one process, bounded and in memory.

    Its methods may be called from any thread, and none but `join` waits. Those that are given a
    queue's name raise `UnknownQueue` when it was never declared.

    It has none of dramatiq's middleware, so an actor can't be declared with their options:
    * ``Retries`` and ``AgeLimit`` decide whether work is done again or dropped. The database
      decides that; and a retry that can't be sent would be lost without a word. Without them an
      actor that raises has its error logged by the worker and its message acknowledged.
    * ``TimeLimit`` and ``ShutdownNotifications`` raise in other threads at arbitrary points, even
      between an effect and its record. A check limits its own time and hears of a shutdown itself.
    * ``Callbacks`` and ``Pipelines`` send one message after another; the event log does that here.
    * ``AsyncIO`` runs an event loop of its own; checks run on the one the process already has.

    :param max_messages: how many unacknowledged messages each queue may hold, at least 1.
    :raises ValueError: ``max_messages`` is below 1.
    """

    def __init__(self, *, max_messages: int = 10_000) -> None:
        if max_messages < 1:
            raise ValueError(f"max_messages is {max_messages}; it must be at least 1")
        super().__init__(middleware=[])
        self.queues: dict[str, _Queue] = {}
        self._max_messages = max_messages
        self._closed = False

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; one that exists stays as it is. Raises `BrokerClosed`."""
        if queue_name in self.queues:
            return
        if self._closed:
            raise BrokerClosed(f"the broker is closed: it takes no new queue {queue_name!r}")
        self.emit_before("declare_queue", queue_name)
        queue = _Queue(queue_name, self._max_messages)
        # setdefault is atomic: of two threads that declare a queue, one wins, and only it tells.
        if self.queues.setdefault(queue_name, queue) is queue:
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[object], *, delay: int | None = None) -> Message[object]:
        """Put a message at the end of its queue, without ever waiting.

        :raises QueueFull: the queue holds ``max_messages`` unacknowledged messages.
        :raises DelayRefused: a delay was given, even one of 0.
        :raises BrokerClosed: the broker was closed.
        :raises TypeError: an argument can't be encoded.
        """
        queue = self._queue(message.queue_name)
        if delay is not None or message.options.get("eta") is not None:
            raise DelayRefused("this broker keeps no delayed messages: send it when it is due")
        self.emit_before("enqueue", message, delay)
        queue.put(message.encode())
        self.emit_after("enqueue", message, delay)
        return message

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> Consumer:
        """Return a consumer: at most ``prefetch`` messages in hand, ``timeout`` ms to wait for one."""
        return _Consumer(self._queue(queue_name), prefetch, timeout)

    def flush(self, queue_name: str) -> None:
        """Drop the messages that wait in a queue; those in hand stay with their consumers."""
        self._queue(queue_name).drop_waiting()

    def flush_all(self) -> None:
        """Drop the messages that wait in any queue."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until all messages of a queue are acknowledged, rejected or dropped.

        :raises JoinTimedOut: that took longer than ``timeout`` milliseconds.
        """
        queue = self._queue(queue_name)
        seconds = None if timeout is None else timeout / 1000
        with queue.changed:
            if not queue.changed.wait_for(lambda: not queue.unsettled, seconds):
                raise JoinTimedOut(f"queue {queue_name!r} still has messages after {timeout} ms")

    def close(self) -> None:
        """Take no more messages, drop those that wait, and wake every waiting consumer.

        Consumers go on, may acknowledge what is in hand, and find nothing more: a worker would answer
        an error or an end with a pause of three seconds, and be slow to stop.
        """
        self._closed = True
        for queue in tuple(self.queues.values()):
            queue.close()

    def size(self, queue_name: str) -> int:
        """Return how many messages of a queue are not yet acknowledged, waiting and in hand."""
        return len(self._queue(queue_name).unsettled)

    def dead_letter_count(self, queue_name: str) -> int:
        """Return how many messages were ever rejected; each is an error, and was logged as one."""
        return self._queue(queue_name).dead_letter_count

    def dead_letters(self, queue_name: str) -> tuple[MessageProxy, ...]:
        """Return the last `DEAD_LETTERS_KEPT` rejected messages of a queue, oldest first."""
        return tuple(self._queue(queue_name).dead_letters)

    def _queue(self, queue_name: str) -> _Queue:
        if (queue := self.queues.get(queue_name)) is None:
            raise UnknownQueue(f"queue {queue_name!r} was never declared")
        return queue


class _Queue:
    """Messages in the order of their tickets; it and its consumers change only under its lock."""

    def __init__(self, name: str, max_messages: int) -> None:
        self.changed = threading.Condition()
        self.unsettled: dict[int, bytes] = {}
        self.waiting: list[int] = []  # a heap: a ticket that comes back finds its old place
        self.closed = False
        self.dead_letters: deque[MessageProxy] = deque(maxlen=DEAD_LETTERS_KEPT)
        self.dead_letter_count = 0
        self._name = name
        self._max_messages = max_messages
        self._tickets = itertools.count()

    def put(self, data: bytes) -> None:
        with self.changed:
            if self.closed:
                raise BrokerClosed(f"the broker is closed: queue {self._name!r} takes no messages")
            if len(self.unsettled) >= self._max_messages:
                held = f"it holds max_messages ({self._max_messages})"
                raise QueueFull(f"queue {self._name!r} is full: {held}")
            ticket = next(self._tickets)
            self.unsettled[ticket] = data
            heapq.heappush(self.waiting, ticket)
            self.changed.notify_all()

    def drop_waiting(self) -> None:
        with self.changed:
            for ticket in self.waiting:
                del self.unsettled[ticket]
            self.waiting.clear()
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.drop_waiting()


class _Delivery(MessageProxy):
    """A message in the hands of a consumer; its ticket is its place in the queue."""

    def __init__(self, ticket: int, data: bytes) -> None:
        self.ticket = ticket
        super().__init__(Message.decode(data))


class _Consumer(Consumer):
    """Takes messages off one queue; unlike dramatiq's own consumers, it is thread-safe."""

    def __init__(self, queue: _Queue, prefetch: int, timeout: int) -> None:
        self._queue = queue
        self._prefetch = prefetch
        self._timeout = timeout / 1000
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
            return _Delivery(ticket, queue.unsettled[ticket])

    def ack(self, message: MessageProxy) -> None:
        self._settle(message.ticket)

    def nack(self, message: MessageProxy) -> None:
        with self._queue.changed:
            if not self._settle(message.ticket):
                return
            self._queue.dead_letters.append(message)
            self._queue.dead_letter_count += 1
        logger.error("message %s for %s was rejected", message.message_id, message.actor_name)

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
