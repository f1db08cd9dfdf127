"""What becomes of senders and workers when Redis stops, stands still, forgets or refuses.

A server of its own is broken for each test and mended, and started anew afterwards.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from socket import SHUT_RDWR, create_server, socket
from types import TracebackType

import dramatiq
import pytest
from dramatiq import Consumer, MessageProxy

from scheduler import redis_broker
from scheduler.broker import BrokerUnavailable, CheckBroker, start_worker
from scheduler.errands import Errands
from scheduler.redis_broker import open_redis_broker
from scheduler.redis_connection import connect_to
from scheduler.redis_list import RedisList
from tests.scheduler.broker_contract import QUEUE, consume, names, receive, send
from tests.servers.valkey import ValkeyServer

AN_HOUR = 3600.0
REAL_PAUSE_AFTER_A_FAULT = redis_broker.PAUSE_AFTER_A_FAULT
KEY = f"cronpulse:{QUEUE}"
DOES_NOT_WORK = f"taking messages from {KEY} does not work: Redis "
WORKS_AGAIN = f"taking messages from {KEY} works again"


Told = Callable[[], list[tuple[int, str]]]

NOT_THERE = (
    "can't be reached: (Connection refused|Connection reset by peer|the connection was lost)"
)
"""The first words are the usual ones, the others those for what was under way."""


@pytest.fixture(scope="module")
def the_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def server(the_server: ValkeyServer) -> Iterator[ValkeyServer]:
    yield the_server
    the_server.kill()
    the_server.start()


@contextmanager
def opened(server: ValkeyServer, *, answer_within: float = 2.0) -> Iterator[CheckBroker]:
    with closing(open_redis_broker(server.url(), answer_within=answer_within)) as broker:
        broker.declare_queue(QUEUE)
        yield broker


@pytest.fixture
def broker(server: ValkeyServer) -> Iterator[CheckBroker]:
    with opened(server) as broker:
        yield broker


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, so that there are many attempts in little time."""
    monkeypatch.setattr(redis_broker, "PAUSE_AFTER_A_FAULT", 0.01)


def until(condition: Callable[[], object]) -> None:
    """Wait as long as it takes; a test that waits in vain ends by pytest's time-out."""
    while not condition():
        time.sleep(0.005)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many messages Redis was asked for, each time that it was."""
    asked: list[int] = []
    original = RedisList.take

    def take_and_note(self: RedisList, count: int) -> list[bytes]:
        asked.append(count)
        return original(self, count)

    monkeypatch.setattr(RedisList, "take", take_and_note)
    return asked


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Return what the log was told so far, by anybody."""
    caplog.set_level(logging.INFO, logger="scheduler")
    return lambda: [(entry.levelno, entry.getMessage()) for entry in caplog.records]


class Ran:
    """An actor that notes what it ran, and the worker that runs it."""

    def __init__(self, broker: CheckBroker) -> None:
        self.names: list[str] = []
        self.broker = broker

        @dramatiq.actor(broker=broker, queue_name=QUEUE)
        def run_checks(name: str) -> None:
            self.names.append(name)

    def __enter__(self) -> Ran:
        self._worker = start_worker(self.broker, threads=2)
        send(self.broker, "first")
        until(lambda: "first" in self.names)
        self._threads = [*self._worker.workers, *self._worker.consumers.values()]
        self._consumers = self.consumers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._worker.stop()

    def consumers(self) -> list[Consumer | None]:
        return [thread.consumer for thread in self._worker.consumers.values()]

    def waits_for_redis(self) -> bool:
        """Say whether messages were asked for and have not come, while none is in hand."""
        return all(vars(consumer)["_taking"] for consumer in self.consumers())

    def goes_on(self) -> bool:
        """Say whether all threads live, and none had to begin anew (which takes three seconds)."""
        alive = all(thread.is_alive() for thread in self._threads)
        return alive and self.consumers() == self._consumers


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    begin: Callable[[ValkeyServer], object]
    end: Callable[[ValkeyServer], object]
    words: str


def commanded(*words: str) -> Callable[[ValkeyServer], object]:
    def command(server: ValkeyServer) -> None:
        with server.client() as client:
            client.execute_command(*words)

    return command


OUTAGES = {
    "stopped": Outage(
        begin=ValkeyServer.stop,
        end=ValkeyServer.start,
        words=NOT_THERE,
    ),
    "killed": Outage(
        begin=ValkeyServer.kill,
        end=ValkeyServer.start,
        words=NOT_THERE,
    ),
    "paused": Outage(
        begin=ValkeyServer.pause, end=ValkeyServer.resume, words="does not answer in time"
    ),
    "read-only": Outage(
        begin=commanded("REPLICAOF", "127.0.0.1", "1"),
        end=commanded("REPLICAOF", "NO", "ONE"),
        words="is read-only",
    ),
    "without replicas": Outage(
        begin=commanded("CONFIG", "SET", "min-replicas-to-write", "1"),
        end=commanded("CONFIG", "SET", "min-replicas-to-write", "0"),
        words="refuses: NOREPLICAS",
    ),
    "locked": Outage(
        begin=commanded("ACL", "SETUSER", "default", "-@scripting"),
        end=commanded("ACL", "SETUSER", "default", "+@all"),
        words="lets this user not do what is needed",
    ),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=list(OUTAGES))
class TestAnOutage:
    def test_the_worker_goes_on_tells_once_and_takes_messages_when_it_is_over(
        self,
        server: ValkeyServer,
        asked: list[int],
        told: Told,
        outage: Outage,
    ) -> None:
        with opened(server, answer_within=1.0) as broker, Ran(broker) as ran:
            before = len(told())
            outage.begin(server)
            until(lambda: warnings(told()[before:]))
            attempts = len(asked)
            until(lambda: len(asked) >= attempts + 2)
            warned = warnings(told()[before:])
            outage.end(server)
            until(lambda: (logging.INFO, WORKS_AGAIN) in told()[before:])
            send(broker, "second")
            until(lambda: "second" in ran.names)
            assert ran.goes_on()
        assert len(warned) == 1
        assert re.fullmatch(DOES_NOT_WORK + outage.words, warned[0])
        assert [text for level, text in told() if level >= logging.ERROR] == []

    def test_a_sender_is_told_what_is_wrong_and_can_send_when_it_is_over(
        self, server: ValkeyServer, outage: Outage
    ) -> None:
        with opened(server, answer_within=1.0) as broker:
            send(broker, "a")
            outage.begin(server)
            with pytest.raises(BrokerUnavailable) as refused:
                send(broker, "b")
            assert re.fullmatch(f"Redis {outage.words}", str(refused.value))
            outage.end(server)
            send(broker, "c")
            consumer = consume(broker)
            until(lambda: receive(consumer).args == ("c",))

    def test_an_acknowledgement_meanwhile_harms_nobody_and_leaves_nothing(
        self, server: ValkeyServer, outage: Outage
    ) -> None:
        with opened(server) as broker:
            send(broker, "a", "b")
            consumer = consume(broker, prefetch=2)
            held = [receive(consumer), receive(consumer)]
            outage.begin(server)
            consumer.ack(held[0])
            consumer.nack(held[1])
            outage.end(server)
            consumer.close()
            with server.client() as client:
                assert client.keys("*") == []


def warnings(told: list[tuple[int, str]]) -> list[str]:
    return [text for level, text in told if level >= logging.WARNING]


class TestForgetting:
    def test_what_was_flushed_is_gone_and_what_is_sent_then_arrives(
        self, server: ValkeyServer, broker: CheckBroker, told: Told
    ) -> None:
        with Ran(broker) as ran:
            for after in map(str, range(20)):
                send(broker, f"before {after}")
                server.flush()
                send(broker, after)
                until(partial(ran.names.__contains__, after))
            broker.join(QUEUE)
            assert ran.goes_on()
        assert warnings(told()) == []

    def test_scripts_that_were_flushed_are_told_again(
        self, server: ValkeyServer, broker: CheckBroker, told: Told
    ) -> None:
        with Ran(broker) as ran, server.client() as client:
            client.script_flush()
            send(broker, "second")
            until(lambda: "second" in ran.names)
            assert ran.goes_on()
        assert warnings(told()) == []

    def test_a_restart_that_nobody_noticed_is_no_outage(
        self, server: ValkeyServer, broker: CheckBroker, told: Told
    ) -> None:
        consumer = consume(broker)
        assert next(consumer) is None
        server.restart()
        send(broker, "a")
        server.restart()
        assert next(consumer) is None
        send(broker, "b")
        assert receive(consumer).args == ("b",)
        assert warnings(told()) == []


def test_without_memory_nothing_can_be_sent_and_what_waits_is_taken_all_the_same(
    server: ValkeyServer, broker: CheckBroker, told: Told
) -> None:
    send(broker, "a", "b")
    commanded("CONFIG", "SET", "maxmemory", "1")(server)
    with pytest.raises(BrokerUnavailable, match=r"^Redis is out of memory$"):
        send(broker, "c")
    consumer = consume(broker, prefetch=1)
    consumer.ack(receive(consumer))
    held = receive(consumer)
    assert held.args == ("b",)
    consumer.requeue([held])  # finds no room, and is left to be found in the database
    consumer.close()
    commanded("CONFIG", "SET", "maxmemory", "0")(server)
    send(broker, "d")
    successor = consume(broker)
    assert receive(successor).args == ("d",)
    assert warnings(told()) == [
        "what was not begun is left to be found again: Redis is out of memory"
    ]


class TestStandingStill:
    """A server that is stopped for good is soon noticed; one that just says nothing isn't."""

    def test_a_worker_stops_without_waiting_for_an_answer(self, server: ValkeyServer) -> None:
        with opened(server, answer_within=AN_HOUR) as broker:
            with Ran(broker) as ran:
                broker.join(QUEUE)
                server.pause()
                until(ran.waits_for_redis)
            server.resume()

    def test_what_a_worker_had_not_begun_is_given_back_when_it_goes_on(
        self, server: ValkeyServer
    ) -> None:
        begun, finish = threading.Event(), threading.Event()
        with opened(server, answer_within=AN_HOUR) as broker:

            @dramatiq.actor(broker=broker, queue_name=QUEUE)
            def run_checks(_: str) -> None:
                begun.set()
                finish.wait()

            worker = start_worker(broker, threads=1)
            try:
                send(broker, "a", "b", "c", "d")
                begun.wait()
                until(lambda: broker.size(QUEUE) == 2)
                server.pause()
            finally:
                worker.stop(timeout=0)  # long before the actor returns
            server.resume()
            until(lambda: broker.size(QUEUE) == 4)
            successor = consume(broker)
            assert names([receive(successor) for _ in range(4)]) == ["a", "b", "c", "d"]
            finish.set()

    def test_what_is_requeued_too_late_is_given_back_once_nevertheless(
        self, server: ValkeyServer, asked: list[int]
    ) -> None:
        with opened(server, answer_within=AN_HOUR) as broker:
            send(broker, "a")
            consumer = broker.consume(QUEUE, prefetch=2, timeout=10)
            held = receive(consumer)
            server.pause()
            until(lambda: next(consumer) is None and len(asked) > 1)
            consumer.close()
            consumer.requeue([held])
            server.resume()
            successor = consume(broker)
            assert receive(successor).args == ("a",)
            assert next(successor) is None

    def test_messages_are_not_handed_to_somebody_who_has_given_up(
        self, server: ValkeyServer, told: Told
    ) -> None:
        with opened(server, answer_within=1.0) as broker:
            consumer = consume(broker)
            assert next(consumer) is None
            send(broker, "a")
            server.pause()
            assert next(consumer) is None
            assert warnings(told()) == [DOES_NOT_WORK + "does not answer in time"]
            server.resume()
            assert receive(consumer).args == ("a",)

    def test_an_answer_that_comes_while_it_is_awaited_is_taken(
        self, server: ValkeyServer, told: Told
    ) -> None:
        with opened(server, answer_within=AN_HOUR) as broker:
            consumer = broker.consume(QUEUE, timeout=10)
            send(broker, "a")
            server.pause()
            assert [next(consumer) for _ in range(3)] == [None, None, None]
            server.resume()
            assert receive(consumer).args == ("a",)
            assert warnings(told()) == []


class TestPauses:
    """How often Redis is asked: with pauses of an hour, once."""

    def test_an_empty_queue_is_looked_into_now_and_then(
        self, broker: CheckBroker, asked: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_broker, "IDLE_PAUSE", AN_HOUR)
        consumer = broker.consume(QUEUE, prefetch=7, timeout=1)
        until(lambda: next(consumer) is None and asked)
        assert [next(consumer) for _ in range(20)] == [None] * 20
        assert asked == [7]

    def test_where_redis_is_not_there_it_is_tried_now_and_then(
        self,
        server: ValkeyServer,
        broker: CheckBroker,
        asked: list[int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(redis_broker, "PAUSE_AFTER_A_FAULT", AN_HOUR)
        monkeypatch.setattr(redis_broker, "IDLE_PAUSE", 0.001)
        server.kill()
        consumer = broker.consume(QUEUE, prefetch=7, timeout=1)
        until(lambda: next(consumer) is None and asked)
        assert [next(consumer) for _ in range(100)] == [None] * 100
        assert asked == [7]

    def test_a_pause_ends_when_the_consumer_is_closed(
        self, broker: CheckBroker, asked: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_broker, "IDLE_PAUSE", AN_HOUR)
        send(broker, "a")
        consumer = broker.consume(QUEUE, prefetch=2, timeout=1)
        receive(consumer)
        until(lambda: next(consumer) is None and len(asked) == 2)
        consumer.close()
        until(lambda: broker.size(QUEUE) == 1)

    def test_hands_that_are_full_ask_for_nothing(
        self, broker: CheckBroker, asked: list[int]
    ) -> None:
        send(broker, "a", "b", "c")
        consumer = consume(broker, prefetch=2)
        held = [receive(consumer), receive(consumer)]
        assert [next(consumer) for _ in range(3)] == [None] * 3
        assert asked == [2]
        consumer.ack(held[0])
        assert receive(consumer).args == ("c",)
        assert asked == [2, 1]

    def test_what_came_along_is_delivered_before_anything_more_is_asked_for(
        self, broker: CheckBroker, asked: list[int]
    ) -> None:
        send(broker, "a", "b")
        consumer = consume(broker, prefetch=3)
        assert names([receive(consumer), receive(consumer)]) == ["a", "b"]
        assert asked == [3]

    def test_an_acknowledgement_ends_the_wait_of_full_hands(
        self, broker: CheckBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_broker, "IDLE_PAUSE", AN_HOUR)
        send(broker, "a", "b")
        consumer = broker.consume(QUEUE, prefetch=1, timeout=round(AN_HOUR * 1000))
        held = receive(consumer)
        hands_free: threading.Condition = vars(consumer)["_changed"]
        waits, wait_for = threading.Event(), hands_free.wait_for

        def announced_wait(predicate: Callable[[], object], timeout: float | None = None) -> object:
            waits.set()  # under the lock, which only the wait lets go of
            return wait_for(predicate, timeout)

        monkeypatch.setattr(hands_free, "wait_for", announced_wait)
        received: list[MessageProxy] = []
        other_thread = Errands("of a test")
        arrived = other_thread.send(lambda: received.append(receive(consumer)))
        waits.wait()
        consumer.ack(held)
        arrived.result()
        assert names(received) == ["b"]

    def test_the_real_ones_are_short_enough_to_be_back_in_time_and_no_shorter(self) -> None:
        assert 0.02 <= redis_broker.IDLE_PAUSE <= 0.1
        assert 0.2 <= REAL_PAUSE_AFTER_A_FAULT <= 1


class TestWords:
    """What Redis answers, and what becomes of it; a server that always says the same says it."""

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ("-LOADING Redis is loading the dataset in memory", "is still loading its data"),
            ("-MISCONF Errors writing to disk at /var/lib", "refuses: MISCONF"),
            ("-MASTERDOWN Link with MASTER is down", "refuses: MASTERDOWN"),
            ("-MOVED 1 10.0.0.1:6379", "refuses: MOVED"),
            ("-NOAUTH Authentication required.", "refuses the user or the password"),
            ("-NOSCRIPT No matching script.", "refuses: NOSCRIPT"),
            ("-ERR max number of clients reached", "can't be reached: the connection was lost"),
            ("-ERR Error running script: 10.0.0.1", "refuses: ERR"),
            ("-something odd", "refuses: unknown error"),
            ("HTTP/1.1 400 Bad Request", "can't be reached: the connection was lost"),
        ],
    )
    def test_an_answer_becomes_words_that_tell_nothing_more(self, said: str, words: str) -> None:
        with saying(f"{said}\r\n".encode()) as port:
            broker = open_redis_broker(f"redis://127.0.0.1:{port}")
            broker.declare_queue(QUEUE)
            with closing(broker), pytest.raises(BrokerUnavailable) as refused:
                send(broker, "a")
        assert str(refused.value) == f"Redis {words}"
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


@contextmanager
def saying(answer: bytes) -> Iterator[int]:
    """Answer everything that comes to the port with the same."""

    def answer_all(connection: socket) -> None:
        with suppress(OSError), connection:
            while connection.recv(65536):
                connection.sendall(answer)

    def serve() -> None:
        with suppress(OSError):  # which is how a shut down one ends
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer_all, args=[connection], daemon=True).start()

    with create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(SHUT_RDWR)  # which ends the wait for the next connection


class TestClocks:
    @pytest.mark.parametrize("jump", [-AN_HOUR, AN_HOUR])
    def test_messages_are_taken_whichever_clock_was_set(
        self, server: ValkeyServer, jump: float
    ) -> None:
        """A server's clock may be set, and ours stands still while the machine sleeps."""
        now = 1000.0
        client = connect_to(server.url(), answer_within=2.0)
        messages = RedisList(client, KEY, answer_within=2.0, monotonic=lambda: now)
        messages.put(b"a", at_most=10)
        assert messages.take(1) == [b"a"]
        now += jump
        messages.put(b"b", at_most=10)
        assert messages.take(1) == [b"b"]
        client.close()
