"""Recorded events made by hand, for read models that are looked at without a log."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain import execution, heartbeat, job
from domain.api_key import ApiKeyCreated, ApiKeyRevoked
from domain.codec import Codec
from domain.erasure import ErasureCompleted
from domain.execution import (
    CheckDue,
    CheckFailed,
    CheckSkipped,
    CheckStarted,
    CheckSucceeded,
    CheckTimings,
    RunRequested,
)
from domain.heartbeat import HeartbeatMissed
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from domain.pings import PingKind, PingReceived
from domain.project import ProjectCreated, ProjectDeleted, ProjectUpdated
from eventstore.store import RecordedEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTINGS = JobSettings(
    name="Health check",
    url="https://example.com/health",
    method="GET",
    schedule="* * * * *",
    heartbeat=True,
)


class Recorder:
    """Gives events their places in a log and in their streams."""

    def __init__(self) -> None:
        self._codec = Codec()
        self._numbers = itertools.count(1)
        self._versions: defaultdict[str, int] = defaultdict(int)

    def record(
        self, stream: str, subject: str, content: object, *, account: str = "default"
    ) -> RecordedEvent:
        number = next(self._numbers)
        self._versions[stream] += 1
        name, schema_version, payload = self._codec.encode(content)
        return RecordedEvent(
            position=number,
            stream=stream,
            version=self._versions[stream],
            event_id=f"event-{number}",
            type=name,
            schema_version=schema_version,
            payload=payload,
            subject=subject,
            account=account,
            actor="test",
            recorded_at=NOON,
            correlation_id="request-1",
            causation_id=None,
            salt=b"salt",
            payload_hash=b"hash",
            chain_hash=b"hash",
        )

    def project(self, project_id: str, content: object) -> RecordedEvent:
        return self.record(f"project-{project_id}", project_id, content)

    def job(self, job_id: str, content: object) -> RecordedEvent:
        return self.record(job.stream(job_id), job_id, content)

    def check(self, job_id: str, execution_id: str, content: object) -> RecordedEvent:
        return self.record(execution.stream(execution_id), job_id, content)

    def ping(
        self, job_id: str, ping_id: str, kind: PingKind, run_id: str | None = None
    ) -> RecordedEvent:
        content = PingReceived(ping_id=ping_id, kind=kind, received_at=NOON, run_id=run_id)
        return self.record(heartbeat.stream(job_id), job_id, content)


def created(job_id: str, *, project_id: str = "project-1", paused: bool = False) -> JobCreated:
    return JobCreated(
        job_id=job_id,
        project_id=project_id,
        settings=SETTINGS,
        paused=paused,
        created_at=NOON,
        next_tick=None if paused else NOON,
    )


def due(job_id: str, execution_id: str, tick: datetime = NOON) -> CheckDue:
    return CheckDue(execution_id=execution_id, job_id=job_id, tick=tick, next_tick=tick + MINUTE)


STARTED = CheckStarted(attempt=1, started_at=NOON, deadline=NOON + MINUTE)
SUCCEEDED = CheckSucceeded(finished_at=NOON, status_code=200, timings=CheckTimings(total_ms=1.5))
FAILED = CheckFailed(finished_at=NOON, reason="timeout", message="too slow", output="o")
ABANDONED = CheckFailed(finished_at=NOON, reason="abandoned", message="stopped", timings=None)


def everything(recorder: Recorder, scale: int, *, name: str) -> list[RecordedEvent]:
    """``scale`` times everything that can happen, each time to other subjects: 42 events."""
    return [event for number in range(scale) for event in _everything(recorder, f"{name}{number}")]


def _everything(recorder: Recorder, n: str) -> list[RecordedEvent]:
    active, paused, doomed, erased = (f"{n}-{word}" for word in ("on", "off", "doomed", "erased"))
    lasting, brief, key = f"{n}-lasting", f"{n}-brief", f"{n}-key"
    skipped = CheckSkipped(
        execution_id=f"{n}-s",
        job_id=active,
        tick=NOON,
        next_tick=NOON + MINUTE,
        running_execution_id=f"{n}-a",
    )
    return [
        recorder.project(lasting, ProjectCreated(project_id=lasting, name="P", url="https://p")),
        recorder.project(lasting, ProjectUpdated(name="Q", url="https://q")),
        recorder.project(brief, ProjectCreated(project_id=brief, name="P", url="https://p")),
        recorder.project(brief, ProjectDeleted()),
        recorder.job(active, created(active, project_id=lasting)),
        recorder.job(paused, created(paused, project_id=lasting, paused=True)),
        recorder.job(doomed, created(doomed, project_id=lasting)),
        recorder.job(
            active,
            JobUpdated(
                settings=replace(SETTINGS, schedule="@hourly"),
                changed=("schedule",),
                updated_at=NOON,
                next_tick=NOON,
            ),
        ),
        recorder.job(active, JobPaused(paused_at=NOON)),
        recorder.job(active, JobResumed(resumed_at=NOON, next_tick=NOON)),
        recorder.check(active, f"{n}-a", due(active, f"{n}-a")),
        recorder.check(active, f"{n}-a", STARTED),
        recorder.check(active, f"{n}-a", SUCCEEDED),
        recorder.check(active, f"{n}-b", due(active, f"{n}-b")),
        recorder.check(active, f"{n}-b", STARTED),
        recorder.check(active, f"{n}-b", FAILED),
        recorder.check(active, f"{n}-c", due(active, f"{n}-c")),
        recorder.check(active, f"{n}-c", ABANDONED),
        recorder.check(active, f"{n}-s", skipped),
        recorder.check(
            active,
            f"{n}-r",
            RunRequested(execution_id=f"{n}-r", job_id=active, requested_at=NOON),
        ),
        recorder.check(active, f"{n}-r", STARTED),
        recorder.check(doomed, f"{n}-d", due(doomed, f"{n}-d")),
        recorder.job(doomed, JobDeleted()),
        recorder.ping(active, f"{n}-p1", "beat"),
        recorder.ping(active, f"{n}-p2", "start"),
        recorder.ping(active, f"{n}-p3", "success"),
        recorder.ping(active, f"{n}-p4", "fail"),
        recorder.ping(active, f"{n}-p5", "start", run_id="x"),
        recorder.ping(active, f"{n}-p6", "start", run_id="y"),
        recorder.ping(active, f"{n}-p7", "fail", run_id="x"),
        recorder.ping(paused, f"{n}-p8", "beat"),
        recorder.record(
            heartbeat.stream(active),
            active,
            HeartbeatMissed(
                execution_id=f"{n}-m1", tick=NOON, missed_at=NOON, started_id=f"{n}-p6"
            ),
        ),
        recorder.record(
            heartbeat.stream(active),
            active,
            HeartbeatMissed(execution_id=f"{n}-m2", tick=NOON, missed_at=NOON),
        ),
        recorder.record(
            f"apikey-{key}",
            key,
            ApiKeyCreated(
                key_id=key, name="k", permissions=("*",), key_hash=f"{n}-hash", created_at=NOON
            ),
        ),
        recorder.record(f"apikey-{key}", key, ApiKeyRevoked(revoked_at=NOON)),
        *(
            replace(each, payload=None, salt=None)
            for each in (
                recorder.job(erased, created(erased)),
                recorder.check(erased, f"{n}-e", due(erased, f"{n}-e")),
                recorder.check(erased, f"{n}-e", STARTED),
                recorder.check(erased, f"{n}-e", SUCCEEDED),
                recorder.ping(erased, f"{n}-p9", "beat"),
                recorder.job(erased, JobDeleted()),
            )
        ),
        recorder.record(f"erasure-{erased}", erased, ErasureCompleted(erased_at=NOON)),
    ]


def later(recorder: Recorder, scale: int, *, name: str) -> list[RecordedEvent]:
    """What comes after :func:`everything` of that name: ends of what was begun; 6 events each."""
    return [
        event
        for number in range(scale)
        for event in (
            recorder.check(f"{name}{number}-on", f"{name}{number}-r", SUCCEEDED),
            recorder.check(
                f"{name}{number}-on",
                f"{name}{number}-t",
                due(f"{name}{number}-on", f"{name}{number}-t"),
            ),
            recorder.ping(f"{name}{number}-on", f"{name}{number}-q1", "start"),
            recorder.ping(f"{name}{number}-on", f"{name}{number}-q2", "success"),
            recorder.job(f"{name}{number}-off", JobResumed(resumed_at=NOON, next_tick=NOON)),
            recorder.job(f"{name}{number}-on", JobDeleted()),
        )
    ]
