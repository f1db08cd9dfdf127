"""Lists: complete by default, page by page where that is asked for."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api import queries
from api.rest import listing
from api.rest.query import cursor
from tests.api.asking import Api, asking
from tests.shapes import Shape


def next_url(page: httpx.Response) -> str | None:
    link = page.links.get("next")
    return None if link is None else link["url"]


async def pages(api: Api, path: str) -> list[list[str]]:
    """The ids of each page, following the links from the first."""
    found: list[list[str]] = []
    url: str | None = path
    while url is not None:
        page = await api.me.get(url)
        assert page.status_code == 200, page.text
        found.append([each["id"] for each in page.json()])
        url = next_url(page)
    return found


class TestPages:
    @pytest.mark.parametrize("kind", ["projects", "jobs"])
    async def test_pages_follow_each_other_to_the_end(self, api: Api, kind: str) -> None:
        project_id = await api.me.a_project()
        if kind == "jobs":
            ids = [await api.me.a_job(project_id) for _ in range(5)]
        else:
            ids = [project_id, *[await api.me.a_project() for _ in range(4)]]
        assert await pages(api, f"/{kind}?limit=2") == [ids[:2], ids[2:4], ids[4:]]
        assert await pages(api, f"/{kind}?limit=5") == [ids]
        assert await pages(api, f"/{kind}?limit=1000") == [ids]
        assert await pages(api, f"/{kind}") == [ids]

    async def test_a_page_is_a_bare_array_with_a_link_to_the_next(self, api: Api) -> None:
        for _ in range(3):
            await api.me.a_project()
        page = await api.me.get("/projects?limit=2")
        assert isinstance(page.json(), list)
        assert page.headers["link"].endswith('>; rel="next"')
        assert page.headers["link"].startswith("<http://cron.test/api/v1/projects?limit=2&after=")
        url = next_url(page)
        assert url is not None
        last = await api.me.get(url)
        assert "link" not in last.headers

    async def test_a_link_filters_as_its_page_did(self, api: Api) -> None:
        project_id, other = await api.me.a_project(), await api.me.a_project()
        mine = [await api.me.a_job(project_id) for _ in range(2)]
        await api.me.a_job(other)
        mine.append(await api.me.a_job(project_id))
        path = f"/jobs?projectId={project_id}&limit=2"
        assert await pages(api, path) == [mine[:2], mine[2:]]
        url = next_url(await api.me.get(path))
        assert url is not None
        assert parse_qs(urlsplit(url).query).keys() == {"projectId", "limit", "after"}

    async def test_what_a_filter_holds_comes_back_as_it_was(self, api: Api) -> None:
        job_id = await api.me.a_job()
        for _ in range(2):
            await api.me.post(f"/jobs/{job_id}/run")
        query = {"since": "2026-03-02T13:00:00+01:00", "status": "queued", "limit": "1"}
        page = await api.me.get(f"/jobs/{job_id}/executions", params=query)
        url = next_url(page)
        assert url is not None
        following = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
        assert following.pop("after")
        assert following == query
        assert len((await api.me.get(url)).json()) == 1

    async def test_what_comes_meanwhile_moves_nothing(self, api: Api) -> None:
        ids = [await api.me.a_project() for _ in range(4)]
        first = await api.me.get("/projects?limit=2")
        await api.me.delete(f"/projects/{ids[1]}")
        await api.me.delete(f"/projects/{ids[2]}")
        ids.append(await api.me.a_project())
        url = next_url(first)
        assert url is not None
        assert await pages(api, url) == [ids[3:]]

    async def test_after_without_limit_is_the_whole_rest(self, api: Api) -> None:
        ids = [await api.me.a_project() for _ in range(4)]
        url = next_url(await api.me.get("/projects?limit=1"))
        assert url is not None
        after = parse_qs(urlsplit(url).query)["after"][0]
        assert await pages(api, f"/projects?after={after}") == [ids[1:]]

    async def test_a_cursor_of_another_list_is_refused(self, api: Api) -> None:
        await api.me.a_project()
        await api.me.a_project()
        url = next_url(await api.me.get("/projects?limit=1"))
        assert url is not None
        after = parse_qs(urlsplit(url).query)["after"][0]
        answer = await api.me.get(f"/jobs?after={after}")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("after: must be a cursor")

    async def test_a_cursor_shows_nothing_of_another_account(self, api: Api) -> None:
        for _ in range(2):
            await api.me.a_project()
        url = next_url(await api.me.get("/projects?limit=1"))
        assert url is not None
        assert (await (await api.stranger()).get(url)).json() == []

    async def test_the_furthest_moment_that_a_cursor_can_spell_is_in_the_calendar(
        self, api: Api
    ) -> None:
        job_id = await api.me.a_job()
        await api.me.post(f"/jobs/{job_id}/run")
        far = cursor("executions", 10**17 - 1, "z")
        assert len((await api.me.get(f"/jobs/{job_id}/executions?after={far}")).json()) == 1


class TestLinks:
    async def test_where_callers_reach_the_service_is_what_the_operator_says(
        self, shape: Shape
    ) -> None:
        async with asking(shape, public_url="https://cron.example.com/prefix") as api:
            for _ in range(2):
                await api.me.a_project()
            page = await api.me.get("/projects?limit=1")
            created = await api.me.post("/projects", {"name": "a", "url": "http://a.example"})
        base = "https://cron.example.com/prefix/api/v1/projects"
        assert page.headers["link"].startswith(f"<{base}?limit=1&after=")
        assert created.headers["location"] == f"{base}/{created.json()['id']}"

    @pytest.mark.parametrize("host", ['evil.example"><x', "a b", "host/path", "x" * 256])
    async def test_a_host_that_is_none_leads_nowhere(self, api: Api, host: str) -> None:
        sent = {"name": "a", "url": "http://a.example"}
        created = await api.me.post("/projects", sent, headers={"Host": host})
        assert created.headers["location"] == f"/api/v1/projects/{created.json()['id']}"


class TestPortions:
    """A list that is longer than what is read at once."""

    @pytest.fixture(autouse=True)
    def _small_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "PORTION", 2)

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
    async def test_a_complete_list_is_one_array_however_many_portions_it_takes(
        self, api: Api, count: int
    ) -> None:
        project_id = await api.me.a_project()
        ids = [await api.me.a_job(project_id) for _ in range(count)]
        answer = await api.me.get("/jobs")
        assert answer.headers["content-type"] == "application/json"
        assert [each["id"] for each in answer.json()] == ids
        assert ("content-length" in answer.headers) == (count < 2)

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
    async def test_a_page_may_take_several_portions(self, api: Api, limit: int) -> None:
        ids = [await api.me.a_project() for _ in range(5)]
        page = await api.me.get(f"/projects?limit={limit}")
        assert [each["id"] for each in page.json()] == ids[:limit]
        assert ("link" in page.headers) == (limit < 5)

    async def test_a_page_reads_one_item_more_than_it_shows(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(6):
            await api.me.a_project()
        read: list[object] = []
        page = queries.project_page

        async def noted(*args: object, **options: object) -> object:
            read.append(options["limit"])
            return await page(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(queries, "project_page", noted)
        await api.me.get("/projects?limit=4")
        assert read == [2, 2, 1]

    async def test_others_get_their_turn_between_two_portions(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(4):
            await api.me.a_project()
        turns: list[str] = []
        page = queries.project_page

        async def counted(*args: object, **options: object) -> object:
            turns.append("portion")
            return await page(*args, **options)  # type: ignore[arg-type]

        async def other() -> None:
            while turns.count("portion") < 3:
                turns.append("other")
                await asyncio.sleep(0)

        monkeypatch.setattr(queries, "project_page", counted)
        waiting = asyncio.create_task(other())
        await api.me.get("/projects")
        await waiting
        between = "".join(turn[0] for turn in turns).strip("o").split("p")
        assert all(between[1:-1]), turns
