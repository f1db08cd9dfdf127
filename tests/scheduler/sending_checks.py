"""Sends checks to servers on loopback, for tests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from scheduler.http_check import CheckRequest, CheckResult, HttpChecker
from scheduler.network_guard import NetworkGuard
from tests.scheduler.loopback_servers import Behaviour, loopback_guard, serving


def request(url: str, **changes: object) -> CheckRequest:
    fields: dict[str, object] = {
        "execution_id": "e1b2c3",
        "url": url,
        "method": "GET",
        "headers": {},
        "body": None,
        "timeout": 30,
        "expected_status_code": 200,
    }
    return CheckRequest(**{**fields, **changes})  # type: ignore[arg-type]


@asynccontextmanager
async def checking(
    guard: NetworkGuard | None = None, **settings: object
) -> AsyncIterator[HttpChecker]:
    """A checker that may reach loopback; it trusts no authority, unless ``tls`` is among settings."""
    trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    checker = HttpChecker(
        guard or loopback_guard(),
        user_agent="CronPulse/1",
        **{"tls": trusting_nobody, **settings},  # type: ignore[arg-type]
    )
    yield checker
    await checker.aclose()


async def check(
    answer: bytes | Behaviour,
    *,
    settings: Mapping[str, object] | None = None,
    **changes: object,
) -> CheckResult:
    """Check a server of its own that gives ``answer``."""
    async with serving(answer) as server, checking(**(settings or {})) as checker:
        return await checker.check(request(server.url(), **changes))


def outcome(result: CheckResult) -> tuple[str | None, int | None]:
    return result.reason, result.status_code


def answer(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])
