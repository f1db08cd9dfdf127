"""Holding what is left after the crashes against everything that was promised, in either shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.live import check_findings
from tests.live.evidence import Evidence, Finding
from tests.live.load import Written
from tests.live.logged import LoggedJob

_ON_THE_WIRE: Final = {
    "name": "name",
    "url": "url",
    "method": "method",
    "schedule": "schedule",
    "timeout": "timeout",
    "body": "body",
    "mode": "mode",
    "heartbeat": "heartbeat",
    "heartbeatTolerance": "heartbeat_tolerance",
}
"""Fields of a job that a promise may be about: as they are sent, and as settings call them."""


Judge = Callable[[Evidence], Finding]


def findings(evidence: Evidence) -> list[Finding]:
    """Hold everything that was promised against what is left."""
    return [judge(evidence) for judge in JUDGES]


def pings(evidence: Evidence) -> Finding:
    logged = Counter(ping.client for _, ping in evidence.log.pings)
    run_ids = {ping.client: ping.run_id for _, ping in evidence.log.pings}
    answered = evidence.promises.pings
    lost = [f"{mark} was answered and is not in the log" for mark in answered if not logged[mark]]
    twice = [f"{mark} is there {n} times" for mark, n in logged.items() if mark and n > 1]
    changed = [
        f"{mark} has the rid {run_ids[mark]}, not {rid}"
        for mark, rid in answered.items()
        if mark in run_ids and run_ids[mark] != rid
    ]
    return Finding(
        promise="every ping answered with 200 is in the log, once",
        looked_at=f"{len(answered)} answered with 200; lost {len(lost)}, twice {len(twice)}",
        broken=[*lost, *twice, *changed],
    )


def writes(evidence: Evidence) -> Finding:
    """Jobs that were created and changed: the log has what was sent, and the API shows the last of it."""
    log, written = evidence.log, evidence.promises.written
    broken = [
        f"{each.job_id}: {each.fields} was answered and is not in the log"
        for each in written
        if each.job_id not in log.deleted and not _is_in_the_log(each, log.jobs.get(each.job_id))
    ]
    shown = {job["id"]: job for job in evidence.listed}
    for job_id in {each.job_id for each in written} & log.jobs.keys():
        settings = _on_the_wire(log.jobs[job_id])
        listed = {name: shown.get(job_id, {}).get(name) for name in settings}
        broken += [
            f"{job_id}: the API shows {name} {listed[name]!r}, the log has {value!r}"
            for name, value in settings.items()
            if listed[name] != value
        ]
    return Finding(
        promise="every job created or changed with a success is in the log so, and is shown so",
        looked_at=f"{len(written)} creations and changes of {len(shown)} jobs",
        broken=broken,
    )


def _is_in_the_log(written: Written, job: LoggedJob | None) -> bool:
    if job is None:
        return False
    sent = {_ON_THE_WIRE[name]: v for name, v in written.fields.items() if name in _ON_THE_WIRE}
    return any(
        all(getattr(settings, name) == value for name, value in sent.items())
        for settings in job.settings
    )


def _on_the_wire(job: LoggedJob) -> Mapping[str, Any]:
    now = {wire: getattr(job.settings[-1], name) for wire, name in _ON_THE_WIRE.items()}
    return now | {"paused": job.paused}


def nothing_unfinished(evidence: Evidence) -> Finding:
    checks = evidence.log.checks.values()
    open_ = [each.execution_id for each in checks if each.is_open and not each.erased]
    return Finding(
        promise="nothing is left: no check queued or running, no erasure unfinished",
        looked_at=f"{len(checks)} executions",
        broken=[f"{each} is unfinished" for each in sorted({*open_, *evidence.unfinished})],
    )


def deleted(evidence: Evidence) -> Finding:
    return Finding(
        promise="every job deleted with 204 is gone for good",
        looked_at=f"{len(evidence.promises.deleted)} deleted with 204",
        broken=[
            *evidence.left,
            *(
                f"{each} is not deleted in the log"
                for each in sorted(evidence.promises.deleted - evidence.log.deleted)
            ),
        ],
    )


def chain(evidence: Evidence) -> Finding:
    return Finding(
        promise="the log has no gaps, and its hash chain recomputes",
        looked_at=f"{evidence.log.events} events in {evidence.log.streams} streams",
        broken=[*evidence.log.faults, *evidence.corrupt],
    )


def audit(evidence: Evidence) -> Finding:
    lines = evidence.audit.splitlines()
    return Finding(
        promise="audit check finds no difference between the log and the read models",
        looked_at=lines[-1] if lines else "it said nothing",
        broken=[] if lines == ["0 rows differ from the log"] else lines or ["it said nothing"],
    )


def refused(evidence: Evidence) -> Finding:
    promises = evidence.promises
    return Finding(
        promise="no request got an answer other than the one it should get",
        looked_at=(
            f"{promises.unanswered} requests went without an answer,"
            f" {promises.unavailable} were told to try again"
        ),
        broken=[f"{n} times {answer}" for answer, n in promises.refused.items()],
    )


def logged(evidence: Evidence) -> Finding:
    return Finding(
        promise="the service had nothing to complain about but what was done to it",
        looked_at=f"{evidence.lines_logged} lines at level warning or above",
        broken=evidence.complaints,
    )


JUDGES: Final[Sequence[Judge]] = (
    check_findings.ticks,
    check_findings.calls_at_most_once,
    check_findings.calls_known,
    check_findings.outcomes_called,
    pings,
    writes,
    check_findings.runs,
    deleted,
    check_findings.histories,
    nothing_unfinished,
    chain,
    audit,
    refused,
    logged,
)
"""Everything that is promised in both shapes."""
