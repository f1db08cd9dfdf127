"""What only shows on the wire, between a real server and clients that take liberties."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from api.rest import listing
from api.rest.call import BODY_LONGEST
from domain.pings import OUTPUT_MAX_BYTES, PingReceived
from tests.api.asking import Api
from tests.api.serving import Served


def parsed(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    head = "\r\n".join((f"{line} HTTP/1.1", "Host: cron.test", "Connection: close", *headers))
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n"]
)
def test_what_is_no_http_is_told_so_in_the_one_shape_of_errors(
    served: Served, nonsense: bytes
) -> None:
    status, headers, body = parsed(served.exchange(nonsense))
    assert status == 400
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert list(json.loads(body)) == ["error"]


def test_head_has_the_headers_of_get_and_nothing_behind_them(served: Served) -> None:
    got = parsed(served.exchange(request("GET /healthz")))
    headed = parsed(served.exchange(request("HEAD /healthz")))
    assert (headed[0], headed[2]) == (200, b"")
    assert headed[1]["content-length"] == got[1]["content-length"] == str(len(got[2]))


async def test_head_of_a_long_list_is_as_short(
    api: Api, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PORTION", 1)
    for _ in range(3):
        await api.me.a_project()
    line = "HEAD /api/v1/projects"
    status, headers, body = parsed(served.exchange(request(line, f"X-API-Key: {api.me.key}")))
    assert (status, body) == (200, b"")
    assert headers["content-type"] == "application/json"


async def test_a_long_list_arrives_whole(
    api: Api, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PORTION", 3)
    ids = [await api.me.a_project() for _ in range(8)]
    headers = {"X-API-Key": str(api.me.key)}
    async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
        answer = await client.get("/api/v1/projects")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert [project["id"] for project in answer.json()] == ids


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(
    api: Api, served: Served
) -> None:
    received = served.exchange(
        request(
            "POST /api/v1/projects",
            f"X-API-Key: {api.me.key}",
            "Content-Type: application/json",
            f"Content-Length: {BODY_LONGEST + 1}",
            "Expect: 100-continue",
        )
    )
    status, _, body = parsed(received)
    assert status == 413, "and no 100 Continue before it"
    assert list(json.loads(body)) == ["error"]


async def test_nobody_without_a_key_makes_us_read_a_body(served: Served) -> None:
    received = served.exchange(
        request("POST /api/v1/projects", "Content-Length: 1000000", "Expect: 100-continue")
    )
    assert parsed(received)[0] == 401


async def test_a_connection_outlives_a_body_that_was_too_large(api: Api, served: Served) -> None:
    headers = {"X-API-Key": str(api.me.key), "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
        refused = await client.post("/api/v1/projects", content=b"x" * (2 * BODY_LONGEST))
        assert refused.status_code == 413
        assert (await client.get("/api/v1/projects")).json() == []


async def test_a_chunked_body_that_grows_too_large_is_refused(api: Api, served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(0, 2 * BODY_LONGEST, 65_536):
            yield b"x" * 65_536

    headers = {"X-API-Key": str(api.me.key), "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=served.url, headers=headers) as client:
        answer = await client.post("/api/v1/projects", content=chunks())
    assert answer.status_code == 413


async def test_a_ping_with_megabytes_behind_it_is_taken(api: Api, served: Served) -> None:
    job_id = await api.me.a_job()
    async with httpx.AsyncClient(base_url=served.url) as client:
        answer = await client.post(f"/api/ping/{job_id}", content=b"x" * 5_000_000)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert (await client.get(f"/api/ping/{job_id}")).status_code == 200
    outputs = [event.output for event in pings(api)]
    assert outputs == ["x" * OUTPUT_MAX_BYTES, None]


async def test_a_ping_that_breaks_off_is_none(api: Api, served: Served) -> None:
    job_id = await api.me.a_job()
    line = request(f"POST /api/ping/{job_id}", "Content-Length: 100", body=b"only a part")
    with served.connected() as connection:
        connection.sendall(line)
    async with httpx.AsyncClient(base_url=served.url) as client:
        assert (await client.get(f"/api/ping/{job_id}/start")).status_code == 200
    assert [event.kind for event in pings(api)] == ["start"]


async def test_a_caller_of_http_1_0_without_a_host_gets_a_relative_location(
    api: Api, served: Served
) -> None:
    body = b'{"name": "a", "url": "https://example.com"}'
    head = (
        "POST /api/v1/projects HTTP/1.0",
        f"X-API-Key: {api.me.key}",
        f"Content-Length: {len(body)}",
    )
    status, headers, sent = parsed(served.exchange("\r\n".join(head).encode() + b"\r\n\r\n" + body))
    assert status == 201
    assert headers["location"] == f"/api/v1/projects/{json.loads(sent)['id']}"


def pings(api: Api) -> list[PingReceived]:
    return [event for event in api.shape.events(PingReceived) if isinstance(event, PingReceived)]
