"""What the checks call: a small HTTP server that knows nothing of CronPulse and writes down each call.

It has a thread and an event loop of its own, so that it answers whatever the test does meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from tests.live.service import PATIENCE

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that arrived whole; ``arrived_at`` is when its head did."""

    arrived_at: datetime
    method: str
    path: str
    idempotency_key: str | None


Delay = Callable[[Call], float | None]
"""After how many seconds a call is answered; None for never."""


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

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        await self._closing.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            call = await _read_call(reader)
            with self._arrived:
                self._calls.append(call)
                self._arrived.notify_all()
            delay = self._delay(call)
            if delay is None:
                await reader.read()
            else:
                await asyncio.sleep(delay)
                writer.write(_ANSWER)
                await writer.drain()
        writer.close()


async def _read_call(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    arrived_at = datetime.now(UTC)
    request_line, *lines = head.rstrip().split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(
        arrived_at=arrived_at,
        method=method,
        path=path,
        idempotency_key=headers.get("idempotency-key"),
    )
