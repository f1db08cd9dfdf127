"""A job's schedule: when its next tick comes, in a time zone whose clocks are put forward and back.

A schedule stands on two things that know nothing of each other. ``WallCalendar`` finds the ticks of a
cron expression on a clock that never jumps; croniter expands the expression's fields for it.
``time_zone`` divides real time into stretches in which a zone's clocks don't jump. Here each stretch
is given the part of the wall calendar that belongs to it:

- A job with a wildcard minute or hour follows elapsed time: a stretch has the ticks that its clock
  shows. What is skipped when the clock goes forward never ticks, what is repeated ticks twice.
- A fixed-time job follows the times of the day, and ticks when the clock first shows its time or a
  later one: a stretch has the ticks from where the clock had got before up to its end. So what was
  skipped ticks at the first instant after the gap, and what is repeated has ticked already.

croniter's own search for ticks is not used: it fires fixed-time jobs twice when the clock goes back,
and is several times slower.

Inside, instants are whole seconds since 1970-01-01T00:00Z and spans are half-open, start included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.cron_expression import read_expression
from domain.errors import InvalidField
from domain.time_zone import Stretch, read_time_zone, stretch_at
from domain.wall_calendar import DAY, RAREST_YEARS, WallCalendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A valid cron expression in an IANA time zone: make one with ``parse_schedule``.

    Moments may be in any zone but must be aware; answers are in UTC. Ticks exist in the years 2 to
    9998, so that no zone's offset leads out of what a ``datetime`` can hold.
    """

    expression: str
    timezone: str

    def next_after(self, moment: datetime) -> datetime | None:
        """The first tick strictly after a moment, or None when there never is one.

        ``parse_schedule`` refuses what has no tick in our time, so None comes only at the end of the
        calendar.
        """
        return _first_from(self, _seconds(moment) + 1)

    def previous_before(self, moment: datetime) -> datetime | None:
        """The last tick strictly before a moment, or None when there never was one."""
        return _last_before(self, -_seconds_between(moment, _EPOCH))

    def latest_until(self, moment: datetime, *, after: datetime) -> datetime | None:
        """The last tick strictly after ``after`` and not after ``moment``, or None."""
        tick = _last_before(self, _seconds(moment) + 1)
        return tick if tick is not None and tick > after else None

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many ticks are strictly after ``after`` and not after ``until``."""
        timetable = _timetable(self.expression, self.timezone)
        return timetable.count(_seconds(after) + 1, _seconds(until) + 1)


def parse_schedule(expression: str, timezone: str = "UTC") -> Schedule:
    """Read a job's ``schedule`` and ``timezone``; ``docs/schedules.md`` explains both to users.

    Raises InvalidField("schedule") or InvalidField("timezone").
    """
    _timetable(expression, timezone)
    return Schedule(expression.strip(), timezone)


# Many jobs share a schedule, and each asks for the tick after the same tick.


@lru_cache(maxsize=16_384)
def _first_from(schedule: Schedule, instant: int) -> datetime | None:
    return _moment(_timetable(schedule.expression, schedule.timezone).first_from(instant))


@lru_cache(maxsize=16_384)
def _last_before(schedule: Schedule, instant: int) -> datetime | None:
    return _moment(_timetable(schedule.expression, schedule.timezone).last_before(instant))


@lru_cache(maxsize=4096)
def _timetable(expression: str, timezone: str) -> _Timetable:
    fields = read_expression(expression)
    timetable = _Timetable(
        calendar=WallCalendar(fields), fixed_time=fields.fixed_time, zone=read_time_zone(timezone)
    )
    if timetable.first_from(_PRESENT) is None:
        raise InvalidField(
            "schedule",
            "must have a next tick, but no date satisfies its day-of-month, month and day-of-week, "
            "or the clock skips its times on every such date",
        )
    return timetable


def _seconds(moment: datetime) -> int:
    """The last whole second not after a moment."""
    return _seconds_between(_EPOCH, moment)


def _seconds_between(start: datetime, end: datetime) -> int:
    """Rounded down."""
    return (end - start) // _SECOND


def _moment(instant: int | None) -> datetime | None:
    return None if instant is None else _EPOCH + instant * _SECOND


# A schedule must have a tick after this; a constant, so that what is valid does not become invalid.
_PRESENT = _seconds(datetime(2026, 1, 1, tzinfo=UTC))
_EARLIEST = _seconds(datetime(2, 1, 1, tzinfo=UTC))
_LATEST = _seconds(datetime(9999, 1, 1, tzinfo=UTC))
_HORIZON = RAREST_YEARS * 366 * DAY
# What lets a search leap from a stretch without a tick to the neighbourhood of the next date: a
# clock is never put back by more than a day, nor shows a time a day or more away from UTC's.
_FURTHEST_BACK = DAY
_FURTHEST_FROM_UTC = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timetable:
    """The ticks of a wall calendar in a zone."""

    calendar: WallCalendar
    fixed_time: bool
    zone: ZoneInfo

    def first_from(self, instant: int) -> int | None:
        """The first tick at or after an instant, or None when there is none within the horizon."""
        at = max(instant, _EARLIEST)
        horizon = min(at + _HORIZON, _LATEST)
        while at < horizon:
            stretch = stretch_at(self.zone, at)
            closing = stretch.end + stretch.offset
            wall = self.calendar.first_from(self._wall_from(stretch, at))
            if wall is not None and wall < closing:
                return max(wall - stretch.offset, stretch.start)
            wall = self.calendar.first_from(closing - _FURTHEST_BACK)
            if wall is None:
                return None
            at = max(stretch.end, wall - _FURTHEST_FROM_UTC)
        return None

    def last_before(self, instant: int) -> int | None:
        """The last tick before an instant, or None when there is none within the horizon."""
        end = min(instant, _LATEST)
        horizon = max(end - _HORIZON, _EARLIEST)
        while end > horizon:
            stretch = stretch_at(self.zone, end - 1)
            wall = self.calendar.last_before(end + stretch.offset)
            if wall is not None and wall >= self._opening(stretch):
                return max(wall - stretch.offset, stretch.start)
            wall = self.calendar.last_before(stretch.start + stretch.offset + _FURTHEST_BACK)
            if wall is None:
                return None
            end = min(stretch.start, wall + _FURTHEST_FROM_UTC)
        return None

    def count(self, start: int, end: int) -> int:
        """How many ticks there are from one instant (included) to another (excluded)."""
        at, end = max(start, _EARLIEST), min(end, _LATEST)
        ticks = 0
        while at < end:
            stretch = stretch_at(self.zone, at)
            close = min(stretch.end, end)
            wall, shown = self._wall_from(stretch, at), at + stretch.offset
            if wall < shown:
                # What the clock skipped ticks at one instant, however much it was.
                ticks += min(1, self.calendar.count(wall, shown + 1))
                wall = shown + 1
            ticks += self.calendar.count(wall, close + stretch.offset)
            at = close
        return ticks

    def _wall_from(self, stretch: Stretch, instant: int) -> int:
        """The first wall second that belongs to an instant of a stretch, or to a later one."""
        opening = self._opening(stretch)
        return opening if instant == stretch.start else max(opening, instant + stretch.offset)

    def _opening(self, stretch: Stretch) -> int:
        """The first wall second that belongs to a stretch."""
        return stretch.reached if self.fixed_time else stretch.start + stretch.offset
