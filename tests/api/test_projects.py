"""``/api/v1/projects``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asking import PROJECT, Api
from tests.jobs import ping

UNKNOWN = "c0000000000000000000099999"
NOT_FOUND = {"error": "project not found"}


def is_refused(answer: Any, status: int, message: str) -> None:
    assert (answer.status_code, answer.json()) == (status, {"error": message})


class TestListProjects:
    async def test_anonymous(self, api: Api) -> None:
        assert (await api.anonymous.get("/projects")).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        other = await api.holder("write:projects", "read:jobs", "write:jobs")
        is_refused(
            await other.get("/projects"), 403, "this API key lacks the permission read:projects"
        )

    async def test_other_account(self, api: Api) -> None:
        await api.me.a_project()
        assert (await (await api.stranger()).get("/projects")).json() == []

    async def test_there_are_none_at_first(self, api: Api) -> None:
        answer = await api.me.get("/projects")
        assert (answer.status_code, answer.content) == (200, b"[]")
        assert answer.headers["content-type"] == "application/json"

    async def test_projects_come_oldest_first_each_with_its_jobs_as_documented(
        self, api: Api
    ) -> None:
        first = await api.me.a_project(name="First")
        second = await api.me.a_project(name="Second", url="https://second.example")
        backup = await api.me.a_job(first, name="Daily Backup")
        mail = await api.me.a_job(first, name="Mail")
        await ping(api.shape, backup, "success")
        assert (await api.me.get("/projects")).json() == [
            {
                "id": first,
                "name": "First",
                "url": "https://example.com",
                "jobs": [
                    {"id": backup, "name": "Daily Backup", "lastStatus": "success"},
                    {"id": mail, "name": "Mail", "lastStatus": None},
                ],
            },
            {"id": second, "name": "Second", "url": "https://second.example", "jobs": []},
        ]

    async def test_the_jobs_are_part_of_a_project_for_whoever_may_read_projects(
        self, api: Api
    ) -> None:
        job_id = await api.me.a_job()
        reader = await api.holder("read:projects")
        (project,) = (await reader.get("/projects")).json()
        assert project["jobs"] == [{"id": job_id, "name": "Health Check", "lastStatus": None}]


class TestCreateProject:
    async def test_anonymous(self, api: Api) -> None:
        assert (await api.anonymous.post("/projects", PROJECT)).status_code == 401
        assert (await api.me.get("/projects")).json() == []

    async def test_missing_permission(self, api: Api) -> None:
        other = await api.holder("read:projects", "read:jobs", "write:jobs")
        is_refused(
            await other.post("/projects", PROJECT),
            403,
            "this API key lacks the permission write:projects",
        )
        assert (await api.me.get("/projects")).json() == []

    async def test_a_project_is_created_and_found_where_location_says(self, api: Api) -> None:
        answer = await api.me.post("/projects", PROJECT)
        created = answer.json()
        assert answer.status_code == 201
        assert created == {"id": created["id"], **PROJECT, "jobs": []}
        assert answer.headers["location"] == f"http://cron.test/api/v1/projects/{created['id']}"
        assert (await api.me.get(answer.headers["location"])).json() == created

    async def test_who_may_write_is_shown_what_was_written(self, api: Api) -> None:
        writer = await api.holder("write:projects")
        assert (await writer.post("/projects", PROJECT)).json()["name"] == PROJECT["name"]
        assert (await writer.get("/projects")).status_code == 403

    @pytest.mark.parametrize(
        ("sent", "message"),
        [
            ({"url": "https://example.com"}, "name: is required"),
            ({"name": "Project"}, "url: is required"),
            (
                {**PROJECT, "name": ""},
                "name: must be a string of 1 to 200 characters",
            ),
            (
                {**PROJECT, "name": "n" * 201},
                "name: must be a string of 1 to 200 characters",
            ),
            (
                {**PROJECT, "url": "ftp://example.com"},
                "url: must be an absolute http or https URL of at most 2,048 characters",
            ),
            (
                {**PROJECT, "color": "red"},
                "color: unknown field; allowed are name, url",
            ),
            (
                {**PROJECT, "jobs": []},
                "jobs: unknown field; allowed are name, url",
            ),
        ],
    )
    async def test_what_is_wrong_is_named_with_what_is_allowed(
        self, api: Api, sent: dict[str, object], message: str
    ) -> None:
        is_refused(await api.me.post("/projects", sent), 400, message)
        assert (await api.me.get("/projects")).json() == []

    async def test_a_name_may_have_200_characters_of_any_script(self, api: Api) -> None:
        name = "Ω𝄞é" * 66 + "ab"
        answer = await api.me.post("/projects", {**PROJECT, "name": name})
        assert (answer.status_code, answer.json()["name"]) == (201, name)


class TestGetProject:
    async def test_anonymous(self, api: Api) -> None:
        project_id = await api.me.a_project()
        assert (await api.anonymous.get(f"/projects/{project_id}")).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        project_id = await api.me.a_project()
        other = await api.holder("write:projects", "read:jobs", "write:jobs")
        assert (await other.get(f"/projects/{project_id}")).status_code == 403

    async def test_other_account(self, api: Api) -> None:
        project_id = await api.me.a_project()
        stranger = await api.stranger()
        is_refused(await stranger.get(f"/projects/{project_id}"), 404, NOT_FOUND["error"])

    async def test_a_project_is_shown_with_its_jobs(self, api: Api) -> None:
        project_id = await api.me.a_project()
        job_id = await api.me.a_job(project_id)
        answer = await api.me.get(f"/projects/{project_id}")
        assert answer.status_code == 200
        assert answer.json() == {
            "id": project_id,
            **PROJECT,
            "jobs": [{"id": job_id, "name": "Health Check", "lastStatus": None}],
        }

    @pytest.mark.parametrize("project_id", [UNKNOWN, "A", "x" * 65, "%00", "..%2F", "é"])
    async def test_an_unknown_project_is_not_found(self, api: Api, project_id: str) -> None:
        answer = await api.me.get(f"/projects/{project_id}")
        assert answer.status_code == 404
        assert answer.json() in ({"error": "project not found"}, {"error": "not found"})


class TestUpdateProject:
    async def test_anonymous(self, api: Api) -> None:
        project_id = await api.me.a_project()
        answer = await api.anonymous.put(f"/projects/{project_id}", {"name": "Mine"})
        assert answer.status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        project_id = await api.me.a_project()
        other = await api.holder("read:projects", "read:jobs", "write:jobs")
        assert (await other.put(f"/projects/{project_id}", {"name": "Mine"})).status_code == 403

    async def test_other_account(self, api: Api) -> None:
        project_id = await api.me.a_project()
        stranger = await api.stranger()
        answer = await stranger.put(f"/projects/{project_id}", {"name": "Mine"})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert (await api.me.get(f"/projects/{project_id}")).json()["name"] == PROJECT["name"]

    async def test_only_the_fields_that_are_sent_change(self, api: Api) -> None:
        project_id = await api.me.a_project()
        await api.me.a_job(project_id)
        before = (await api.me.get(f"/projects/{project_id}")).json()
        renamed = await api.me.put(f"/projects/{project_id}", {"name": "Renamed"})
        assert (renamed.status_code, renamed.json()) == (200, before | {"name": "Renamed"})
        moved = await api.me.put(f"/projects/{project_id}", {"url": "https://new.example"})
        assert moved.json() == before | {"name": "Renamed", "url": "https://new.example"}
        assert (await api.me.get(f"/projects/{project_id}")).json() == moved.json()

    async def test_an_empty_object_changes_nothing(self, api: Api) -> None:
        project_id = await api.me.a_project()
        recorded = len(api.shape.events())
        answer = await api.me.put(f"/projects/{project_id}", {})
        assert (answer.status_code, answer.json()["name"]) == (200, PROJECT["name"])
        assert len(api.shape.events()) == recorded

    async def test_what_is_wrong_is_named_and_nothing_changes(self, api: Api) -> None:
        project_id = await api.me.a_project()
        sent = {"name": "Renamed", "url": None}
        is_refused(
            await api.me.put(f"/projects/{project_id}", sent),
            400,
            "url: must be an absolute http or https URL of at most 2,048 characters",
        )
        is_refused(
            await api.me.put(f"/projects/{project_id}", {"id": UNKNOWN}),
            400,
            "id: unknown field; allowed are name, url",
        )
        assert (await api.me.get(f"/projects/{project_id}")).json()["name"] == PROJECT["name"]

    async def test_an_unknown_project_is_not_found(self, api: Api) -> None:
        answer = await api.me.put(f"/projects/{UNKNOWN}", {"name": "Renamed"})
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


class TestDeleteProject:
    async def test_anonymous(self, api: Api) -> None:
        project_id = await api.me.a_project()
        assert (await api.anonymous.delete(f"/projects/{project_id}")).status_code == 401
        assert (await api.me.get(f"/projects/{project_id}")).status_code == 200

    async def test_missing_permission(self, api: Api) -> None:
        project_id = await api.me.a_project()
        other = await api.holder("read:projects", "read:jobs", "write:jobs")
        assert (await other.delete(f"/projects/{project_id}")).status_code == 403
        assert (await api.me.get(f"/projects/{project_id}")).status_code == 200

    async def test_other_account(self, api: Api) -> None:
        project_id = await api.me.a_project()
        answer = await (await api.stranger()).delete(f"/projects/{project_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert (await api.me.get(f"/projects/{project_id}")).status_code == 200

    async def test_it_is_gone_with_its_jobs_and_their_executions(self, api: Api) -> None:
        project_id, other = await api.me.a_project(), await api.me.a_project()
        job_id, kept = await api.me.a_job(project_id), await api.me.a_job(other)
        await ping(api.shape, job_id)
        answer = await api.me.delete(f"/projects/{project_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        for path in (
            f"/projects/{project_id}",
            f"/jobs/{job_id}",
            f"/jobs/{job_id}/executions",
            f"/jobs?projectId={project_id}",
        ):
            assert (await api.me.get(path)).status_code == 404, path
        assert (await api.anonymous.get(f"/api/ping/{job_id}")).status_code == 404
        assert [each["id"] for each in (await api.me.get("/projects")).json()] == [other]
        assert [each["id"] for each in (await api.me.get("/jobs")).json()] == [kept]

    async def test_who_may_write_projects_needs_no_other_permission(self, api: Api) -> None:
        project_id = await api.me.a_project()
        job_id = await api.me.a_job(project_id)
        writer = await api.holder("write:projects")
        assert (await writer.delete(f"/projects/{project_id}")).status_code == 204
        assert (await api.me.get(f"/jobs/{job_id}")).status_code == 404

    async def test_a_deleted_project_is_not_found(self, api: Api) -> None:
        project_id = await api.me.a_project()
        await api.me.delete(f"/projects/{project_id}")
        for answer in (
            await api.me.delete(f"/projects/{project_id}"),
            await api.me.put(f"/projects/{project_id}", {"name": "Back"}),
        ):
            assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
