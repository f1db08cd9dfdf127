"""Holding what is left after the crashes against everything that was promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.execution import CheckFailed, CheckStarted
from domain.job import JobCreated, JobUpdated
from domain.pings import PingReceived
from eventstore import hashing
from tests.live.evidence import Event, Evidence
from tests.live.receiver import Call
from tests.live.tick_accounts import Recorded, faults_of_ticks, ticks_between

_SHOWN: Final = 5
_ENVELOPE: Final = (
    "position",
    "stream",
    "version",
    "event_id",
    "type",
    "schema_version",
    "subject",
    "account",
    "actor",
    "recorded_at",
    "correlation_id",
    "causation_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was promised, in how many cases it was looked at, and where it was broken."""

    promise: str
    looked_at: str
    broken: Sequence[str] = field(default=())

    def __str__(self) -> str:
        told = f"{'BROKEN' if self.broken else 'kept':6}  {self.promise}\n        {self.looked_at}"
        shown = [f"\n        - {each}" for each in self.broken[:_SHOWN]]
        more = len(self.broken) - len(shown)
        return told + "".join(shown) + (f"\n        - and {more} more" if more > 0 else "")


def findings(evidence: Evidence) -> list[Finding]:
    """Hold everything that was promised against what is left."""
    return [
        _pings(evidence),
        _ticks(evidence),
        _calls_at_most_once(evidence),
        _calls_known(evidence),
        _successes_called(evidence),
        _runs(evidence),
        _nothing_stuck(evidence),
        _deleted(evidence),
        _integrity(evidence),
        _chain(evidence),
        _audit(evidence),
        _refused(evidence),
        _logged(evidence),
    ]


def _pings(evidence: Evidence) -> Finding:
    logged = Counter(
        each.content.client for each in evidence.events if isinstance(each.content, PingReceived)
    )
    answered = evidence.promises.pings
    lost = [f"{mark} was answered and is not in the log" for mark in sorted(answered - set(logged))]
    twice = [f"{mark} is there {n} times" for mark, n in logged.items() if mark and n > 1]
    return Finding(
        promise="every ping answered with 200 is in the log, once",
        looked_at=f"{len(answered)} answered with 200; lost {len(lost)}, twice {len(twice)}",
        broken=[*lost, *twice],
    )


def _ticks(evidence: Evidence) -> Finding:
    broken: list[str] = []
    counts: Counter[str] = Counter()
    for job in evidence.jobs:
        began, ended = _lifetime(evidence, job.job_id)
        expected = ticks_between(began, ended, every=job.every)
        scheduled = [each for each in evidence.executions[job.job_id] if each["scheduledFor"]]
        recorded = [Recorded.of(each) for each in scheduled]
        broken += [f"{job.job_id} {fault}" for fault in faults_of_ticks(expected, recorded)]
        counts["ticks"] += len(expected)
        counts["rows"] += len(scheduled)
        counts["swallowed"] += sum(each.skipped_ticks for each in recorded)
        counts.update(each["status"] for each in scheduled)
    return Finding(
        promise="every tick is recorded exactly once, or counted in the next one's skippedTicks",
        looked_at=(
            f"{counts['ticks']} ticks of {len(evidence.jobs)} jobs: {counts['rows']} executions"
            f" ({counts['success']} success, {counts['failed']} failed, {counts['skipped']} skipped)"
            f" and {counts['swallowed']} skippedTicks"
        ),
        broken=broken,
    )


def _lifetime(evidence: Evidence, job_id: str) -> tuple[datetime, datetime]:
    """From a job's creation to its last update, which ended its ticks."""
    contents = [each.content for each in evidence.events if each.row["stream"] == f"job-{job_id}"]
    (began,) = [each.created_at for each in contents if isinstance(each, JobCreated)]
    (ended,) = [each.updated_at for each in contents if isinstance(each, JobUpdated)]
    return began, ended


def _calls_at_most_once(evidence: Evidence) -> Finding:
    calls = [call for call in evidence.calls if call.method == "POST"]
    times = Counter(call.idempotency_key for call in calls)
    abandoned = [
        each
        for each in evidence.events
        if isinstance(each.content, CheckFailed) and each.content.reason == "abandoned"
    ]
    return Finding(
        promise="no POST was ever called twice",
        looked_at=(
            f"{len(calls)} POST calls with {len(times)} Idempotency-Keys;"
            f" {len(abandoned)} executions were abandoned"
        ),
        broken=[f"{key} was called {n} times" for key, n in times.items() if n > 1],
    )


def _calls_known(evidence: Evidence) -> Finding:
    """A call belongs to an execution that was begun before it, and to no fewer beginnings."""
    begun: defaultdict[str, list[Event]] = defaultdict(list)
    for each in evidence.events:
        if each.row["type"] == "CheckStarted":
            begun[each.execution_id].append(each)
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        calls[call.idempotency_key or ""].append(call)
    broken = []
    for key, made in calls.items():
        starts = begun[key]
        first = starts[0].content if starts else None
        if len(made) > len(starts):
            broken.append(f"{key} was called {len(made)} times and begun {len(starts)} times")
        elif isinstance(first, CheckStarted) and made[0].arrived_at < first.started_at:
            broken.append(f"{key} was called before the log knew of it")
    repeated = sum(len(made) > 1 for made in calls.values())
    return Finding(
        promise="the receiver never got a call that the log doesn't know",
        looked_at=(
            f"{len(evidence.calls)} calls of {len(calls)} executions, {repeated} of them repeated"
        ),
        broken=broken,
    )


def _successes_called(evidence: Evidence) -> Finding:
    called = {call.idempotency_key for call in evidence.calls}
    successes = [
        each["id"]
        for each in evidence.history()
        if each["status"] == "success" and each["trigger"] != "ping"
    ]
    return Finding(
        promise="what the log calls a success did reach the receiver",
        looked_at=f"{len(successes)} successful executions",
        broken=[f"{each} never arrived" for each in successes if each not in called],
    )


def _runs(evidence: Evidence) -> Finding:
    known = {each["id"]: each["status"] for each in evidence.history()}
    asked = sorted(evidence.promises.runs)
    return Finding(
        promise="every run that was answered with 202 came to an end",
        looked_at=f"{len(asked)} answered with 202",
        broken=[
            f"{each} is {known.get(each, 'not there')}"
            for each in asked
            if known.get(each) not in {"success", "failed"}
        ],
    )


def _nothing_stuck(evidence: Evidence) -> Finding:
    listed = [
        each["id"]
        for each in evidence.history()
        if each["status"] in {"queued", "running"} and each["trigger"] != "ping"
    ]
    in_flight = [row["execution_id"] for row in evidence.rows("SELECT * FROM checks_in_flight")]
    erasing = [
        row["subject"] for row in evidence.rows("SELECT * FROM sealed_subjects WHERE NOT finished")
    ]
    return Finding(
        promise="nothing is stuck: no check queued or running, no erasure unfinished",
        looked_at=f"{len(evidence.history())} executions",
        broken=[f"{each} is stuck" for each in {*listed, *in_flight, *erasing}],
    )


def _deleted(evidence: Evidence) -> Finding:
    left = {
        "payloads": "SELECT count(*) n FROM events WHERE subject = ? AND payload IS NOT NULL"
        " AND stream NOT LIKE 'erasure-%'",
        "secrets": "SELECT count(*) n FROM secrets WHERE subject = ?",
        "executions": "SELECT count(*) n FROM executions WHERE job_id = ?",
    }
    deleted = sorted(evidence.promises.deleted)
    broken = [f"{each} is still answered for" for each in evidence.found_again]
    for job_id in deleted:
        for what, statement in left.items():
            ((number,),) = evidence.rows(statement, job_id)
            if number:
                broken.append(f"{job_id} left {number} {what}")
    return Finding(
        promise="every job deleted with 204 is gone for good",
        looked_at=f"{len(deleted)} deleted with 204",
        broken=broken,
    )


def _integrity(evidence: Evidence) -> Finding:
    said = [str(row[0]) for row in evidence.rows("PRAGMA integrity_check")]
    return Finding(
        promise="the database passes PRAGMA integrity_check",
        looked_at=f"{evidence.database.stat().st_size / 1e6:.1f} MB",
        broken=[each for each in said if each != "ok"],
    )


def _chain(evidence: Evidence) -> Finding:
    """Positions and versions are without gaps, and every hash is what the rules make of the rows."""
    broken: list[str] = []
    head = hashing.CHAIN_START
    versions: Counter[str] = Counter()
    for position, event in enumerate(evidence.events, start=1):
        row = event.row
        versions[row["stream"]] += 1
        if (row["position"], row["version"]) != (position, versions[row["stream"]]):
            broken.append(f"position {row['position']} is out of place")
        if row["payload"] is not None:
            digest = hashing.payload_hash(row["salt"], row["payload"])
            if digest != row["payload_hash"]:
                broken.append(f"position {position} has another payload than its hash says")
        envelope = {name: row[name] for name in _ENVELOPE}
        leaf = hashing.leaf(hashing.envelope(**envelope), row["payload_hash"])
        head = hashing.link(head, leaf)
        if head != row["chain_hash"]:
            broken.append(f"position {position} breaks the chain")
    ((position, chain_hash),) = evidence.rows("SELECT position, chain_hash FROM log_head")
    if (position, chain_hash) != (len(evidence.events), head):
        broken.append("the head is not that of the log")
    return Finding(
        promise="the log has no gaps, and its hash chain recomputes",
        looked_at=f"{len(evidence.events)} events in {len(versions)} streams",
        broken=broken,
    )


def _audit(evidence: Evidence) -> Finding:
    lines = evidence.audit.splitlines()
    return Finding(
        promise="audit check finds no difference between the log and the read models",
        looked_at=lines[-1] if lines else "it said nothing",
        broken=[] if lines == ["0 rows differ from the log"] else lines or ["it said nothing"],
    )


def _refused(evidence: Evidence) -> Finding:
    promises = evidence.promises
    return Finding(
        promise="no request got an answer other than the one it should get",
        looked_at=f"{promises.unanswered} requests went without an answer",
        broken=[f"{n} times {answer}" for answer, n in promises.refused.items()],
    )


def _logged(evidence: Evidence) -> Finding:
    return Finding(
        promise="the service had nothing to complain about",
        looked_at=f"{len(evidence.logged)} lines at level warning or above",
        broken=evidence.logged,
    )
