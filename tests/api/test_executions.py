"""``/api/v1/jobs/{id}/executions`` and ``/api/v1/jobs/{id}/run``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.execution import scheduled_id
from scheduler.http_check import CheckResult
from tests.api.asking import Api
from tests.clock import START
from tests.jobs import ping
from tests.scheduler.playing import TIMINGS, Play, Receiver

UNKNOWN = "c0000000000000000000099999"
NOT_FOUND = {"error": "job not found"}

FIELDS = (
    "id",
    "jobId",
    "trigger",
    "status",
    "reason",
    "scheduledFor",
    "startedAt",
    "finishedAt",
    "durationMs",
    "statusCode",
    "message",
    "output",
    "client",
    "skippedTicks",
)


class TestListExecutions:
    async def test_anonymous(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.anonymous.get(f"/jobs/{job_id}/executions")).status_code == 401

    async def test_missing_permission(self, api: Api) -> None:
        job_id = await api.me.a_job()
        other = await api.holder("write:jobs", "read:projects", "write:projects")
        assert (await other.get(f"/jobs/{job_id}/executions")).status_code == 403

    async def test_other_account(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await (await api.stranger()).get(f"/jobs/{job_id}/executions")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)

    async def test_an_unknown_job_is_not_found(self, api: Api) -> None:
        answer = await api.me.get(f"/jobs/{UNKNOWN}/executions")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)

    async def test_a_job_that_never_ran_has_none(self, api: Api) -> None:
        answer = await api.me.get(f"/jobs/{await api.me.a_job()}/executions")
        assert (answer.status_code, answer.content) == (200, b"[]")

    async def test_a_failed_check_tells_everything_about_itself(self, api: Api) -> None:
        job_id = await api.me.a_job()
        refused = CheckResult(
            reason="status",
            status_code=503,
            message="expected status 200, got 503",
            output="down",
            timings=TIMINGS,
        )
        api.shape.clock.move(minutes=5, milliseconds=250)
        await Play(api.shape, Receiver(answer=lambda _: refused)).step()
        (shown,) = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        assert tuple(shown) == FIELDS
        assert shown == {
            "id": scheduled_id(job_id, START + timedelta(minutes=5)),
            "jobId": job_id,
            "trigger": "schedule",
            "status": "failed",
            "reason": "status",
            "scheduledFor": "2026-03-02T12:05:00Z",
            "startedAt": "2026-03-02T12:05:00.250000Z",
            "finishedAt": "2026-03-02T12:05:00.250000Z",
            "durationMs": 5,
            "statusCode": 503,
            "message": "expected status 200, got 503",
            "output": "down",
            "client": None,
            "skippedTicks": 0,
        }

    async def test_they_come_newest_first(self, api: Api) -> None:
        job_id = await api.me.a_job()
        for kind in ("beat", "fail", "success"):
            await ping(api.shape, job_id, kind, client=kind)
            api.shape.clock.move(minutes=1)
        shown = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        assert [each["client"] for each in shown] == ["success", "fail", "beat"]
        assert [each["status"] for each in shown] == ["success", "failed", "success"]
        assert {each["trigger"] for each in shown} == {"ping"}

    async def test_those_of_another_job_are_not_among_them(self, api: Api) -> None:
        job_id, other = await api.me.a_job(), await api.me.a_job()
        await ping(api.shape, other)
        assert (await api.me.get(f"/jobs/{job_id}/executions")).json() == []

    async def test_filtering_by_status(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await ping(api.shape, job_id, "success")
        await ping(api.shape, job_id, "fail")
        await ping(api.shape, job_id, "start")
        for status in ("success", "failed", "running"):
            (shown,) = (await api.me.get(f"/jobs/{job_id}/executions?status={status}")).json()
            assert shown["status"] == status
        for status in ("queued", "missed", "skipped"):
            assert (await api.me.get(f"/jobs/{job_id}/executions?status={status}")).json() == []

    async def test_filtering_by_time_takes_in_since_and_leaves_out_until(self, api: Api) -> None:
        job_id = await api.me.a_job()
        for minute in range(4):
            await ping(api.shape, job_id, client=str(minute))
            api.shape.clock.move(minutes=1)

        async def clients(**query: str) -> list[str]:
            answer = await api.me.get(f"/jobs/{job_id}/executions", params=query)
            return [each["client"] for each in answer.json()]

        one, three = "2026-03-02T12:01:00Z", "2026-03-02T13:03:00+01:00"
        assert await clients(since=one) == ["3", "2", "1"]
        assert await clients(until=three) == ["2", "1", "0"]
        assert await clients(since=one, until=three) == ["2", "1"]
        assert await clients(since=one, until=one) == []

    async def test_a_plus_sign_that_nobody_escaped_is_understood(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await ping(api.shape, job_id)
        path = f"/jobs/{job_id}/executions?since="
        assert len((await api.me.get(f"{path}2026-03-02T13:00:00+01:00")).json()) == 1
        assert (await api.me.get(f"{path}2026-03-02T13:00:01+01:00")).json() == []

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (
                "status=done",
                "status: must be one of queued, running, success, failed, missed, skipped",
            ),
            ("status=", "status: must be one of queued, running, success, failed, missed, skipped"),
            ("since=", "since: must be a time as in RFC 3339, such as 2024-01-30T12:00:00Z"),
            (
                "until=yesterday",
                "until: must be a time as in RFC 3339, such as 2024-01-30T12:00:00Z",
            ),
            (
                "since=2024-01-30T12:00:00",
                "since: must be a time as in RFC 3339, such as 2024-01-30T12:00:00Z",
            ),
            (
                "limit=5&color=red",
                "color: unknown query parameter; allowed are status, since, until, limit, after",
            ),
        ],
    )
    async def test_a_bad_parameter_is_named_with_what_is_allowed(
        self, api: Api, query: str, message: str
    ) -> None:
        answer = await api.me.get(f"/jobs/{await api.me.a_job()}/executions?{query}")
        assert (answer.status_code, answer.json()) == (400, {"error": message})

    async def test_pages_go_on_where_the_one_before_ended_also_within_one_moment(
        self, api: Api
    ) -> None:
        job_id = await api.me.a_job()
        for number in range(7):
            await ping(api.shape, job_id, "success", client=str(number))
            if number % 3 == 2:
                api.shape.clock.move(seconds=1)
        whole = (await api.me.get(f"/jobs/{job_id}/executions")).json()
        seen, path = [], f"/jobs/{job_id}/executions?limit=2&status=success"
        while path:
            page = await api.me.get(path)
            seen.append(page.json())
            path = page.links.get("next", {}).get("url", "")
        assert [len(page) for page in seen] == [2, 2, 2, 1]
        assert [each for page in seen for each in page] == whole


class TestRunJob:
    async def test_anonymous(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.anonymous.post(f"/jobs/{job_id}/run")).status_code == 401
        assert (await api.me.get(f"/jobs/{job_id}/executions")).json() == []

    async def test_missing_permission(self, api: Api) -> None:
        job_id = await api.me.a_job()
        other = await api.holder("read:jobs", "read:projects", "write:projects")
        assert (await other.post(f"/jobs/{job_id}/run")).status_code == 403
        assert (await api.me.get(f"/jobs/{job_id}/executions")).json() == []

    async def test_other_account(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await (await api.stranger()).post(f"/jobs/{job_id}/run")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
        assert (await api.me.get(f"/jobs/{job_id}/executions")).json() == []

    async def test_an_unknown_job_is_not_found(self, api: Api) -> None:
        answer = await api.me.post(f"/jobs/{UNKNOWN}/run")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)

    async def test_an_execution_is_queued_and_shown(self, api: Api) -> None:
        job_id = await api.me.a_job()
        answer = await api.me.post(f"/jobs/{job_id}/run")
        queued = answer.json()
        assert answer.status_code == 202
        assert tuple(queued) == FIELDS
        assert queued == dict.fromkeys(FIELDS) | {
            "id": queued["id"],
            "jobId": job_id,
            "trigger": "manual",
            "status": "queued",
            "skippedTicks": 0,
        }
        assert (await api.me.get(f"/jobs/{job_id}/executions")).json() == [queued]

    async def test_a_paused_job_can_be_run(self, api: Api) -> None:
        job_id = await api.me.a_job(paused=True)
        assert (await api.me.post(f"/jobs/{job_id}/run")).status_code == 202

    async def test_a_passive_job_is_never_called(self, api: Api) -> None:
        job_id = await api.me.a_job(mode="passive")
        answer = await api.me.post(f"/jobs/{job_id}/run")
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("mode: a passive job is never called")

    async def test_it_takes_no_fields(self, api: Api) -> None:
        job_id = await api.me.a_job()
        assert (await api.me.post(f"/jobs/{job_id}/run", {})).status_code == 202
        answer = await api.me.post(f"/jobs/{job_id}/run", {"at": "once"})
        assert answer.status_code == 400
        assert answer.json() == {"error": "at: unknown field; none are allowed here"}
        assert len((await api.me.get(f"/jobs/{job_id}/executions")).json()) == 1

    async def test_the_run_is_at_the_time_it_was_asked_for(self, api: Api) -> None:
        job_id = await api.me.a_job()
        await api.me.post(f"/jobs/{job_id}/run")
        later = (START + timedelta(seconds=1)).isoformat()
        path = f"/jobs/{job_id}/executions"
        assert (await api.me.get(path, params={"since": later})).json() == []
        assert len((await api.me.get(path, params={"until": later})).json()) == 1
