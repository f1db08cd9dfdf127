"""Which paths there are, and what may be done with them."""

from __future__ import annotations

import pytest

from tests.api.asking import Api
from tests.api.published import operations


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/projects/",
        "/api/v1/Projects",
        "/api/v1//projects",
        "/api/v1/jobs/a/b/c",
        "/api/v1/jobs//run",
        "/api/v2/jobs",
        "/api/ping",
        "/api/ping/",
        "/api/ping/a/restart",
        "/docs/",
        "/docs/secret",
        "/redoc",
        "/%ff",
    ],
)
async def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    answer = await api.me.get(f"http://cron.test{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": "not found"})


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/projects", "GET, HEAD, POST"),
        ("/api/v1/projects/a", "GET, HEAD, PUT, DELETE"),
        ("/api/v1/jobs", "GET, HEAD, POST"),
        ("/api/v1/jobs/a", "GET, HEAD, PUT, DELETE"),
        ("/api/v1/jobs/a/executions", "GET, HEAD"),
        ("/api/v1/jobs/a/run", "POST"),
        ("/api/ping/a", "GET, HEAD, POST"),
        ("/api/complete/a", "GET, HEAD, POST"),
        ("/healthz", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_all_right_ones(api: Api, path: str, allowed: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} - set(
        allowed.split(", ")
    ):
        answer = await api.anonymous(method, f"http://cron.test{path}")
        assert answer.status_code == 405
        assert answer.headers["allow"] == allowed
        assert answer.json() == {"error": f"{method} is not allowed here; allowed are {allowed}"}


@pytest.mark.parametrize(
    "path", sorted({each.path for each in operations() if each.method == "GET"})
)
async def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    project_id = await api.me.a_project()
    job_id = await api.me.a_job(project_id)
    url = f"http://cron.test{path.format(project_id=project_id, job_id=job_id)}"
    answers = [await api.me(method, url) for method in ("GET", "HEAD")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].content == b""
    assert answers[1].headers["content-type"] == answers[0].headers["content-type"]
    if path != "/metrics":
        assert answers[1].headers["content-length"] == str(len(answers[0].content))
