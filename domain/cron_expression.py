"""A cron expression, read: from its text to the numbers that each field names.

The text first passes a small grammar of our own. That is how an error can name the field and what is
allowed in it, and how croniter, which then expands the fields, only ever sees spellings that mean one
thing: every name written as its number, every range upwards, with both ends, and with more than one
number in it. croniter reads other spellings in its own way: ``5-5`` as the whole field, ``22-4``
around midnight, ``r`` as a random number, a second line as a field of seconds.

Rules of Vixie cron (crontab(5)) are decided here because they hang on the spelling, not the numbers:
a field counts as a wildcard when its text begins with ``*``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

from croniter import croniter

from domain.errors import InvalidField

MAX_LENGTH = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CronExpression:
    """What the six fields name.

    ``weekdays`` pairs a weekday (0 is Sunday) with the part it takes of that weekday's dates in a
    month: all of them, the third, the last. ``days_meet`` says that a date must satisfy day-of-month
    and day-of-week both, otherwise either will do. ``fixed_time`` says that neither the minute nor
    the hour is a wildcard: such a job belongs to times of the day, any other to elapsed time.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: tuple[tuple[int, slice], ...]
    days_meet: bool
    fixed_time: bool


@lru_cache(maxsize=4096)
def read_expression(text: str) -> CronExpression:
    """Read five fields, six with seconds first, or a nickname such as ``@daily``.

    Raises InvalidField("schedule") with the field at fault and what is allowed there.
    """
    words = _words(text)
    fields = [_checked(part, word) for part, word in zip(_FIELDS, words, strict=True)]
    _, minute, hour, day, _, weekday = fields
    expanded, nth_weekdays = croniter.expand(" ".join(fields), second_at_beginning=True)
    minutes, hours, days, months, weekdays, seconds = expanded
    return CronExpression(
        seconds=_numbers(_SECOND, seconds),
        minutes=_numbers(_MINUTE, minutes),
        hours=_numbers(_HOUR, hours),
        days=frozenset(_numbers(_DAY, days)),
        last_day="l" in days,
        months=frozenset(_numbers(_MONTH, months)),
        weekdays=_weekdays(weekdays, nth_weekdays),
        days_meet=day.startswith("*") or weekday.startswith("*"),
        fixed_time=not minute.startswith("*") and not hour.startswith("*"),
    )


def _words(text: str) -> list[str]:
    """Cut the text into six fields, seconds first."""
    if len(text) > MAX_LENGTH:
        raise InvalidField("schedule", f"must be at most {MAX_LENGTH} characters long")
    if not re.fullmatch(r"[\t -~]*", text):
        raise InvalidField(
            "schedule", "must be one line of plain ASCII, its fields parted by spaces or tabs"
        )
    words = text.lower().split()
    if len(words) == 1:
        words = _NICKNAMES.get(words[0], "").split()
    if len(words) == len(_FIELDS) - 1:
        words = ["0", *words]
    if len(words) != len(_FIELDS):
        raise InvalidField(
            "schedule",
            "must have five fields (minute, hour, day-of-month, month, day-of-week), a sixth before "
            f"them for seconds, or be one of {', '.join(_NICKNAMES)}",
        )
    return words


_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field's name, the numbers it may hold, and the words that stand for some of them."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    also: str = ""

    def refuse(self, rule: str) -> NoReturn:
        raise InvalidField("schedule", f"{self.name}: {rule}")

    def number(self, word: str) -> int:
        """The number that a word of digits or letters stands for."""
        number = int(word) if word.isdigit() else self.names.get(word, -1)
        if not self.low <= number <= self.high:
            self.refuse(f"{word} is not in {self.low}-{self.high}{self.also}")
        return number


def _numbered(words: str, first: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words.split(), first)}


_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day-of-month", 1, 31, also=", or L for the last day")
_MONTH = _Field(
    "month",
    1,
    12,
    names=_numbered("jan feb mar apr may jun jul aug sep oct nov dec", first=1),
    also=" or jan-dec",
)
_WEEKDAY = _Field(
    "day-of-week",
    0,
    7,
    names=_numbered("sun mon tue wed thu fri sat", first=0),
    also=" or sun-sat, fri#2 for the second Friday, or L5 for the last",
)
_FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)

_RANGE = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([0-9]+))?")
_NTH_WEEKDAY = re.compile(r"([a-z0-9]+)#([0-9]+)")
_LAST_WEEKDAY = re.compile(r"l([0-9]+)")


def _checked(part: _Field, word: str) -> str:
    """Write a field as croniter can't misread it, or refuse it."""
    items = [_checked_item(part, item) for item in word.split(",")]
    if part is _WEEKDAY and len({item.startswith("l") or "#" in item for item in items}) > 1:
        part.refuse("days with # or L can't share a list with days without")
    return ",".join(items)


def _checked_item(part: _Field, item: str) -> str:
    if part is _DAY and item == "l":
        return item
    if part is _WEEKDAY and (nth := _NTH_WEEKDAY.fullmatch(item)):
        if int(nth[2]) not in range(1, 6):
            part.refuse(f"{item}: the number after # is not in 1-5")
        return f"{part.number(nth[1])}#{int(nth[2])}"
    if part is _WEEKDAY and (last := _LAST_WEEKDAY.fullmatch(item)):
        return f"l{part.number(last[1])}"
    return _checked_range(part, item)


def _checked_range(part: _Field, item: str) -> str:
    match = _RANGE.fullmatch(item)
    if match is None or item.startswith("*-"):
        part.refuse(
            f"'{item}' is not *, a number, a range such as 2-5, or one of these with a step"
        )
    first, last, step = match.groups()
    if step is not None and int(step) == 0:
        part.refuse(f"{item}: a step must be at least 1")
    if first == "*":
        return item
    low = part.number(first)
    high = part.number(last) if last else part.high if step else low
    if high < low:
        part.refuse(f"{item} runs backwards; write it as two ranges")
    return f"{low}-{high}/{int(step or 1)}" if low < high else f"{low}"


def _numbers(part: _Field, values: Collection[int | str]) -> tuple[int, ...]:
    """Croniter's values of a field, ``*`` spelled out, ``l`` left to be looked at apart."""
    if "*" in values:
        return tuple(range(part.low, part.high + 1))
    return tuple(sorted(value for value in values if isinstance(value, int)))


def _weekdays(
    values: Collection[int | str], nth: Mapping[int, Collection[int | str]]
) -> tuple[tuple[int, slice], ...]:
    """Croniter's weekdays, each with the part of its dates in a month: all, the n-th, the last."""
    if not nth:
        return tuple({day % 7: slice(None) for day in _numbers(_WEEKDAY, values)}.items())
    return tuple(
        (weekday, slice(-1, None) if which == "l" else slice(int(which) - 1, int(which)))
        for weekday, choices in nth.items()
        for which in choices
    )
