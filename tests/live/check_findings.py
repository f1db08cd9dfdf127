"""What was promised of ticks, checks and calls, held against the log and the receiver's record."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from tests.live.evidence import Evidence, Finding
from tests.live.logged import Log, LoggedCheck, LoggedJob
from tests.live.receiver import Call
from tests.live.tick_accounts import expected_ticks, faults_of_ticks

_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def ticks(evidence: Evidence) -> Finding:
    broken: list[str] = []
    counts: Counter[str] = Counter()
    for job_id, job in ticking_jobs(evidence.log).items():
        scheduled = [each for each in job.checks if each.tick is not None]
        recorded = [each.recorded() for each in scheduled]
        expected = expected_ticks(job.terms, recorded)
        broken += [f"{job_id} {fault}" for fault in faults_of_ticks(expected.ticks, recorded)]
        counts["jobs"] += 1
        counts["ticks"] += len(expected.ticks)
        counts["dropped"] += len(expected.dropped)
        counts["rows"] += len(scheduled)
        counts["swallowed"] += sum(each.skipped_ticks for each in recorded)
        counts.update(each.status for each in scheduled)
    return Finding(
        promise="every tick is recorded exactly once, or counted in the next one's skippedTicks",
        looked_at=(
            f"{counts['ticks']} ticks of {counts['jobs']} jobs: {counts['rows']} executions"
            f" ({counts['success']} success, {counts['failed']} failed, {counts['skipped']} skipped)"
            f" and {counts['swallowed']} skippedTicks; {counts['dropped']} never came out of a pause"
        ),
        broken=broken,
    )


def ticking_jobs(log: Log) -> Mapping[str, LoggedJob]:
    """The jobs that ever ticked, with terms that are comparable with what was recorded."""
    return {
        job_id: job for job_id, job in log.jobs.items() if any(each.seconds for each in job.terms)
    }


def calls_at_most_once(evidence: Evidence) -> Finding:
    """By the key of the call, and by the tick that the log gives to that key."""
    calls = [call for call in evidence.calls if call.method not in _REPEATABLE]
    times = Counter(call.idempotency_key for call in calls)
    ticks = Counter(
        (check.job_id, check.tick)
        for key in times
        if key is not None and (check := evidence.log.checks.get(key)) and check.tick
    )
    abandoned = [each for each in evidence.log.checks.values() if each.reason == "abandoned"]
    return Finding(
        promise="no POST, PUT, PATCH or DELETE was ever called twice",
        looked_at=(
            f"{len(calls)} such calls with {len(times)} Idempotency-Keys for {len(ticks)} ticks;"
            f" {len(abandoned)} executions were abandoned"
        ),
        broken=[
            *(f"{key} was called {n} times" for key, n in times.items() if n > 1),
            *(
                f"{job_id} {tick:%T} was called {n} times"
                for (job_id, tick), n in ticks.items()
                if n > 1
            ),
            *("a call came without a key" for key in times if key is None),
        ],
    )


def calls_known(evidence: Evidence) -> Finding:
    """A call belongs to an execution that was begun before it, and to no fewer beginnings."""
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        calls[call.idempotency_key or ""].append(call)
    broken = []
    for key, made in calls.items():
        check = evidence.log.checks.get(key)
        began: Sequence[datetime] = () if check is None else check.began
        if len(made) > len(began):
            broken.append(f"{key} was called {len(made)} times and begun {len(began)} times")
        elif made[0].arrived_at < began[0] - evidence.clocks_apart:
            broken.append(f"{key} was called before the log knew of it")
    repeated = sum(len(made) > 1 for made in calls.values())
    return Finding(
        promise="the receiver never got a call that the log doesn't know",
        looked_at=(
            f"{len(evidence.calls)} calls of {len(calls)} executions, {repeated} of them repeated"
        ),
        broken=broken,
    )


def outcomes_called(evidence: Evidence) -> Finding:
    """Whoever recorded an answer's status must have got that answer."""
    called = {call.idempotency_key for call in evidence.calls}
    answered = [each for each in evidence.log.checks.values() if each.status_code is not None]
    successes = sum(each.status == "success" for each in answered)
    return Finding(
        promise="what the log calls answered did reach the receiver",
        looked_at=f"{len(answered)} executions with an answer, {successes} of them successful",
        broken=[
            f"{each.execution_id} never arrived"
            for each in answered
            if each.execution_id not in called
        ],
    )


def runs(evidence: Evidence) -> Finding:
    checks, asked = evidence.log.checks, sorted(evidence.promises.runs)

    def state(execution_id: str) -> str:
        check = checks.get(execution_id)
        return "not there" if check is None else check.status

    return Finding(
        promise="every run that was answered with 202 came to an end",
        looked_at=f"{len(asked)} answered with 202",
        broken=[
            f"{each} is {state(each)}"
            for each in asked
            if state(each) not in {"success", "failed"} and not _is_erased(checks.get(each))
        ],
    )


def _is_erased(check: LoggedCheck | None) -> bool:
    return check is not None and check.erased


def histories(evidence: Evidence) -> Finding:
    """What the API lists of a job's checks is what the log tells of them."""
    broken, rows = [], 0
    for job_id, listed in evidence.histories.items():
        shown = {
            each["id"]: (each["scheduledFor"], each["skippedTicks"], each["status"], each["reason"])
            for each in listed
            if each["trigger"] in {"schedule", "manual"}
        }
        told = {
            each.execution_id: (_as_sent(each.tick), each.skipped_ticks, each.status, each.reason)
            for each in evidence.log.jobs[job_id].checks
        }
        rows += len(shown)
        broken += [
            f"{key}: the API shows {shown.get(key)}, the log tells {told.get(key)}"
            for key in sorted(shown.keys() | told.keys())
            if shown.get(key) != told.get(key)
        ]
    return Finding(
        promise="the history that the API lists is the one that the log tells",
        looked_at=f"{rows} executions of {len(evidence.histories)} jobs",
        broken=broken,
    )


def _as_sent(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
