"""What a broker is here: it wakes the threads that make checks, and promises little.

It carries dramatiq messages from the dispatcher to the worker threads: in memory, where they run in one
process (:mod:`scheduler.in_process_broker`), and through Redis, where they don't
(:mod:`scheduler.redis_broker`). The database is the truth and a message only says "look there", so
whatever is lost on the way is found in the database and sent again. Every broker keeps to this:

* **Bounded.** A queue refuses at once with `QueueFull` when it holds as many messages as it may, and
  leaves it to the sender to try again. What comes back from a consumer is always taken.
* **In order.** Messages are delivered in the order they were sent. One that comes back (requeued, or
  held by a consumer that was closed) goes ahead of whatever came later.
* **No delays.** There is no delay queue, so dramatiq's worker starts no thread for one, and a message
  with a delay is refused with `DelayRefused`: what is due later stands in the database.
* **No dead-letter queue.** An actor that raises has its error logged, and its message acknowledged.
  Only what no actor can take is rejected: it is logged as an error and counted, and gone.
* **Encoded**, also in memory: what can't be sent over a network is refused everywhere.
* **No middleware**, so an actor can't be declared with its options. ``Retries`` and ``AgeLimit``
  decide whether work is done again or dropped: the database decides that, and a retry that can't be
  sent would be lost without a word. ``TimeLimit`` and ``ShutdownNotifications`` raise in other
  threads at arbitrary points, even between an effect and its record: a check limits its own time and
  hears of a shutdown itself. ``Callbacks`` and ``Pipelines`` send one message after another: the
  event log does that here. ``AsyncIO`` runs an event loop of its own: checks run on the one that the
  process already has.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from datetime import datetime

from dramatiq import Broker, Consumer, Message, MessageProxy, Worker
from dramatiq.errors import (
    BrokerConnectionError,
    BrokerError,
    ConnectionClosed,
    DecodeError,
    QueueJoinTimeout,
    QueueNotFound,
)

logger = logging.getLogger(__name__)

WORKER_TIMEOUT_MS = 100
"""How long an idle thread of dramatiq's worker sleeps, in milliseconds.

``Worker.stop`` can't wake idle threads: it waits until they look up by themselves, first the worker
threads, then the consumer threads, and then each consumer has this long to give back what was not
begun. So a stop takes at most three times this long beyond what the running actors take; the price is
ten cheap wake-ups a second for each idle thread.
"""

MAX_MESSAGES = 10_000
"""How many messages a queue holds unless told otherwise."""

DEAD_LETTERS_KEPT = 100
"""How many rejected messages can be looked at; older ones are only counted."""


class _Worded:
    """Gives dramatiq's errors, whose own constructor is untyped, one that takes a sentence."""

    def __init__(self, message: str) -> None:
        self.message = message


class QueueFull(_Worded, BrokerError):
    """The queue holds as many messages as it may: try again when some are done."""


class BrokerUnavailable(_Worded, BrokerConnectionError):
    """The broker can't be reached, or can't do what was asked now: try again later."""


class DelayRefused(_Worded, BrokerError):
    """A message was sent with a delay, and no broker here keeps any."""


class UnknownQueue(_Worded, QueueNotFound):
    """The queue was never declared; no actor listens to it."""


class BrokerClosed(_Worded, ConnectionClosed):
    """The broker was closed, and takes no more messages."""


class JoinTimedOut(_Worded, QueueJoinTimeout):
    """The time was up before every message of the queue was settled."""


class Delivery(MessageProxy):
    """A message in the hands of a consumer; the ticket tells it from others of its queue."""

    def __init__(self, ticket: int, message: Message[object]) -> None:
        self.ticket = ticket
        super().__init__(message)


class CheckQueue(ABC):
    """The messages of one name, for any number of threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead_letters: deque[MessageProxy] = deque(maxlen=DEAD_LETTERS_KEPT)
        self.dead_letter_count = 0
        self._rejecting = threading.Lock()

    @abstractmethod
    def put(self, data: bytes) -> None:
        """Put a message at the end, without waiting for room.

        :raises QueueFull: there is no room.
        :raises BrokerUnavailable: the message may or may not have been taken.
        :raises BrokerClosed: the queue was closed.
        """

    @abstractmethod
    def consumer(self, prefetch: int, timeout: float) -> Consumer:
        """Return one that holds ``prefetch`` messages at most, and waits ``timeout`` seconds for one."""

    @abstractmethod
    def size(self) -> int:
        """Return how many messages wait. Raises `BrokerUnavailable`."""

    @abstractmethod
    def first(self) -> bytes | None:
        """Return the message whose turn is next, and leave it there. Raises `BrokerUnavailable`."""

    @abstractmethod
    def drop_waiting(self) -> None:
        """Drop the messages that wait. Raises `BrokerUnavailable`."""

    @abstractmethod
    def join(self, seconds: float | None) -> bool:
        """Wait until no message is left; False if the seconds are over before."""

    @abstractmethod
    def close(self) -> None:
        """Take no more messages. Consumers go on, and find nothing more."""

    def reject(self, message: MessageProxy) -> None:
        """Note that no actor can take a message."""
        with self._rejecting:
            self.dead_letters.append(message)
            self.dead_letter_count += 1
        logger.error("message %s for %s was rejected", message.message_id, message.actor_name)


class CheckBroker(Broker, ABC):
    """A dramatiq broker for the messages described above.

    Its methods may be called from any thread. Those that are given a queue's name raise
    `UnknownQueue` when it was never declared. Those that have to reach a server raise
    `BrokerUnavailable` when they can't, and block until they know.
    """

    def __init__(self) -> None:
        super().__init__(middleware=[])
        self.queues: dict[str, CheckQueue] = {}
        self._closed = False

    @abstractmethod
    def open_queue(self, queue_name: str) -> CheckQueue:
        """Return a new queue of this name; called once for each that is declared."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; one that exists stays as it is. Raises `BrokerClosed`."""
        if queue_name in self.queues:
            return
        if self._closed:
            raise BrokerClosed(f"the broker is closed: it takes no new queue {queue_name!r}")
        self.emit_before("declare_queue", queue_name)
        queue = self.open_queue(queue_name)
        # setdefault is atomic: of two threads that declare a queue, one wins, and only it tells.
        if self.queues.setdefault(queue_name, queue) is queue:
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[object], *, delay: int | None = None) -> Message[object]:
        """Put a message at the end of its queue; it never waits for room.

        :raises QueueFull: the queue holds as many messages as it may.
        :raises BrokerUnavailable: the message may or may not have been taken.
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
        return self._queue(queue_name).consumer(prefetch, timeout / 1000)

    def size(self, queue_name: str) -> int:
        """Return how many messages of a queue wait; those in the hands of consumers don't."""
        return self._queue(queue_name).size()

    def oldest(self, queue_name: str) -> datetime | None:
        """Return the timestamp of the waiting message whose turn is next; None if none waits."""
        data = self._queue(queue_name).first()
        try:
            return None if data is None else Message.decode(data).message_datetime
        except DecodeError:  # the consumer that it comes to will say so
            return None

    def flush(self, queue_name: str) -> None:
        """Drop the messages that wait in a queue; those in hand stay with their consumers."""
        self._queue(queue_name).drop_waiting()

    def flush_all(self) -> None:
        """Drop the messages that wait in any queue."""
        for queue_name in self.get_declared_queues():
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until no message of a queue waits or is in the hands of a consumer of this process.

        :raises JoinTimedOut: that took longer than ``timeout`` milliseconds.
        """
        if not self._queue(queue_name).join(None if timeout is None else timeout / 1000):
            raise JoinTimedOut(f"queue {queue_name!r} still has messages after {timeout} ms")

    def close(self) -> None:
        """Take no more messages, and let waiting consumers know.

        Consumers go on, may acknowledge what is in hand, and find nothing more: a worker would answer
        an error or an end with a pause of three seconds, and be slow to stop.
        """
        self._closed = True
        for queue in tuple(self.queues.values()):
            queue.close()

    def dead_letter_count(self, queue_name: str) -> int:
        """Return how many messages this process rejected; each is an error, and was logged as one."""
        return self._queue(queue_name).dead_letter_count

    def dead_letters(self, queue_name: str) -> tuple[MessageProxy, ...]:
        """Return the last `DEAD_LETTERS_KEPT` rejected messages of a queue, oldest first."""
        return tuple(self._queue(queue_name).dead_letters)

    def _queue(self, queue_name: str) -> CheckQueue:
        if (queue := self.queues.get(queue_name)) is None:
            raise UnknownQueue(f"queue {queue_name!r} was never declared")
        return queue


def start_worker(broker: Broker, *, threads: int) -> Worker:
    """Start dramatiq's worker on a broker, so that its stop takes no longer than it must."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=WORKER_TIMEOUT_MS)
    worker.start()
    return worker
