"""The heartbeat watch against an oracle that sees a job's whole history at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.heartbeat import (
    INITIAL,
    Heartbeat,
    HeartbeatEvent,
    HeartbeatMissed,
    PingReceived,
    evolve,
    misses,
)
from domain.job import JobCreated, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from tests.domain.heartbeat_oracle import (
    Change,
    Entry,
    Kind,
    Missed,
    Ping,
    Rhythm,
    Settings,
    missed_in,
)

EXAMPLES = 150
DAY = 86_400
BEGIN = 20_000 * DAY
INSTANT = timedelta(microseconds=1)
STATE = msgspec.json.Decoder(Heartbeat)

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


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, tz=UTC)


def job_settings(asked: Settings) -> JobSettings:
    return JobSettings(
        name="backup",
        url="https://example.com/",
        method="GET",
        schedule=asked.rhythm.cron,
        heartbeat=asked.heartbeat,
        heartbeat_tolerance=asked.tolerance // 60,
    )


def events_of(place: int, entry: Entry, before: Settings) -> list[HeartbeatEvent]:
    at = moment(entry.at)
    if isinstance(entry, Ping):
        return [PingReceived(ping_id=str(place), kind=entry.kind, received_at=at, run_id=entry.run)]
    after = entry.settings
    events: list[HeartbeatEvent] = []
    if replace(after, paused=before.paused) != before:
        events.append(
            JobUpdated(
                settings=job_settings(after), changed=("schedule",), updated_at=at, next_tick=None
            )
        )
    if after.paused and not before.paused:
        events.append(JobPaused(paused_at=at))
    if before.paused and not after.paused:
        events.append(JobResumed(resumed_at=at, next_tick=None))
    return events


@dataclass
class Watch:
    """The fold of a job's log, and what the closer of windows recorded in it."""

    state: Heartbeat
    recorded: list[HeartbeatMissed] = field(default_factory=list)
    ids: count[int] = field(default_factory=count)

    @classmethod
    def of(cls, asked: Settings) -> Watch:
        created = JobCreated(
            job_id="j",
            project_id="p",
            settings=job_settings(asked),
            paused=asked.paused,
            created_at=moment(BEGIN),
            next_tick=None,
        )
        return cls(evolve(INITIAL, created))

    def take(self, event: HeartbeatEvent) -> None:
        self.state = evolve(self.state, event)
        if isinstance(event, HeartbeatMissed):
            self.recorded.append(event)
        self.check_closing()

    def find(self, at: datetime) -> tuple[HeartbeatMissed, ...]:
        return misses(self.state, at=at, new_id=lambda: f"miss{next(self.ids)}")

    def look(self, at: datetime) -> None:
        for event in self.find(at):
            self.take(event)
        assert self.find(at) == ()

    def store_and_load(self) -> None:
        loaded = STATE.decode(msgspec.json.encode(self.state))
        assert loaded == self.state
        self.state = loaded

    def check_closing(self) -> None:
        """``closes_at`` is the very moment after which there is something to find."""
        closes_at = self.state.closes_at
        if self.state.overdue:
            return
        if closes_at is None:
            assert self.find(moment(BEGIN + 10_000 * DAY)) == ()
        else:
            assert self.find(closes_at) == ()
            assert self.find(closes_at + INSTANT) != ()

    def told(self) -> list[Missed]:
        return sorted(
            Missed(
                at=int(event.missed_at.timestamp()),
                tick=int(event.tick.timestamp()),
                run=-1 if event.started_id is None else int(event.started_id),
            )
            for event in self.recorded
        )


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


@given(stories())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_missed_is_what_the_whole_history_shows_to_be_missed(story: Story) -> None:
    watch = Watch.of(story.first)
    before = story.first
    for place, entry in enumerate(story.history):
        found: tuple[HeartbeatMissed, ...] = ()
        for at in story.looks[place]:
            watch.look(moment(at))
        if place in story.slow and isinstance(entry, Change):
            found = watch.find(moment(entry.at))
        for event in (*events_of(place, entry, before), *found):
            watch.take(event)
        watch.store_and_load()
        before = entry.settings if isinstance(entry, Change) else before
    for at in (*story.looks[-1], story.until):
        watch.look(moment(at))
    assert watch.told() == missed_in(story.first, story.history, story.until)


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


@given(disorders())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_report_that_came_in_time_is_heeded_in_whatever_order_the_log_has_it(
    disorder: Disorder,
) -> None:
    watch = Watch.of(disorder.asked)
    in_log: list[Ping] = []
    for place, (_, ping) in enumerate(disorder.pings):
        for at in disorder.looks[place]:
            already = len(watch.recorded)
            watch.look(moment(at))
            for missed in watch.recorded[already:]:
                assert_nothing_answers(missed, in_log, disorder.asked)
        in_log.append(ping)
        for event in events_of(place, ping, disorder.asked):
            watch.take(event)
    already = len(watch.recorded)
    watch.look(moment(disorder.pings[-1][0] + 30 * DAY))
    for missed in watch.recorded[already:]:
        assert_nothing_answers(missed, in_log, disorder.asked)
    assert watch.state.outage


def assert_nothing_answers(missed: HeartbeatMissed, in_log: list[Ping], asked: Settings) -> None:
    """No report that the log has by now came in time for what is missed."""
    tick, end = int(missed.tick.timestamp()), missed.missed_at.timestamp()
    reports = [ping for ping in in_log if ping.kind != "start"]
    if missed.started_id is None:
        (window,) = asked.rhythm.windows(tick - 1, tick, asked.tolerance)
        assert not [ping for ping in reports if window.start <= ping.at <= end]
        return
    run = in_log[int(missed.started_id)].run
    finishes = [ping for ping in reports if ping.kind != "beat" and ping.run == run]
    assert run is None or not [ping for ping in finishes if ping.at <= end]
