"""What the checks call: a small HTTP server that knows nothing of CronPulse and writes down each call.

It has a thread and an event loop of its own, so that it answers whatever the test does meanwhile.
:mod:`tests.live.chaos_receiver` runs the same in a process of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from tests.live.service import PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that arrived whole; ``arrived_at`` is when its head did."""

    arrived_at: datetime
    method: str
    path: str
    idempotency_key: str | None
    token: str | None = None
    """The value of ``X-Token``, a header whose value is secret."""
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``status`` and ``body`` after so many seconds; status None: hang up without a word."""

    after: float = 0
    status: int | None = 200
    body: str = "ok"


Delay = Callable[[Call], float | None]
"""After how many seconds a call is answered; None for never."""

Note = Callable[[Call], Answer | None]
"""Writes a call down, and says how it is answered; None for never."""


class Receiver:
    """Serves on a free port of the loopback interface for the length of the block."""

    def __init__(self, delay: Delay = lambda _: 0) -> None:
        self._delay = delay
        self._calls: list[Call] = []
        self._arrived = threading.Condition()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self.url = ""

    def __enter__(self) -> Receiver:
        self._thread.start()
        assert self._listening.wait(PATIENCE), "the receiver did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the receiver did not stop"

    def calls(self, path: str | None = None) -> list[Call]:
        """What has come so far, to one path or to any, in the order it came."""
        with self._arrived:
            return [call for call in self._calls if path is None or call.path == path]

    def was_called(self, path: str, *, times: int = 1) -> list[Call]:
        """Wait until that many calls have come to a path, and return them."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.calls(path)) >= times, PATIENCE)
            assert came, f"waited in vain for {times} calls to {path}"
            return self.calls(path)

    def _note(self, call: Call) -> Answer | None:
        with self._arrived:
            self._calls.append(call)
            self._arrived.notify_all()
        delay = self._delay(call)
        return None if delay is None else Answer(after=delay)

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server, self.url = await listen(self._note)
        self._listening.set()
        await self._closing.wait()
        server.close()


async def listen(note: Note) -> tuple[asyncio.Server, str]:
    """Receive calls on a free port of the loopback interface; returns the server and its URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            call = await _read_call(reader)
            answer = note(call)
            if answer is None:
                await reader.read()
            else:
                await asyncio.sleep(answer.after)
                writer.write(_sent(answer, to=call.method))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _read_call(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    arrived_at = datetime.now(UTC)
    request_line, *lines = head.rstrip().split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(
        arrived_at=arrived_at,
        method=method,
        path=path,
        idempotency_key=headers.get("idempotency-key"),
        token=headers.get("x-token"),
        body=body.decode("latin-1"),
    )


def _sent(answer: Answer, *, to: str) -> bytes:
    if answer.status is None:
        return b""
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status} As Asked\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if to == "HEAD" else body)
