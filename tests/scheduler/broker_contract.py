"""What every broker of CronPulse must do, whatever carries its messages.

A broker is put under this contract by a subclass of `BrokerContract` that has a fixture named
``broker``: a new broker without any message in it. Nothing here depends on how long anything
takes: a test waits for what must happen, and where nothing must come it asks a consumer with a
time-out of a millisecond, which a correct broker answers with None however slow the machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import dramatiq
import pytest
from dramatiq import Broker, Consumer, Message, MessageProxy, Worker
from dramatiq.errors import QueueJoinTimeout

QUEUE = "checks"


def message(
    *args: object, queue_name: str = QUEUE, actor_name: str = "run_checks"
) -> Message[object]:
    return Message(queue_name=queue_name, actor_name=actor_name, args=args, kwargs={}, options={})


def send(broker: Broker, *names: str) -> None:
    """Send one message for each name, in order."""
    for name in names:
        broker.enqueue(message(name))


def consume(broker: Broker, prefetch: int = 100, queue_name: str = QUEUE) -> Consumer:
    return broker.consume(queue_name, prefetch=prefetch, timeout=1)


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
    """The tests; a subclass brings the fixture ``broker``."""

    @pytest.fixture(autouse=True)
    def _declared_queue(self, broker: Broker) -> None:
        broker.declare_queue(QUEUE)

    def test_a_message_arrives_as_it_was_sent(self, broker: Broker) -> None:
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

    def test_messages_arrive_in_the_order_they_were_sent(self, broker: Broker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        assert names([receive(consumer) for _ in range(3)]) == ["a", "b", "c"]

    def test_a_consumer_of_an_empty_queue_returns_none(self, broker: Broker) -> None:
        assert next(consume(broker)) is None

    def test_a_message_goes_to_one_consumer_only(self, broker: Broker) -> None:
        send(broker, "a")
        receive(consume(broker))
        assert next(consume(broker)) is None

    def test_queues_do_not_mix(self, broker: Broker) -> None:
        broker.declare_queue("other")
        broker.enqueue(message("a", queue_name="other"))
        assert next(consume(broker)) is None
        assert receive(consume(broker, queue_name="other")).args == ("a",)

    def test_what_cannot_be_encoded_is_refused_when_it_is_sent(self, broker: Broker) -> None:
        with pytest.raises(TypeError):
            broker.enqueue(message(object()))
        assert next(consume(broker)) is None

    def test_declaring_a_queue_again_keeps_its_messages(self, broker: Broker) -> None:
        send(broker, "a")
        broker.declare_queue(QUEUE)
        assert receive(consume(broker)).args == ("a",)

    def test_declared_queues_are_listed(self, broker: Broker) -> None:
        broker.declare_queue("other")
        listed = broker.get_declared_queues()
        listed.clear()
        assert broker.get_declared_queues() == {QUEUE, "other"}

    def test_a_consumer_holds_no_more_messages_than_its_prefetch(self, broker: Broker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker, prefetch=2)
        held = [receive(consumer), receive(consumer)]
        assert next(consumer) is None
        consumer.ack(held[0])
        assert receive(consumer).args == ("c",)
        assert next(consumer) is None

    def test_a_rejected_message_makes_room_for_the_next(self, broker: Broker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=1)
        consumer.nack(receive(consumer))
        assert receive(consumer).args == ("b",)

    def test_a_message_can_be_acknowledged_from_another_thread(self, broker: Broker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=1)
        held = receive(consumer)
        with ThreadPoolExecutor(1) as other_thread:
            other_thread.submit(consumer.ack, held).result()
        last = receive(consumer)
        assert last.args == ("b",)
        consumer.ack(last)
        broker.join(QUEUE)

    def test_an_acknowledged_message_does_not_come_back(self, broker: Broker) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        done, open_ = receive(consumer), receive(consumer)
        consumer.ack(done)
        consumer.requeue([done, open_])
        consumer.close()
        successor = consume(broker)
        assert receive(successor).args == ("b",)
        assert next(successor) is None

    def test_a_rejected_message_does_not_come_back(self, broker: Broker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        rejected = receive(consumer)
        consumer.nack(rejected)
        consumer.requeue([rejected])
        consumer.close()
        assert next(consume(broker)) is None
        broker.join(QUEUE)

    def test_requeued_messages_go_to_the_next_consumer_in_order(self, broker: Broker) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker)
        consumer.requeue(iter([receive(consumer) for _ in range(3)]))
        consumer.close()
        successor = consume(broker)
        assert names([receive(successor) for _ in range(3)]) == ["a", "b", "c"]
        assert next(successor) is None

    def test_requeuing_nothing_changes_nothing(self, broker: Broker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        consumer.requeue([])
        assert receive(consumer).args == ("a",)

    def test_flush_drops_what_waits_in_one_queue(self, broker: Broker) -> None:
        broker.declare_queue("other")
        send(broker, "a", "b")
        broker.enqueue(message("c", queue_name="other"))
        broker.flush(QUEUE)
        assert next(consume(broker)) is None
        broker.join(QUEUE)
        assert receive(consume(broker, queue_name="other")).args == ("c",)

    def test_flush_all_drops_what_waits_in_every_queue(self, broker: Broker) -> None:
        broker.declare_queue("other")
        send(broker, "a")
        broker.enqueue(message("b", queue_name="other"))
        broker.flush_all()
        assert next(consume(broker)) is None
        assert next(consume(broker, queue_name="other")) is None

    def test_a_flushed_queue_takes_messages_again(self, broker: Broker) -> None:
        send(broker, "a")
        broker.flush(QUEUE)
        send(broker, "b")
        assert receive(consume(broker)).args == ("b",)

    def test_join_returns_at_once_on_an_empty_queue(self, broker: Broker) -> None:
        broker.join(QUEUE)

    def test_join_gives_up_while_a_message_waits(self, broker: Broker) -> None:
        send(broker, "a")
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)

    def test_join_gives_up_while_a_message_is_in_hand(self, broker: Broker) -> None:
        send(broker, "a")
        consumer = consume(broker)
        held = receive(consumer)
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)
        consumer.ack(held)
        broker.join(QUEUE)

    def test_many_threads_send_and_receive_each_message_once_and_in_order(
        self, broker: Broker
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

    def test_a_worker_runs_what_is_sent_to_its_actors(self, broker: Broker) -> None:
        ran: list[list[str]] = []

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(ids: list[str]) -> None:
            ran.append(ids)

        with running(broker):
            run_checks.send(["a", "b"])
            run_checks.send(["c"])
            broker.join(QUEUE)
        assert sorted(ran) == [["a", "b"], ["c"]]

    def test_an_actor_that_raises_is_not_run_again(self, broker: Broker) -> None:
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

    def test_a_message_for_an_unknown_actor_does_not_stay(self, broker: Broker) -> None:
        with running(broker):
            broker.enqueue(message("a", actor_name="nobody"))
            broker.join(QUEUE)
        assert next(consume(broker)) is None

    def test_a_worker_that_stops_gives_back_what_it_had_not_begun(self, broker: Broker) -> None:
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
