"""How it fared, in numbers: lateness with and without faults nearby, and times of recovery."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from tests.live.chaos_evidence import ChaosEvidence
from tests.live.chaos_faults import Fault
from tests.live.chaos_plan import Kind

NEARBY: Final = timedelta(seconds=15)
"""So long after its end a fault still counts as nearby."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Some numbers: how many, the one in the middle, the 99th of a hundred, and the greatest."""

    count: int
    p50: float
    p99: float
    most: float

    def __str__(self) -> str:
        return f"p50 {self.p50:7.2f}  p99 {self.p99:7.2f}  max {self.most:7.2f} s  ({self.count:,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Times in seconds. ``late``: from a tick to the arrival of its call."""

    faults: Mapping[str, int]
    events: int
    calls: int
    writes: int
    pings: int
    late_in_calm: Spread
    late_in_chaos: Spread
    ended_after: Spread
    redis_again: Spread
    database_away: Spread
    database_again: Spread
    longest_silence: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def numbers(evidence: ChaosEvidence) -> Numbers:
    """Everything that is counted and measured."""
    calm, chaos = _lateness(evidence)
    ends = [
        (check.moved[-1] - check.tick).total_seconds()
        for check in evidence.log.checks.values()
        if check.tick and not check.is_open and check.status != "skipped"
    ]
    database: tuple[Kind, ...] = ("database restart", "database crash")
    away = [f for f in evidence.faults if f.kind in database]
    return Numbers(
        faults=dict(Counter(fault.kind for fault in evidence.faults)),
        events=evidence.log.events,
        calls=len(evidence.calls),
        writes=len(evidence.promises),
        pings=len(evidence.promises.pings),
        late_in_calm=spread(calm),
        late_in_chaos=spread(chaos),
        ended_after=spread(ends),
        redis_again=spread(goings_on_again(evidence, ("redis restart", "redis flush"))),
        database_away=spread((f.ended - f.began).total_seconds() for f in away),
        database_again=spread(goings_on_again(evidence, database)),
        longest_silence=longest_silence([call.arrived_at for call in evidence.calls]),
    )


def spread(values: Iterable[float]) -> Spread:
    """How some numbers are spread; zeros where there are none."""
    ordered = sorted(values) or [0.0]
    last = len(ordered) - 1
    return Spread(
        count=len(ordered),
        p50=ordered[round(last * 0.5)],
        p99=ordered[round(last * 0.99)],
        most=ordered[last],
    )


def goings_on_again(evidence: ChaosEvidence, kinds: Sequence[Kind]) -> list[float]:
    """For each fault of these kinds: seconds from its end to the first call of a later tick."""
    first_arrivals = _by_tick(evidence)
    ticks = [tick for tick, _ in first_arrivals]
    soonest = _soonest_from(arrived for _, arrived in first_arrivals)
    took = []
    for fault in evidence.faults:
        if fault.kind in kinds:
            place = bisect_right(ticks, fault.ended)
            again = soonest[place] if place < len(ticks) else evidence.settled
            took.append((again - fault.ended).total_seconds())
    return took


def longest_silence(moments: Sequence[datetime]) -> float:
    """The longest time, in seconds, between two calls."""
    ordered = sorted(moments)
    gaps = [(b - a).total_seconds() for a, b in pairwise(ordered)]
    return max(gaps, default=0.0)


def _by_tick(evidence: ChaosEvidence) -> list[tuple[datetime, datetime]]:
    """The tick and the first arrival of each check that was called, in the order of the ticks."""
    arrived: dict[str, datetime] = {}
    for call in evidence.calls:
        arrived.setdefault(call.idempotency_key or "", call.arrived_at)
    checks = evidence.log.checks
    return sorted(
        (tick, at)
        for key, at in arrived.items()
        if (check := checks.get(key)) and (tick := check.tick)
    )


def _soonest_from(moments: Iterable[datetime]) -> list[datetime]:
    """At each place, the earliest of the moments from there on."""
    soonest = list(moments)
    for place in range(len(soonest) - 2, -1, -1):
        soonest[place] = min(soonest[place], soonest[place + 1])
    return soonest


def _lateness(evidence: ChaosEvidence) -> tuple[list[float], list[float]]:
    spans = _merged(evidence.faults)
    begins = [began for began, _ in spans]
    calm: list[float] = []
    chaos: list[float] = []
    for tick, arrived in _by_tick(evidence):
        late = (arrived - tick).total_seconds()
        place = bisect_left(begins, arrived) - 1  # the last span that began before the arrival
        near = place >= 0 and spans[place][1] >= tick
        (chaos if near else calm).append(late)
    return calm, chaos


def _merged(faults: Sequence[Fault]) -> list[tuple[datetime, datetime]]:
    """The times with a fault nearby."""
    spans: list[tuple[datetime, datetime]] = []
    for fault in sorted(faults, key=lambda each: each.began):
        until = fault.ended + NEARBY
        if spans and fault.began <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(until, spans[-1][1]))
        else:
            spans.append((fault.began, until))
    return spans
