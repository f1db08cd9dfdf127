"""Every tick is in exactly one record: in an execution of its own, or among those that it stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A tick with an execution of its own, and how many before it that execution stands for too."""

    tick: datetime
    skipped_ticks: int = 0

    @classmethod
    def of(cls, execution: Mapping[str, Any]) -> Recorded:
        return cls(
            tick=datetime.fromisoformat(execution["scheduledFor"]),
            skipped_ticks=execution["skippedTicks"],
        )


def ticks_between(began: datetime, ended: datetime, *, every: int) -> list[datetime]:
    """The ticks of ``*/every * * * * *`` after the one moment and not after the other."""
    second = began.replace(microsecond=0)
    ticks = []
    while (second := second + _SECOND) <= ended:
        if second.second % every == 0:
            ticks.append(second)
    return ticks


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
