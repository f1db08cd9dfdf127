"""Which engine makes outbound calls cheapest: calls per second of one core, against raw aiohttp.

    python -m benchmarks.outbound_engine [--calls 2000] [--rounds 5] [--at-once 64] [--loop uvloop]

A server in a process of its own answers on loopback. The engines take turns in short rounds, so
that what else the machine does hits them alike, and what counts is the CPU time that this process
used (user and system), not the time on the wall. Each call has a connection of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport

from benchmarks.receiver import receiving
from scheduler.guarded_transport import GuardedTransport
from scheduler.http_check import CheckRequest, HttpChecker
from scheduler.network_guard import NetworkGuard

Call = Callable[[str], Awaitable[int]]

HEADERS = {"Authorization": "Bearer of-a-token", "X-From": "a benchmark"}
TIMEOUT = 30


@asynccontextmanager
async def raw_aiohttp() -> AsyncIterator[Call]:
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT),
    ) as session:

        async def call(url: str) -> int:
            async with session.get(url, headers=HEADERS, allow_redirects=False) as response:
                await response.read()
                return response.status

        yield call


@asynccontextmanager
async def httpx_own_pool() -> AsyncIterator[Call]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, trust_env=False, timeout=TIMEOUT) as client:

        async def call(url: str) -> int:
            return (await client.get(url, headers=HEADERS)).status_code

        yield call


@asynccontextmanager
async def aiohttp_transport() -> AsyncIterator[AiohttpTransport]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield AiohttpTransport(client=session, trust_env=False)


@asynccontextmanager
async def httpx_client_on_aiohttp() -> AsyncIterator[Call]:
    async with (
        aiohttp_transport() as transport,
        httpx.AsyncClient(transport=transport, trust_env=False, timeout=TIMEOUT) as client,
    ):

        async def call(url: str) -> int:
            return (await client.get(url, headers=HEADERS)).status_code

        yield call


async def through(transport: httpx.AsyncBaseTransport, url: str) -> int:
    """Call without an httpx client: its request and its transport interface are enough."""
    async with asyncio.timeout(TIMEOUT):
        response = await transport.handle_async_request(httpx.Request("GET", url, headers=HEADERS))
        await response.aread()
        await response.aclose()
        return response.status_code


@asynccontextmanager
async def httpx_request_on_aiohttp() -> AsyncIterator[Call]:
    async with aiohttp_transport() as transport:
        yield lambda url: through(transport, url)


def loopback_guard() -> NetworkGuard:
    return NetworkGuard([ipaddress.ip_network("127.0.0.0/8")])


@asynccontextmanager
async def httpx_request_on_guarded() -> AsyncIterator[Call]:
    transport = GuardedTransport(loopback_guard())
    yield lambda url: through(transport, url)


@asynccontextmanager
async def http_checker() -> AsyncIterator[Call]:
    checker = HttpChecker(loopback_guard(), user_agent="CronPulse", calls_per_host=10_000)

    async def call(url: str) -> int:
        async with checker.slot(url):
            result = await checker.check(
                CheckRequest(
                    execution_id="e0123456789",
                    url=url,
                    method="GET",
                    headers=HEADERS,
                    body=None,
                    timeout=TIMEOUT,
                    expected_status_code=200,
                )
            )
        return result.status_code or 0

    yield call
    await checker.aclose()


PEER = "raw aiohttp"
ENGINES = {
    PEER: raw_aiohttp,
    "httpx client, its own pool": httpx_own_pool,
    "httpx client on httpx-aiohttp": httpx_client_on_aiohttp,
    "httpx request on httpx-aiohttp": httpx_request_on_aiohttp,
    "httpx request on GuardedTransport": httpx_request_on_guarded,
    "HttpChecker, slot and all": http_checker,
}


async def round_of(engine: str, url: str, calls: int, at_once: int) -> float:
    """Return calls per second of CPU time."""
    left = iter(range(calls))
    async with ENGINES[engine]() as call:

        async def worker() -> None:
            for number in left:  # jobs have URLs of their own: nobody's cache of them may help
                assert await call(f"{url}{number}") == 200

        await asyncio.gather(*(call(url) for _ in range(at_once)))
        gc.collect()
        before = time.process_time()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return calls / (time.process_time() - before)


async def compare(url: str, options: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(options.rounds):
        for engine, seen in rates.items():
            seen.append(await round_of(engine, url, options.calls, options.at_once))
    print(f"| {'engine':33} | calls/s of one core | to {PEER} |")
    print("| --- | --- | --- |")
    for engine, seen in rates.items():
        ratio = statistics.median(a / b for a, b in zip(seen, rates[PEER], strict=True))
        print(f"| {engine:33} | {statistics.median(seen):19,.0f} | {ratio:12.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="calls in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=64, help="calls under way at once")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    run = uvloop.run if options.loop == "uvloop" else asyncio.run
    with receiving() as receiver:
        run(compare(f"{receiver.url}/health?job=", options))


if __name__ == "__main__":
    main()
