"""What checks call in benchmarks: answers at once, counts, and does nothing else. A process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final, cast

import uvloop

COUNT: Final = "/count"
"""Asks how many other calls have come."""

ADDRESSES: Final = tuple(f"127.0.0.{number}" for number in range(1, 21))
"""All of this machine alone."""

_BODY: Final = b'{"status":"ok"}'
_PATIENCE: Final = 30.0
_BACKLOG: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A running one."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """The same under several addresses, so that it is several hosts."""
        return [f"http://{address}:{self.port}" for address in ADDRESSES]

    def calls(self) -> int:
        """How many have come."""
        with urllib.request.urlopen(f"{self.url}{COUNT}", timeout=_PATIENCE) as answer:
            return int(answer.read())


class Answerer(asyncio.Protocol):
    """Answers whatever comes, once, and hangs up."""

    calls = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(f"GET {COUNT} ".encode()):
            self.transport.write(_answer(str(Answerer.calls).encode()))
            self.transport.close()
        elif data.endswith(b"\r\n\r\n"):
            Answerer.calls += 1
            self.transport.write(_ANSWER)
            self.transport.close()


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"Date: Mon, 02 Nov 2026 08:00:00 GMT\r\nConnection: close\r\n\r\n%b" % (len(body), body)
    )


_ANSWER: Final = _answer(_BODY)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive calls on a free port of the loopback interface."""
    ready, tell = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(tell,), daemon=True)
    process.start()
    try:
        if not ready.poll(_PATIENCE) or process.pid is None:
            raise RuntimeError("the receiver did not start")
        yield Receiver(port=ready.recv(), pid=process.pid)
    finally:
        process.kill()
        process.join()


def _serve(tell: Connection) -> None:
    first = socket.create_server((ADDRESSES[0], 0), backlog=_BACKLOG)
    port: int = first.getsockname()[1]
    others = [socket.create_server((each, port), backlog=_BACKLOG) for each in ADDRESSES[1:]]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for listener in (first, *others):
            await loop.create_server(Answerer, sock=listener)
        tell.send(port)
        await asyncio.Event().wait()

    uvloop.run(main())
