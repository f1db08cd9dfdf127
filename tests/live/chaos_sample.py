"""A chaos run without fault, made up: what the checker's own tests plant violations into."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.heartbeat import HeartbeatMissed
from domain.job_fields import JobSettings
from domain.pings import PingReceived
from tests.live.chaos_evidence import ChaosEvidence, SeenFromOutside, SeenInRedis
from tests.live.chaos_faults import Fault
from tests.live.load import Promises, Written
from tests.live.logged import Log, LoggedCheck, LoggedJob
from tests.live.receiver import Call
from tests.live.tick_accounts import NEVER, Terms, seconds_of

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
POST, GET, WATCHED, SILENT = "j-post", "j-get", "j-watched", "j-silent"
FIELDS = {
    "name": "job 0",
    "url": "http://receiver/quick/0",
    "method": "POST",
    "schedule": "*/2 * * * * *",
    "timeout": 10,
    "body": "a body",
}


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def settings(**fields: Any) -> JobSettings:
    known = JobSettings(name="job 1", url="http://receiver/quick/1", method="GET", schedule=NEVER)
    return replace(known, timeout=10, **fields)


def a_job(schedule: str, *, until: float, **fields: Any) -> LoggedJob:
    """It ticks from noon until so many seconds later."""
    ticks, never = seconds_of(schedule), seconds_of(NEVER)
    return LoggedJob(
        settings=[settings(schedule=schedule, **fields), settings(**fields)],
        paused=False,
        terms=[
            Terms(since=NOON, position=1, seconds=ticks),
            Terms(since=second(until), position=1000, seconds=never),
        ],
    )


def a_check(
    job_id: str, at: float | None, *, manual: str = "", skipped_ticks: int = 0
) -> LoggedCheck:
    """It was queued at its tick (or at 5 s), begun a second later, and succeeded one more later."""
    key, queued = (manual, 5.0) if at is None else (f"e-{job_id}-{at:.0f}", at)
    return LoggedCheck(
        execution_id=key,
        job_id=job_id,
        tick=None if at is None else second(at),
        skipped_ticks=skipped_ticks,
        status="success",
        status_code=200,
        position=10 + round(queued),
        began=[second(queued + 1)],
        moved=[second(queued), second(queued + 1), second(queued + 2)],
    )


def a_call(check: LoggedCheck, *, method: str, number: int) -> Call:
    return Call(
        arrived_at=check.began[0] + timedelta(seconds=0.5),
        method=method,
        path=f"/quick/{number}",
        idempotency_key=check.execution_id,
        token="canary" if number == 0 else None,
        body="a body" if number == 0 else "",
    )


def shown(check: LoggedCheck) -> dict[str, Any]:
    tick = None if check.tick is None else f"{check.tick:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "id": check.execution_id,
        "trigger": "manual" if tick is None else "schedule",
        "scheduledFor": tick,
        "skippedTicks": check.skipped_ticks,
        "status": check.status,
        "reason": None,
    }


def listed(job_id: str, now: JobSettings) -> dict[str, Any]:
    return {
        "id": job_id,
        "name": now.name,
        "url": now.url,
        "method": now.method,
        "schedule": now.schedule,
        "timeout": now.timeout,
        "body": now.body,
        "mode": now.mode,
        "heartbeat": now.heartbeat,
        "heartbeatTolerance": now.heartbeat_tolerance,
        "paused": False,
    }


def a_ping(mark: str, at: float, *, run_id: str | None = None) -> PingReceived:
    return PingReceived(
        ping_id=mark, kind="beat", received_at=second(at), client=mark, run_id=run_id
    )


def a_miss(at: float) -> HeartbeatMissed:
    return HeartbeatMissed(execution_id=f"m{at}", tick=second(at), missed_at=second(at))


def a_run_without_fault() -> ChaosEvidence:
    """A POST job with a tick every 2 s and one swallowed, a GET job with a run and a repeated call."""
    post = a_job(
        "*/2 * * * * *",
        until=9,
        name="job 0",
        method="POST",
        body="a body",
        url="http://receiver/quick/0",
    )
    post.checks = [a_check(POST, 2), a_check(POST, 6, skipped_ticks=1), a_check(POST, 8)]
    get = a_job("*/5 * * * * *", until=6)
    get.checks = [a_check(GET, 5), a_check(GET, None, manual="e-run")]
    get.checks[0].began.append(second(7))
    silent = LoggedJob(settings=[settings(schedule="*/10 * * * * *")], paused=False, terms=[])
    log = Log(
        events=40,
        streams=9,
        jobs={POST: post, GET: get, SILENT: silent},
        deleted={"j-gone"},
        checks={each.execution_id: each for each in [*post.checks, *get.checks]},
        pings=[(WATCHED, a_ping("p1", 3)), (SILENT, a_ping("s1", 4, run_id="r"))],
        misses=[(SILENT, a_miss(10), second(11)), (WATCHED, a_miss(70), second(71))],
    )
    repeated = a_call(get.checks[0], method="GET", number=1)
    return ChaosEvidence(
        log=log,
        calls=[
            *(a_call(each, method="POST", number=0) for each in post.checks),
            repeated,
            replace(repeated, arrived_at=second(7.5)),
            a_call(get.checks[1], method="GET", number=1),
        ],
        promises=Promises(
            pings={"p1": None, "s1": "r"},
            runs={"e-run"},
            written=[Written(job_id=POST, fields=FIELDS)],
            deleted={"j-gone"},
            reports=[(WATCHED, second(1).timestamp(), second(2).timestamp())],
            unanswered=3,
        ),
        histories={POST: [shown(each) for each in post.checks]},
        listed=[listed(POST, post.settings[-1])],
        audit="0 rows differ from the log\n",
        clocks_apart=timedelta(seconds=0.5),
        fields=[FIELDS | {"headers": {"X-Token": "canary"}}, {"method": "GET"}],
        pinged=[WATCHED],
        silent=[SILENT],
        faults=[
            Fault(kind="redis flush", began=second(3), ended=second(3)),
            Fault(kind="database crash", began=second(2), ended=second(4)),
        ],
        redis=SeenInRedis(commands=9, messages=3, looks=2, faults={}),
        outside=SeenFromOutside(looks=10, without_a_look=2, at_rest=1, who_rested="e", overdue=3),
        ended=[],
        starts=9,
        started_in_vain=1,
        limit=60,
        began=NOON,
        settled=second(100),
    )
