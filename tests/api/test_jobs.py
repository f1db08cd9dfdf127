"""``/api/v1/jobs``: jobs as they are created and read."""

from __future__ import annotations

import pytest

from domain.headers import MASK
from tests.api.asking import JOB, Api
from tests.jobs import ping

UNKNOWN = "c0000000000000000000099999"
NOT_FOUND = {"error": "job not found"}

DOCUMENTED = (
    "id",
    "name",
    "projectId",
    "url",
    "method",
    "schedule",
    "heartbeat",
    "heartbeatTolerance",
    "timeout",
    "expectedStatusCode",
    "headers",
    "body",
    "lastStatus",
    "lastActivityAt",
    "nextRunAt",
)
ADDED = ("timezone", "mode", "paused")


class TestListJobs:
    async def test_anonymous(self, api: Api) -> None:
        assert (await api.anonymous.get("/jobs")).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        other = await api.holder("write:jobs", "read:projects", "write:projects")
        answer = await other.get("/jobs")
        assert answer.status_code == 403
        assert answer.json() == {"error": "this API key lacks the permission read:jobs"}

    async def test_other_account(self, api: Api) -> None:
        project_id = await api.me.a_project()
        await api.me.a_job(project_id)
        stranger = await api.stranger()
        assert (await stranger.get("/jobs")).json() == []
        assert (await stranger.get(f"/jobs?projectId={project_id}")).status_code == 404

    async def test_without_a_project_every_job_of_the_account_is_listed_oldest_first(
        self, api: Api
    ) -> None:
        assert (await api.me.get("/jobs")).content == b"[]"
        ids = [await api.me.a_job() for _ in range(3)]
        listed = (await api.me.get("/jobs")).json()
        assert [job["id"] for job in listed] == ids
        assert listed[1] == (await api.me.get(f"/jobs/{ids[1]}")).json()

    async def test_with_a_project_only_its_jobs_are(self, api: Api) -> None:
        project_id = await api.me.a_project()
        await api.me.a_job()
        assert (await api.me.get(f"/jobs?projectId={project_id}")).json() == []
        ids = [await api.me.a_job(project_id) for _ in range(2)]
        listed = (await api.me.get(f"/jobs?projectId={project_id}")).json()
        assert [job["id"] for job in listed] == ids

    @pytest.mark.parametrize("project_id", [UNKNOWN, "", "%00", "a%20b", "x" * 65])
    async def test_an_unknown_project_is_not_found(self, api: Api, project_id: str) -> None:
        answer = await api.me.get(f"/jobs?projectId={project_id}")
        assert (answer.status_code, answer.json()) == (404, {"error": "project not found"})


class TestCreateJob:
    async def test_anonymous(self, api: Api) -> None:
        sent = {**JOB, "projectId": await api.me.a_project()}
        assert (await api.anonymous.post("/jobs", sent)).status_code == 401
        assert (await api.me.get("/jobs")).json() == []

    async def test_missing_permission(self, api: Api) -> None:
        sent = {**JOB, "projectId": await api.me.a_project()}
        other = await api.holder("read:jobs", "read:projects", "write:projects")
        answer = await other.post("/jobs", sent)
        assert answer.status_code == 403
        assert answer.json() == {"error": "this API key lacks the permission write:jobs"}
        assert (await api.me.get("/jobs")).json() == []

    async def test_other_account(self, api: Api) -> None:
        sent = {**JOB, "projectId": await api.me.a_project()}
        answer = await (await api.stranger()).post("/jobs", sent)
        assert (answer.status_code, answer.json()) == (404, {"error": "project not found"})
        assert (await api.me.get("/jobs")).json() == []

    async def test_the_documented_request_gives_the_documented_job(self, api: Api) -> None:
        project_id = await api.me.a_project()
        sent = {
            "name": "Health Check",
            "projectId": project_id,
            "url": "https://example.com/health",
            "method": "GET",
            "schedule": "*/5 * * * *",
            "heartbeat": True,
            "heartbeatTolerance": 5,
            "timeout": 30,
            "expectedStatusCode": 200,
            "headers": {"Authorization": "Bearer token"},
        }
        answer = await api.me.post("/jobs", sent)
        created = answer.json()
        assert answer.status_code == 201
        assert tuple(created) == DOCUMENTED + ADDED
        assert created == {
            **sent,
            "id": created["id"],
            "headers": {"Authorization": MASK},
            "body": None,
            "lastStatus": None,
            "lastActivityAt": None,
            "nextRunAt": "2026-03-02T12:05:00Z",
            "timezone": "UTC",
            "mode": "active",
            "paused": False,
        }

    async def test_only_five_fields_are_required_and_the_others_have_defaults(
        self, api: Api
    ) -> None:
        answer = await api.me.post("/jobs", {**JOB, "projectId": await api.me.a_project()})
        created = answer.json()
        assert answer.status_code == 201
        assert {name: created[name] for name in (*DOCUMENTED[6:12], *ADDED)} == {
            "heartbeat": False,
            "heartbeatTolerance": 5,
            "timeout": 30,
            "expectedStatusCode": 200,
            "headers": {},
            "body": None,
            "timezone": "UTC",
            "mode": "active",
            "paused": False,
        }

    async def test_the_job_is_found_where_location_says(self, api: Api) -> None:
        answer = await api.me.post("/jobs", {**JOB, "projectId": await api.me.a_project()})
        assert answer.headers["location"] == f"http://cron.test/api/v1/jobs/{answer.json()['id']}"
        assert (await api.me.get(answer.headers["location"])).json() == answer.json()

    async def test_who_may_write_is_shown_what_was_written(self, api: Api) -> None:
        sent = {**JOB, "projectId": await api.me.a_project()}
        writer = await api.holder("write:jobs")
        assert (await writer.post("/jobs", sent)).json()["name"] == JOB["name"]
        assert (await writer.get("/jobs")).status_code == 403

    async def test_an_unknown_project_is_not_found(self, api: Api) -> None:
        answer = await api.me.post("/jobs", {**JOB, "projectId": UNKNOWN})
        assert (answer.status_code, answer.json()) == (404, {"error": "project not found"})

    @pytest.mark.parametrize("missing", ["name", "url", "method", "schedule", "projectId"])
    async def test_a_required_field_that_is_missing_is_named(self, api: Api, missing: str) -> None:
        sent = {**JOB, "projectId": await api.me.a_project()}
        del sent[missing]
        answer = await api.me.post("/jobs", sent)
        assert (answer.status_code, answer.json()) == (400, {"error": f"{missing}: is required"})

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", 5),
            ("projectId", None),
            ("url", "https://user:password@example.com"),
            ("method", "TRACE"),
            ("schedule", "61 * * * *"),
            ("timezone", "Mars/Olympus"),
            ("mode", "lazy"),
            ("heartbeat", "yes"),
            ("heartbeatTolerance", 10_081),
            ("timeout", 0),
            ("timeout", 1.5),
            ("expectedStatusCode", 600),
            ("headers", {"Host": "example.com"}),
            ("headers", []),
            ("body", {}),
            ("body", "x" * 65_537),
            ("paused", 0),
            ("lastStatus", "success"),
            ("id", UNKNOWN),
        ],
    )
    async def test_what_is_wrong_is_named(self, api: Api, field: str, value: object) -> None:
        sent = {**JOB, "projectId": await api.me.a_project(), field: value}
        answer = await api.me.post("/jobs", sent)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"{field}: ")
        assert (await api.me.get("/jobs")).json() == []

    async def test_the_largest_job_fits_in_a_request(self, api: Api) -> None:
        body = "\x01" * 65_536  # six bytes of JSON each
        headers = {f"x{number:02}": '"' * 150 for number in range(50)}
        job_id = await api.me.a_job(body=body, headers=headers)
        shown = (await api.me.get(f"/jobs/{job_id}")).json()
        assert (shown["body"], shown["headers"]) == (body, headers)


class TestGetJob:
    async def test_anonymous(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.anonymous.get(f"/jobs/{job_id}")).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        job_id = await api.me.a_job()
        other = await api.holder("write:jobs", "read:projects", "write:projects")
        assert (await other.get(f"/jobs/{job_id}")).status_code == 403

    async def test_other_account(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await (await api.stranger()).get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)

    async def test_it_tells_how_the_job_fared_and_when_it_runs_next(self, api: Api) -> None:
        job_id = await api.me.a_job()
        api.shape.clock.move(seconds=61.5)
        await ping(api.shape, job_id, "fail")
        shown = (await api.me.get(f"/jobs/{job_id}")).json()
        assert shown["lastStatus"] == "failed"
        assert shown["lastActivityAt"] == "2026-03-02T12:01:01.500000Z"
        assert shown["nextRunAt"] == "2026-03-02T12:05:00Z"

    async def test_a_passive_jobs_next_run_follows_the_clock(self, api: Api) -> None:
        job_id = await api.me.a_job(mode="passive", timezone="Asia/Kolkata", schedule="0 18 * * *")
        api.shape.clock.move(hours=1)
        shown = (await api.me.get(f"/jobs/{job_id}")).json()
        assert shown["nextRunAt"] == "2026-03-03T12:30:00Z"

    async def test_a_paused_job_has_no_next_run(self, api: Api) -> None:
        job_id = await api.me.a_job(paused=True)
        assert (await api.me.get(f"/jobs/{job_id}")).json()["nextRunAt"] is None

    @pytest.mark.parametrize("job_id", [UNKNOWN, "A", "x" * 65, "%00", "*"])
    async def test_an_unknown_job_is_not_found(self, api: Api, job_id: str) -> None:
        answer = await api.me.get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
