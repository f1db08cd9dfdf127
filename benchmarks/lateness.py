"""How late ticks and calls were: what a run was to do, what the log tells of it, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from api.bootstrap import Core
from benchmarks import processor
from benchmarks.places import Shape
from benchmarks.rows import Row, table
from domain.codec import Codec
from domain.execution import CheckDue, CheckFailed, CheckSkipped, CheckStarted, CheckSucceeded

LIMIT: Final = 5.0
"""Seconds that 99 of 100 ticks may be late at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is to be done, by how many; ``set_up`` are the seconds that recording the jobs may take."""

    shape: Shape
    due: str
    jobs: int
    minutes: int
    schedulers: int
    workers: int
    set_up: float

    @property
    def told(self) -> str:
        """In a few words."""
        return f"{self.shape}, {self.jobs:,} jobs due {self.due}"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the log tells of the ticks in those minutes, in seconds, and who was how busy meanwhile."""

    scenario: Scenario
    recorded: list[float] = field(default_factory=list)
    """How late each tick was recorded, ascending."""
    called: list[float] = field(default_factory=list)
    """How late each call began, ascending."""
    skipped: int = 0
    swallowed: int = 0
    """Ticks for which a later one stands."""
    failed: int = 0
    ended: int = 0
    """Checks that ended within those minutes, of whatever tick."""
    received: int = 0
    """Calls that the receiver got within them."""
    busy: processor.Seconds = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.scenario.minutes * 60.0

    @property
    def expected(self) -> int:
        """How many ticks there were."""
        return self.scenario.jobs * self.scenario.minutes

    @property
    def left_out(self) -> int:
        """How many of them were never called, or not by the time that everything was stopped."""
        return self.expected - len(self.called)

    def rows(self) -> list[Row]:
        """Lines for the table of ratios."""
        fault = f"{self.left_out:,} of {self.expected:,} left out" if self.left_out else ""
        return [
            Row(
                path=f"{what} late, 99 of 100, {self.scenario.jobs:,} jobs {self.scenario.due}",
                shape=self.scenario.shape,
                unit="s",
                ours=[percentile(late, 99)],
                limits={"s": [LIMIT]},
                aim=1.0,
                at_most=True,
                fault=fault,
            )
            for what, late in (("ticks", self.recorded), ("calls", self.called))
        ]


def read(core: Core, outcome: Outcome, *, after: int, begins: datetime, ends: datetime) -> None:
    codec = Codec()
    names = codec.names_of(CheckDue, CheckSkipped, CheckStarted, CheckSucceeded, CheckFailed)
    ticks: dict[str, datetime] = {}
    while events := core.store.read_all(after=after, limit=5_000, types=names):
        after = events[-1].position
        for event in events:
            assert event.payload is not None
            content = codec.decode(event.type, event.schema_version, event.payload)
            match content:
                case CheckDue(tick=tick) if tick < ends:
                    ticks[event.stream] = tick
                    outcome.recorded.append((event.recorded_at - tick).total_seconds())
                    outcome.swallowed += content.skipped_ticks
                case CheckSkipped(tick=tick) if tick < ends:
                    outcome.skipped += 1
                    outcome.swallowed += content.skipped_ticks
                case CheckStarted(attempt=1, started_at=at) if event.stream in ticks:
                    outcome.called.append((at - ticks[event.stream]).total_seconds())
                case CheckSucceeded(finished_at=at) | CheckFailed(finished_at=at):
                    outcome.failed += isinstance(content, CheckFailed)
                    outcome.ended += begins <= at < ends
    outcome.recorded.sort()
    outcome.called.sort()


def percentile(ascending: Sequence[float], part: float) -> float:
    """The smallest value that so many of 100 don't exceed (nearest rank); infinite where none is."""
    if not ascending:
        return float("inf")
    return ascending[max(0, -int(-len(ascending) * part // 100) - 1)]


HEADINGS: Final = (
    "shape, jobs and when they are due",
    "ticks",
    "recorded late: median / p99 / max",
    "called late: median / p99 / max",
    "checks/s ended",
    "calls/s received",
    "skipped",
    "swallowed",
    "never called",
    "failed",
)


def told(outcomes: Sequence[Outcome]) -> str:
    """Two tables: lateness, and who was how busy."""
    lateness = [
        (
            outcome.scenario.told,
            f"{outcome.expected:,}",
            _spread(outcome.recorded),
            _spread(outcome.called),
            f"{outcome.ended / outcome.seconds:,.0f}",
            f"{outcome.received / outcome.seconds:,.0f}",
            f"{outcome.skipped:,}",
            f"{outcome.swallowed:,}",
            f"{outcome.left_out:,}",
            f"{outcome.failed:,}",
        )
        for outcome in outcomes
    ]
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.busy))
    busy = [
        (
            outcome.scenario.told,
            *(_share(outcome, name) for name in names),
            f"{sum(outcome.busy.values()) / outcome.seconds:.2f}",
        )
        for outcome in outcomes
    ]
    shares = table(("processors that were busy with", *names, "together"), busy)
    return f"{table(HEADINGS, lateness)}\n\n{shares}"


def _spread(late: Sequence[float]) -> str:
    return " / ".join(f"{percentile(late, part):.2f} s" for part in (50, 99, 100))


def _share(outcome: Outcome, name: str) -> str:
    if name not in outcome.busy:
        return ""
    each = outcome.busy[name] / max(1, outcome.ended) * 1e6
    return f"{outcome.busy[name] / outcome.seconds:.2f} ({each:,.0f} us a check)"
