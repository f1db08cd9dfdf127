from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import uvloop

from scheduler.guarded_transport import GuardedTransport
from scheduler.http_exchange import AnswerTooLarge, Limits, TlsFailed
from scheduler.network_guard import Blocked, NetworkGuard
from tests.scheduler.loopback_servers import Authority, loopback_guard, serving
from tests.scheduler.sending_checks import answer


def transport(guard: NetworkGuard | None = None, limits: Limits | None = None) -> GuardedTransport:
    trusting_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return GuardedTransport(guard or loopback_guard(), limits=limits, tls=trusting_nobody)


async def test_an_ordinary_httpx_client_can_use_it() -> None:
    async with (
        serving(answer("201 Created", b'{"a": 1}', b"X-A: b")) as server,
        httpx.AsyncClient(transport=transport()) as client,
    ):
        response = await client.post(server.url("/things"), json={"b": 2})
    assert response.status_code == 201
    assert response.headers["x-a"] == "b"
    assert response.json() == {"a": 1}
    assert server.requests[0].startswith(b"POST /things HTTP/1.1\r\n")
    assert server.requests[0].lower().count(b"\r\nconnection: close\r\n") == 1
    assert b"keep-alive" not in server.requests[0]


async def test_the_headers_are_the_final_answers_and_not_those_of_an_interim_one() -> None:
    said = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer("200 OK", b"", b"X-A: b")
    async with serving(said) as server, httpx.AsyncClient(transport=transport()) as client:
        response = await client.get(server.url())
    assert response.headers.raw == [(b"Content-Length", b"0"), (b"X-A", b"b")]


async def test_a_body_that_comes_in_parts_is_sent_with_its_length() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one,"
        yield b"two"

    async with (
        serving() as server,
        httpx.AsyncClient(transport=transport()) as client,
    ):
        await client.post(server.url(), content=parts())
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 7\r\n" in head
    assert b"transfer-encoding" not in head.lower()
    assert body == b"one,two"


async def test_a_client_that_follows_redirects_is_still_guarded() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return {"outside.example": ["127.0.0.1"], "inside.example": ["127.0.0.2"]}[host]

    guard = NetworkGuard([ip_network("127.0.0.1/32")], resolve)
    async with serving() as inside:
        url = inside.url(host="inside.example").encode()
        async with (
            serving(answer("302 Moved", b"", b"Location: " + url)) as outside,
            httpx.AsyncClient(transport=transport(guard), follow_redirects=True) as client,
        ):
            with pytest.raises(Blocked):
                await client.get(outside.url(host="outside.example"))
        assert len(outside.requests) == 1
        assert inside.requests == []


@pytest.mark.parametrize(
    ("said", "fails"),
    [
        (answer("200 OK", b"12345", b"A: b", b"C: d"), False),
        (answer("200 OK", b"123456"), True),
        (answer("200 OK", b"12345", b"A: b", b"C: d", b"E: f"), True),
        (answer("200 OK", b"12345", b"A: " + b"b" * 100), True),
    ],
    ids=["fits", "body", "header lines", "head"],
)
async def test_its_limits_are_those_it_is_given(said: bytes, *, fails: bool) -> None:
    limits = Limits(head_bytes=100, header_lines=3, body_bytes=5)
    async with (
        serving(said) as server,
        httpx.AsyncClient(transport=transport(limits=limits)) as client,
    ):
        if fails:
            with pytest.raises(AnswerTooLarge):
                await client.get(server.url())
        else:
            assert (await client.get(server.url())).content == b"12345"


def test_it_runs_on_uvloop_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def calls() -> list[int | type[Exception]]:
        seen: list[int | type[Exception]] = []
        async with (
            serving(answer("200 OK")) as plain,
            serving(answer("201 OK"), tls=authority.server("a.example")) as secure,
            serving(b"garbage") as broken,
        ):
            guarded = GuardedTransport(loopback_guard(), tls=authority.client())
            async with httpx.AsyncClient(transport=guarded) as client:
                for url in (
                    plain.url(),
                    secure.url(host="a.example"),
                    secure.url(host="b.example"),
                    broken.url(),
                    "http://127.0.0.1:1/",
                ):
                    try:
                        seen.append((await client.get(url)).status_code)
                    except httpx.TransportError as exc:
                        seen.append(type(exc))
        return seen

    assert uvloop.run(calls()) == [
        200,
        201,
        TlsFailed,
        httpx.RemoteProtocolError,
        httpx.ConnectError,
    ]
