"""What a heartbeat watch must find, worked out naively from a job's whole history at once.

It shares no code with :mod:`domain.heartbeat`: ticks come from plain arithmetic, and whether a window
was satisfied is looked up among all reports there ever were. Moments are whole seconds. A history is
in the order of the log, and its moments never go back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

FOR_EVER = 10**12
Kind = Literal["beat", "start", "success", "fail"]


@dataclass(frozen=True)
class Rhythm:
    """A schedule in UTC: ``seconds`` after the start of every ``period``."""

    cron: str
    period: int
    seconds: tuple[int, ...] = (0,)

    def ticks(self, after: int, until: int) -> list[int]:
        first, last = after // self.period - 1, until // self.period + 1
        every = (
            turn * self.period + second
            for turn in range(first, last + 1)
            for second in self.seconds
        )
        return [tick for tick in every if after < tick <= until]

    def windows(self, after: int, until: int, tolerance: int) -> list[Window]:
        """Of the ticks after one moment up to another; ``tolerance`` is in seconds."""
        ticks = self.ticks(after - 2 * self.period, until)
        return [
            Window(tick, tick - min(tolerance, (tick - before) / 2), tick + tolerance)
            for before, tick in pairwise(ticks)
            if tick > after
        ]


@dataclass(frozen=True)
class Window:
    tick: int
    start: float
    end: int

    def contains(self, moment: int) -> bool:
        return self.start <= moment <= self.end


@dataclass(frozen=True)
class Settings:
    """What the job asks; ``tolerance`` is in seconds."""

    rhythm: Rhythm
    tolerance: int
    heartbeat: bool = True
    paused: bool = False

    @property
    def watching(self) -> bool:
        return self.heartbeat and not self.paused


@dataclass(frozen=True)
class Ping:
    at: int
    kind: Kind
    run: str | None = None


@dataclass(frozen=True)
class Change:
    at: int
    settings: Settings


Entry = Ping | Change


@dataclass(frozen=True, order=True)
class Missed:
    """``run`` is the place in the history of the start that found no finish, if it was that."""

    at: int
    tick: int
    run: int = -1


@dataclass
class Run:
    """A start, by its place in the history."""

    place: int
    at: int
    name: str | None
    tick: int = 0
    deadline: int | None = None


@dataclass
class Segment:
    """A stretch of the history in which one set of terms holds, up to the change at ``end_place``."""

    settings: Settings
    begin: int
    end: int
    begin_place: int
    end_place: int
    windows: list[Window] = field(default_factory=list)


def missed_in(first: Settings, history: Sequence[Entry], until: int) -> list[Missed]:
    """Everything that is missed before ``until``, in the order in which it was."""
    return sorted(_Judge(first, history, until).verdict())


class _Judge:
    def __init__(self, first: Settings, history: Sequence[Entry], until: int) -> None:
        self.history = history
        self.until = until
        self.segments = list(self._segments(first))
        self.paused_at_place = self._pauses(first)
        self.heeded = [
            (place, ping)
            for place, ping in enumerate(history)
            if isinstance(ping, Ping) and not self.paused_at_place[place]
        ]
        self.reports = [(place, ping.at) for place, ping in self.heeded if ping.kind != "start"]
        self.starts = [(place, ping.at) for place, ping in self.heeded if ping.kind == "start"]
        for segment in self.segments:
            segment.windows = self._watched_windows(segment)

    def _segments(self, first: Settings) -> Iterator[Segment]:
        settings, begin, begin_place = first, 0, -1
        for place, entry in enumerate(self.history):
            if isinstance(entry, Change) and entry.settings != settings:
                yield Segment(settings, begin, entry.at, begin_place, place)
                settings, begin, begin_place = entry.settings, entry.at, place
        yield Segment(settings, begin, FOR_EVER, begin_place, len(self.history))

    def _pauses(self, first: Settings) -> list[bool]:
        paused, found = first.paused, []
        for entry in self.history:
            if isinstance(entry, Change):
                paused = entry.settings.paused
            found.append(paused)
        return found

    def _watched_windows(self, segment: Segment) -> list[Window]:
        """The windows that the watch looks at in a segment, satisfied or not."""
        if not segment.settings.watching or not self.heeded:
            return []
        armed_place, arming = self.heeded[0]
        if armed_place > segment.end_place:
            return []
        rhythm, tolerance = segment.settings.rhythm, segment.settings.tolerance
        last = min(segment.end, self.until)
        if armed_place < segment.begin_place:
            return rhythm.windows(segment.begin, last + rhythm.period, tolerance)
        ever = rhythm.windows(
            arming.at - tolerance - rhythm.period, last + rhythm.period, tolerance
        )
        if arming.kind == "start":
            own = self._last_open_or_next(segment.settings, arming.at)
            return [window for window in ever if window.tick >= own.tick]
        return [window for window in ever if window.start > arming.at]

    def _last_open_or_next(self, settings: Settings, moment: int) -> Window:
        rhythm, tolerance = settings.rhythm, settings.tolerance
        near = rhythm.windows(
            moment - tolerance - rhythm.period, moment + 2 * rhythm.period, tolerance
        )
        is_open = [window for window in near if window.contains(moment)]
        return is_open[-1] if is_open else next(w for w in near if w.start > moment)

    def _closing(self, segment: Segment, window: Window) -> int:
        """The end of a window, later by the tolerance if a watched run was started within it."""
        since = segment.begin_place
        for earlier in reversed(self.segments[: self.segments.index(segment)]):
            if not earlier.settings.watching:
                break
            since = earlier.begin_place
        held = any(
            since < place < segment.end_place and window.contains(at) for place, at in self.starts
        )
        return window.end + (segment.settings.tolerance if held else 0)

    def _unsatisfied(self, segment: Segment) -> list[tuple[int, int]]:
        """When each unsatisfied window of a segment closes, with its tick."""
        closings = [(self._closing(segment, window), window) for window in segment.windows]
        return sorted(
            (closing, window.tick)
            for closing, window in closings
            if closing < min(segment.end, self.until)
            and not any(window.start <= at <= closing for _, at in self.reports)
        )

    def verdict(self) -> list[Missed]:
        """Walk through the history, with an outage begun by what is missed and ended by what is well."""
        self.found: list[Missed] = []
        self.outage = False
        self.open_runs: list[Run] = []
        for number, segment in enumerate(self.segments):
            watched_before = number > 0 and self.segments[number - 1].settings.watching
            self._enter(segment, goes_on=watched_before and segment.settings.watching)
            self.closings = self._unsatisfied(segment)
            for place in range(segment.begin_place + 1, segment.end_place):
                entry = self.history[place]
                if isinstance(entry, Ping):
                    self._close(entry.at)
                    self._hear(segment, place, entry)
            self._close(min(segment.end, self.until))
        return self.found

    def _enter(self, segment: Segment, *, goes_on: bool) -> None:
        self.outage = self.outage and goes_on
        for run in self.open_runs:
            if goes_on and run.deadline is not None:
                own = self._last_open_or_next(segment.settings, segment.begin)
                run.tick, run.deadline = own.tick, own.end + segment.settings.tolerance
            else:
                run.deadline = None

    def _close(self, before: int) -> None:
        while True:
            runs = [
                (run.deadline, run)
                for run in self.open_runs
                if run.deadline is not None and run.deadline < before
            ]
            windows = [due for due in self.closings if due[0] < before]
            if not runs and not windows:
                return
            run_ends = min((at for at, _ in runs), default=FOR_EVER)
            window_closes = min((at for at, _ in windows), default=FOR_EVER)
            if run_ends <= window_closes:
                run = next(run for at, run in runs if at == run_ends)
                self.open_runs.remove(run)
                self.found.append(Missed(run_ends, run.tick, run.place))
            else:
                tick = next(tick for at, tick in windows if at == window_closes)
                self.closings.remove((window_closes, tick))
                if not self.outage:
                    self.found.append(Missed(window_closes, tick))
            self.outage = True

    def _hear(self, segment: Segment, place: int, ping: Ping) -> None:
        heeded = not segment.settings.paused
        if ping.kind == "start":
            run = Run(place, ping.at, ping.run)
            self.open_runs.append(run)
            if segment.settings.watching:
                own = self._window_of_run(segment, place, ping.at)
                run.tick, run.deadline = own.tick, own.end + segment.settings.tolerance
            return
        if ping.kind != "beat":
            fitting = [run for run in self.open_runs if ping.run is None or run.name == ping.run]
            if fitting:
                self.open_runs.remove(fitting[-1])
        if heeded and ping.kind != "fail":
            self.outage = False

    def _window_of_run(self, segment: Segment, place: int, moment: int) -> Window:
        if not self.outage:
            for window in segment.windows:
                reported = any(
                    earlier < place and at >= window.start for earlier, at in self.reports
                )
                if window.contains(moment) and not reported:
                    return window
        return self._last_open_or_next(segment.settings, moment)
