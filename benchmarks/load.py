"""Many clients on kept-alive connections, in a process of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS: Final = 64
_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How many requests were answered, in how many seconds."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds


class Clients:
    """A process that sends requests, for the length of the block."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(max_workers=1, mp_context=spawn)

    def __enter__(self) -> Self:
        self._pool.submit(time.perf_counter).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ask(
        self,
        url: str,
        requests: Sequence[bytes],
        *,
        seconds: float,
        expected: int = 200,
        connections: int = CONNECTIONS,
    ) -> Answered:
        """Send the requests in turn over each connection, the next once the last is answered.

        Raises ``RuntimeError`` for an answer with another status than the expected one.
        """
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        plan = _Plan(
            host=place.hostname,
            port=place.port,
            requests=tuple(requests),
            seconds=seconds,
            status=f"HTTP/1.1 {expected} ".encode(),
            connections=connections,
        )
        return self._pool.submit(_run, plan).result(seconds + 60)


def request(
    url: str, path: str, *, method: str = "GET", headers: Sequence[str] = (), body: bytes = b""
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    host: str
    port: int
    requests: tuple[bytes, ...]
    seconds: float
    status: bytes
    connections: int


def _run(plan: _Plan) -> Answered:
    return uvloop.run(_ask(plan))


async def _ask(plan: _Plan) -> Answered:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()

    def client(number: int) -> _Client:
        first = number % len(plan.requests)
        requests = plan.requests[first:] + plan.requests[:first]
        return _Client(requests, status=plan.status, until=began + plan.seconds)

    made = [
        await loop.create_connection(partial(client, number), plan.host, plan.port)
        for number in range(plan.connections)
    ]
    counts = await asyncio.gather(*(client.ended for _, client in made))
    return Answered(count=sum(counts), seconds=time.perf_counter() - began)


class _Client(asyncio.Protocol):
    """One connection. ``ended`` is done with the number of answers."""

    def __init__(self, requests: Sequence[bytes], *, status: bytes, until: float) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._status = status
        self._until = until
        self._count = 0
        self._data = b""
        self._write: Callable[[bytes], None]
        self._close: Callable[[], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write
        self._close = transport.close
        self._write(self._requests[0])

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(_END_OF_HEAD)
        if end < 0:
            return
        head = self._data[:end].lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(self._data) < end + len(_END_OF_HEAD) + length:
            return
        if not self._data.startswith(self._status):
            self._end(RuntimeError(self._data.decode()))
            return
        self._data = b""
        self._count += 1
        if time.perf_counter() < self._until:
            self._write(self._requests[self._count % len(self._requests)])
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ConnectionError(f"the server hung up: {error}"))

    def _end(self, error: Exception | None) -> None:
        if not self.ended.done():
            if error is None:
                self.ended.set_result(self._count)
            else:
                self.ended.set_exception(error)
        self._close()
