"""The in-process broker: the contract of all brokers, and what it promises beyond it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import cast

import pytest
from dramatiq import Consumer
from dramatiq.errors import QueueJoinTimeout

from scheduler.broker import WORKER_TIMEOUT_MS, QueueFull
from scheduler.in_process_broker import InProcessBroker
from tests.scheduler.broker_contract import (
    QUEUE,
    BrokerContract,
    NewBroker,
    consume,
    names,
    receive,
    send,
)

AN_HOUR_MS = 3_600_000

InBackground = Callable[[Callable[[], object]], "Future[object]"]


class TestInProcessBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    def new_broker(self) -> NewBroker:
        return InProcessBroker


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
    condition = changed(broker)
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


def changed(broker: InProcessBroker) -> threading.Condition:
    """Return the condition that threads wait on, which is the queue's lock as well."""
    return cast("threading.Condition", vars(broker.queues[QUEUE])["changed"])


def patient(broker: InProcessBroker, prefetch: int = 100) -> Consumer:
    return broker.consume(QUEUE, prefetch=prefetch, timeout=AN_HOUR_MS)


class TestBounds:
    def test_messages_in_hand_count_until_they_are_acknowledged(
        self, broker: InProcessBroker
    ) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        held = receive(consumer)
        assert broker.size(QUEUE) == 2
        with pytest.raises(QueueFull):
            send(broker, "d")
        consumer.ack(held)
        send(broker, "d")
        assert broker.size(QUEUE) == 3

    def test_an_acknowledgement_makes_room_only_once(self, broker: InProcessBroker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        held = receive(consumer)
        consumer.ack(held)
        consumer.ack(held)
        consumer.nack(held)
        send(broker, "d")
        with pytest.raises(QueueFull):
            send(broker, "e")
        assert broker.dead_letter_count(QUEUE) == 0

    def test_what_comes_back_takes_its_very_place_among_the_others(
        self, broker: InProcessBroker
    ) -> None:
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
        assert broker.size(QUEUE) == 0
        consumer.requeue([held])
        assert receive(consumer).args == ("a",)


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
        monkeypatch.setattr(changed(broker), "wait_for", time_up)
        assert next(broker.consume(QUEUE, timeout=1500)) is None
        assert waits == [(False, 1.5)]


class TestClosingAConsumer:
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

    def test_what_waits_is_dropped_and_what_is_in_hand_can_be_acknowledged(
        self, broker: InProcessBroker
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        held = receive(consumer)
        broker.close()
        assert next(consumer) is None
        assert broker.size(QUEUE) == 0
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


class TestTheWorkersStop:
    def test_its_waits_together_stay_well_under_a_second(self) -> None:
        assert 3 * WORKER_TIMEOUT_MS <= 400
