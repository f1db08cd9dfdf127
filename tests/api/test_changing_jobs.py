"""``/api/v1/jobs/{id}``: jobs as they are changed and deleted."""

from __future__ import annotations

import pytest

from domain.headers import MASK
from domain.job import JobUpdated
from tests.api.asking import Api
from tests.jobs import ping

UNKNOWN = "c0000000000000000000099999"
NOT_FOUND = {"error": "job not found"}


class TestUpdateJob:
    async def test_anonymous(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.anonymous.put(f"/jobs/{job_id}", {"timeout": 60})).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        job_id = await api.me.a_job()
        other = await api.holder("read:jobs", "read:projects", "write:projects")
        assert (await other.put(f"/jobs/{job_id}", {"timeout": 60})).status_code == 403

    async def test_other_account(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await (await api.stranger()).put(f"/jobs/{job_id}", {"timeout": 60})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert (await api.me.get(f"/jobs/{job_id}")).json()["timeout"] == 30

    async def test_the_documented_request_changes_its_fields_and_no_other(self, api: Api) -> None:
        job_id = await api.me.a_job(heartbeat=True, body="kept", headers={"X-Kept": "yes"})
        before = (await api.me.get(f"/jobs/{job_id}")).json()
        changes = {
            "name": "Updated Job Name",
            "url": "https://example.com/new-endpoint",
            "schedule": "0 * * * *",
            "heartbeat": False,
            "timeout": 60,
        }
        answer = await api.me.put(f"/jobs/{job_id}", changes)
        assert answer.status_code == 200
        assert answer.json() == before | changes | {"nextRunAt": "2026-03-02T13:00:00Z"}
        assert (await api.me.get(f"/jobs/{job_id}")).json() == answer.json()

    async def test_null_clears_the_body_and_an_absent_one_stays(self, api: Api) -> None:
        job_id = await api.me.a_job(body="kept")
        assert (await api.me.put(f"/jobs/{job_id}", {"timeout": 1})).json()["body"] == "kept"
        assert (await api.me.put(f"/jobs/{job_id}", {"body": None})).json()["body"] is None
        assert (await api.me.put(f"/jobs/{job_id}", {"body": ""})).json()["body"] == ""

    @pytest.mark.parametrize("field", ["name", "heartbeat", "timeout", "headers", "paused"])
    async def test_null_is_no_value_for_any_other_field(self, api: Api, field: str) -> None:
        job_id = await api.me.a_job()
        answer = await api.me.put(f"/jobs/{job_id}", {field: None})
        assert answer.status_code == 400
        assert answer.json()["error"].startswith(f"{field}: must")

    async def test_the_project_of_a_job_is_for_good(self, api: Api) -> None:
        job_id, other = await api.me.a_job(), await api.me.a_project()
        answer = await api.me.put(f"/jobs/{job_id}", {"projectId": other})
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "projectId: can't be changed"},
        )

    async def test_a_masked_secret_that_is_sent_back_keeps_its_value(self, api: Api) -> None:
        job_id = await api.me.a_job(headers={"X-Api-Key": "secret", "Accept": "*/*"})
        shown = (await api.me.get(f"/jobs/{job_id}")).json()["headers"]
        assert shown == {"X-Api-Key": MASK, "Accept": "*/*"}
        recorded = len(api.shape.events(JobUpdated))
        assert (await api.me.put(f"/jobs/{job_id}", {"headers": shown})).status_code == 200
        assert len(api.shape.events(JobUpdated)) == recorded

    async def test_headers_are_replaced_as_a_whole(self, api: Api) -> None:
        job_id = await api.me.a_job(headers={"Cookie": "secret", "Accept": "*/*"})
        answer = await api.me.put(f"/jobs/{job_id}", {"headers": {"X-Other": "1"}})
        assert answer.json()["headers"] == {"X-Other": "1"}
        refused = await api.me.put(f"/jobs/{job_id}", {"headers": {"Cookie": MASK}})
        assert refused.status_code == 400
        assert refused.json()["error"].startswith("headers: Cookie ")

    async def test_pausing_and_resuming(self, api: Api) -> None:
        job_id = await api.me.a_job()
        paused = (await api.me.put(f"/jobs/{job_id}", {"paused": True})).json()
        assert (paused["paused"], paused["nextRunAt"]) == (True, None)
        api.shape.clock.move(minutes=7)
        resumed = (await api.me.put(f"/jobs/{job_id}", {"paused": False})).json()
        assert (resumed["paused"], resumed["nextRunAt"]) == (False, "2026-03-02T12:10:00Z")

    async def test_an_empty_object_changes_nothing(self, api: Api) -> None:
        job_id = await api.me.a_job()
        recorded = len(api.shape.events())
        answer = await api.me.put(f"/jobs/{job_id}", {})
        assert (answer.status_code, answer.json()["id"]) == (200, job_id)
        assert len(api.shape.events()) == recorded

    async def test_an_unknown_job_is_not_found(self, api: Api) -> None:
        answer = await api.me.put(f"/jobs/{UNKNOWN}", {"timeout": 60})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


class TestDeleteJob:
    async def test_anonymous(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.anonymous.delete(f"/jobs/{job_id}")).status_code == 401
        assert (await api.me.get(f"/jobs/{job_id}")).status_code == 200

    async def test_missing_permission(self, api: Api) -> None:
        job_id = await api.me.a_job()
        other = await api.holder("read:jobs", "read:projects", "write:projects")
        assert (await other.delete(f"/jobs/{job_id}")).status_code == 403
        assert (await api.me.get(f"/jobs/{job_id}")).status_code == 200

    async def test_other_account(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await (await api.stranger()).delete(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert (await api.me.get(f"/jobs/{job_id}")).status_code == 200

    async def test_the_job_and_its_history_are_gone_for_good(self, api: Api) -> None:
        project_id = await api.me.a_project()
        job_id, kept = await api.me.a_job(project_id), await api.me.a_job(project_id)
        await ping(api.shape, job_id)
        answer = await api.me.delete(f"/jobs/{job_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        for answer in (
            await api.me.get(f"/jobs/{job_id}"),
            await api.me.get(f"/jobs/{job_id}/executions"),
            await api.me.put(f"/jobs/{job_id}", {"timeout": 60}),
            await api.me.delete(f"/jobs/{job_id}"),
            await api.me.post(f"/jobs/{job_id}/run"),
            await api.anonymous.get(f"/api/ping/{job_id}"),
        ):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        (project,) = (await api.me.get("/projects")).json()
        assert [job["id"] for job in project["jobs"]] == [kept]
