from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence

import pytest

from scheduler.http_check import CheckRequest, CheckResult
from scheduler.network_guard import NetworkGuard
from tests.scheduler.loopback_servers import (
    LOOPBACK,
    OK,
    LoopClock,
    loopback_guard,
    serving,
    silent,
)
from tests.scheduler.sending_checks import checking, outcome, request

SECRET = "hunter2-correct-horse"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Cookie": f"sid={SECRET}"}

Scene = Callable[[], Awaitable[CheckResult]]


def secret_request(url: str, **changes: object) -> CheckRequest:
    path = f"{url.rstrip('/')}/{SECRET}?token={SECRET}"
    return request(path, **{"headers": HEADERS, **changes})


async def echo(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, tail: bytes = b""
) -> None:
    """Answer with what the request's headers said."""
    body = "\n".join(HEADERS.values()).encode()
    writer.write(head + b"\r\n" + body + tail)
    writer.close()
    await writer.wait_closed()


def echoing(head: bytes, tail: bytes = b"") -> Scene:
    async def scene() -> CheckResult:
        async with (
            serving(lambda reader, writer: echo(reader, writer, head, tail)) as server,
            checking(max_body_bytes=10_000) as checker,
        ):
            return await checker.check(secret_request(server.url()))

    return scene


async def timed_out() -> CheckResult:
    clock = LoopClock()
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + SECRET.encode()
    async with (
        serving(silent(lambda: clock.advance(31), after=begun)) as server,
        checking() as checker,
    ):
        return await checker.check(secret_request(server.url()))


async def unresolved() -> CheckResult:
    async with checking(loopback_guard("another.example")) as checker:
        return await checker.check(secret_request("http://a.example"))


async def refused() -> CheckResult:
    async with serving() as server:
        pass
    async with checking() as checker:
        return await checker.check(secret_request(server.url()))


async def without_tls() -> CheckResult:
    async with serving(OK, listens=False) as server, checking() as checker:
        return await checker.check(secret_request(server.url().replace("http:", "https:")))


async def blocked() -> CheckResult:
    async with checking(NetworkGuard()) as checker:
        return await checker.check(secret_request("http://127.0.0.1"))


async def blocked_for_its_headers() -> CheckResult:
    async with serving() as server, checking() as checker:
        return await checker.check(
            secret_request(server.url(), headers={"X-Api-Key": f"{SECRET}\r\nX: y"})
        )


async def blocked_for_its_url() -> CheckResult:
    async with checking() as checker:
        return await checker.check(secret_request("http://a.example:port"))


async def failed_inside() -> CheckResult:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise RuntimeError(f"something that quotes {SECRET}")

    async with checking(NetworkGuard(LOOPBACK, resolve)) as checker:
        return await checker.check(secret_request("http://a.example"))


SCENES: dict[str, tuple[str, Scene]] = {
    "status": ("status", echoing(b"HTTP/1.1 500 No\r\n")),
    "redirect": ("status", echoing(f"HTTP/1.1 302 No\r\nLocation: /{SECRET}\r\n".encode())),
    "timeout": ("timeout", timed_out),
    "dns": ("dns", unresolved),
    "connect": ("connect", refused),
    "tls": ("tls", without_tls),
    "blocked": ("blocked", blocked),
    "blocked for its headers": ("blocked", blocked_for_its_headers),
    "blocked for its URL": ("blocked", blocked_for_its_url),
    "protocol: garbage": ("protocol", echoing(f"{SECRET}".encode())),
    "protocol: status text": ("protocol", echoing(f"HTTP/1.1 {SECRET}\r\n".encode())),
    "protocol: header name": ("protocol", echoing(f"HTTP/1.1 200 OK\r\n{SECRET} \r\n".encode())),
    "protocol: broken off": (
        "protocol",
        echoing(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n"),
    ),
    "protocol: inside": ("protocol", failed_inside),
    "too large": ("too_large", echoing(b"HTTP/1.1 200 OK\r\n", SECRET.encode() * 1000)),
}


@pytest.mark.parametrize("kind", SCENES)
async def test_nothing_that_is_told_of_a_failed_check_has_a_secret(
    kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    reason, scene = SCENES[kind]
    result = await scene()
    assert result.reason == reason
    assert result.message
    told = [repr(result), caplog.text, *capfd.readouterr()]
    assert not [words for words in told if SECRET in words]


async def test_a_call_is_not_logged_with_its_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server, checking() as checker:
        assert outcome(await checker.check(secret_request(server.url()))) == (None, 200)
    assert [record for record in caplog.records if not record.name.startswith("asyncio")] == []
    assert SECRET not in caplog.text


async def test_a_failure_inside_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    result = await failed_inside()
    assert outcome(result) == ("protocol", None)
    assert "failed inside" in (result.message or "")
    assert re.search(r"RuntimeError\n(.*\n)+.*in resolve\n", caplog.text)
