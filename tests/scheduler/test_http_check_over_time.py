from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from scheduler.http_check import HttpChecker, Timings
from scheduler.network_guard import NetworkGuard
from tests.scheduler.loopback_servers import (
    LOOPBACK,
    OK,
    LoopClock,
    dripping,
    serving,
    silent,
)
from tests.scheduler.sending_checks import answer, check, checking, outcome, request

HEAD_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full, so that the next one is left waiting."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = int(listening.getsockname()[1])
        for queued in (first, second):
            queued.setblocking(False)
            queued.connect_ex(("127.0.0.1", port))
        yield port


class TestATimeout:
    @pytest.fixture
    async def clock(self) -> LoopClock:
        return LoopClock()

    @pytest.mark.parametrize(
        ("said", "status", "while_"),
        [
            (b"", None, "nothing of the answer had come"),
            (b"HTTP/1.1 200 OK\r\n", None, "the answer was still coming"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", None, "the answer was still coming"),
            (HEAD_OK + b"\r\n", 200, "the answer was still coming"),
            (HEAD_OK + b"\r\nhalf of", 200, "the answer was still coming"),
            (b"HTTP/1.1 200 OK\r\n\r\nuntil closed", 200, "the answer was still coming"),
        ],
    )
    async def test_ends_a_check_of_a_server_that_falls_silent(
        self, clock: LoopClock, said: bytes, status: int | None, while_: str
    ) -> None:
        result = await check(silent(lambda: clock.advance(31), after=said))
        assert outcome(result) == ("timeout", status)
        assert result.message == f"not complete within 30 s: {while_}"

    @pytest.mark.parametrize(
        ("first", "drop"),
        [
            (b"", b"\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
            (HEAD_OK + b"\r\n", b"x"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ],
        ids=["empty lines", "header lines", "body", "interim answers"],
    )
    async def test_ends_a_check_of_a_server_that_never_stops_dripping(
        self, clock: LoopClock, first: bytes, drop: bytes
    ) -> None:
        result = await check(dripping(first, drop, then=lambda: clock.advance(31)))
        assert result.reason == "timeout"

    async def test_is_the_whole_exchanges_and_no_byte_extends_it(self, clock: LoopClock) -> None:
        async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD_OK + b"\r\n")
            while True:
                clock.advance(1)
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0)

        began = asyncio.get_running_loop().time()
        assert (await check(behave)).reason == "timeout"
        assert 30 <= asyncio.get_running_loop().time() - began < 60

    async def test_does_not_end_a_check_before_its_time(self, clock: LoopClock) -> None:
        async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            clock.advance(29)
            await asyncio.sleep(0)
            writer.write(OK)

        assert outcome(await check(behave)) == (None, 200)

    async def test_ends_the_lookup_of_a_name_too(self, clock: LoopClock) -> None:
        async def resolve(host: str, port: int) -> Sequence[str]:
            clock.advance(31)
            await asyncio.Event().wait()
            return []

        async with checking(NetworkGuard(LOOPBACK, resolve)) as checker:
            result = await checker.check(request("http://slow.example/"))
        assert outcome(result) == ("timeout", None)
        assert result.message == "not complete within 30 s: the host name was being looked up"
        assert result.timings.dns_ms is None

    async def test_does_not_wait_for_the_systems_resolver(
        self, clock: LoopClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop, released = asyncio.get_running_loop(), threading.Event()

        def getaddrinfo(*_: object) -> list[object]:
            loop.call_soon_threadsafe(clock.advance, 31)
            released.wait()
            return []

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        async with checking(NetworkGuard()) as checker:
            result = await checker.check(request("http://stuck.example/"))
        released.set()
        assert outcome(result) == ("timeout", None)

    @pytest.mark.parametrize("addresses", [["127.0.0.1"], ["127.0.0.1", "127.0.0.1"]])
    async def test_ends_a_connection_that_is_not_made(
        self, clock: LoopClock, addresses: Sequence[str]
    ) -> None:
        async def resolve(host: str, port: int) -> Sequence[str]:
            asyncio.get_running_loop().call_soon(clock.advance, 31)
            return addresses

        with deaf_port() as port:
            async with checking(NetworkGuard(LOOPBACK, resolve)) as checker:
                result = await checker.check(request(f"http://deaf.example:{port}/"))
        assert outcome(result) == ("timeout", None)
        assert result.message == "not complete within 30 s: the connection was being made"
        assert result.timings.dns_ms is not None
        assert result.timings.connect_ms is None

    async def test_ends_a_tls_handshake_that_gets_nowhere(self, clock: LoopClock) -> None:
        async def stall(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            clock.advance(31)
            await reader.read()

        async with serving(stall, listens=False) as server, checking() as checker:
            url = server.url().replace("http:", "https:")
            result = await checker.check(request(url))
        assert outcome(result) == ("timeout", None)
        assert result.message == "not complete within 30 s: the TLS session was being negotiated"
        assert result.timings.connect_ms is not None

    async def test_is_the_only_limit_of_a_tls_handshake(self, clock: LoopClock) -> None:
        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            for _ in range(10):
                clock.advance(31)
                await asyncio.sleep(0)
            await reader.read()

        async with serving(stall, listens=False) as server, checking() as checker:
            url = server.url().replace("http:", "https:")
            result = await checker.check(request(url, timeout=300))
        assert outcome(result) == ("timeout", None)

    async def test_leaves_a_wrong_status_the_reason(self, clock: LoopClock) -> None:
        wrong = b"HTTP/1.1 502 Bad\r\nContent-Length: 9\r\n\r\nhalf"
        result = await check(silent(lambda: clock.advance(31), after=wrong))
        assert outcome(result) == ("status", 502)
        assert result.output == "half"


class TestACancelledCheck:
    @pytest.mark.parametrize("said", [b"", HEAD_OK, HEAD_OK + b"\r\nhalf"])
    async def test_raises_and_hangs_up(self, said: bytes) -> None:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            await writer.drain()
            heard.put_nowait(b"request")
            heard.put_nowait(await reader.read())

        async with serving(behave) as server, checking() as checker:
            task = asyncio.create_task(checker.check(request(server.url())))
            await heard.get()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await heard.get() == b""


class TestAConnection:
    async def test_is_closed_when_the_check_is_over(self) -> None:
        hung_up = asyncio.Event()

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            await reader.read()
            hung_up.set()

        async with serving(behave) as server, checking() as checker:
            await checker.check(request(server.url()))
            await hung_up.wait()

    async def test_is_closed_at_once_although_the_server_has_not_read_it_all(self) -> None:
        checked, body = asyncio.Event(), "x" * 20_000_000  # more than the system's buffers take
        read: asyncio.Queue[int] = asyncio.Queue()

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer("503 No", b"not now"))
            await checked.wait()
            received = 0
            with suppress(ConnectionError):
                while part := await reader.read(1_000_000):
                    received += len(part)
            read.put_nowait(received)

        async with serving(behave, listens=False) as server, checking() as checker:
            result = await checker.check(request(server.url(), method="POST", body=body))
            checked.set()
            assert await read.get() < len(body)
        assert outcome(result) == ("status", 503)

    async def test_is_never_used_again(self) -> None:
        keep_alive = answer("200 OK", b"", b"Connection: keep-alive", b"Keep-Alive: timeout=60")
        async with serving(keep_alive) as server, checking() as checker:
            for _ in range(3):
                assert (await checker.check(request(server.url()))).reason is None
        assert len(server.requests) == 3


class TestTimings:
    async def test_tell_the_milliseconds_of_each_stage(self) -> None:
        ticks = iter(range(100))

        async with checking(clock=lambda: float(next(ticks))) as checker, serving() as server:
            result = await checker.check(request(server.url()))
        assert result.timings == Timings(
            dns_ms=1000.0, connect_ms=1000.0, tls_ms=None, first_byte_ms=1000.0, total_ms=4000.0
        )

    async def test_tell_how_far_a_failed_check_came(self) -> None:
        timings = (await check(b"")).timings
        assert timings.connect_ms is not None
        assert timings.first_byte_ms is None
        assert timings.total_ms >= timings.connect_ms

    async def test_count_real_time_by_default(self) -> None:
        timings = (await check(OK)).timings
        assert timings.dns_ms is not None
        assert timings.connect_ms is not None
        assert timings.first_byte_ms is not None
        together = timings.dns_ms + timings.connect_ms + timings.first_byte_ms
        assert 0 < together <= timings.total_ms


class TestASlot:
    async def test_is_had_by_so_many_at_once_for_each_host(self) -> None:
        async with checking(calls_per_host=2) as checker:
            async with checker.slot("http://a.example/1"), checker.slot("https://A.example./2"):
                third = asyncio.create_task(anext_slot(checker, "http://a.example:81/3"))
                await anext_slot(checker, "http://b.example/")
                await asyncio.sleep(0)
                assert not third.done()
            await third

    async def test_is_handed_out_in_the_order_of_asking(self) -> None:
        order: list[int] = []

        async def take(number: int) -> None:
            async with checker.slot("http://a.example/"):
                order.append(number)

        async with checking(calls_per_host=1) as checker:
            async with checker.slot("http://a.example/"):
                waiting = [asyncio.create_task(take(number)) for number in range(5)]
                await asyncio.sleep(0)
                waiting[1].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 2, 3, 4]

    async def test_comes_back_whatever_happens_in_it(self) -> None:
        async with checking(calls_per_host=1) as checker:
            for _ in range(2):
                with pytest.raises(ZeroDivisionError):
                    async with checker.slot("http://a.example/"):
                        raise ZeroDivisionError

    async def test_is_waited_for_outside_the_checks_timeout(self) -> None:
        clock = LoopClock()
        async with serving() as server, checking(calls_per_host=1) as checker:

            async def slot_and_check() -> str | None:
                async with checker.slot(server.url()):
                    return (await checker.check(request(server.url()))).reason

            async with checker.slot(server.url()):
                waiting = asyncio.create_task(slot_and_check())
                await asyncio.sleep(0)
                clock.advance(3600)
            assert await waiting is None

    async def test_leaves_nothing_behind(self) -> None:
        async with checking() as checker:
            for number in range(100):
                await anext_slot(checker, f"http://host-{number}.example/")
            await anext_slot(checker, "http://[broken/")
            cancelled = asyncio.create_task(anext_slot(checker, "http://a.example/"))
            cancelled.cancel()
            await asyncio.wait([cancelled])
            assert len(checker._slots) == 0


async def anext_slot(checker: HttpChecker, url: str) -> None:
    async with checker.slot(url):
        pass
