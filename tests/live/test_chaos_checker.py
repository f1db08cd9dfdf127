"""The checker of chaos runs finds every kind of violation: each is planted into a run without any."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.heartbeat import HeartbeatMissed
from domain.job_fields import JobSettings
from domain.pings import PingReceived
from tests.live.chaos import Options
from tests.live.chaos_evidence import (
    ChaosEvidence,
    SeenFromOutside,
    SeenInRedis,
    complaints,
)
from tests.live.chaos_faults import Fault
from tests.live.chaos_numbers import numbers
from tests.live.chaos_redis import RedisWitness, fault_of_message
from tests.live.chaos_run import as_json, judged, report
from tests.live.chaos_watch import Rest
from tests.live.load import Promises, Written
from tests.live.logged import Log, LoggedCheck, LoggedJob
from tests.live.receiver import Call
from tests.live.tick_accounts import NEVER, Terms, seconds_of

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
OPTIONS = Options(jobs=4, seed=7, plan=[], calm=0, limit=60)
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


def broken(evidence: ChaosEvidence) -> dict[str, list[str]]:
    return {each.promise: list(each.broken) for each in judged(evidence) if each.broken}


@dataclass(frozen=True)
class Planted:
    """Something that is done to a run without fault, and the promise that it breaks."""

    promise: str
    words: str
    doctor: Callable[[ChaosEvidence], ChaosEvidence | None]
    alone: bool = True
    """Whether no other promise is broken by it."""


def with_calls(change: Callable[[list[Call]], object]) -> Callable[[ChaosEvidence], ChaosEvidence]:
    def doctor(run: ChaosEvidence) -> ChaosEvidence:
        calls = list(run.calls)
        change(calls)
        return replace(run, calls=calls)

    return doctor


def with_log(change: Callable[[Log], object]) -> Callable[[ChaosEvidence], None]:
    def doctor(run: ChaosEvidence) -> None:
        change(run.log)

    return doctor


def with_promises(change: Callable[[Promises], object]) -> Callable[[ChaosEvidence], None]:
    def doctor(run: ChaosEvidence) -> None:
        change(run.promises)

    return doctor


def without_check(key: str) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        job = log.jobs[log.checks[key].job_id]
        job.checks = [each for each in job.checks if each.execution_id != key]

    return change


def set_check(key: str, **fields: Any) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        for name, value in fields.items():
            setattr(log.checks[key], name, value)

    return change


def another_tick(log: Log) -> None:
    log.jobs[POST].checks.append(a_check(POST, 8))


def a_second_post(calls: list[Call]) -> None:
    calls.append(calls[0])


def the_same_tick_by_another_key(run: ChaosEvidence) -> ChaosEvidence:
    twin = replace(run.log.checks["e-j-post-2"], execution_id="e-twin")
    run.log.checks["e-twin"] = twin
    return replace(run, calls=[*run.calls, a_call(twin, method="POST", number=0)])


TICKS = "every tick is recorded exactly once"
ONCE = "ever called twice"
KNOWN = "never got a call that the log doesn't know"
PLANTED = {
    "a tick is lost": Planted(
        TICKS, "12:00:08 is missing", with_log(without_check("e-j-post-8")), alone=False
    ),
    "a swallowed tick is not counted": Planted(
        TICKS,
        "12:00:04 is missing",
        with_log(set_check("e-j-post-6", skipped_ticks=0)),
        alone=False,
    ),
    "a tick is recorded twice": Planted(
        TICKS, "12:00:08 is accounted for 2 times", with_log(another_tick), alone=False
    ),
    "a tick is recorded and counted": Planted(
        TICKS,
        "12:00:06 is accounted for 2 times",
        with_log(set_check("e-j-post-8", skipped_ticks=1)),
        alone=False,
    ),
    "a tick that never was is recorded": Planted(
        TICKS,
        "12:00:07 (+0) is more",
        with_log(set_check("e-j-post-8", tick=second(7))),
        alone=False,
    ),
    "a POST is called twice": Planted(
        ONCE, "called 2 times", with_calls(a_second_post), alone=False
    ),
    "a POST's tick is called by two keys": Planted(
        ONCE, "12:00:02 was called 2 times", the_same_tick_by_another_key
    ),
    "a call has no key": Planted(
        ONCE,
        "without a key",
        with_calls(lambda calls: calls.append(replace(calls[0], idempotency_key=None))),
        alone=False,
    ),
    "a call is not in the log": Planted(
        KNOWN,
        "begun 0 times",
        with_calls(lambda calls: calls.append(replace(calls[3], idempotency_key="e-unknown"))),
    ),
    "a GET is called more often than begun": Planted(
        KNOWN, "called 3 times and begun 2 times", with_calls(lambda calls: calls.append(calls[3]))
    ),
    "a call comes before its beginning": Planted(
        KNOWN, "before the log knew", with_log(set_check("e-j-post-8", began=[second(10.2)]))
    ),
    "an answer is recorded that nobody gave": Planted(
        "did reach the receiver", "e-j-post-2 never arrived", with_calls(lambda calls: calls.pop(0))
    ),
    "a ping is lost": Planted(
        "every ping answered with 200",
        "p9 was answered and is not",
        with_promises(lambda p: p.pings.update({"p9": None})),
    ),
    "a ping is there twice": Planted(
        "every ping answered with 200",
        "p1 is there 2 times",
        with_log(lambda log: log.pings.append(log.pings[0])),
    ),
    "a ping has lost its rid": Planted(
        "every ping answered with 200",
        "has the rid r, not other",
        with_promises(lambda p: p.pings.update({"s1": "other"})),
    ),
    "a created job is lost": Planted(
        "every job created or changed",
        "j-new: ",
        with_promises(lambda p: p.written.append(Written(job_id="j-new", fields=FIELDS))),
    ),
    "a change is lost": Planted(
        "every job created or changed",
        "'c1-5'",
        with_promises(lambda p: p.written.append(Written(job_id=POST, fields={"name": "c1-5"}))),
    ),
    "the API shows an old job": Planted(
        "every job created or changed",
        "shows name 'old'",
        lambda run: replace(run, listed=[{**run.listed[0], "name": "old"}]),
    ),
    "a run never ends": Planted(
        "every run that was answered",
        "e-run is running",
        with_log(set_check("e-run", status="running", status_code=None)),
        alone=False,
    ),
    "a run is lost": Planted(
        "every run that was answered",
        "e-lost is not there",
        with_promises(lambda p: p.runs.add("e-lost")),
    ),
    "a deletion is lost": Planted(
        "gone for good", "is not deleted in the log", with_promises(lambda p: p.deleted.add(GET))
    ),
    "something is left of a deleted job": Planted(
        "gone for good",
        "j-gone left secrets",
        lambda run: replace(run, left=["j-gone left secrets"]),
    ),
    "the API hides an execution": Planted(
        "the history that the API lists",
        "the API shows None",
        lambda run: replace(run, histories={POST: run.histories[POST][1:]}),
    ),
    "a check is open in the end": Planted(
        "nothing is left",
        "e-j-get-5 is unfinished",
        with_log(set_check("e-j-get-5", status="queued", status_code=None)),
    ),
    "an erasure is unfinished": Planted(
        "nothing is left", "j-gone is unfinished", lambda run: replace(run, unfinished=["j-gone"])
    ),
    "the chain is broken": Planted(
        "hash chain recomputes", "position 3", with_log(lambda log: log.faults.append("position 3"))
    ),
    "the API processes disagree": Planted(
        "hash chain recomputes",
        "different jobs",
        lambda run: replace(run, corrupt=["different jobs"]),
    ),
    "a read model is wrong": Planted(
        "audit check", "jobs j-post", lambda run: replace(run, audit="jobs j-post: differs\n1 rows")
    ),
    "the audit says nothing": Planted(
        "audit check", "said nothing", lambda run: replace(run, audit="")
    ),
    "an answer is a 500": Planted(
        "other than the one it should get",
        "500",
        with_promises(lambda p: p.refused.update({"GET jobs: 500": 2})),
    ),
    "an error is logged": Planted(
        "nothing to complain about",
        "a part failed",
        lambda run: replace(run, complaints=["a part failed"]),
    ),
    "a tick waits too long for its record": Planted(
        "waits over 60 s for its record",
        "waited 61.0 s",
        with_log(set_check("e-j-post-6", moved=[second(65), second(66), second(67)])),
    ),
    "a tick is seen to be overdue": Planted(
        "waits over 60 s for its record",
        "from outside",
        lambda run: replace(run, outside=replace(run.outside, overdue=61)),
    ),
    "a check rests too long": Planted(
        "no check is stuck",
        "e-j-get-5 (success) rested for 61.0 s",
        with_log(set_check("e-j-get-5", moved=[second(5), second(6), second(77)])),
    ),
    "a check is seen at rest": Planted(
        "no check is stuck",
        "rested for 61.0 s",
        lambda run: replace(run, outside=replace(run.outside, at_rest=61)),
    ),
    "Redis returns and nothing goes on": Planted(
        "within 60 s of each return of Redis",
        "only after 60.5 s",
        lambda run: replace(
            run, faults=[Fault(kind="redis restart", began=second(30), ended=second(39.5))]
        ),
    ),
    "a call comes before its tick": Planted(
        "no call comes before its tick",
        "0.600 s too early",
        with_log(
            lambda log: (
                set_check("e-j-get-5", began=[second(4), second(7)])(log),
                set_check("e-j-get-5", tick=second(7.1))(log),
            )
        ),
        alone=False,
    ),
    "a secret header is lost": Planted(
        "method, secret header and body",
        "/quick/0",
        with_calls(lambda calls: calls.__setitem__(0, replace(calls[0], token=None))),
    ),
    "a body is another's": Planted(
        "method, secret header and body",
        "/quick/0",
        with_calls(lambda calls: calls.__setitem__(0, replace(calls[0], body="other"))),
    ),
    "a miss is recorded twice": Planted(
        "recorded as missed, once",
        "12:00:10 is missed twice",
        with_log(lambda log: log.misses.append(log.misses[0])),
    ),
    "a miss is not recorded": Planted(
        "recorded as missed, once",
        "that 12:00:10 was missed is not",
        with_log(lambda log: log.misses.pop(0)),
    ),
    "a miss has no cause": Planted(
        "recorded as missed, once",
        "12:00:30 is missed without cause",
        with_log(lambda log: log.misses.append((SILENT, a_miss(30), second(31)))),
    ),
    "a miss is recorded late": Planted(
        "recorded as missed, once",
        "61.0 s late",
        with_log(lambda log: log.misses.__setitem__(0, (SILENT, a_miss(10), second(71)))),
    ),
    "a window is missed that was answered": Planted(
        "in which a ping was answered",
        "12:01:10 is called missed",
        with_promises(
            lambda p: p.reports.append((WATCHED, second(66).timestamp(), second(69).timestamp()))
        ),
    ),
    "a secret is in Redis": Planted(
        "nothing but ids gets into Redis",
        "2 times a secret",
        lambda run: replace(run, redis=replace(run.redis, faults={"a secret": 2})),
    ),
    "a process ends by itself": Planted(
        "no process ends unless", "api-1 ended", lambda run: replace(run, ended=["api-1 ended"])
    ),
}


def test_a_run_without_fault_keeps_every_promise() -> None:
    assert broken(a_run_without_fault()) == {}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(planted: Planted) -> None:
    run = a_run_without_fault()
    found = broken(planted.doctor(run) or run)
    (promise,) = [each for each in found if planted.promise in each]
    assert any(planted.words in each for each in found[promise]), found
    assert not planted.alone or len(found) == 1, found


def test_every_promise_can_be_broken() -> None:
    promises = [each.promise for each in judged(a_run_without_fault())]
    assert len(set(promises)) == len(promises)
    never = [p for p in promises if not any(each.promise in p for each in PLANTED.values())]
    assert never == []


def test_the_report_and_the_exit_say_what_was_found() -> None:
    run = a_run_without_fault()
    text = report(run, judged(run), options=OPTIONS)
    assert text.endswith(f"all {len(judged(run))} kept")
    assert "seed 7, 4 jobs" in text
    assert "1 x database crash, 1 x redis flush" in text
    assert as_json(run, judged(run), options=OPTIONS)["kept"] is True

    run = replace(run, ended=["api-1 ended"])
    text = report(run, judged(run), options=OPTIONS)
    assert text.endswith("1 broken")
    assert "BROKEN  no process ends" in text
    content = as_json(run, judged(run), options=OPTIONS)
    assert content["kept"] is False
    json.dumps(content, default=str)


def test_lateness_is_told_apart_by_whether_a_fault_is_nearby() -> None:
    run = a_run_without_fault()
    late = a_check(POST, 40)
    run.log.checks[late.execution_id] = late
    arrived = replace(a_call(late, method="POST", number=0), arrived_at=second(43))
    measured = numbers(replace(run, calls=[*run.calls, arrived]))
    assert (measured.late_in_calm.count, measured.late_in_calm.most) == (1, 3.0)
    assert (measured.late_in_chaos.count, measured.late_in_chaos.most) == (4, 1.5)
    assert measured.longest_silence == pytest.approx(43 - 9.5)
    assert measured.redis_again.most == pytest.approx(6.5 - 3)  # the tick of second 5
    assert (measured.database_away.most, measured.database_again.most) == (2.0, 2.5)


def test_what_rests_is_counted_from_when_it_was_first_seen_so() -> None:
    rest = Rest()
    row: dict[str, Any] = {"execution_id": "e", "version": 1, "status": "queued", "timeout": 10}
    rest.seen([row], 100)
    rest.seen([row], 170)
    assert (rest.longest, rest.who) == (60, "e, queued at version 1")
    rest.seen([row | {"version": 2}], 175)
    rest.seen([row | {"version": 2}], 250)
    assert rest.longest == 65
    rest.seen([], 300)
    rest.seen([row | {"version": 2}], 400)
    assert rest.longest == 65


MESSAGE = {
    "queue_name": "checks",
    "actor_name": "run_checks",
    "args": [["e" + "0" * 33]],
    "kwargs": {},
    "options": {},
    "message_id": "1",
    "message_timestamp": 1,
}


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (MESSAGE, None),
        (MESSAGE | {"args": [["e" + "0" * 33, "http://example.com"]]}, "more than ids"),
        (MESSAGE | {"args": [[{"id": "e" + "0" * 33}]]}, "more than ids"),
        (MESSAGE | {"kwargs": {"url": "x"}}, "arguments with names"),
        (MESSAGE | {"options": {"delay": 1}}, "options"),
        (MESSAGE | {"headers": {}}, "more fields: ['headers']"),
    ],
)
def test_a_message_with_more_than_ids_is_noticed(
    message: dict[str, Any], fault: str | None
) -> None:
    found = fault_of_message(json.dumps(message))
    assert found is None if fault is None else fault in (found or "")


def test_what_is_sent_to_redis_is_read_along() -> None:
    witness = RedisWitness("redis://127.0.0.1")
    escaped = json.dumps(MESSAGE).replace('"', '\\"')
    witness.note_command(f'+1.5 [0 lua] "RPUSH" "cronpulse:checks" "{escaped}"')
    witness.note_command('+1.5 [0 127.0.0.1:1] "EVALSHA" "1" "cronpulse:checks" "10"')
    assert (witness.commands, witness.messages, witness.faults) == (2, 1, {})
    witness.note_command('+1.5 [0 127.0.0.1:1] "SET" "x" "canary-token-1"')
    escaped = json.dumps(MESSAGE | {"kwargs": {"a": 1}}).replace('"', '\\"')
    witness.note_command(f'+1.5 [0 lua] "LPUSH" "cronpulse:checks" "{escaped}"')
    assert list(witness.faults) == [
        "a secret or a payload was sent",
        "a message has options, or arguments with names",
    ]


def entry(level: str, message: str, **more: str) -> str:
    return json.dumps({"level": level, "message": message, **more})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (entry("warning", "execution e1 is left to be found again: the database is away"), None),
        (entry("warning", "the database can't be listened to; trying again"), None),
        (entry("warning", "3 checks have to wait: it is away", exception="E: x"), "E: x"),
        (entry("warning", "something else"), "something else"),
        (entry("error", "a step of the scheduler failed", exception="a\nE: y"), "E: y"),
        (entry("warning", "execution canary is left to be found again: x"), "a secret"),
        ("Traceback (most recent call last):", "Traceback"),
        ("cronpulse: the database server can't be reached", None),
        ("cronpulse: the database is damaged", "damaged"),
    ],
)
def test_only_outages_may_be_warned_of(line: str, told: str | None) -> None:
    found = list(complaints([("worker-1", line)]))
    assert bool(found) == (told is not None)
    assert all(told is not None and told in each and "worker-1" in each for each in found)
