"""Violations, each to be planted into a run without fault, and the promise that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.live.chaos_evidence import ChaosEvidence
from tests.live.chaos_faults import Fault
from tests.live.chaos_sample import (
    FIELDS,
    GET,
    POST,
    SILENT,
    WATCHED,
    a_call,
    a_check,
    a_miss,
    second,
)
from tests.live.load import Promises, Written
from tests.live.logged import Log
from tests.live.receiver import Call


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
