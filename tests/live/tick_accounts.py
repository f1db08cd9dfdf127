"""Every tick is in exactly one record: in an execution of its own, or among those that it stands for.

Which ticks there are is computed here from the seconds field of a schedule, by arithmetic alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

NEVER: Final = "0 0 0 1 1 *"
"""A schedule without a tick while a run goes on."""

_SECOND: Final = timedelta(seconds=1)
_ANYTIME: Final = ["*"] * 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A tick with an execution of its own, and how many before it that execution stands for too.

    ``position`` and ``at`` are the place in the log and the moment of the record.
    """

    tick: datetime
    skipped_ticks: int = 0
    position: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """In which seconds of each minute a job ticks, from a moment and a place in the log on.

    ``stops``: they begin with a stop (a pause). What has come by then and is not recorded counts
    with the next tick that is, if there ever is one.
    """

    since: datetime
    position: int
    seconds: frozenset[int]
    stops: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The ticks that have to be accounted for, ascending; those of them that a stop held up; and those
    that it kept from being recorded for good."""

    ticks: Sequence[datetime]
    held_up: Set[datetime] = frozenset()
    dropped: Sequence[datetime] = ()


def seconds_of(schedule: str) -> frozenset[int]:
    """The seconds of each minute in which a schedule such as ``*/7 * * * * *`` ticks."""
    if schedule == NEVER:
        return frozenset()
    field, *others = schedule.split()
    if others != _ANYTIME:
        raise ValueError(f"{schedule!r} is no schedule of seconds alone")
    seconds: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = ("0-59" if span == "*" else span).partition("-")
        seconds.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return frozenset(seconds)


def ticks_between(began: datetime, ended: datetime, *, seconds: frozenset[int]) -> list[datetime]:
    """The ticks after the one moment and not after the other."""
    second = began.replace(microsecond=0)
    ticks = []
    while (second := second + _SECOND) <= ended:
        if second.second in seconds:
            ticks.append(second)
    return ticks


def expected_ticks(timeline: Sequence[Terms], recorded: Iterable[Recorded]) -> Expected:
    """The ticks of a job whose terms were these, one after the other; the last has to be tickless.

    New terms hold from where they stand in the log: a tick of the old ones that was recorded before is
    theirs, even if it came after the moment at which the change was decided. One that had come by
    that moment is to be recorded, whenever that is.
    """
    if timeline[-1].seconds:
        raise ValueError("it still ticks")
    places = sorted((each.position, each.tick) for each in recorded)
    last = max((tick for _, tick in places), default=timeline[0].since)
    begin, latest, place = timeline[0].since, timeline[0].since, 0
    ticks: list[datetime] = []
    held_up: set[datetime] = set()
    for terms, following in pairwise(timeline):
        while place < len(places) and places[place][0] < following.position:
            latest = max(latest, places[place][1])
            place += 1
        until = max(begin, latest, following.since)
        theirs = ticks_between(begin, until, seconds=terms.seconds)
        ticks += theirs
        if following.stops:
            held_up.update(tick for tick in theirs if tick > latest)
        begin = until
    dropped = [tick for tick in ticks if tick > last and tick in held_up]
    return Expected(
        ticks=[tick for tick in ticks if tick <= last or tick not in held_up],
        held_up=held_up,
        dropped=dropped,
    )


def faults_of_ticks(expected: Sequence[datetime], recorded: Iterable[Recorded]) -> list[str]:
    """What is wrong with the records of these ticks: each has to be in exactly one of them."""
    places = {tick: place for place, tick in enumerate(expected)}
    accounted: Counter[datetime] = Counter()
    faults = []
    for each in recorded:
        place = places.get(each.tick)
        if place is None or each.skipped_ticks > place:
            faults.append(f"{each.tick:%T} (+{each.skipped_ticks}) is more than there ever was")
            continue
        accounted.update(expected[place - each.skipped_ticks : place + 1])
    faults += [f"{tick:%T} is missing" for tick in expected if not accounted[tick]]
    faults += [f"{tick:%T} is accounted for {n} times" for tick, n in accounted.items() if n > 1]
    return faults


def waits_for_a_record(expected: Expected, recorded: Iterable[Recorded]) -> list[timedelta]:
    """For each record, how long the oldest of the ticks that it stands for had waited for it.

    Ticks that a stop held up are not counted: they wait until the job ticks again.
    """
    places = {tick: place for place, tick in enumerate(expected.ticks)}
    waits = []
    for each in recorded:
        place = places.get(each.tick)
        if each.at is not None and place is not None:
            stands_for = expected.ticks[max(0, place - each.skipped_ticks) : place + 1]
            waited_for = [tick for tick in stands_for if tick not in expected.held_up]
            waits.append(each.at - min(waited_for, default=each.tick))
    return waits
