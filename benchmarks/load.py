"""A load of GET requests over kept-alive connections, from a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from urllib.parse import urlsplit


def requests_a_second(
    urls: Sequence[str], *, connections: int, seconds: float, headers: str = ""
) -> float:
    """How many requests a second were answered with 200, the URLs taken in turn."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_run, (list(urls), connections, seconds, headers))


def _run(urls: list[str], connections: int, seconds: float, headers: str) -> float:
    return asyncio.run(_load(urls, connections, seconds, headers))


async def _load(urls: list[str], connections: int, seconds: float, headers: str) -> float:
    first = urlsplit(urls[0])
    end = time.perf_counter() + seconds
    requests = [
        f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: {first.netloc}\r\n{headers}\r\n".encode()
        for url in urls
    ]

    async def one(number: int) -> int:
        reader, writer = await asyncio.open_connection(first.hostname, first.port)
        answered = 0
        while time.perf_counter() < end:
            writer.write(requests[(number + answered) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            lowered = head.lower()
            start = lowered.index(b"content-length:") + len(b"content-length:")
            await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
            answered += 1
        writer.close()
        return answered

    began = time.perf_counter()
    counts = await asyncio.gather(*(one(number) for number in range(connections)))
    return sum(counts) / (time.perf_counter() - began)
