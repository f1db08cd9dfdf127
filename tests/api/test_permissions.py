"""Who may do what: every operation of the published document, tried by everybody there is."""

from __future__ import annotations

import httpx
import pytest

from domain.api_key import FULL_ACCESS, PERMISSIONS
from tests.api.asking import Api, Asked
from tests.api.published import Operation, operations

GUARDED = [operation for operation in operations() if operation.permission is not None]
OPEN = [operation for operation in operations() if operation.permission is None]


def named(operation: Operation) -> str:
    return operation.name


async def tried(api: Api, who: Asked, operation: Operation) -> httpx.Response:
    """What comes of an operation on a project and a job of mine."""
    project_id = await api.me.a_project()
    job_id = await api.me.a_job(project_id)
    sent = operation.example
    if isinstance(sent, dict) and "projectId" in sent:
        sent["projectId"] = project_id
    body = {"json": sent} if sent is not None else {}
    url = f"http://cron.test{operation.url(project_id=project_id, job_id=job_id)}"
    return await who(operation.method, url, **body)


def test_there_is_something_to_try() -> None:
    assert {operation.permission for operation in GUARDED} == set(PERMISSIONS) - {FULL_ACCESS}
    assert len(GUARDED) == 12
    assert len(OPEN) == 21


@pytest.mark.parametrize("operation", GUARDED, ids=named)
class TestGuarded:
    async def test_anonymous(self, api: Api, operation: Operation) -> None:
        recorded = len(api.shape.events())
        answer = await tried(api, api.anonymous, operation)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("ApiKey ")
        assert len(api.shape.events()) == recorded + 2, "the project and the job, and no more"

    @pytest.mark.parametrize("permission", PERMISSIONS)
    async def test_a_key_with_one_permission_opens_what_asks_for_it_and_nothing_else(
        self, api: Api, operation: Operation, permission: str
    ) -> None:
        answer = await tried(api, await api.holder(permission), operation)
        if permission in {operation.permission, FULL_ACCESS}:
            assert answer.is_success, answer.text
        else:
            assert answer.status_code == 403
            missing = f"this API key lacks the permission {operation.permission}"
            assert answer.json() == {"error": missing}

    async def test_a_key_without_the_permission_opens_nothing_whatever_else_it_has(
        self, api: Api, operation: Operation
    ) -> None:
        others = set(PERMISSIONS) - {operation.permission, FULL_ACCESS}
        recorded = len(api.shape.events())
        answer = await tried(api, await api.holder(*sorted(others)), operation)
        assert answer.status_code == 403
        assert len(api.shape.events()) == recorded + 3, "the key, the project and the job"

    async def test_other_account(self, api: Api, operation: Operation) -> None:
        """What is mine can't be told from what isn't there; lists and new things are their own."""
        stranger = await api.stranger()
        recorded = len(api.shape.events())
        answer = await tried(api, stranger, operation)
        if "{" in operation.path or operation.name == "createJob":
            assert answer.status_code == 404
            assert answer.json()["error"] in {"project not found", "job not found"}
            assert len(api.shape.events()) == recorded + 2
        elif operation.method == "GET":
            assert answer.json() == []
        else:
            assert answer.status_code == 201
            mine = {project["id"] for project in (await api.me.get("/projects")).json()}
            assert answer.json()["id"] not in mine

    async def test_the_key_counts_before_what_is_asked_for(
        self, api: Api, operation: Operation
    ) -> None:
        """Whoever may not do it doesn't learn what is there, nor what is wrong with the request."""
        url = f"http://cron.test{operation.url(project_id='nothing', job_id='nothing')}?wrong=1"
        weak = await api.holder(*sorted(set(PERMISSIONS) - {operation.permission, FULL_ACCESS}))
        for who, status in ((api.anonymous, 401), (weak, 403)):
            answer = await who(operation.method, url, content=b"{", headers={"Content-Type": "x/y"})
            assert answer.status_code == status


@pytest.mark.parametrize("operation", OPEN, ids=named)
async def test_what_is_open_needs_no_key_and_minds_none(api: Api, operation: Operation) -> None:
    assert (await tried(api, api.anonymous, operation)).status_code == 200
    bogus = Asked(api.client, "not a key")
    assert (await tried(api, bogus, operation)).status_code == 200
