"""The heartbeat watch against an oracle that sees a job's whole history at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
from hypothesis import given, settings

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
from tests.domain.heartbeat_histories import BEGIN, DAY, Disorder, Story, disorders, stories
from tests.domain.heartbeat_oracle import (
    Change,
    Entry,
    Missed,
    Ping,
    Settings,
    missed_in,
)

EXAMPLES = 150
INSTANT = timedelta(microseconds=1)
STATE = msgspec.json.Decoder(Heartbeat)


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
