"""What is promised of the scaled shape beside what both shapes promise, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from tests.live.chaos_evidence import ChaosEvidence
from tests.live.chaos_numbers import goings_on_again
from tests.live.check_findings import ticking_jobs
from tests.live.evidence import Finding
from tests.live.logged import Log, LoggedCheck
from tests.live.tick_accounts import (
    expected_ticks,
    seconds_of,
    ticks_between,
    waits_for_a_record,
)

HALF_A_PERIOD: Final = timedelta(seconds=5)
"""How early a window of a pinged job opens, whose ticks are ten seconds apart."""

AT_REST: Final = timedelta(seconds=5)
"""When it had settled, no miss was waiting for its record for as long as this."""


def chaos_findings(evidence: ChaosEvidence) -> list[Finding]:
    """Hold what is promised of the scaled shape against what is left."""
    return [judge(evidence) for judge in JUDGES]


def recorded_in_time(evidence: ChaosEvidence) -> Finding:
    longest, broken = 0.0, []
    for job_id, job in ticking_jobs(evidence.log).items():
        recorded = [each.recorded() for each in job.checks if each.tick is not None]
        expected = expected_ticks(job.terms, recorded)
        for each, waited in zip(recorded, waits_for_a_record(expected, recorded), strict=False):
            seconds = waited.total_seconds()
            longest = max(longest, seconds)
            if seconds > evidence.limit:
                broken.append(f"{job_id}: a tick before {each.tick:%T} waited {seconds:.1f} s")
    seen = evidence.outside
    if seen.overdue > evidence.limit:
        broken.append(f"from outside a tick was seen to be overdue for {seen.overdue:.1f} s")
    return Finding(
        promise=f"no tick waits over {evidence.limit:.0f} s for its record",
        looked_at=(
            f"longest {longest:.1f} s by the log; seen from outside in {seen.looks} looks:"
            f" {seen.overdue:.1f} s"
        ),
        broken=broken,
    )


def nothing_stuck(evidence: ChaosEvidence) -> Finding:
    """From each event of a check to its next, beyond the time-out of the call."""
    longest, broken = 0.0, []
    for check, timeout in _checks_with_timeouts(evidence.log):
        rested = longest_rest(check) - timeout
        longest = max(longest, rested)
        if rested > evidence.limit:
            broken.append(f"{check.execution_id} ({check.status}) rested for {rested:.1f} s")
    seen = evidence.outside
    if seen.at_rest > evidence.limit:
        broken.append(f"from outside: {seen.who_rested} rested for {seen.at_rest:.1f} s")
    return Finding(
        promise=f"no check is stuck for over {evidence.limit:.0f} s beyond its own time-out",
        looked_at=(
            f"longest {longest:.1f} s by the log; seen from outside: {seen.at_rest:.1f} s"
            f" (no look possible for at most {seen.without_a_look:.1f} s)"
        ),
        broken=broken,
    )


def longest_rest(check: LoggedCheck) -> float:
    """Seconds between two events of a check that has ended."""
    return max(
        ((later - earlier).total_seconds() for earlier, later in pairwise(check.moved)), default=0.0
    )


def _checks_with_timeouts(log: Log) -> Iterator[tuple[LoggedCheck, int]]:
    for job in log.jobs.values():
        timeout = job.settings[-1].timeout
        for check in job.checks:
            yield check, timeout


def going_again(evidence: ChaosEvidence) -> Finding:
    took = goings_on_again(evidence, ("redis restart", "redis flush"))
    return Finding(
        promise=f"calls go on within {evidence.limit:.0f} s of each return of Redis",
        looked_at=f"{len(took)} returns; longest {max(took, default=0):.1f} s",
        broken=[f"only after {each:.1f} s" for each in took if each > evidence.limit],
    )


def not_before_time(evidence: ChaosEvidence) -> Finding:
    checks = evidence.log.checks
    early = [
        (check.tick - call.arrived_at).total_seconds()
        for call in evidence.calls
        if (check := checks.get(call.idempotency_key or "")) and check.tick
    ]
    allowed = evidence.clocks_apart.total_seconds()
    return Finding(
        promise="no call comes before its tick",
        looked_at=f"{len(early)} calls; the earliest {-max(early, default=0) * 1000:.0f} ms after it",
        broken=[f"{each:.3f} s too early" for each in early if each > allowed],
    )


def called_as_configured(evidence: ChaosEvidence) -> Finding:
    broken, looked = [], 0
    for call in evidence.calls:
        number = call.path.split("/")[2]
        if not number.isdecimal() or int(number) >= len(evidence.fields):
            continue
        looked += 1
        fields = evidence.fields[int(number)]
        wanted = (
            fields["method"],
            fields.get("headers", {}).get("X-Token"),
            fields.get("body", ""),
        )
        if (call.method, call.token, call.body) != wanted:
            broken.append(f"{call.path}: another method, secret header or body than was set")
    return Finding(
        promise="each call has the method, secret header and body of its job",
        looked_at=f"{looked} calls",
        broken=broken,
    )


def nothing_in_redis(evidence: ChaosEvidence) -> Finding:
    seen = evidence.redis
    return Finding(
        promise="nothing but ids gets into Redis, and there are no dead letters",
        looked_at=(
            f"{seen.commands} commands read along, {seen.messages} messages in them;"
            f" {seen.looks} looks at all it held"
        ),
        broken=[f"{n} times {what}" for what, n in seen.faults.items()],
    )


def misses_of_pinged(evidence: ChaosEvidence) -> Finding:
    """A window in which an end was reported, and answered before it closed, is not missed."""
    reports: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for job_id, sent, answered in evidence.promises.reports:
        reports[job_id].append((sent, answered))
    apart, broken, looked = evidence.clocks_apart, [], 0
    for job_id, missed, _ in evidence.log.misses:
        if job_id not in evidence.pinged or missed.started_id is not None:
            continue
        looked += 1
        opened = (missed.tick - HALF_A_PERIOD + apart).timestamp()
        closed = (missed.missed_at - apart).timestamp()
        if any(sent >= opened and answered <= closed for sent, answered in reports[job_id]):
            broken.append(f"{job_id}: {missed.tick:%T} is called missed, and was answered for")
    return Finding(
        promise="no window is called missed in which a ping was answered",
        looked_at=f"{len(evidence.promises.reports)} reports of ends; {looked} windows missed",
        broken=broken,
    )


def misses_of_silent(evidence: ChaosEvidence) -> Finding:
    """After each beat the next tick is missed, for it has no tolerance; once, however many beats."""
    broken, counted, latest = [], 0, 0.0
    due_by = evidence.settled - AT_REST
    for job_id in evidence.silent:
        beats = [ping.received_at for owner, ping in evidence.log.pings if owner == job_id]
        expected = {_next_tick(evidence.log, job_id, beat) for beat in beats}
        misses = [(miss, at) for owner, miss, at in evidence.log.misses if owner == job_id]
        ticks = [miss.tick for miss, _ in misses]
        counted += len(ticks)
        latest = max([latest, *((at - miss.missed_at).total_seconds() for miss, at in misses)])
        broken += [f"{job_id}: {t:%T} is missed twice" for t in set(ticks) if ticks.count(t) > 1]
        broken += [f"{job_id}: {t:%T} is missed without cause" for t in set(ticks) - expected]
        broken += [
            f"{job_id}: that {tick:%T} was missed is not recorded"
            for tick in sorted(expected - set(ticks))
            if tick < due_by
        ]
    if latest > evidence.limit:
        broken.append(f"a miss was recorded {latest:.1f} s late")
    return Finding(
        promise="each window that closes unsatisfied is recorded as missed, once",
        looked_at=f"{counted} misses of {len(evidence.silent)} jobs; the latest {latest:.1f} s late",
        broken=broken,
    )


def _next_tick(log: Log, job_id: str, moment: datetime) -> datetime:
    seconds = seconds_of(log.jobs[job_id].settings[-1].schedule)
    return ticks_between(moment, moment + timedelta(minutes=1), seconds=seconds)[0]


def processes_went_on(evidence: ChaosEvidence) -> Finding:
    return Finding(
        promise="no process ends unless it is killed or asked to, and then with exit code 0",
        looked_at=(
            f"{evidence.starts} processes; {evidence.started_in_vain} more found no database when"
            " they started"
        ),
        broken=evidence.ended,
    )


Judge = Callable[[ChaosEvidence], Finding]
JUDGES: Final[Sequence[Judge]] = (
    recorded_in_time,
    nothing_stuck,
    going_again,
    not_before_time,
    called_as_configured,
    misses_of_silent,
    misses_of_pinged,
    nothing_in_redis,
    processes_went_on,
)
"""Everything that is promised of the scaled shape alone."""
