"""The in-process broker: the contract of all brokers, and what it promises beyond it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq import Consumer, Worker
from dramatiq.errors import BrokerConnectionError, QueueJoinTimeout, QueueNotFound

from scheduler.broker import (
    DEAD_LETTERS_KEPT,
    WORKER_TIMEOUT_MS,
    BrokerClosed,
    DelayRefused,
    InProcessBroker,
    QueueFull,
    start_worker,
)
from tests.scheduler.broker_contract import (
    QUEUE,
    BrokerContract,
    consume,
    message,
    names,
    receive,
    running,
    send,
)

AN_HOUR_MS = 3_600_000

InBackground = Callable[[Callable[[], object]], "Future[object]"]


class TestInProcessBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    def broker(self) -> InProcessBroker:
        return InProcessBroker()


@pytest.fixture
def broker() -> InProcessBroker:
    broker = InProcessBroker(max_messages=3)
    broker.declare_queue(QUEUE)
    return broker


@pytest.fixture
def waiting_in_background(broker: InProcessBroker, monkeypatch: pytest.MonkeyPatch) -> InBackground:
    """Run a call in a thread, and return once it waits on the queue.

    The event is set under the queue's lock, which only the wait itself lets go of: whoever changes
    the queue afterwards finds the thread waiting, on any machine.
    """
    condition = broker.queues[QUEUE].changed
    wait_for = condition.wait_for

    def start(call: Callable[[], object]) -> Future[object]:
        begun = threading.Event()
        future: Future[object] = Future()

        def announced_wait(predicate: Callable[[], bool], timeout: float | None = None) -> bool:
            begun.set()
            return wait_for(predicate, timeout)

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001  (whoever asks for the result gets it)
                future.set_exception(error)

        monkeypatch.setattr(condition, "wait_for", announced_wait)
        threading.Thread(target=run, daemon=True).start()
        begun.wait()
        monkeypatch.setattr(condition, "wait_for", wait_for)
        return future

    return start


def patient(broker: InProcessBroker, prefetch: int = 100) -> Consumer:
    return broker.consume(QUEUE, prefetch=prefetch, timeout=AN_HOUR_MS)


class TestBounds:
    def test_a_full_queue_refuses_at_once_and_says_which_and_how_many(
        self, broker: InProcessBroker
    ) -> None:
        send(broker, "a", "b", "c")
        with pytest.raises(QueueFull, match=r"'checks' is full: it holds max_messages \(3\)"):
            send(broker, "d")
        consumer = consume(broker)
        assert names([receive(consumer) for _ in range(3)]) == ["a", "b", "c"]
        assert next(consumer) is None

    def test_messages_in_hand_count_until_they_are_acknowledged(
        self, broker: InProcessBroker
    ) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        held = receive(consumer)
        assert broker.size(QUEUE) == 3
        with pytest.raises(QueueFull):
            send(broker, "d")
        consumer.ack(held)
        assert broker.size(QUEUE) == 2
        send(broker, "d")

    def test_an_acknowledgement_makes_room_only_once(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        held = receive(consumer)
        consumer.ack(held)
        consumer.ack(held)
        consumer.nack(held)
        assert broker.size(QUEUE) == 2
        assert broker.dead_letter_count(QUEUE) == 0

    def test_a_full_queue_takes_its_own_messages_back(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        consumer.requeue([receive(consumer), receive(consumer)])
        assert broker.size(QUEUE) == 3
        assert names([receive(consumer) for _ in range(3)]) == ["a", "b", "c"]

    def test_a_flush_makes_room_but_leaves_what_is_in_hand(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        held = receive(consumer)
        broker.flush(QUEUE)
        assert broker.size(QUEUE) == 1
        consumer.requeue([held])
        assert receive(consumer).args == ("a",)

    def test_each_queue_has_its_own_bound(self, broker: InProcessBroker) -> None:
        broker.declare_queue("other")
        send(broker, "a", "b", "c")
        broker.enqueue(message("d", queue_name="other"))
        assert (broker.size(QUEUE), broker.size("other")) == (3, 1)

    def test_senders_that_race_for_the_last_room_have_as_many_winners_as_there_is_room(
        self, broker: InProcessBroker
    ) -> None:
        start = threading.Barrier(8)

        def race(name: str) -> bool:
            start.wait()
            try:
                send(broker, name)
            except QueueFull:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(race, "abcdefgh"))
        assert (won.count(True), broker.size(QUEUE)) == (3, 3)

    @pytest.mark.parametrize("max_messages", [0, -1])
    def test_a_bound_below_one_is_refused(self, max_messages: int) -> None:
        with pytest.raises(ValueError, match="max_messages"):
            InProcessBroker(max_messages=max_messages)


class TestDelays:
    @pytest.mark.parametrize("delay", [0, 1000, timedelta(hours=1)])
    def test_a_message_with_a_delay_is_refused(
        self, broker: InProcessBroker, delay: int | timedelta
    ) -> None:
        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks() -> None: ...

        with pytest.raises(DelayRefused, match="send it when it is due"):
            run_checks.send_with_options(delay=delay)
        assert broker.size(QUEUE) == 0

    def test_a_message_that_names_its_time_is_refused(self, broker: InProcessBroker) -> None:
        with pytest.raises(DelayRefused):
            broker.enqueue(message("a").copy(options={"eta": 1}))
        assert broker.size(QUEUE) == 0

    def test_there_is_no_delay_queue_and_no_thread_for_one(self, broker: InProcessBroker) -> None:
        assert broker.get_declared_delay_queues() == set()
        assert broker.get_declared_queues() == {QUEUE}
        with running(broker) as worker:
            assert list(worker.consumers) == [QUEUE]


class TestUnknownQueues:
    @pytest.mark.parametrize(
        "use",
        [
            lambda broker: broker.enqueue(message("a", queue_name="nowhere")),
            lambda broker: broker.consume("nowhere"),
            lambda broker: broker.flush("nowhere"),
            lambda broker: broker.join("nowhere"),
            lambda broker: broker.size("nowhere"),
            lambda broker: broker.dead_letters("nowhere"),
            lambda broker: broker.dead_letter_count("nowhere"),
        ],
    )
    def test_a_queue_that_was_never_declared_is_named_in_the_refusal(
        self, broker: InProcessBroker, use: Callable[[InProcessBroker], object]
    ) -> None:
        with pytest.raises(QueueNotFound, match="'nowhere' was never declared"):
            use(broker)

    def test_threads_that_declare_one_queue_at_once_get_one_queue(self) -> None:
        broker = InProcessBroker()
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


class TestWaiting:
    def test_a_waiting_consumer_wakes_when_a_message_is_sent(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        consumer = patient(broker)
        received = waiting_in_background(lambda: receive(consumer).args)
        send(broker, "a")
        assert received.result() == ("a",)

    @pytest.mark.parametrize("settle", ["ack", "nack"])
    def test_a_consumer_with_full_hands_wakes_when_one_message_is_settled(
        self, broker: InProcessBroker, waiting_in_background: InBackground, settle: str
    ) -> None:
        send(broker, "a", "b")
        consumer = patient(broker, prefetch=1)
        held = receive(consumer)
        received = waiting_in_background(lambda: receive(consumer).args)
        getattr(consumer, settle)(held)
        assert received.result() == ("b",)

    def test_a_waiting_consumer_wakes_when_another_gives_a_message_back(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        send(broker, "a")
        other = consume(broker)
        held = receive(other)
        consumer = patient(broker)
        received = waiting_in_background(lambda: receive(consumer).args)
        other.requeue([held])
        assert received.result() == ("a",)

    def test_a_consumer_that_can_take_wakes_behind_one_that_cannot(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        send(broker, "a")
        busy, free = patient(broker, prefetch=1), patient(broker)
        receive(busy)
        still_waiting = waiting_in_background(lambda: receive(busy))
        received = waiting_in_background(lambda: receive(free).args)
        send(broker, "b")
        assert received.result() == ("b",)
        assert not still_waiting.done()

    @pytest.mark.parametrize("settle", ["ack", "nack"])
    def test_a_join_ends_with_the_last_message(
        self, broker: InProcessBroker, waiting_in_background: InBackground, settle: str
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = [receive(consumer), receive(consumer)]
        joined = waiting_in_background(lambda: broker.join(QUEUE))
        consumer.ack(held[0])
        assert not joined.done()
        getattr(consumer, settle)(held[1])
        joined.result()

    def test_a_join_ends_with_a_flush(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        send(broker, "a")
        joined = waiting_in_background(lambda: broker.join(QUEUE))
        broker.flush(QUEUE)
        joined.result()

    def test_a_join_that_gives_up_says_on_what(self, broker: InProcessBroker) -> None:
        send(broker, "a")
        with pytest.raises(QueueJoinTimeout, match="'checks' still has messages after 1 ms"):
            broker.join(QUEUE, timeout=1)

    @pytest.mark.parametrize("closed", [False, True])
    def test_an_idle_consumer_waits_as_long_as_it_was_told_and_does_not_spin(
        self, broker: InProcessBroker, monkeypatch: pytest.MonkeyPatch, closed: bool
    ) -> None:
        waits: list[tuple[bool, float | None]] = []

        def time_up(predicate: Callable[[], bool], timeout: float | None = None) -> bool:
            waits.append((predicate(), timeout))
            return predicate()

        if closed:
            broker.close()
        monkeypatch.setattr(broker.queues[QUEUE].changed, "wait_for", time_up)
        assert next(broker.consume(QUEUE, timeout=1500)) is None
        assert waits == [(False, 1.5)]


class TestClosingAConsumer:
    def test_what_it_held_comes_back_in_its_old_place(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        assert names([receive(consumer), receive(consumer)]) == ["a", "b"]
        send(broker, "c")
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]

    def test_what_two_consumers_held_comes_back_in_the_order_it_was_sent(self) -> None:
        broker = InProcessBroker()
        broker.declare_queue(QUEUE)
        send(broker, "a", "b", "c", "d", "e")
        first, second = consume(broker), consume(broker)
        for consumer in (first, second, first, second):
            receive(consumer)
        first.close()
        second.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(5)]) == ["a", "b", "c", "d", "e"]

    def test_a_late_answer_of_its_thread_changes_nothing(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = [receive(consumer), receive(consumer)]
        consumer.close()
        consumer.ack(held[0])
        consumer.nack(held[1])
        consumer.requeue(held)
        successor = consume(broker)
        assert names([receive(successor), receive(successor)]) == ["a", "b"]
        consumer.ack(held[0])
        assert broker.size(QUEUE) == 2
        assert broker.dead_letter_count(QUEUE) == 0

    def test_its_own_wait_ends_and_so_does_its_iteration(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        consumer = patient(broker)
        received = waiting_in_background(lambda: list(consumer))
        consumer.close()
        assert received.result() == []
        send(broker, "a")
        assert list(consumer) == []
        assert receive(consume(broker)).args == ("a",)

    def test_a_consumer_that_waits_gets_what_the_closed_one_held(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        send(broker, "a")
        first, second = consume(broker), patient(broker)
        receive(first)
        received = waiting_in_background(lambda: receive(second).args)
        first.close()
        assert received.result() == ("a",)


class TestClosingTheBroker:
    def test_a_waiting_consumer_wakes_with_nothing(
        self, broker: InProcessBroker, waiting_in_background: InBackground
    ) -> None:
        consumer = patient(broker)
        received = waiting_in_background(lambda: next(consumer))
        broker.close()
        assert received.result() is None

    def test_it_takes_no_more_messages_and_no_more_queues(self, broker: InProcessBroker) -> None:
        broker.close()
        with pytest.raises(BrokerClosed, match="'checks' takes no messages"):
            send(broker, "a")
        with pytest.raises(BrokerClosed, match="'other'"):
            broker.declare_queue("other")
        broker.declare_queue(QUEUE)
        assert broker.get_declared_queues() == {QUEUE}

    def test_a_dispatcher_sees_a_lost_connection_as_with_a_broker_on_a_network(
        self, broker: InProcessBroker
    ) -> None:
        broker.close()
        with pytest.raises(BrokerConnectionError):
            send(broker, "a")

    def test_what_waits_is_dropped_and_what_is_in_hand_can_be_acknowledged(
        self, broker: InProcessBroker
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = receive(consumer)
        broker.close()
        assert next(consumer) is None
        assert broker.size(QUEUE) == 1
        consumer.ack(held)
        broker.join(QUEUE)

    def test_what_comes_back_afterwards_is_dropped_too(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = [receive(consumer), receive(consumer)]
        broker.close()
        consumer.requeue([held[0]])
        consumer.close()
        assert next(consume(broker)) is None
        broker.join(QUEUE)

    def test_it_can_be_closed_again_and_under_a_running_worker(
        self, broker: InProcessBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        with running(broker) as worker:
            broker.close()
            broker.close()
            assert list(worker.consumers) == [QUEUE]
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


class TestDeadLetters:
    def test_a_rejection_is_counted_kept_and_logged_without_its_arguments(
        self, broker: InProcessBroker, caplog: pytest.LogCaptureFixture
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

    def test_only_the_newest_are_kept_and_all_are_counted(self, broker: InProcessBroker) -> None:
        consumer = consume(broker)
        for number in range(DEAD_LETTERS_KEPT + 2):
            broker.enqueue(message(number))
            consumer.nack(receive(consumer))
        kept = [letter.args[0] for letter in broker.dead_letters(QUEUE)]
        assert kept == list(range(2, DEAD_LETTERS_KEPT + 2))
        assert broker.dead_letter_count(QUEUE) == DEAD_LETTERS_KEPT + 2
        assert broker.size(QUEUE) == 0

    def test_a_message_for_an_unknown_actor_is_one(self, broker: InProcessBroker) -> None:
        with running(broker):
            broker.enqueue(message("a", actor_name="nobody"))
            broker.join(QUEUE)
        assert broker.dead_letter_count(QUEUE) == 1

    def test_a_message_whose_actor_raised_is_none(self, broker: InProcessBroker) -> None:
        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks() -> None:
            raise RuntimeError("an actor's error")

        with running(broker):
            run_checks.send()
            broker.join(QUEUE)
        assert broker.dead_letter_count(QUEUE) == 0


class TestMiddleware:
    def test_there_is_none(self, broker: InProcessBroker) -> None:
        assert broker.middleware == []

    @pytest.mark.parametrize("option", ["max_retries", "time_limit", "max_age", "on_failure"])
    def test_an_actor_cannot_ask_for_what_is_left_out(
        self, broker: InProcessBroker, option: str
    ) -> None:
        def run_checks() -> None: ...

        options: dict[str, Any] = {option: 1}
        with pytest.raises(ValueError, match=option):
            dramatiq.actor(broker=broker, queue_name=QUEUE, **options)(run_checks)

    def test_it_hears_of_each_message_that_was_taken_and_of_none_that_was_refused(
        self, broker: InProcessBroker
    ) -> None:
        heard: list[object] = []

        class Listener(dramatiq.Middleware):
            def after_enqueue(
                self, _: dramatiq.Broker, message: dramatiq.Message[object], delay: int
            ) -> None:
                heard.append(message.args[0])

        broker.add_middleware(Listener())
        send(broker, "a", "b", "c")
        with pytest.raises(QueueFull):
            send(broker, "d")
        assert heard == ["a", "b", "c"]


class TestTheWorkersStop:
    def test_no_thread_sleeps_longer_than_the_worker_time_out(
        self, broker: InProcessBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        consuming = threading.Event()
        original = InProcessBroker.consume

        def consume_and_tell(
            self: InProcessBroker, queue_name: str, prefetch: int = 1, timeout: int = 30_000
        ) -> Consumer:
            asked.append(timeout)
            consuming.set()
            return original(self, queue_name, prefetch, timeout)

        monkeypatch.setattr(InProcessBroker, "consume", consume_and_tell)
        worker = start_worker(broker, threads=2)
        consuming.wait()
        worker.stop()
        assert asked == [WORKER_TIMEOUT_MS]
        assert [thread.timeout * 1000 for thread in worker.workers] == [WORKER_TIMEOUT_MS] * 2

    def test_its_two_waits_together_stay_well_under_a_second(self) -> None:
        assert 2 * WORKER_TIMEOUT_MS <= 250

    def test_no_thread_is_left(self, broker: InProcessBroker) -> None:
        before = set(threading.enumerate())
        with running(broker):
            pass
        assert set(threading.enumerate()) <= before

    def test_what_it_had_not_begun_comes_back_in_order(self, broker: InProcessBroker) -> None:
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
        assert broker.size(QUEUE) == 3
