"""What every broker of CronPulse must do, whatever carries its messages.

A broker is put under this contract by a subclass of `BrokerContract` that has a fixture named
``new_broker``: it makes brokers without any message in them. Nothing here depends on how long anything
takes: a test waits for what must happen, and where nothing must come it asks a consumer that looks,
and then answers with None however slow the machine is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import dramatiq
import pytest
from dramatiq import Broker, Consumer, Message, MessageProxy, Worker
from dramatiq.errors import BrokerConnectionError, QueueJoinTimeout, QueueNotFound

from scheduler.broker import (
    DEAD_LETTERS_KEPT,
    WORKER_TIMEOUT_MS,
    BrokerClosed,
    CheckBroker,
    DelayRefused,
    QueueFull,
    start_worker,
)
from scheduler.in_process_broker import InProcessBroker

QUEUE = "checks"


class NewBroker(Protocol):
    """Makes a broker without any message in it."""

    def __call__(self, *, max_messages: int = 10_000) -> CheckBroker: ...


def message(
    *args: object,
    queue_name: str = QUEUE,
    actor_name: str = "run_checks",
    at: datetime = datetime(2026, 11, 24, tzinfo=UTC),
) -> Message[object]:
    return Message(
        queue_name=queue_name,
        actor_name=actor_name,
        args=args,
        kwargs={},
        options={},
        message_timestamp=round(at.timestamp() * 1000),
    )


def send(broker: Broker, *names: str) -> None:
    """Send one message for each name, in order."""
    for name in names:
        broker.enqueue(message(name))


def fill(broker: Broker) -> None:
    """Send until nothing more is taken."""
    with suppress(QueueFull):
        while True:
            send(broker, "filling")


def consume(broker: Broker, prefetch: int = 100, queue_name: str = QUEUE) -> Consumer:
    """Consume with the patience that it takes to look: None is the truth, and comes soon."""
    look_ms = 1 if isinstance(broker, InProcessBroker) else 60_000
    return broker.consume(queue_name, prefetch=prefetch, timeout=look_ms)


def receive(consumer: Consumer) -> MessageProxy:
    """Ask until a message comes; a test that waits in vain ends by pytest's time-out."""
    while True:
        received = next(consumer)
        if received is not None:
            return received


def names(messages: list[MessageProxy]) -> list[str]:
    return [received.args[0] for received in messages]


@contextmanager
def running(broker: Broker, *, threads: int = 2) -> Iterator[Worker]:
    """Run dramatiq's own worker on a broker."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=10)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


class BrokerContract:
    """The tests; a subclass brings the fixture ``new_broker``."""

    @pytest.fixture
    def broker(self, new_broker: NewBroker) -> CheckBroker:
        broker = new_broker()
        broker.declare_queue(QUEUE)
        return broker

    @pytest.fixture
    def small(self, new_broker: NewBroker) -> CheckBroker:
        """Return a broker whose queues are full with three messages."""
        broker = new_broker(max_messages=3)
        broker.declare_queue(QUEUE)
        return broker

    def test_a_message_arrives_as_it_was_sent(self, broker: CheckBroker) -> None:
        sent: Message[object] = Message(
            queue_name=QUEUE,
            actor_name="run_checks",
            args=("é", 1, None, ["a", "b"]),
            kwargs={"attempt": 2},
            options={},
        )
        broker.enqueue(sent)
        received = receive(consume(broker))
        assert received.message_id == sent.message_id
        assert received.actor_name == "run_checks"
        assert received.queue_name == QUEUE
        assert received.args == ("é", 1, None, ["a", "b"])
        assert received.kwargs == {"attempt": 2}

    def test_messages_arrive_in_the_order_they_were_sent(self, broker: CheckBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        assert names([receive(consumer) for _ in range(3)]) == ["a", "b", "c"]

    def test_a_consumer_of_an_empty_queue_returns_none(self, broker: CheckBroker) -> None:
        assert next(consume(broker)) is None

    def test_a_message_goes_to_one_consumer_only(self, broker: CheckBroker) -> None:
        send(broker, "a")
        receive(consume(broker))
        assert next(consume(broker)) is None

    def test_queues_do_not_mix(self, broker: CheckBroker) -> None:
        broker.declare_queue("other")
        broker.enqueue(message("a", queue_name="other"))
        assert next(consume(broker)) is None
        assert receive(consume(broker, queue_name="other")).args == ("a",)

    def test_what_cannot_be_encoded_is_refused_when_it_is_sent(self, broker: CheckBroker) -> None:
        with pytest.raises(TypeError):
            broker.enqueue(message(object()))
        assert next(consume(broker)) is None

    def test_declaring_a_queue_again_keeps_its_messages(self, broker: CheckBroker) -> None:
        send(broker, "a")
        broker.declare_queue(QUEUE)
        assert receive(consume(broker)).args == ("a",)

    def test_declared_queues_are_listed(self, broker: CheckBroker) -> None:
        broker.declare_queue("other")
        listed = broker.get_declared_queues()
        listed.clear()
        assert broker.get_declared_queues() == {QUEUE, "other"}

    def test_a_consumer_holds_no_more_messages_than_its_prefetch(self, broker: CheckBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker, prefetch=2)
        held = [receive(consumer), receive(consumer)]
        assert next(consumer) is None
        consumer.ack(held[0])
        assert receive(consumer).args == ("c",)
        assert next(consumer) is None

    def test_a_rejected_message_makes_room_for_the_next(self, broker: CheckBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=1)
        consumer.nack(receive(consumer))
        assert receive(consumer).args == ("b",)

    def test_a_message_can_be_acknowledged_from_another_thread(self, broker: CheckBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=1)
        held = receive(consumer)
        with ThreadPoolExecutor(1) as other_thread:
            other_thread.submit(consumer.ack, held).result()
        last = receive(consumer)
        assert last.args == ("b",)
        consumer.ack(last)
        broker.join(QUEUE)

    def test_an_acknowledged_message_does_not_come_back(self, broker: CheckBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        done, open_ = receive(consumer), receive(consumer)
        consumer.ack(done)
        consumer.requeue([done, open_])
        consumer.close()
        successor = consume(broker)
        assert receive(successor).args == ("b",)
        assert next(successor) is None

    def test_a_rejected_message_does_not_come_back(self, broker: CheckBroker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        rejected = receive(consumer)
        consumer.nack(rejected)
        consumer.requeue([rejected])
        consumer.close()
        assert next(consume(broker)) is None
        broker.join(QUEUE)

    def test_requeued_messages_go_to_the_next_consumer_in_order(self, broker: CheckBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        consumer.requeue(iter([receive(consumer) for _ in range(3)]))
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]
        assert next(successor) is None

    def test_a_requeued_message_goes_to_another_consumer_though_its_own_is_open(
        self, broker: CheckBroker
    ) -> None:
        send(broker, "a")
        consumer = consume(broker)
        consumer.requeue([receive(consumer)])
        assert receive(consume(broker)).args == ("a",)

    def test_requeuing_nothing_changes_nothing(self, broker: CheckBroker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        consumer.requeue([])
        assert receive(consumer).args == ("a",)

    def test_flush_drops_what_waits_in_one_queue(self, broker: CheckBroker) -> None:
        broker.declare_queue("other")
        send(broker, "a", "b")
        broker.enqueue(message("c", queue_name="other"))
        broker.flush(QUEUE)
        assert next(consume(broker)) is None
        broker.join(QUEUE)
        assert receive(consume(broker, queue_name="other")).args == ("c",)

    def test_flush_all_drops_what_waits_in_every_queue(self, broker: CheckBroker) -> None:
        broker.declare_queue("other")
        send(broker, "a")
        broker.enqueue(message("b", queue_name="other"))
        broker.flush_all()
        assert next(consume(broker)) is None
        assert next(consume(broker, queue_name="other")) is None

    def test_a_flushed_queue_takes_messages_again(self, broker: CheckBroker) -> None:
        send(broker, "a")
        broker.flush(QUEUE)
        send(broker, "b")
        assert receive(consume(broker)).args == ("b",)

    def test_join_returns_at_once_on_an_empty_queue(self, broker: CheckBroker) -> None:
        broker.join(QUEUE)

    def test_join_gives_up_while_a_message_waits(self, broker: CheckBroker) -> None:
        send(broker, "a")
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)

    def test_join_gives_up_while_a_message_is_in_hand(self, broker: CheckBroker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        held = receive(consumer)
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)
        consumer.ack(held)
        broker.join(QUEUE)

    def test_many_threads_send_and_receive_each_message_once_and_in_order(
        self, broker: CheckBroker
    ) -> None:
        producers, consumers, each = 4, 3, 100
        start = threading.Barrier(producers + consumers)
        counting = threading.Lock()
        received: list[list[tuple[int, int]]] = [[] for _ in range(consumers)]
        all_received = threading.Event()

        def produce(producer: int) -> None:
            start.wait()
            for number in range(each):
                broker.enqueue(message(producer, number))

        def take(mine: list[tuple[int, int]]) -> None:
            consumer = consume(broker, prefetch=5)
            start.wait()
            while not all_received.is_set():
                taken = next(consumer)
                if taken is None:
                    continue
                consumer.ack(taken)
                with counting:
                    mine.append((taken.args[0], taken.args[1]))
                    if sum(map(len, received)) == producers * each:
                        all_received.set()

        with ThreadPoolExecutor(producers + consumers) as pool:
            running_threads = [pool.submit(produce, producer) for producer in range(producers)]
            running_threads += [pool.submit(take, mine) for mine in received]
            for thread in running_threads:
                thread.result()
        broker.join(QUEUE)
        assert next(consume(broker)) is None
        everything = sorted(pair for mine in received for pair in mine)
        assert everything == [(p, number) for p in range(producers) for number in range(each)]
        for mine in received:
            for producer in range(producers):
                numbers = [number for sender, number in mine if sender == producer]
                assert numbers == sorted(numbers)

    # How much there may be

    def test_a_full_queue_refuses_and_says_which_and_how_many(self, small: CheckBroker) -> None:
        send(small, "a", "b", "c")
        with pytest.raises(QueueFull, match=r"'checks' is full: it holds max_messages \(3\)"):
            send(small, "d")
        consumer = consume(small)
        assert names([receive(consumer) for _ in range(3)]) == ["a", "b", "c"]
        assert next(consumer) is None

    def test_a_full_queue_takes_its_own_messages_back(self, small: CheckBroker) -> None:
        send(small, "a", "b", "c")
        consumer = consume(small, prefetch=2)
        held = [receive(consumer), receive(consumer)]
        fill(small)
        consumer.requeue(held)
        consumer.close()
        successor = consume(small)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]

    def test_each_queue_has_its_own_bound(self, small: CheckBroker) -> None:
        small.declare_queue("other")
        send(small, "a", "b", "c")
        small.enqueue(message("d", queue_name="other"))
        assert (small.size(QUEUE), small.size("other")) == (3, 1)

    def test_senders_that_race_for_the_last_room_have_as_many_winners_as_there_is_room(
        self, small: CheckBroker
    ) -> None:
        start = threading.Barrier(8)

        def race(name: str) -> bool:
            start.wait()
            try:
                send(small, name)
            except QueueFull:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(race, "abcdefgh"))
        assert (won.count(True), small.size(QUEUE)) == (3, 3)

    @pytest.mark.parametrize("max_messages", [0, -1])
    def test_a_bound_below_one_is_refused(self, new_broker: NewBroker, max_messages: int) -> None:
        with pytest.raises(ValueError, match="max_messages is"):
            new_broker(max_messages=max_messages)

    # What is waiting

    def test_the_size_is_how_many_wait_and_not_how_many_are_in_hand(
        self, broker: CheckBroker
    ) -> None:
        assert broker.size(QUEUE) == 0
        send(broker, "a", "b", "c")
        assert broker.size(QUEUE) == 3
        receive(consume(broker, prefetch=1))
        assert broker.size(QUEUE) == 2

    def test_the_oldest_is_the_timestamp_of_the_message_whose_turn_is_next(
        self, broker: CheckBroker
    ) -> None:
        noon = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
        assert broker.oldest(QUEUE) is None
        for minutes in (0, 1):
            broker.enqueue(message("a", at=noon + timedelta(minutes=minutes)))
        assert broker.oldest(QUEUE) == noon
        assert broker.size(QUEUE) == 2
        consumer = consume(broker, prefetch=1)
        consumer.ack(receive(consumer))
        assert broker.oldest(QUEUE) == noon + timedelta(minutes=1)
        consumer.ack(receive(consumer))
        assert broker.oldest(QUEUE) is None

    # What is refused

    @pytest.mark.parametrize("delay", [0, 1000, timedelta(hours=1)])
    def test_a_message_with_a_delay_is_refused(
        self, broker: CheckBroker, delay: int | timedelta
    ) -> None:
        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks() -> None: ...

        with pytest.raises(DelayRefused, match="send it when it is due"):
            run_checks.send_with_options(delay=delay)
        assert broker.size(QUEUE) == 0

    def test_a_message_that_names_its_time_is_refused(self, broker: CheckBroker) -> None:
        with pytest.raises(DelayRefused):
            broker.enqueue(message("a").copy(options={"eta": 1}))
        assert broker.size(QUEUE) == 0

    def test_there_is_no_delay_queue_and_no_thread_for_one(self, broker: CheckBroker) -> None:
        assert broker.get_declared_delay_queues() == set()
        assert broker.get_declared_queues() == {QUEUE}
        with running(broker) as worker:
            assert list(worker.consumers) == [QUEUE]

    @pytest.mark.parametrize(
        "use",
        [
            lambda broker: broker.enqueue(message("a", queue_name="nowhere")),
            lambda broker: broker.consume("nowhere"),
            lambda broker: broker.flush("nowhere"),
            lambda broker: broker.join("nowhere"),
            lambda broker: broker.size("nowhere"),
            lambda broker: broker.oldest("nowhere"),
            lambda broker: broker.dead_letters("nowhere"),
            lambda broker: broker.dead_letter_count("nowhere"),
        ],
    )
    def test_a_queue_that_was_never_declared_is_named_in_the_refusal(
        self, broker: CheckBroker, use: Callable[[CheckBroker], object]
    ) -> None:
        with pytest.raises(QueueNotFound, match="'nowhere' was never declared"):
            use(broker)

    def test_threads_that_declare_one_queue_at_once_get_one_queue(
        self, new_broker: NewBroker
    ) -> None:
        broker = new_broker()
        told: list[str] = []
        both_about_to_declare = threading.Barrier(2)

        class Listener(dramatiq.Middleware):
            def before_declare_queue(self, _: dramatiq.Broker, queue_name: str) -> None:
                both_about_to_declare.wait()

            def after_declare_queue(self, _: dramatiq.Broker, queue_name: str) -> None:
                told.append(queue_name)

        broker.add_middleware(Listener())
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(broker.declare_queue, [QUEUE, QUEUE]))
        assert told == [QUEUE]

    def test_there_is_no_middleware(self, broker: CheckBroker) -> None:
        assert broker.middleware == []

    @pytest.mark.parametrize("option", ["max_retries", "time_limit", "max_age", "on_failure"])
    def test_an_actor_cannot_ask_for_what_is_left_out(
        self, broker: CheckBroker, option: str
    ) -> None:
        def run_checks() -> None: ...

        options: dict[str, Any] = {option: 1}
        with pytest.raises(ValueError, match=option):
            dramatiq.actor(broker=broker, queue_name=QUEUE, **options)(run_checks)

    def test_middleware_hears_of_each_message_that_was_taken_and_of_none_that_was_refused(
        self, small: CheckBroker
    ) -> None:
        heard: list[object] = []

        class Listener(dramatiq.Middleware):
            def after_enqueue(
                self, _: dramatiq.Broker, message: dramatiq.Message[object], delay: int
            ) -> None:
                heard.append(message.args[0])

        small.add_middleware(Listener())
        send(small, "a", "b", "c")
        with pytest.raises(QueueFull):
            send(small, "d")
        assert heard == ["a", "b", "c"]

    # Closing a consumer

    def test_what_a_closed_consumer_held_comes_ahead_of_what_came_later(
        self, broker: CheckBroker
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        assert names([receive(consumer), receive(consumer)]) == ["a", "b"]
        send(broker, "c")
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]

    def test_what_a_closed_consumer_never_delivered_comes_back_too(
        self, broker: CheckBroker
    ) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        receive(consumer)
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]

    def test_a_late_answer_to_a_closed_consumer_changes_nothing(self, broker: CheckBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = [receive(consumer), receive(consumer)]
        consumer.close()
        consumer.ack(held[0])
        consumer.nack(held[1])
        consumer.requeue(held)
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor), receive(successor)]) == ["a", "b"]
        assert next(successor) is None
        consumer.ack(held[0])
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)
        assert broker.dead_letter_count(QUEUE) == 0

    def test_a_consumer_settles_what_its_successor_holds_no_more_than_its_own(
        self, broker: CheckBroker
    ) -> None:
        send(broker, "a", "b")
        first, second = consume(broker, prefetch=1), consume(broker, prefetch=1)
        held = [receive(first), receive(second)]
        second.ack(held[0])
        second.requeue([held[0]])
        first.nack(held[1])
        first.close()
        second.close()
        successor = consume(broker)
        assert sorted(names([receive(successor), receive(successor)])) == ["a", "b"]

    def test_a_closed_consumer_has_ended(self, broker: CheckBroker) -> None:
        consumer = consume(broker)
        consumer.close()
        send(broker, "a")
        assert list(consumer) == []
        assert receive(consume(broker)).args == ("a",)

    # Closing the broker

    def test_a_closed_broker_takes_no_more_messages_and_no_more_queues(
        self, broker: CheckBroker
    ) -> None:
        broker.close()
        with pytest.raises(BrokerClosed, match="'checks' takes no messages"):
            send(broker, "a")
        with pytest.raises(BrokerClosed, match="'other'"):
            broker.declare_queue("other")
        broker.declare_queue(QUEUE)
        assert broker.get_declared_queues() == {QUEUE}

    def test_to_a_dispatcher_a_closed_broker_is_a_lost_connection(
        self, broker: CheckBroker
    ) -> None:
        broker.close()
        with pytest.raises(BrokerConnectionError):
            send(broker, "a")

    def test_consumers_of_a_closed_broker_find_nothing_more_and_can_acknowledge(
        self, broker: CheckBroker
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=1)
        held = receive(consumer)
        broker.close()
        consumer.ack(held)
        assert next(consumer) is None

    def test_a_broker_can_be_closed_again_and_under_a_running_worker(
        self, broker: CheckBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        with running(broker) as worker:
            broker.close()
            broker.close()
            assert list(worker.consumers) == [QUEUE]
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []

    # What no actor can take

    def test_a_rejection_is_counted_kept_and_logged_without_its_arguments(
        self, broker: CheckBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        rejected = message("argument-of-the-actor")
        broker.enqueue(rejected)
        consumer = consume(broker)
        consumer.nack(receive(consumer))
        assert broker.dead_letter_count(QUEUE) == 1
        assert [letter.message_id for letter in broker.dead_letters(QUEUE)] == [rejected.message_id]
        (entry,) = caplog.records
        assert entry.levelno == logging.ERROR
        assert entry.getMessage() == f"message {rejected.message_id} for run_checks was rejected"

    def test_only_the_newest_rejections_are_kept_and_all_are_counted(
        self, broker: CheckBroker
    ) -> None:
        consumer = consume(broker)
        for number in range(DEAD_LETTERS_KEPT + 2):
            broker.enqueue(message(number))
            consumer.nack(receive(consumer))
        kept = [letter.args[0] for letter in broker.dead_letters(QUEUE)]
        assert kept == list(range(2, DEAD_LETTERS_KEPT + 2))
        assert broker.dead_letter_count(QUEUE) == DEAD_LETTERS_KEPT + 2
        assert broker.size(QUEUE) == 0

    # With dramatiq's worker

    def test_a_worker_runs_what_is_sent_to_its_actors(self, broker: CheckBroker) -> None:
        ran: list[list[str]] = []

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(ids: list[str]) -> None:
            ran.append(ids)

        with running(broker):
            run_checks.send(["a", "b"])
            run_checks.send(["c"])
            broker.join(QUEUE)
        assert sorted(ran) == [["a", "b"], ["c"]]

    def test_an_actor_that_raises_is_not_run_again(self, broker: CheckBroker) -> None:
        ran: list[str] = []

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(name: str) -> None:
            ran.append(name)
            raise RuntimeError(name)

        with running(broker):
            run_checks.send("a")
            broker.join(QUEUE)
        assert ran == ["a"]
        assert next(consume(broker)) is None
        assert broker.dead_letter_count(QUEUE) == 0

    def test_a_message_for_an_unknown_actor_does_not_stay(self, broker: CheckBroker) -> None:
        with running(broker):
            broker.enqueue(message("a", actor_name="nobody"))
            broker.join(QUEUE)
        assert next(consume(broker)) is None
        assert broker.dead_letter_count(QUEUE) == 1

    def test_a_worker_that_stops_gives_back_what_it_had_not_begun(
        self, broker: CheckBroker
    ) -> None:
        ran: list[str] = []
        workers: list[Worker] = []

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(name: str) -> None:
            ran.append(name)
            (worker,) = workers
            fetched = worker.work_queue
            with fetched.not_empty:  # the next message is in the worker's memory
                fetched.not_empty.wait_for(lambda: bool(fetched.queue))
            (thread,) = worker.workers
            thread.stop()  # and this thread won't begin it
            worker_told_to_stop.set()

        worker_told_to_stop = threading.Event()
        with running(broker, threads=1) as worker:
            workers.append(worker)
            send(broker, "a", "b", "c", "d")
            worker_told_to_stop.wait()
        successor = consume(broker)
        assert ran == ["a"]
        assert sorted(names([receive(successor) for _ in range(3)])) == ["b", "c", "d"]
        assert next(successor) is None

    def test_what_a_stopping_worker_has_begun_is_given_back_too(self, broker: CheckBroker) -> None:
        begun, finish = threading.Event(), threading.Event()

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(_: str) -> None:
            begun.set()
            finish.wait()

        worker = Worker(broker, worker_threads=1, worker_timeout=10)
        worker.start()
        try:
            send(broker, "a", "b", "c")
            begun.wait()
        finally:
            worker.stop(timeout=0)  # long before the actor returns
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]
        finish.set()
        for thread in worker.workers:
            thread.join()
        assert next(successor) is None
        successor.close()

    def test_no_thread_is_left_behind_a_worker(self, broker: CheckBroker) -> None:
        before = set(threading.enumerate())
        with running(broker):
            pass
        for thread in set(threading.enumerate()) - before:
            thread.join()

    def test_no_thread_of_a_worker_sleeps_longer_than_its_time_out(
        self, broker: CheckBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        consuming = threading.Event()
        original = CheckBroker.consume

        def consume_and_tell(
            self: CheckBroker, queue_name: str, prefetch: int = 1, timeout: int = 30_000
        ) -> Consumer:
            asked.append(timeout)
            consuming.set()
            return original(self, queue_name, prefetch, timeout)

        monkeypatch.setattr(CheckBroker, "consume", consume_and_tell)
        worker = start_worker(broker, threads=2)
        consuming.wait()
        worker.stop()
        assert asked == [WORKER_TIMEOUT_MS]
        assert [thread.timeout * 1000 for thread in worker.workers] == [WORKER_TIMEOUT_MS] * 2
