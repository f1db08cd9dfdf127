"""What every request gets, whatever it asks for: an id, a line in the log, metrics, an answer."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import StringIO
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import queries
from api.app import create_app
from api.auth import KeyUsage
from api.commands import projects
from api.errors import MESSAGE_MAX_LENGTH, REFUSALS, STATUS, error_body
from api.health import Readiness
from api.logs import configure_logging
from api.metrics import Metrics
from api.middleware import NOBODY_ANSWERED, Requests
from domain.errors import InvalidField
from eventstore.store import StoreUnavailable, SubjectSealed, VersionConflict
from tests.api.asking import PROJECT, Api
from tests.api.serving import serving
from tests.shapes import Shape


async def refuse_to_work(*_: object, **__: object) -> None:
    raise RuntimeError("a fault with cpk_abcdefghijklmnopqrstuvwxyz0123456789 in its message")


class TestIds:
    async def test_every_answer_has_an_id_of_its_own(self, api: Api) -> None:
        answers = [
            await api.me.get("/projects"),
            await api.anonymous.get("/projects"),
            await api.me.get("/nothing/here"),
            await api.me("PATCH", "/projects"),
            await api.client.get("/healthz"),
            await api.client.get("/api/ping/nothing"),
        ]
        ids = {answer.headers["x-request-id"] for answer in answers}
        assert len(ids) == len(answers)
        assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)

    @pytest.mark.parametrize("sent", ["7", "a.B-c_9", "x" * 128])
    async def test_a_sane_id_that_is_sent_is_kept(self, api: Api, sent: str) -> None:
        answer = await api.me.get("/projects", headers={"X-Request-Id": sent})
        assert answer.headers.get_list("x-request-id") == [sent]

    @pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a\tb", "id;drop", "é"])
    async def test_any_other_is_replaced(self, api: Api, sent: str) -> None:
        headers = {b"X-Request-Id": sent.encode("latin-1")}
        answer = await api.client.get("/healthz", headers=headers)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


class TestTheLog:
    @pytest.fixture
    def lines(self) -> Iterator[StringIO]:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        stream = StringIO()
        configure_logging("text", "info", stream=stream)
        yield stream
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)

    async def test_a_request_has_one_line_without_its_query(
        self, api: Api, lines: StringIO
    ) -> None:
        await api.me.get("/projects?limit=5", headers={"X-Request-Id": "request-5"})
        (line,) = lines.getvalue().splitlines()
        assert " cronpulse.access: request method=GET path=/api/v1/projects status=200 ms=" in line
        assert line.endswith(" request_id=request-5")
        assert "limit" not in line

    async def test_the_id_in_a_pings_path_is_masked(self, api: Api, lines: StringIO) -> None:
        job_id = await api.me.a_job()
        lines.truncate(0)
        await api.client.get(f"/api/ping/{job_id}/fail?errorMessage=private")
        assert f"path=/api/ping/{job_id[:6]}***/fail status=200" in lines.getvalue()
        assert job_id not in lines.getvalue()
        assert "private" not in lines.getvalue()

    async def test_a_fault_is_logged_with_its_traceback_and_told_without(
        self, api: Api, lines: StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert api.me.key is not None
        monkeypatch.setattr(queries, "project_page", refuse_to_work)
        answer = await api.me.get("/projects")
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
        logged = lines.getvalue()
        assert f"request_id={answer.headers['x-request-id']}" in logged
        assert "route=/api/v1/projects" in logged
        assert "Traceback" in logged
        assert "RuntimeError: a fault with cpk_********" in logged
        assert api.me.key not in logged
        assert "status=500" in logged.splitlines()[-1]

    async def test_a_refusal_is_no_fault(
        self, api: Api, lines: StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def busy(*_: object, **__: object) -> None:
            raise StoreUnavailable("the database is busy: /var/lib/secret.db")

        monkeypatch.setattr(queries, "project_page", busy)
        answer = await api.me.get("/projects")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "secret" not in answer.text
        assert len(lines.getvalue().splitlines()) == 1

    async def test_a_fault_outside_the_routes_of_ours_is_told_alike(
        self, api: Api, lines: StringIO
    ) -> None:
        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            raise RuntimeError("somewhere below")

        requests: Any = api.app
        requests._app._otherwise.mount("/graphql", faulty)
        answer = await api.client.get("/graphql/x")
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
        assert "RuntimeError: somewhere below" in lines.getvalue()
        assert answer.headers["x-request-id"] in lines.getvalue()


class TestMetrics:
    def counted(self, metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
        text = metrics.render()[0].decode()
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"cronpulse_{name}" and sample.value
        }

    async def test_requests_are_counted_by_method_template_and_status(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await api.me.get(f"/jobs/{job_id}")
        await api.me.get("/jobs/nothing")
        await api.me("DELETE", "/jobs")
        await api.me.get("/not/there")
        await api.client.get(f"/api/ping/{job_id}/start")
        assert self.counted(api.metrics, "http_requests_total") == {
            ("POST", "/api/v1/projects", "201"): 1,
            ("POST", "/api/v1/jobs", "201"): 1,
            ("GET", "/api/v1/jobs/{job_id}", "200"): 1,
            ("GET", "/api/v1/jobs/{job_id}", "404"): 1,
            ("DELETE", "/api/v1/jobs", "405"): 1,
            ("GET", "unmatched", "404"): 1,
            ("GET", "/api/ping/{job_id}/start", "200"): 1,
        }

    async def test_pings_are_counted_by_kind_once_they_are_recorded(self, api: Api) -> None:
        job_id = await api.me.a_job()
        for path in (
            f"/api/ping/{job_id}",
            f"/api/run/{job_id}",
            f"/api/complete/{job_id}",
            f"/api/complete/{job_id}?failed=true",
            "/api/ping/nothing",
        ):
            await api.client.get(path)
        assert self.counted(api.metrics, "pings_total") == {
            ("beat",): 1,
            ("start",): 1,
            ("success",): 1,
            ("fail",): 1,
        }


class TestErrors:
    async def test_every_refusal_has_a_message_in_the_one_shape(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        examples: list[Exception] = [
            InvalidField("name", "must be short"),
            SubjectSealed("c123"),
            StoreUnavailable("down"),
            VersionConflict("project-1", 1, 2),
        ]
        for error in examples:

            async def raise_it(*_: object, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr(projects, "create", raise_it)
            answer = await api.me.post("/projects", PROJECT)
            assert answer.status_code == STATUS[type(error)]
            assert list(answer.json()) == ["error"]
            assert "c123" not in answer.text
            assert "project-1" not in answer.text

    def test_subclasses_are_refused_as_their_class_is(self) -> None:
        assert set(REFUSALS) == set(STATUS)
        for status in STATUS.values():
            assert status in {400, 401, 403, 404, 413, 415, 503}

    def test_a_message_may_hold_anything(self) -> None:
        assert error_body('a "quote" \ud800 \x00') == rb'{"error":"a \"quote\" ? \u0000"}'

    def test_a_message_does_not_grow_without_end(self) -> None:
        body = error_body("é" * 100_000).decode()
        assert body == f'{{"error":"{"é" * MESSAGE_MAX_LENGTH}…"}}'


def scope(**values: object) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/x", "headers": [], **values}


async def nothing_to_receive() -> Message:
    return {"type": "http.disconnect"}


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


class TestWithoutAClient:
    """What a client would not show, or would make good."""

    async def served(
        self, app: ASGIApp, metrics: Metrics, *, method: str = "GET", **options: Any
    ) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        requests = Requests(app, metrics, **options)
        await requests(scope(method=method), nothing_to_receive, send)
        return sent

    async def test_to_head_goes_no_body(self) -> None:
        for method, body in (("GET", b"ok"), ("HEAD", b"")):
            start, rest = await self.served(ok, Metrics(), method=method)
            assert start["status"] == 200
            assert rest == {"type": "http.response.body", "body": body}

    async def test_the_time_that_a_request_took_is_measured_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        metrics = Metrics()
        readings = iter((1_000.0, 1_000.125))
        with caplog.at_level(logging.INFO, "cronpulse.access"):
            await self.served(ok, metrics, stopwatch=lambda: next(readings))
        (line,) = caplog.records
        assert line.__dict__["ms"] == 125.0
        text = metrics.render()[0].decode()
        assert 'request_seconds_sum{method="GET",route="unmatched"} 0.125' in text

    def status(self, metrics: Metrics) -> str:
        found = re.findall(r'_requests_total\{.*status="(\d+)"\}', metrics.render()[0].decode())
        (status,) = found
        return str(status)

    async def test_a_caller_who_hangs_up_is_no_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise ClientDisconnect

        metrics = Metrics()
        with caplog.at_level(logging.WARNING):
            assert await self.served(app, metrics) == []
        assert caplog.records == []
        assert self.status(metrics) == str(NOBODY_ANSWERED)

    @pytest.mark.parametrize("error", [RuntimeError("late"), StoreUnavailable("late")])
    async def test_an_answer_that_breaks_off_is_logged_and_not_begun_again(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise error

        metrics = Metrics()
        sent = await self.served(app, metrics)
        assert [message["type"] for message in sent] == ["http.response.start"]
        assert [record.message for record in caplog.records if record.exc_info] == [
            "a request failed"
        ]
        assert self.status(metrics) == "500"

    async def test_what_is_not_http_is_passed_through(self) -> None:
        seen = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope)

        websocket = scope(type="websocket")

        async def send(message: Message) -> None:
            pytest.fail("nothing is to be sent")

        await Requests(app, Metrics())(websocket, nothing_to_receive, send)
        assert seen == [scope(type="websocket")]


async def test_the_applications_life_has_a_beginning_and_an_end(shape: Shape) -> None:
    lived: list[str] = []

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        lived.append("began")
        yield
        lived.append("ended")

    async def readiness() -> Readiness:
        return Readiness(checks=())

    app = create_app(
        shape.service,
        metrics=Metrics(),
        readiness=readiness,
        usage=KeyUsage(shape.service),
        lifespan=lifespan,
    )
    with serving(app):
        assert lived == ["began"]
    assert lived == ["began", "ended"]


async def test_answers_are_not_for_caches_nor_for_guessing_at_their_type(api: Api) -> None:
    job_id = await api.me.a_job()
    answers: list[httpx.Response] = [
        await api.me.get("/projects"),
        await api.me.get("/nothing"),
        await api.anonymous.get("/projects"),
        await api.client.get(f"/api/ping/{job_id}"),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
