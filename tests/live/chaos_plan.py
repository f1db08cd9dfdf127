"""What is done to the service, and when: drawn from a seed before anything starts, and printed.

Every two seconds something happens to one of its processes or to Redis. It begins with everything
there is, in a random order, so that a short run has seen it all too. PostgreSQL is restarted every
minute besides, in turns as an operator would and as a crash would.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

EVERY: Final = 2.0
"""Seconds between two faults."""

DATABASE_EVERY: Final = 60.0
STOPPED_FOR: Final = 5.0
REDIS_AWAY_AT_MOST: Final = 5.0

ROLES: Final[Mapping[str, int]] = {"api": 2, "scheduler": 3, "worker": 3}
"""How many processes of each role there are."""

Kind = Literal["kill", "stop", "redis restart", "redis flush", "database restart", "database crash"]
_WEIGHTS: Final[Mapping[Kind, int]] = {"kill": 3, "stop": 2, "redis restart": 1, "redis flush": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """``at`` seconds after the first: a fault, the process it is done to, and how long it lasts."""

    at: float
    kind: Kind
    target: str = ""
    lasts: float = 0

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:5.1f} s  {self.kind} {self.target}".rstrip() + lasts


def plan(*, seconds: float, seed: int, database_every: float = DATABASE_EVERY) -> list[Planned]:
    """The faults of a run of so many seconds, in the order in which they begin."""
    chance = random.Random(seed)
    tour = _tour(chance)
    faults = []
    at = 0.0
    while at < seconds:
        kind, role = next(tour)
        faults.append(_drawn(chance, at, kind, role))
        at += EVERY
    faults += _database_faults(seconds, database_every)
    return sorted(faults, key=lambda each: each.at)


def names(role: str) -> Sequence[str]:
    """The names of the processes of a role."""
    return [f"{role}-{number + 1}" for number in range(ROLES[role])]


def summary(faults: Sequence[Planned]) -> str:
    """How many there are of each kind."""
    kinds = Counter(each.kind for each in faults)
    return ", ".join(f"{number} x {kind}" for kind, number in sorted(kinds.items()))


def _tour(chance: random.Random) -> Iterator[tuple[Kind, str]]:
    """Every kind of fault for every role once, in a random order; then at random for ever."""
    first: list[tuple[Kind, str]] = [("redis restart", ""), ("redis flush", "")]
    for role in ROLES:
        first += [("kill", role), ("stop", role)]
    chance.shuffle(first)
    yield from first
    while True:
        (kind,) = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        role = chance.choice([role for role, number in ROLES.items() for _ in range(number)])
        yield kind, role


def _drawn(chance: random.Random, at: float, kind: Kind, role: str) -> Planned:
    match kind:
        case "kill":
            return Planned(at=at, kind=kind, target=chance.choice(names(role)))
        case "stop":
            target = chance.choice(names(role))
            return Planned(at=at, kind=kind, target=target, lasts=STOPPED_FOR)
        case "redis restart":
            return Planned(at=at, kind=kind, lasts=chance.uniform(0, REDIS_AWAY_AT_MOST))
        case _:
            return Planned(at=at, kind=kind)


def _database_faults(seconds: float, every: float) -> Iterator[Planned]:
    at = every / 2
    crash = False
    while at < seconds:
        yield Planned(at=at, kind="database crash" if crash else "database restart")
        at += every
        crash = not crash
