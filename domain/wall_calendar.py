"""The ticks of a cron expression on a clock on the wall that is never put forward or back.

Days are counted from 1970-01-01, and seconds from its midnight, as the wall shows them: no zone is
known here. Every matching day has the same ticks, so finding one is a search for the day and then for
the time, and counting them is a count of days times the ticks of a day.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, date
from functools import lru_cache

from domain.cron_expression import CronExpression

DAY = 86_400
"""Seconds."""

RAREST_YEARS = 50
"""No date recurs more rarely: 29 February falls on a given weekday at least once in 40 years, also
across a century that is no leap year."""

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_MONTH = MINYEAR * 12
_AFTER_LAST_MONTH = (MAXYEAR + 1) * 12


class WallCalendar:
    """Finds and counts ticks in wall seconds."""

    __slots__ = ("_expression", "_minutes", "_per_day", "_seconds")

    def __init__(self, expression: CronExpression) -> None:
        self._expression = expression
        self._minutes = array(
            "H", (h * 60 + m for h in expression.hours for m in expression.minutes)
        )
        self._seconds = expression.seconds
        self._per_day = len(self._minutes) * len(self._seconds)

    def first_from(self, wall: int) -> int | None:
        """The first tick at or after a wall second; None when no day matches any more."""
        day, second = divmod(wall, DAY)
        tick = self._passed(second)
        if tick == self._per_day:
            day, tick = day + 1, 0
        match = self._first_day_from(day)
        if match is None:
            return None
        return match * DAY + self._time(tick if match == day else 0)

    def last_before(self, wall: int) -> int | None:
        """The last tick before a wall second; None when no day matched yet."""
        day, second = divmod(wall, DAY)
        tick = self._passed(second) - 1
        if tick < 0:
            day, tick = day - 1, self._per_day - 1
        match = self._last_day_until(day)
        if match is None:
            return None
        return match * DAY + self._time(tick if match == day else self._per_day - 1)

    def count(self, start: int, end: int) -> int:
        """How many ticks there are from one wall second (included) to another (excluded)."""
        if end <= start:
            return 0
        first_day, first_second = divmod(start, DAY)
        last_day, last_second = divmod(end, DAY)
        ticks = self._days_between(first_day, last_day) * self._per_day
        if self._days_between(first_day, first_day + 1):
            ticks -= self._passed(first_second)
        if self._days_between(last_day, last_day + 1):
            ticks += self._passed(last_second)
        return ticks

    # The ticks of a day, numbered from 0.

    def _passed(self, second: int) -> int:
        """How many ticks of a day come before a second of it: the number of the next one."""
        minute, second = divmod(second, 60)
        passed = bisect_left(self._minutes, minute)
        ticks = passed * len(self._seconds)
        if passed < len(self._minutes) and self._minutes[passed] == minute:
            ticks += bisect_left(self._seconds, second)
        return ticks

    def _time(self, tick: int) -> int:
        """The second of the day at which a tick of it comes."""
        minute, second = divmod(tick, len(self._seconds))
        return self._minutes[minute] * 60 + self._seconds[second]

    # The days with ticks.

    def _first_day_from(self, day: int) -> int | None:
        start = _month_of(day)
        for month in range(start, min(start + RAREST_YEARS * 12, _AFTER_LAST_MONTH)):
            days = self._days_in(month)
            if days and days[-1] >= day:
                return days[bisect_left(days, day)]
        return None

    def _last_day_until(self, day: int) -> int | None:
        start = _month_of(day)
        for month in range(start, max(start - RAREST_YEARS * 12, _FIRST_MONTH - 1), -1):
            days = self._days_in(month)
            if days and days[0] <= day:
                return days[bisect_left(days, day + 1) - 1]
        return None

    def _days_between(self, start: int, end: int) -> int:
        """How many days match from ``start`` (included) to ``end`` (excluded)."""
        total = 0
        for month in range(_month_of(start), _month_of(end) + 1):
            days = self._days_in(month)
            total += bisect_left(days, end) - bisect_left(days, start)
        return total

    def _days_in(self, month: int) -> tuple[int, ...]:
        if month % 12 + 1 not in self._expression.months:
            return ()
        return _days_in(self._expression, month)


def _month_of(day: int) -> int:
    """Months are counted from year 0."""
    when = date.fromordinal(day + _EPOCH)
    return when.year * 12 + when.month - 1


@lru_cache(maxsize=8192)
def _days_in(expression: CronExpression, month: int) -> tuple[int, ...]:
    """The days of a month that day-of-month and day-of-week choose, ascending."""
    year, months_before = divmod(month, 12)
    first_weekday, length = monthrange(year, months_before + 1)
    by_date = {day for day in expression.days if day <= length}
    if expression.last_day:
        by_date.add(length)
    by_weekday: set[int] = set()
    for weekday, part in expression.weekdays:
        # cron's weekdays begin with Sunday, Python's with Monday
        dates = range(1 + (weekday - 1 - first_weekday) % 7, length + 1, 7)
        by_weekday.update(dates[part])
    chosen = by_date & by_weekday if expression.days_meet else by_date | by_weekday
    before_first = date(year, months_before + 1, 1).toordinal() - _EPOCH - 1
    return tuple(before_first + day for day in sorted(chosen))
