"""A time zone as a sequence of stretches, in each of which its clocks run evenly.

``zoneinfo`` answers what a clock shows at an instant, but not when it will next be put forward or
back. That is found here by asking day by day and halving the day in which the answer changes. (No
zone in the IANA database ever kept an offset for less than six days.)

Instants are seconds since 1970-01-01T00:00Z; wall seconds are what the clock shows, counted alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from domain.errors import InvalidField

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = 86_400
_BLOCK = 28 * _DAY
_LONGEST_REPEAT = 2 * _DAY
"""The most that a clock was ever put back is a day, where the date line moved (Alaska, 1867)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Instants ``start`` (included) to ``end`` (excluded) in which the clock keeps one offset.

    The clock shows the instant plus ``offset``. Before ``start`` it had already shown everything up
    to ``reached``: less than it shows at ``start`` if it has just been put forward, more if back.
    """

    start: int
    end: int
    offset: int
    reached: int


def read_time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises InvalidField("timezone"). Only listed names are opened: for others ``ZoneInfo`` reads
    paths, and raises whatever the file system does.
    """
    if name not in _names():
        raise InvalidField(
            "timezone", "must be an IANA time zone name, such as Europe/Berlin or UTC"
        )
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    # Some systems list "localtime", which is whatever zone the machine is set to.
    return frozenset(available_timezones() - {"localtime"})


def stretch_at(zone: ZoneInfo, instant: int) -> Stretch:
    """The stretch, or the part of it in a block of four weeks, that an instant lies in."""
    return next(s for s in _stretches(zone, instant // _BLOCK) if instant < s.end)


@lru_cache(maxsize=4096)
def _stretches(zone: ZoneInfo, block: int) -> tuple[Stretch, ...]:
    start, end = block * _BLOCK, (block + 1) * _BLOCK
    before = start - _LONGEST_REPEAT
    reached = before + _offset(zone, before)
    stretches = []
    for since, until in pairwise(sorted({before, start, end, *_changes(zone, before, end)})):
        offset = _offset(zone, since)
        if since >= start:
            stretches.append(Stretch(start=since, end=until, offset=offset, reached=reached))
        reached = max(reached, until + offset)
    return tuple(stretches)


def _changes(zone: ZoneInfo, start: int, end: int) -> Iterator[int]:
    """The instants from which the clock keeps another offset, in a span of whole days."""
    for day in range(start, end, _DAY):
        if _offset(zone, day) != _offset(zone, day + _DAY):
            yield _change_in_day_after(zone, day)


def _change_in_day_after(zone: ZoneInfo, instant: int) -> int:
    old = _offset(zone, instant)
    later = range(instant + 1, instant + _DAY + 1)
    return later[bisect_left(later, True, key=lambda second: _offset(zone, second) != old)]


def _offset(zone: ZoneInfo, instant: int) -> int:
    """Seconds that the clock is ahead of UTC."""
    moment = _EPOCH + timedelta(seconds=instant)
    return (moment.astimezone(zone).replace(tzinfo=UTC) - moment) // _SECOND
