"""What a benchmark finds: a rate of ours beside its limit, round by round, and the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: so many rounds, each so many seconds long; ``scale`` is for amounts."""

    rounds: int
    seconds: float
    scale: float

    def of(self, count: int) -> int:
        """So many things, or fewer where less is asked for."""
        return max(1, round(count * self.scale))


FULL: Final = Effort(rounds=5, seconds=2.0, scale=1.0)
QUICK: Final = Effort(rounds=2, seconds=0.5, scale=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table: what was measured in each round, ours and each limit's.

    The lowest limit counts (with ``at_most``: ours must not be above it). ``aim`` is the share of it
    that is to be reached, and without any ``fault``. ``took`` is microseconds of processor
    time for each thing, by process.
    """

    path: str
    shape: str
    unit: str
    ours: Sequence[float]
    limits: Mapping[str, Sequence[float]]
    aim: float
    at_most: bool = False
    took: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""

    @property
    def limit(self) -> str:
        """The name of the lowest limit."""
        return min(self.limits, key=lambda name: statistics.median(self.limits[name]))

    @property
    def ratios(self) -> list[float]:
        """Ours to the lowest limit, in each round, ascending."""
        return sorted(a / b for a, b in zip(self.ours, self.limits[self.limit], strict=True))

    @property
    def ratio(self) -> float:
        """Their median."""
        return statistics.median(self.ratios)

    @property
    def is_reached(self) -> bool:
        """Whether the aim is."""
        if self.fault:
            return False
        return self.ratio <= self.aim if self.at_most else self.ratio >= self.aim

    @property
    def verdict(self) -> str:
        """The same in words."""
        if self.is_reached:
            return "reached"
        return f"**falls short**{': ' if self.fault else ''}{self.fault}"

    def cells(self) -> tuple[str, ...]:
        """The line, as :data:`HEADINGS` has it."""
        ratios = self.ratios
        lowest = self.limit
        limits = [lowest, *(name for name in self.limits if name != lowest)]
        return (
            self.path,
            self.shape,
            f"{_rounded(statistics.median(self.ours))} {self.unit}",
            " < ".join(
                f"{_rounded(statistics.median(self.limits[name]))} {name}" for name in limits
            ),
            f"{self.ratio:.0%}",
            f"{ratios[0]:.0%} to {ratios[-1]:.0%}",
            f"{'at most' if self.at_most else 'at least'} {self.aim:.0%}",
            self.verdict,
        )


HEADINGS: Final = ("path", "shape", "ours", "limit or peer", "ratio", "rounds", "aim", "verdict")

Measure = Callable[[], float]


def in_turns(rounds: int, **measures: Measure) -> dict[str, list[float]]:
    """Run them one after the other, so many times; returns what each came to."""
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
    return seen


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as a Markdown table that is also readable as it is."""
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    ruled = [headings, ["-" * width for width in widths], *lines]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in ruled
    )


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
