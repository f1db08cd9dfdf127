"""Pings: every path, by every method, with everything that clients send beside the id."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.commands import pings as commands
from api.ping import METHODS, READ_AT_MOST, READERS, ROUTES
from domain.pings import (
    CLIENT_MAX_LENGTH,
    MESSAGE_MAX_LENGTH,
    OUTPUT_MAX_BYTES,
    RUN_ID_MAX_LENGTH,
    PingReceived,
)
from eventstore.store import StoreUnavailable
from tests.api.asking import Api, asking
from tests.shapes import Shape

UNKNOWN = "c0000000000000000000099999"

KINDS = {
    "/api/ping/{id}": "beat",
    "/api/ping/{id}/start": "start",
    "/api/ping/{id}/success": "success",
    "/api/ping/{id}/fail": "fail",
    "/api/run/{id}": "start",
    "/api/complete/{id}": "success",
    "/api/complete/{id}?failed=true": "fail",
}


def received(shape: Shape) -> list[PingReceived]:
    return [event for event in shape.events(PingReceived) if isinstance(event, PingReceived)]


async def last(api: Api, path: str, **sent: Any) -> PingReceived:
    """What is recorded of a ping."""
    method = "POST" if "content" in sent else "GET"
    answer = await api.client.request(method, path, **sent)
    assert answer.status_code == 200, answer.text
    return received(api.shape)[-1]


class TestPaths:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(("path", "kind"), KINDS.items())
    async def test_every_method_records_the_same(
        self, api: Api, method: str, path: str, kind: str
    ) -> None:
        job_id = await api.me.a_job()
        answer = await api.client.request(method, path.format(id=job_id))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.content == (b"" if method == "HEAD" else b'{"status": "ok"}')
        (ping,) = received(api.shape)
        assert (ping.kind, ping.message, ping.output, ping.client, ping.run_id) == (
            kind,
            *(None,) * 4,
        )
        assert ping.received_at == api.shape.clock()

    def test_every_path_is_among_them(self) -> None:
        paths = {path.partition("?")[0].replace("{id}", "{job_id}") for path in KINDS}
        assert paths == set(READERS) == {route.path for route in ROUTES}

    @pytest.mark.parametrize("path", [*KINDS])
    @pytest.mark.parametrize("job_id", [UNKNOWN, "X", "a-b", "%00", "é", "x" * 65])
    async def test_an_unknown_job_is_not_found(self, api: Api, path: str, job_id: str) -> None:
        answer = await api.client.get(path.format(id=job_id))
        assert (answer.status_code, answer.json()) == (404, {"error": "job not found"})
        assert received(api.shape) == []

    @pytest.mark.parametrize("path", [*KINDS])
    async def test_a_deleted_job_is_not_found_also_by_who_pinged_it_before(
        self, api: Api, path: str
    ) -> None:
        job_id = await api.me.a_job()
        assert (await api.client.get(path.format(id=job_id))).status_code == 200
        await api.me.delete(f"/jobs/{job_id}")
        for _ in range(2):
            answer = await api.client.get(path.format(id=job_id))
            assert (answer.status_code, answer.json()) == (404, {"error": "job not found"})

    async def test_a_paused_job_takes_pings_and_is_not_moved_by_them(self, api: Api) -> None:
        job_id = await api.me.a_job(paused=True)
        assert (await api.client.get(f"/api/ping/{job_id}/fail")).status_code == 200
        assert len(received(api.shape)) == 1
        assert (await api.me.get(f"/jobs/{job_id}")).json()["lastStatus"] is None

    async def test_a_start_and_a_finish_are_one_execution_with_a_duration(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await api.client.get(f"/api/ping/{job_id}/start?client=cron")
        api.shape.clock.move(seconds=1.5)
        await api.client.get(f"/api/ping/{job_id}/success")
        (shown,) = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        assert (shown["status"], shown["durationMs"], shown["client"]) == ("success", 1500, "cron")

    async def test_the_request_is_what_the_ping_is_recorded_under(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await api.client.get(f"/api/ping/{job_id}", headers={"X-Request-Id": "from-a-proxy"})
        (event,) = api.shape.core.store.read_all_backward(limit=1)
        assert (event.correlation_id, event.actor, event.account) == (
            "from-a-proxy",
            "ping",
            "default",
        )


class TestDurability:
    async def test_no_ok_without_a_durable_record(
        self, shape: Shape, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(commands.PingRecorder, "record", fail)
        async with asking(shape) as api:
            answer = await api.client.get(f"/api/ping/{await api.me.a_job()}")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert list(answer.json()) == ["error"]


class TestFailures:
    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("", None),
            ("errorMessage=", None),
            ("errorMessage=True", None),
            ("errorMessage=true", None),
            ("errorMessage=disk+full", "disk full"),
            ("errorMessage=caf%C3%A9", "café"),
            ("errorMessage=a%26b%3Dc", "a&b=c"),
            ("errorMessage=TRUE", "TRUE"),
            ("errorMessage=a&errorMessage=b", "a"),
            ("errorMessage=%ff", "\N{REPLACEMENT CHARACTER}"),
            ("errorMessage=a%00b", "a\N{REPLACEMENT CHARACTER}b"),
            ("errorMessage=%", "%"),
            ("client=x&&errorMessage=boom&", "boom"),
            ("error=boom", None),
        ],
    )
    async def test_the_message_of_a_failure(
        self, api: Api, query: str, message: str | None
    ) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/ping/{job_id}/fail?{query}")
        assert (ping.kind, ping.message) == ("fail", message)

    @pytest.mark.parametrize("state", ["", "/start", "/success"])
    async def test_anything_else_has_no_message(self, api: Api, state: str) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/ping/{job_id}{state}?errorMessage=boom&failed=true")
        assert ping.kind != "fail"
        assert ping.message is None

    @pytest.mark.parametrize(
        ("query", "kind", "message"),
        [
            ("", "success", None),
            ("failed", "success", None),
            ("failed=", "success", None),
            ("failed=false", "success", None),
            ("failed=False", "success", None),
            ("failed=0", "success", None),
            ("failed=true", "fail", None),
            ("failed=True", "fail", None),
            ("failed=1", "fail", None),
            ("failed=disk+full", "fail", "disk full"),
            ("failed=no", "fail", "no"),
            ("failed=true&errorMessage=disk+full", "fail", "disk full"),
            ("failed=boom&errorMessage=True", "fail", "boom"),
            ("errorMessage=boom", "success", None),
        ],
    )
    async def test_how_older_clients_say_it(
        self, api: Api, query: str, kind: str, message: str | None
    ) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/complete/{job_id}?{query}")
        assert (ping.kind, ping.message) == (kind, message)


class TestWhatIsKept:
    async def test_client_and_run_id(self, api: Api) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/ping/{job_id}/start?client=cronpulse+python&rid=run-7")
        assert (ping.client, ping.run_id) == ("cronpulse python", "run-7")

    async def test_what_is_empty_is_as_if_it_was_not_sent(self, api: Api) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/ping/{job_id}/start?client=&rid=")
        assert (ping.client, ping.run_id) == (None, None)

    async def test_what_is_too_long_is_cut_and_never_refused(self, api: Api) -> None:
        job_id = await api.me.a_job()
        query = urlencode({"client": "é" * 300, "rid": "r" * 300, "errorMessage": "m" * 3_000})
        ping = await last(api, f"/api/ping/{job_id}/fail?{query}", content=b"o" * 20_000)
        assert ping.client == "é" * CLIENT_MAX_LENGTH
        assert ping.run_id == "r" * RUN_ID_MAX_LENGTH
        assert ping.message == "m" * MESSAGE_MAX_LENGTH
        assert ping.output == "o" * OUTPUT_MAX_BYTES

    @pytest.mark.parametrize(
        ("body", "output"),
        [
            (b"", None),
            (b"line 1\nline 2\n", "line 1\nline 2\n"),
            ("größer".encode(), "größer"),
            (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
            (b"a\0b", "a\N{REPLACEMENT CHARACTER}b"),
            (b"x" * 9_999 + "é".encode(), "x" * 9_999),
            (b"x" * 9_998 + "é".encode() + b"y", "x" * 9_998 + "é"),
            (b"x" * 5 + b"\xc3", "xxxxx\N{REPLACEMENT CHARACTER}"),
        ],
        ids=range(8),
    )
    async def test_the_beginning_of_a_body_is_kept_as_text(
        self, api: Api, body: bytes, output: str | None
    ) -> None:
        job_id = await api.me.a_job()
        ping = await last(api, f"/api/ping/{job_id}/success", content=body)
        assert ping.output == output

    @pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "x"])
    async def test_a_body_is_never_looked_into(self, api: Api, content_type: str) -> None:
        job_id = await api.me.a_job()
        headers = {"Content-Type": content_type, "Content-Encoding": "gzip"}
        ping = await last(api, f"/api/ping/{job_id}", content=b"{not json", headers=headers)
        assert ping.output == "{not json"

    async def test_the_body_of_a_get_is_not_even_read(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await api.client.request("GET", f"/api/ping/{job_id}", content=b"something")
        assert answer.status_code == 200
        assert received(api.shape)[-1].output is None

    async def test_an_endless_body_is_answered_all_the_same(self, api: Api) -> None:
        job_id = await api.me.a_job()
        sent = 0

        async def body() -> Any:
            nonlocal sent
            while sent < 10 * READ_AT_MOST:
                sent += 65_536
                yield b"x" * 65_536

        ping = await last(api, f"/api/ping/{job_id}", content=body())
        assert ping.output == "x" * OUTPUT_MAX_BYTES
        assert sent <= READ_AT_MOST

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.data())
    async def test_nothing_that_is_sent_is_ever_refused(
        self, api: Api, data: st.DataObject
    ) -> None:
        job_id = await api.me.a_job()
        path = data.draw(st.sampled_from(sorted(KINDS))).partition("?")[0].format(id=job_id)
        raw = data.draw(st.binary(max_size=40))
        query = data.draw(st.sampled_from(["", "client=", "errorMessage=", "failed=", "rid="]))
        body = data.draw(st.binary(max_size=40))
        answer = await api.client.post(f"{path}?{query}{quote(raw, safe='&=+;%')}", content=body)
        assert answer.status_code == 200
        execution = (await api.me.get(f"/jobs/{job_id}/executions")).json()[0]
        assert "\0" not in str(execution)
