"""The broker on Redis: the contract of all brokers, and what it leaves in Redis and takes from it."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import dramatiq
import pytest
from dramatiq.errors import QueueJoinTimeout
from redis import Redis

from scheduler.broker import BrokerUnavailable, CheckBroker, QueueFull
from scheduler.redis_broker import open_redis_broker
from scheduler.redis_list import RedisList
from tests.scheduler.broker_contract import (
    QUEUE,
    BrokerContract,
    NewBroker,
    consume,
    message,
    names,
    receive,
    running,
    send,
)
from tests.servers.valkey import RedisServer, ValkeyServer

numbers = itertools.count(1)


@pytest.fixture
def namespace() -> str:
    """Return the beginning of keys that nobody else uses."""
    return f"cronpulse-test-{os.getpid()}-{next(numbers)}"


@pytest.fixture
def process(valkey: RedisServer, namespace: str) -> Iterator[NewBroker]:
    """Return what opens a broker, as each process of one installation does."""
    with ExitStack() as opened:

        def open_another(*, max_messages: int = 10_000) -> CheckBroker:
            broker = open_redis_broker(valkey.url(), max_messages=max_messages, namespace=namespace)
            opened.enter_context(closing(broker))
            if max_messages:
                broker.declare_queue(QUEUE)
            return broker

        yield open_another
        with valkey.client() as client:
            client.delete(f"{namespace}:{QUEUE}", f"{namespace}:other")


@pytest.fixture
def broker(process: NewBroker) -> CheckBroker:
    return process()


@pytest.fixture
def redis(valkey: RedisServer) -> Iterator[Redis]:
    with valkey.client() as client:
        yield client


class TestRedisBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    def new_broker(self, process: NewBroker) -> NewBroker:
        return process


class TestWhatIsInRedis:
    def test_it_is_one_list_with_the_messages_as_they_are_encoded(
        self, broker: CheckBroker, redis: Redis, namespace: str
    ) -> None:
        sent = [message(["id-1", "id-2"]), message(["id-3"])]
        for each in sent:
            broker.enqueue(each)
        assert redis.keys(f"{namespace}*") == [f"{namespace}:{QUEUE}".encode()]
        assert redis.lrange(f"{namespace}:{QUEUE}", 0, -1) == [each.encode() for each in sent]

    def test_a_message_holds_nothing_but_ids_and_whom_they_are_for(
        self, broker: CheckBroker, redis: Redis, namespace: str
    ) -> None:
        broker.enqueue(message(["id-1"]))
        (stored,) = redis.lrange(f"{namespace}:{QUEUE}", 0, -1)
        fields = json.loads(stored)
        assert isinstance(fields.pop("message_id"), str)
        assert isinstance(fields.pop("message_timestamp"), int)
        assert fields == {
            "queue_name": QUEUE,
            "actor_name": "run_checks",
            "args": [["id-1"]],
            "kwargs": {},
            "options": {},
        }

    def test_what_a_consumer_holds_is_not_there_so_its_death_leaves_nothing_behind(
        self, broker: CheckBroker, redis: Redis, namespace: str
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker)
        receive(consumer)
        assert redis.keys(f"{namespace}*") == []

    def test_nothing_is_left_of_messages_that_ran_failed_or_were_rejected(
        self, broker: CheckBroker, redis: Redis, namespace: str
    ) -> None:
        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(name: str) -> None:
            if name == "bad":
                raise RuntimeError(name)

        with running(broker):
            send(broker, "good", "bad")
            broker.enqueue(message("a", actor_name="nobody"))
            broker.join(QUEUE)
        assert redis.keys(f"{namespace}*") == []

    def test_no_command_is_used_that_looks_through_the_whole_database(self) -> None:
        with (
            ValkeyServer() as server,
            server.client() as client,
            closing(open_redis_broker(server.url())) as broker,
        ):
            client.config_resetstat()
            broker.declare_queue(QUEUE)

            @dramatiq.actor(broker=broker, queue_name=QUEUE)
            def run_checks(_: str) -> None: ...

            with running(broker):
                send(broker, "a", "b")
                broker.join(QUEUE)
            send(broker, "a")
            broker.oldest(QUEUE)
            consumer = consume(broker)
            receive(consumer)
            consumer.close()
            broker.flush(QUEUE)
            used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        of_the_list = {"llen", "lindex", "rpush", "lpush", "lpop", "del"}
        assert used == of_the_list | {"evalsha", "script|load", "time", "config|resetstat"}


class TestManyProcesses:
    def test_what_one_sends_another_receives(self, process: NewBroker) -> None:
        scheduler, worker = process(), process()
        send(scheduler, "a")
        assert receive(consume(worker)).args == ("a",)
        assert scheduler.size(QUEUE) == 0

    def test_they_share_the_bound(self, process: NewBroker) -> None:
        one, other = process(max_messages=2), process(max_messages=2)
        send(one, "a")
        send(other, "b")
        with pytest.raises(QueueFull):
            send(one, "c")

    def test_what_a_consumer_holds_makes_room(self, process: NewBroker) -> None:
        broker = process(max_messages=1)
        send(broker, "a")
        receive(consume(broker))
        send(broker, "b")
        assert broker.size(QUEUE) == 1

    def test_what_one_gives_back_another_receives_in_the_order_it_was_sent(
        self, process: NewBroker
    ) -> None:
        one, other = process(), process()
        send(one, "a", "b", "c", "d")
        consumer = consume(one, prefetch=3)
        held = [receive(consumer) for _ in range(3)]
        consumer.ack(held[1])
        consumer.close()
        successor = consume(other)
        assert names([receive(successor) for _ in range(3)]) == ["a", "c", "d"]

    def test_closing_a_broker_leaves_what_waits_to_others(self, process: NewBroker) -> None:
        one, other = process(), process()
        send(one, "a")
        one.close()
        assert receive(consume(other)).args == ("a",)

    def test_join_waits_for_what_waits_for_another_process(self, process: NewBroker) -> None:
        one, other = process(), process()
        send(one, "a")
        with pytest.raises(QueueJoinTimeout):
            other.join(QUEUE, timeout=1)


class TestOnTheWay:
    """What is neither in Redis nor in a hand is not forgotten."""

    @pytest.fixture
    def go_on(self) -> threading.Event:
        return threading.Event()

    def test_join_waits_for_what_was_taken_and_has_not_arrived(
        self, broker: CheckBroker, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = RedisList.take

        def take_and_dawdle(self: RedisList, count: int) -> list[bytes]:
            taken = original(self, count)
            go_on.wait()
            return taken

        monkeypatch.setattr(RedisList, "take", take_and_dawdle)
        send(broker, "a")
        consumer = broker.consume(QUEUE, timeout=1)
        while broker.size(QUEUE):
            assert next(consumer) is None
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)
        go_on.set()
        consumer.ack(receive(consumer))
        broker.join(QUEUE)

    def test_join_waits_for_what_is_given_back_and_not_yet_there(
        self, broker: CheckBroker, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = RedisList.give_back

        def dawdle_and_give_back(self: RedisList, messages: Sequence[bytes]) -> None:
            go_on.wait()
            original(self, messages)

        monkeypatch.setattr(RedisList, "give_back", dawdle_and_give_back)
        send(broker, "a")
        consumer = consume(broker)
        consumer.requeue([receive(consumer)])
        with pytest.raises(QueueJoinTimeout):
            broker.join(QUEUE, timeout=1)
        go_on.set()
        consumer.ack(receive(consumer))
        broker.join(QUEUE)

    def test_a_fault_that_nobody_thought_of_is_not_passed_over(
        self, broker: CheckBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: RedisList, count: int) -> list[bytes]:
            raise ZeroDivisionError(count)

        consumer = consume(broker)
        monkeypatch.setattr(RedisList, "take", fail)
        with pytest.raises(ZeroDivisionError):
            next(consumer)
        monkeypatch.undo()
        send(broker, "a")
        assert receive(consumer).args == ("a",)


class TestWhatOthersPutThere:
    @pytest.mark.parametrize(
        "found",
        [
            b"not a message",
            b'"hunter2"',
            b'{"queue_name": "checks"}',
            message("hunter2", queue_name="other").encode(),
            message("hunter2").copy(actor_name=["run_checks"]).encode(),
            message("hunter2").copy(options={"eta": 1}).encode(),
            message("hunter2").copy(options={"redis_message_id": "1"}).encode(),
        ],
    )
    def test_what_is_no_message_is_dropped_and_told_of_and_harms_no_thread(
        self,
        broker: CheckBroker,
        redis: Redis,
        namespace: str,
        caplog: pytest.LogCaptureFixture,
        found: bytes,
    ) -> None:
        ran: list[str] = []

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(name: str) -> None:
            ran.append(name)

        redis.rpush(f"{namespace}:{QUEUE}", found)
        with running(broker) as worker:
            threads = [*worker.workers, *worker.consumers.values()]
            send(broker, "a")
            broker.join(QUEUE)
            assert all(thread.is_alive() for thread in threads)
        assert ran == ["a"]
        (entry,) = (each for each in caplog.records if each.levelno >= logging.WARNING)
        assert entry.getMessage() == (
            "what was found in queue 'checks' is no message for it, and is dropped"
        )
        assert entry.exc_info is None

    def test_while_it_is_next_nothing_counts_as_the_oldest(
        self, broker: CheckBroker, redis: Redis, namespace: str
    ) -> None:
        redis.rpush(f"{namespace}:{QUEUE}", b"not a message")
        assert broker.oldest(QUEUE) is None

    @pytest.mark.parametrize(
        "use",
        [
            lambda broker: send(broker, "a"),
            lambda broker: broker.size(QUEUE),
            lambda broker: broker.oldest(QUEUE),
            lambda broker: broker.join(QUEUE),
        ],
    )
    def test_a_key_that_holds_something_else_makes_the_broker_unavailable(
        self,
        broker: CheckBroker,
        redis: Redis,
        namespace: str,
        use: Callable[[CheckBroker], object],
    ) -> None:
        redis.set(f"{namespace}:{QUEUE}", "a string")
        with pytest.raises(BrokerUnavailable, match=r"^Redis refuses: WRONGTYPE$"):
            use(broker)
