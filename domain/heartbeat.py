"""Heartbeats: what a user's own job reports by pings, and the watch on it. Stream ``pings-<job id>``.

Each tick T of a watched job opens a window, from T minus the tolerance (or half the time since the
tick before, where that is shorter) to T plus the tolerance. A beat, success or fail in it satisfies
T. A window that closes unsatisfied begins an *outage*, recorded once as missed; the next beat or
success ends it. A run that was started within a window holds it open for the tolerance once more; a
start that has no finish by then counts as missed too, in an outage or not, for a run has to end.

A ping is recorded whatever the state is, so pings never wait for each other. What it means follows
from the order of the log, by :func:`evolve`. A miss is recorded only against the version of the
stream at which it was found, so a ping that came first wins. Until then even a report that the log
holds behind a later ping takes it back, if it was received in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from domain.heartbeat_windows import (
    NO_TERMS,
    Closing,
    Miss,
    Terms,
    Window,
    first_closing,
    terms_of,
    window_of_start,
    window_of_tick,
    window_opening_after,
)
from domain.job import JobCreated, JobPaused, JobResumed, JobUpdated
from domain.pings import OpenStart, PingKind, PingReceived, pair

__all__ = [
    "INITIAL",
    "Heartbeat",
    "HeartbeatEvent",
    "HeartbeatMissed",
    "PingKind",
    "PingReceived",
    "evolve",
    "misses",
    "stream",
]


def stream(job_id: str) -> str:
    """The name of the stream of the job's pings."""
    return f"pings-{job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatMissed:
    """A window closed unsatisfied, or a start found no finish; ``missed_at`` is when that was.

    ``started_id`` is the run that was begun and not finished, if that is what was missed.
    """

    execution_id: str
    tick: datetime
    missed_at: datetime
    started_id: str | None = None


HeartbeatEvent = PingReceived | HeartbeatMissed | JobCreated | JobUpdated | JobPaused | JobResumed


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The watch on a job's pings. It is armed by the first ping that it heeds."""

    terms: Terms = NO_TERMS
    armed: bool = False
    outage: bool = False
    last_report_at: datetime | None = None
    window: Window | None = None
    """The earliest window that is neither satisfied nor missed; None while nothing is watched."""
    overdue: tuple[Miss, ...] = ()
    """Misses that a later ping brought to light before they were recorded."""
    open_starts: tuple[OpenStart, ...] = ()

    @property
    def closing(self) -> Closing | None:
        """The window that is missed next, and when, if no report comes."""
        if self.window is None:
            return None
        runs = [start.started_at for start in self.open_starts if start.deadline is not None]
        return first_closing(self.terms, self.window, runs)

    @property
    def closes_at(self) -> datetime | None:
        """The moment after which :func:`misses` finds something; None if nothing is awaited."""
        moments = [start.deadline for start in self.open_starts if start.deadline is not None]
        moments += [miss.missed_at for miss in self.overdue]
        closing = self.closing
        if closing is not None:
            moments.append(closing.at)
        return min(moments, default=None)


INITIAL: Final = Heartbeat()


def evolve(heartbeat: Heartbeat, event: HeartbeatEvent) -> Heartbeat:
    """The watch after the event."""
    match event:
        case PingReceived():
            return _after_ping(heartbeat, event)
        case HeartbeatMissed():
            return _after_miss(heartbeat, event)
        case JobCreated():
            return replace(heartbeat, terms=terms_of(event.settings, paused=event.paused))
        case JobUpdated():
            terms = terms_of(event.settings, paused=heartbeat.terms.paused)
            return _after_new_terms(heartbeat, terms, at=event.updated_at)
        case JobPaused():
            terms = replace(heartbeat.terms, paused=True)
            return _after_new_terms(heartbeat, terms, at=event.paused_at)
        case JobResumed():
            terms = replace(heartbeat.terms, paused=False)
            return _after_new_terms(heartbeat, terms, at=event.resumed_at)


def misses(
    heartbeat: Heartbeat, *, at: datetime, new_id: Callable[[], str]
) -> tuple[HeartbeatMissed, ...]:
    """What is missed by now and not recorded yet, oldest first."""
    found = [*heartbeat.overdue, *_missed_by(heartbeat, at)]
    return tuple(
        HeartbeatMissed(
            execution_id=new_id(),
            tick=miss.tick,
            missed_at=miss.missed_at,
            started_id=miss.started_id,
        )
        for miss in sorted(found, key=lambda miss: miss.missed_at)
    )


def _after_ping(heartbeat: Heartbeat, ping: PingReceived) -> Heartbeat:
    at = ping.received_at
    heartbeat = _overdue_noted(heartbeat, at)
    if ping.kind == "start":
        open_starts = pair(heartbeat.open_starts, ping).still_open
        heartbeat = replace(heartbeat, open_starts=open_starts)
    else:
        heartbeat = _answered(heartbeat, ping)
    if heartbeat.terms.paused:
        return heartbeat
    first = not heartbeat.armed
    heartbeat = replace(heartbeat, armed=True)
    if ping.kind == "start":
        return _after_start(heartbeat, at, first=first)
    return _after_report(heartbeat, ping.kind, at)


def _answered(heartbeat: Heartbeat, ping: PingReceived) -> Heartbeat:
    """The watch without the run that the report ends, nor what it shows not to be missed at all."""
    at = ping.received_at
    lost = tuple(
        miss.started
        for miss in heartbeat.overdue
        if miss.started is not None and at <= miss.missed_at
    )
    pairing = pair((*lost, *heartbeat.open_starts), ping)
    finished = pairing.finished
    overdue = tuple(
        miss
        for miss in heartbeat.overdue
        if not miss.is_answered_at(at) and (finished is None or miss.started != finished)
    )
    return replace(
        heartbeat,
        outage=heartbeat.outage and overdue[-1:] == heartbeat.overdue[-1:],
        overdue=overdue,
        open_starts=tuple(start for start in pairing.still_open if start not in lost),
    )


def _after_start(heartbeat: Heartbeat, at: datetime, *, first: bool) -> Heartbeat:
    if not heartbeat.terms.watching:
        return heartbeat
    window = window_of_start(heartbeat.terms, at, awaited=heartbeat.window)
    *others, started = heartbeat.open_starts
    return replace(
        heartbeat,
        open_starts=(*others, _awaited(started, window, heartbeat.terms)),
        window=window if first else heartbeat.window,
    )


def _after_report(heartbeat: Heartbeat, kind: PingKind, at: datetime) -> Heartbeat:
    outage = heartbeat.outage and kind == "fail"
    last = max(at, heartbeat.last_report_at or at)
    heartbeat = replace(heartbeat, outage=outage, last_report_at=last)
    too_early = heartbeat.window is not None and at < heartbeat.window.start
    if not heartbeat.terms.watching or outage or too_early:
        return heartbeat
    return replace(heartbeat, window=window_opening_after(heartbeat.terms, last))


def _after_miss(heartbeat: Heartbeat, missed: HeartbeatMissed) -> Heartbeat:
    untold = tuple(miss for miss in heartbeat.overdue if not _tells(missed, miss))
    if untold != heartbeat.overdue:
        return replace(heartbeat, overdue=untold)
    open_starts = tuple(
        start for start in heartbeat.open_starts if start.ping_id != missed.started_id
    )
    return replace(heartbeat, outage=True, window=None, open_starts=open_starts)


def _after_new_terms(heartbeat: Heartbeat, terms: Terms, *, at: datetime) -> Heartbeat:
    if terms == heartbeat.terms:
        return heartbeat
    heartbeat = _overdue_noted(heartbeat, at)
    goes_on = heartbeat.terms.watching and terms.watching
    heartbeat = replace(
        heartbeat,
        terms=terms,
        outage=heartbeat.outage and goes_on,
        window=None,
        open_starts=tuple(
            _awaited(start, window_of_start(terms, at), terms)
            if goes_on and start.deadline is not None
            else _awaited(start, None, terms)
            for start in heartbeat.open_starts
        ),
    )
    if not terms.watching or not heartbeat.armed or heartbeat.outage:
        return heartbeat
    window = window_of_tick(terms, terms.ticks().next_after(at))
    last = heartbeat.last_report_at
    if window is not None and last is not None and window.start <= last:
        window = window_opening_after(terms, last)
    return replace(heartbeat, window=window)


def _overdue_noted(heartbeat: Heartbeat, at: datetime) -> Heartbeat:
    found = _missed_by(heartbeat, at)
    if not found:
        return heartbeat
    lost = {miss.started_id for miss in found}
    return replace(
        heartbeat,
        outage=True,
        window=None,
        overdue=(*heartbeat.overdue, *found),
        open_starts=tuple(s for s in heartbeat.open_starts if s.ping_id not in lost),
    )


def _missed_by(heartbeat: Heartbeat, at: datetime) -> list[Miss]:
    """Every run that found no finish, and the window, unless such a run began the outage before."""
    found = [
        Miss(tick=start.tick, missed_at=start.deadline, started=start)
        for start in heartbeat.open_starts
        if start.tick is not None and start.deadline is not None and start.deadline < at
    ]
    closing = heartbeat.closing
    if closing is not None and closing.at < min([at, *(run.missed_at for run in found)]):
        window = closing.window
        found.append(Miss(tick=window.tick, missed_at=closing.at, opened_at=window.start))
    return sorted(found, key=lambda miss: miss.missed_at)


def _tells(event: HeartbeatMissed, miss: Miss) -> bool:
    told = (event.tick, event.missed_at, event.started_id)
    return told == (miss.tick, miss.missed_at, miss.started_id)


def _awaited(start: OpenStart, window: Window | None, terms: Terms) -> OpenStart:
    if window is None:
        return replace(start, tick=None, deadline=None)
    return replace(start, tick=window.tick, deadline=window.end + terms.margin)
