"""A job: what is called or expected, and when. Stream ``job-<id>``.

It is created in a project that it never leaves, changed, paused and resumed any number of times, and
deleted once and for good. Its checks have streams of their own (:mod:`domain.execution`), as have its
pings (:mod:`domain.heartbeat`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from domain.errors import NotFound
from domain.headers import HeaderSet
from domain.job_fields import BLANK, CheckedFields, JobSettings, first_settings
from domain.schedule import parse_schedule


def stream(job_id: str) -> str:
    """The name of the job's stream."""
    return f"job-{job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCreated:
    """A job came to be. ``next_tick`` is None for one that is created paused."""

    job_id: str
    project_id: str
    settings: JobSettings
    paused: bool
    created_at: datetime
    next_tick: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdated:
    """Its settings changed. All are stated as they are now; ``changed`` names the new ones.

    ``next_tick`` is the first one of a changed schedule; None while paused, or if ticks go on as
    before.
    """

    settings: JobSettings
    changed: tuple[str, ...]
    updated_at: datetime
    next_tick: datetime | None

    @property
    def reschedules(self) -> bool:
        """Whether its ticks are others from now on."""
        return _reschedules(self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPaused:
    """From now on it has no ticks and no heartbeat watch."""

    paused_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResumed:
    """It has ticks and a heartbeat watch again, from ``next_tick`` on."""

    resumed_at: datetime
    next_tick: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDeleted:
    """It is gone for good, with its executions and secrets."""


JobEvent = JobCreated | JobUpdated | JobPaused | JobResumed | JobDeleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as its events tell it."""

    job_id: str = ""
    project_id: str = ""
    settings: JobSettings = BLANK
    paused: bool = False
    exists: bool = False


INITIAL: Final = Job()


def evolve(job: Job, event: JobEvent) -> Job:
    """The job after the event."""
    match event:
        case JobCreated():
            return Job(
                job_id=event.job_id,
                project_id=event.project_id,
                settings=event.settings,
                paused=event.paused,
                exists=True,
            )
        case JobUpdated():
            return replace(job, settings=event.settings)
        case JobPaused():
            return replace(job, paused=True)
        case JobResumed():
            return replace(job, paused=False)
        case JobDeleted():
            return replace(job, exists=False)


def create(
    job: Job, *, job_id: str, project_id: str, sent: CheckedFields, headers: HeaderSet, at: datetime
) -> tuple[JobEvent, ...]:
    """Create a job; ``headers`` says where the sent header values are kept.

    Raises ``InvalidField``.
    """
    if job.exists:
        return ()
    settings = first_settings(sent, headers)
    paused = bool(sent.paused)
    return (
        JobCreated(
            job_id=job_id,
            project_id=project_id,
            settings=settings,
            paused=paused,
            created_at=at,
            next_tick=None if paused else _next_tick(settings, at),
        ),
    )


def update(
    job: Job, *, sent: CheckedFields, headers: HeaderSet, at: datetime
) -> tuple[JobEvent, ...]:
    """Change what was sent; a changed ``paused`` is an event of its own.

    Raises ``InvalidField``, ``NotFound``.
    """
    require_existing(job)
    settings = sent.applied_to(job.settings, headers)
    events: list[JobEvent] = []
    changed = _changed(job.settings, settings)
    if changed:
        events.append(
            JobUpdated(
                settings=settings,
                changed=changed,
                updated_at=at,
                next_tick=_next_tick(settings, at)
                if _reschedules(changed) and not job.paused
                else None,
            )
        )
    after = replace(job, settings=settings)
    if sent.paused is True:
        events += pause(after, at=at)
    elif sent.paused is False:
        events += resume(after, at=at)
    return tuple(events)


def pause(job: Job, *, at: datetime) -> tuple[JobEvent, ...]:
    """Stop ticks and heartbeat watch; nothing to do for a paused job. Raises ``NotFound``."""
    require_existing(job)
    return () if job.paused else (JobPaused(paused_at=at),)


def resume(job: Job, *, at: datetime) -> tuple[JobEvent, ...]:
    """Start them again from now on; nothing to do for a running job. Raises ``NotFound``."""
    require_existing(job)
    if not job.paused:
        return ()
    return (JobResumed(resumed_at=at, next_tick=_next_tick(job.settings, at)),)


def delete(job: Job) -> tuple[JobEvent, ...]:
    """Delete the job for good. Raises ``NotFound``."""
    require_existing(job)
    return (JobDeleted(),)


def require_existing(job: Job) -> None:
    """Raise ``NotFound`` for a job that was never created or is deleted."""
    if not job.exists:
        raise NotFound("job")


def _next_tick(settings: JobSettings, at: datetime) -> datetime | None:
    return parse_schedule(settings.schedule, settings.timezone).next_after(at)


def _reschedules(changed: tuple[str, ...]) -> bool:
    return not {"schedule", "timezone", "mode"}.isdisjoint(changed)


def _changed(before: JobSettings, after: JobSettings) -> tuple[str, ...]:
    return tuple(
        name for name in JobSettings.__slots__ if getattr(before, name) != getattr(after, name)
    )
