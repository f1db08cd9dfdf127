"""When a report for a tick may come: the windows that a heartbeat watch looks through."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.job_fields import JobSettings
from domain.pings import OpenStart
from domain.schedule import Schedule, parse_schedule

_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the job asks of its pings; the tolerance is in minutes."""

    schedule: str
    timezone: str
    tolerance: int
    heartbeat: bool
    paused: bool

    @property
    def watching(self) -> bool:
        """Whether windows are watched at all."""
        return self.heartbeat and not self.paused

    @property
    def margin(self) -> timedelta:
        """The tolerance as a span of time."""
        return timedelta(minutes=self.tolerance)

    def ticks(self) -> Schedule:
        """The schedule that the windows follow."""
        return parse_schedule(self.schedule, self.timezone)


NO_TERMS: Final = Terms(schedule="", timezone="UTC", tolerance=0, heartbeat=False, paused=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a report for the tick may come, both ends included."""

    tick: datetime
    start: datetime
    end: datetime

    def contains(self, moment: datetime) -> bool:
        """Whether a report at the moment is one for this tick."""
        return self.start <= moment <= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A window, and when it is missed if no report comes."""

    window: Window
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A miss that is not recorded yet: of the window that ``opened_at``, or else of a run."""

    tick: datetime
    missed_at: datetime
    opened_at: datetime | None = None
    started: OpenStart | None = None

    @property
    def started_id(self) -> str | None:
        """The run that found no finish, if that is what was missed."""
        return None if self.started is None else self.started.ping_id

    def is_answered_at(self, moment: datetime) -> bool:
        """Whether a report at the moment came in time for the window."""
        return self.opened_at is not None and self.opened_at <= moment <= self.missed_at


def terms_of(settings: JobSettings, *, paused: bool) -> Terms:
    """What a job with these settings asks of its pings."""
    return Terms(
        schedule=settings.schedule,
        timezone=settings.timezone,
        tolerance=settings.heartbeat_tolerance,
        heartbeat=settings.heartbeat,
        paused=paused,
    )


def window_of_tick(terms: Terms, tick: datetime | None) -> Window | None:
    """The window that a tick opens; None for no tick."""
    if tick is None:
        return None
    before = terms.ticks().previous_before(tick)
    lead = terms.margin if before is None else min(terms.margin, (tick - before) / 2)
    return Window(tick=tick, start=tick - lead, end=tick + terms.margin)


def window_opening_after(terms: Terms, moment: datetime) -> Window | None:
    """The first window that opens after the moment."""
    window = window_of_tick(terms, terms.ticks().next_after(moment - _INSTANT))
    while window is not None and window.start <= moment:
        window = window_of_tick(terms, terms.ticks().next_after(window.tick))
    return window


def window_of_start(
    terms: Terms, moment: datetime, *, awaited: Window | None = None
) -> Window | None:
    """The window that a run started at the moment is for; ``awaited`` is the first unsatisfied one.

    It is the first of the windows then open that is unsatisfied; else the last of them; else the next.
    """
    oldest = window_of_tick(terms, terms.ticks().next_after(moment - terms.margin - _INSTANT))
    if awaited is not None and oldest is not None:
        first = max(awaited, oldest, key=lambda window: window.tick)
        if first.contains(moment):
            return first
    ahead = window_of_tick(terms, terms.ticks().next_after(moment - _INSTANT))
    if ahead is not None and ahead.start <= moment:
        return ahead
    before = window_of_tick(terms, terms.ticks().previous_before(moment))
    return before if before is not None and before.end >= moment else ahead


def first_closing(terms: Terms, window: Window, runs: Collection[datetime]) -> Closing:
    """Which of the windows from this one on is missed first if no report comes, and when.

    ``runs`` are the moments at which the runs that still go on were started. A window in which one
    was started stays open for the tolerance once more, so that a later one may close before it.
    """
    free: Window | None = window
    while free is not None:
        started = [moment for moment in runs if free.contains(moment)]
        if not started:
            break
        free = window_opening_after(terms, max(started))
    prolonged = window.end + terms.margin
    if free is not None and (free == window or free.end < prolonged):
        return Closing(window=free, at=free.end)
    return Closing(window=window, at=prolonged)
