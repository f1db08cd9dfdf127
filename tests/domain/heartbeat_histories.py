"""Random histories of a watched job, and when its closer of windows looks at them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.domain.heartbeat_oracle import (
    Change,
    Entry,
    Kind,
    Ping,
    Rhythm,
    Settings,
)

DAY = 86_400
BEGIN = 20_000 * DAY

EVERY_MINUTE = Rhythm("* * * * *", 60)
EVERY_5_MINUTES = Rhythm("*/5 * * * *", 300)
UNEVEN = Rhythm("7,20,50 * * * *", 3600, (420, 1200, 3000))
HOURLY = Rhythm("0 * * * *", 3600)
TWICE_A_DAY = Rhythm("0 9,17 * * *", DAY, (9 * 3600, 17 * 3600))
TOLERANCES = {
    EVERY_MINUTE: (0, 1, 2, 5, 12),
    EVERY_5_MINUTES: (0, 1, 2, 3, 5, 7, 12, 30),
    UNEVEN: (0, 3, 6, 10, 15, 25, 90),
    HOURLY: (0, 5, 30, 45, 60, 90, 200),
    TWICE_A_DAY: (0, 5, 240, 480, 1500),
}


@dataclass(frozen=True)
class Story:
    """A job's history, and when its closer of windows looks: ``looks[n]`` are before entry n.

    What it found last before an entry in ``slow`` is recorded only after that entry.
    """

    first: Settings
    history: list[Entry]
    looks: list[list[int]]
    slow: set[int]
    until: int


@st.composite
def stories(draw: st.DrawFn) -> Story:
    asked = draw(first_settings())
    first, now = asked, BEGIN + draw(st.integers(0, 2 * asked.rhythm.period))
    history: list[Entry] = []
    looks: list[list[int]] = []
    for _ in range(draw(st.integers(0, 14))):
        gap = draw(gaps(asked))
        looks.append([now + share * gap // 4 for share in draw(SOME_QUARTERS)])
        now += gap
        history.append(Ping(now, draw(KINDS), draw(RUNS)))
        if draw(RARELY):
            asked = draw(changed(asked))
            history[-1] = Change(now, asked)
    gap = draw(st.sampled_from((0, 3, 20))) * longest(asked)
    looks.append([now + share * gap // 4 for share in draw(SOME_QUARTERS)])
    slow = draw(st.sets(st.integers(0, 14), max_size=5))
    return Story(first, history, looks, slow, now + gap)


KINDS: st.SearchStrategy[Kind] = st.sampled_from(("beat", "start", "start", "success", "fail"))
RUNS = st.sampled_from((None, None, "a", "b"))
RARELY = st.integers(0, 5).map(lambda drawn: drawn == 5)
SOME_QUARTERS = st.lists(st.integers(0, 4), max_size=2).map(sorted)


def longest(asked: Settings) -> int:
    return max(asked.tolerance, asked.rhythm.period // len(asked.rhythm.seconds))


@st.composite
def first_settings(draw: st.DrawFn) -> Settings:
    rhythm = draw(st.sampled_from(tuple(TOLERANCES)))
    tolerance = 60 * draw(st.sampled_from(TOLERANCES[rhythm]))
    usual = st.integers(0, 9).map(lambda drawn: drawn < 9)
    return Settings(rhythm, tolerance, heartbeat=draw(usual), paused=not draw(usual))


@st.composite
def changed(draw: st.DrawFn, asked: Settings) -> Settings:
    match draw(st.sampled_from(("pause", "pause", "tolerance", "rhythm", "heartbeat"))):
        case "pause":
            return replace(asked, paused=not asked.paused)
        case "tolerance":
            tolerances = TOLERANCES[asked.rhythm]
            return replace(asked, tolerance=60 * draw(st.sampled_from(tolerances)))
        case "heartbeat":
            return replace(asked, heartbeat=not asked.heartbeat)
        case _:
            return replace(draw(first_settings()), paused=asked.paused)


def gaps(asked: Settings) -> st.SearchStrategy[int]:
    """Often such that something happens at the very edge of a window."""
    interval = asked.rhythm.period // len(asked.rhythm.seconds)
    spans = (0, interval // 2, interval, asked.tolerance, interval + asked.tolerance)
    edges = st.builds(
        lambda one, other, off: max(0, one + other + off),
        st.sampled_from(spans),
        st.sampled_from(spans),
        st.sampled_from((-1, 0, 0, 1)),
    )
    return st.one_of(edges, st.integers(0, 3 * longest(asked)))


@dataclass(frozen=True)
class Disorder:
    """Pings in the order of the log, each with the moment at which it was recorded."""

    asked: Settings
    pings: list[tuple[int, Ping]]
    looks: list[list[int]]


@st.composite
def disorders(draw: st.DrawFn) -> Disorder:
    asked = replace(draw(first_settings()), heartbeat=True, paused=False)
    now = BEGIN + draw(st.integers(0, 2 * asked.rhythm.period))
    pings: list[tuple[int, Ping]] = []
    looks: list[list[int]] = []
    for place in range(draw(st.integers(1, 14))):
        gap = draw(gaps(asked))
        looks.append([now + share * gap // 4 for share in draw(SOME_QUARTERS)])
        now += gap
        late = draw(st.sampled_from((0, 0, 1, 60, asked.tolerance, 2 * asked.tolerance)))
        kind = draw(KINDS)
        runs = range(place) if kind != "start" else (place,)
        run = draw(st.sampled_from((None, *map(str, runs))))
        pings.append((now, Ping(now - late, kind, run)))
    return Disorder(asked, pings, looks)
