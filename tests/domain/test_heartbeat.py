"""The watch on a job's pings, rule by rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from domain.heartbeat import (
    INITIAL,
    MAX_OPEN_STARTS,
    Heartbeat,
    HeartbeatEvent,
    HeartbeatMissed,
    OpenStart,
    PingKind,
    PingReceived,
    evolve,
    misses,
    pair,
    stream,
)
from domain.job import JobCreated, JobPaused, JobResumed, JobUpdated
from domain.job_fields import JobSettings
from tests.domain.decider import Decider, Given

HEARTBEAT: Decider[Heartbeat, HeartbeatEvent] = Decider(INITIAL, evolve)
INSTANT = timedelta(microseconds=1)


def at(clock: str) -> datetime:
    """``HH:MM`` or ``HH:MM:SS`` on the day of all these tests."""
    return datetime.fromisoformat(f"2026-03-10T{clock}").replace(tzinfo=UTC)


def asking(**settings: Any) -> JobSettings:
    """An hourly job with a tolerance of five minutes."""
    usual: dict[str, Any] = {"schedule": "0 * * * *", "heartbeat": True, "heartbeat_tolerance": 5}
    return JobSettings(name="n", url="https://example.com/", method="GET", **usual | settings)


def created(*, paused: bool = False, **settings: Any) -> JobCreated:
    return JobCreated(
        job_id="j",
        project_id="p",
        settings=asking(**settings),
        paused=paused,
        created_at=at("00:00"),
        next_tick=None,
    )


def updated(clock: str, **settings: Any) -> JobUpdated:
    return JobUpdated(
        settings=asking(**settings), changed=tuple(settings), updated_at=at(clock), next_tick=None
    )


def paused(clock: str) -> JobPaused:
    return JobPaused(paused_at=at(clock))


def resumed(clock: str) -> JobResumed:
    return JobResumed(resumed_at=at(clock), next_tick=None)


def ping(kind: PingKind, clock: str, run: str | None = None) -> PingReceived:
    return PingReceived(ping_id=f"{kind} {clock}", kind=kind, received_at=at(clock), run_id=run)


def missed(tick: str, when: str, *, started: str | None = None, number: int = 0) -> HeartbeatMissed:
    return HeartbeatMissed(
        execution_id=f"x{number}",
        tick=at(tick),
        missed_at=at(when),
        started_id=None if started is None else f"start {started}",
    )


def found(
    given: Given[Heartbeat, HeartbeatEvent], clock: str, *, later: timedelta = INSTANT
) -> tuple[HeartbeatEvent, ...]:
    """What the closer of windows finds just after the clock showed that."""
    numbers = count()
    answer = given.when(misses, at=at(clock) + later, new_id=lambda: f"x{next(numbers)}")
    return answer.events


class TestArming:
    def test_a_job_that_never_pinged_is_never_missed(self) -> None:
        assert found(HEARTBEAT.given(created()), "23:59") == ()

    def test_a_job_that_never_pinged_awaits_nothing(self) -> None:
        assert HEARTBEAT.given(created()).state.closes_at is None

    @pytest.mark.parametrize("kind", ["beat", "success", "fail"])
    def test_the_first_ping_arms_the_watch_for_the_windows_that_open_after_it(
        self, kind: PingKind
    ) -> None:
        given = HEARTBEAT.given(created(), ping(kind, "00:30"))
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_first_ping_within_a_window_satisfies_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:55"))
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_job_without_a_heartbeat_is_never_missed(self) -> None:
        given = HEARTBEAT.given(created(heartbeat=False), ping("beat", "00:30"))
        assert found(given, "23:59") == ()

    def test_a_ping_of_a_paused_job_arms_nothing(self) -> None:
        given = HEARTBEAT.given(created(paused=True), ping("beat", "00:30"), resumed("00:40"))
        assert found(given, "23:59") == ()

    def test_a_watch_that_is_asked_for_after_the_first_ping_begins_with_the_next_tick(self) -> None:
        given = HEARTBEAT.given(
            created(heartbeat=False), ping("beat", "00:30"), updated("02:03", heartbeat=True)
        )
        assert found(given, "23:59") == (missed("03:00", "03:05"),)

    def test_a_passive_job_is_watched_as_an_active_one_is(self) -> None:
        given = HEARTBEAT.given(created(mode="passive"), ping("beat", "00:30"))
        assert found(given, "01:05") == (missed("01:00", "01:05"),)


class TestWindows:
    @pytest.mark.parametrize("kind", ["beat", "success", "fail"])
    @pytest.mark.parametrize("clock", ["00:55", "01:00", "01:05"])
    def test_a_report_from_end_to_end_of_the_window_satisfies_it(
        self, kind: PingKind, clock: str
    ) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping(kind, clock))
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_report_before_the_window_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "00:54:59"))
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_report_after_the_window_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "01:05:01"))
        assert found(given, "01:06") == (missed("01:00", "01:05"),)

    def test_a_start_alone_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "00:56"))
        assert found(given, "23:59") == (missed("01:00", "01:10", started="00:56"),)

    def test_a_window_is_open_up_to_its_end_and_missed_after_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"))
        assert given.state.closes_at == at("01:05")
        assert found(given, "01:05", later=timedelta()) == ()
        assert found(given, "01:05") == (missed("01:00", "01:05"),)

    def test_a_miss_bears_the_end_of_its_window_however_late_it_is_noticed(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"))
        assert found(given, "17:23") == (missed("01:00", "01:05"),)

    def test_a_window_opens_half_an_interval_early_where_the_tolerance_is_longer(self) -> None:
        job = created(schedule="*/10 * * * *", heartbeat_tolerance=7)
        early = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:04:59"))
        in_time = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:05"))
        assert found(early, "23:59") == (missed("00:10", "00:17"),)
        assert found(in_time, "23:59") == (missed("00:20", "00:27"),)

    def test_the_interval_that_counts_is_the_one_before_the_tick(self) -> None:
        job = created(schedule="0,10 * * * *", heartbeat_tolerance=20)
        given = HEARTBEAT.given(job, ping("beat", "00:06"), ping("beat", "00:40"))
        assert found(given, "23:59") == (missed("01:10", "01:30"),)
        too_early = HEARTBEAT.given(job, ping("beat", "00:06"), ping("beat", "00:39:59"))
        assert found(too_early, "23:59") == (missed("01:00", "01:20"),)

    def test_a_report_satisfies_every_window_that_is_open(self) -> None:
        job = created(schedule="*/10 * * * *", heartbeat_tolerance=25)
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:30"))
        assert found(given, "23:59") == (missed("00:40", "01:05"),)

    def test_without_a_tolerance_only_a_report_at_the_very_tick_is_in_time(self) -> None:
        job = created(heartbeat_tolerance=0)
        given = HEARTBEAT.given(job, ping("beat", "00:30"), ping("beat", "01:00"))
        assert found(given, "23:59") == (missed("02:00", "02:00"),)
        late = HEARTBEAT.given(job, ping("beat", "00:30"), ping("beat", "01:00:01"))
        assert found(late, "01:59") == (missed("01:00", "01:00"),)

    def test_windows_follow_the_time_zone_of_the_job(self) -> None:
        job = created(schedule="0 9 * * *", timezone="Asia/Kolkata")
        given = HEARTBEAT.given(job, ping("beat", "00:30"))
        assert found(given, "23:59") == (missed("03:30", "03:35"),)


class TestOutages:
    def test_an_outage_is_recorded_once(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), missed("01:00", "01:05"))
        assert found(given, "23:59") == ()
        assert given.state.closes_at is None

    @pytest.mark.parametrize("kind", ["beat", "success"])
    def test_a_beat_or_success_ends_an_outage(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping(kind, "03:20")
        )
        assert found(given, "23:59") == (missed("04:00", "04:05"),)

    @pytest.mark.parametrize("kind", ["start", "fail"])
    def test_neither_a_fail_nor_a_start_ends_an_outage(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping(kind, "03:20")
        )
        assert given.state.outage
        assert found(given, "04:05") == ()

    def test_an_outage_that_a_ping_brought_to_light_is_recorded_all_the_same(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "03:20"))
        assert given.state.closes_at == at("01:05")
        assert found(given, "03:21") == (missed("01:00", "01:05"),)

    def test_outages_that_pings_brought_to_light_are_all_recorded_oldest_first(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("beat", "03:20"), ping("beat", "05:20")
        )
        assert found(given, "06:06") == (
            missed("01:00", "01:05"),
            missed("04:00", "04:05", number=1),
            missed("06:00", "06:05", number=2),
        )

    def test_what_a_ping_brought_to_light_does_not_undo_that_ping_when_it_is_recorded(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("beat", "03:20"), missed("01:00", "01:05")
        )
        assert not given.state.outage
        assert found(given, "04:05") == (missed("04:00", "04:05"),)


class TestRuns:
    def test_a_run_that_was_started_in_a_window_holds_it_open_for_the_tolerance_once_more(
        self,
    ) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "01:05"))
        assert given.state.closes_at == at("01:10")
        in_time = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:05"), ping("success", "01:10")
        )
        assert found(in_time, "01:59") == ()

    def test_a_run_that_was_started_before_the_window_does_not_hold_it_open(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "00:54"))
        assert found(given, "01:06") == (missed("01:00", "01:05"),)

    def test_a_run_without_a_finish_is_missed_once_with_its_window(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "01:02"))
        assert found(given, "01:10", later=timedelta()) == ()
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_first_ping_that_starts_a_run_is_watched_for_its_finish(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:02"))
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_first_ping_that_starts_a_run_arms_the_watch_like_any_other(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:20"))
        assert found(given, "23:59") == (
            missed("02:00", "02:05"),
            missed("02:00", "02:10", started="01:20", number=1),
        )

    def test_a_run_that_was_started_outside_all_windows_is_for_the_next_one(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:20"), ping("beat", "02:00"))
        assert found(given, "02:11") == (missed("02:00", "02:10", started="01:20"),)

    def test_a_beat_satisfies_the_window_but_does_not_end_the_run(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping("beat", "01:03")
        )
        assert found(given, "01:11") == (missed("01:00", "01:10", started="01:02"),)

    @pytest.mark.parametrize("kind", ["success", "fail"])
    def test_a_finish_ends_the_run(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping(kind, "01:09")
        )
        assert given.state.open_starts == ()
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_run_that_is_missed_begins_an_outage_that_its_window_is_part_of(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping("beat", "01:03")
        )
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_run_in_an_outage_ends_as_missed_too(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping("start", "02:58")
        )
        assert found(given, "23:59") == (missed("03:00", "03:10", started="02:58"),)

    def test_a_delayed_run_is_for_the_oldest_window_that_still_waits(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("start", "00:08"))
        assert found(given, "23:59") == (missed("00:05", "00:15", started="00:08"),)

    def test_a_run_at_the_very_end_of_the_oldest_window_is_still_for_that(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("start", "00:10"))
        assert found(given, "23:59") == (missed("00:05", "00:15", started="00:10"),)

    def test_a_second_run_is_for_the_oldest_window_that_it_was_started_in(self) -> None:
        job = created(schedule="* * * * *")
        given = HEARTBEAT.given(
            job, ping("beat", "00:00"), ping("start", "00:01"), ping("start", "00:06:30")
        )
        assert [start.tick for start in given.state.open_starts] == [at("00:01"), at("00:02")]

    @pytest.mark.parametrize(
        ("clock", "tick"),
        [
            ("02:04:59", "02:00"),
            ("02:05", "02:10"),
            ("02:07", "02:10"),
            ("02:27", "02:20"),
            ("02:30", "02:40"),
            ("02:45", "02:40"),
            ("02:47", "02:40"),
            ("02:48", "03:00"),
        ],
    )
    def test_in_an_outage_a_run_is_for_the_last_window_that_is_open_or_else_the_next(
        self, clock: str, tick: str
    ) -> None:
        job = created(schedule="0,10,20,40 * * * *", heartbeat_tolerance=7)
        outage = missed("00:20", "00:27")
        given = HEARTBEAT.given(job, ping("beat", "00:11"), outage, ping("start", clock))
        assert [start.tick for start in given.state.open_starts] == [at(tick)]

    def test_a_run_in_a_satisfied_window_is_for_the_last_one_that_is_open(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:08"), ping("start", "00:08:30"))
        assert given.state.closes_at == at("00:20")
        assert given.state.open_starts[0].tick == at("00:10")

    def test_a_window_that_holds_no_run_closes_although_an_older_one_is_held_open(self) -> None:
        job = created(schedule="* * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:00"), ping("start", "00:01"))
        assert found(given, "00:08") == (missed("00:02", "00:07"),)

    def test_a_missed_run_is_not_found_again_once_it_is_recorded(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            ping("start", "01:02"),
            missed("01:00", "01:10", started="01:02"),
        )
        assert given.state.open_starts == ()
        assert found(given, "23:59") == ()


class TestRaces:
    def test_a_report_in_time_takes_back_what_a_later_ping_brought_to_light(self) -> None:
        past = (created(), ping("beat", "00:30"), ping("start", "01:05:02"))
        assert found(HEARTBEAT.given(*past), "01:06") == (missed("01:00", "01:05"),)
        given = HEARTBEAT.given(*past, ping("success", "01:04:59"))
        assert found(given, "01:06") == ()

    def test_a_fail_in_time_takes_back_the_outage_with_the_miss(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:05:02"), ping("fail", "01:04:59")
        )
        assert not given.state.outage
        assert found(given, "02:06") == (missed("02:00", "02:05"),)

    def test_a_fail_in_time_for_one_miss_does_not_take_back_a_later_outage(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            ping("beat", "01:20"),
            ping("fail", "03:20"),
            ping("fail", "01:04"),
        )
        assert given.state.outage
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_finish_in_time_takes_back_the_miss_of_its_run(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            ping("start", "01:02", run="a"),
            ping("beat", "01:03"),
            ping("start", "01:10:02", run="b"),
            ping("fail", "01:09:59", run="a"),
        )
        assert [start.run_id for start in given.state.open_starts] == ["b"]
        assert not given.state.outage
        assert found(given, "01:59") == ()

    def test_a_finish_out_of_time_does_not_take_it_back(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping("success", "01:10:01")
        )
        assert found(given, "01:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_late_report_of_an_earlier_moment_does_not_turn_the_watch_back(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("beat", "02:00"), ping("beat", "01:59")
        )
        assert given.state.last_report_at == at("02:00")
        assert found(given, "03:06")[1:] == (missed("03:00", "03:05", number=1),)

    def test_a_late_report_from_before_the_watch_does_not_call_up_windows_of_that_time(
        self,
    ) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            paused("00:40"),
            resumed("02:30"),
            ping("beat", "01:30"),
        )
        assert found(given, "23:59") == (missed("03:00", "03:05"),)

    def test_a_miss_that_is_recorded_behind_a_pause_does_not_outlast_it(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            paused("01:04"),
            missed("01:00", "01:05"),
            resumed("01:30"),
        )
        assert found(given, "23:59") == (missed("02:00", "02:05"),)


class TestPauses:
    def test_a_paused_job_is_not_missed(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), paused("00:40"))
        assert given.state.closes_at is None
        assert found(given, "23:59") == ()

    def test_what_was_missed_before_the_pause_is_still_recorded(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), paused("01:06"))
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_resumed_job_is_watched_from_its_next_tick_on(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), paused("00:40"), resumed("03:03"))
        assert found(given, "23:59") == (missed("04:00", "04:05"),)

    def test_a_window_that_is_open_at_the_resumption_counts(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), paused("00:40"), resumed("03:58"))
        assert found(given, "23:59") == (missed("04:00", "04:05"),)

    @pytest.mark.parametrize("report", ["03:55", "03:56"])
    def test_a_report_from_before_a_short_pause_still_satisfies_its_window(
        self, report: str
    ) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "03:10"),
            ping("beat", report),
            paused("03:57"),
            resumed("03:58"),
        )
        assert found(given, "23:59") == (missed("05:00", "05:05"),)

    def test_pings_during_a_pause_are_ignored(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            paused("00:40"),
            ping("beat", "03:56"),
            resumed("03:58"),
        )
        assert found(given, "23:59") == (missed("04:00", "04:05"),)

    def test_a_run_from_before_the_pause_is_not_missed_after_it(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("start", "01:00"),
            paused("01:01"),
            resumed("01:02"),
            ping("beat", "02:00"),
        )
        assert found(given, "02:59") == ()

    def test_a_run_that_was_started_in_a_pause_is_never_watched(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            paused("00:40"),
            ping("start", "00:58"),
            resumed("00:59"),
            updated("01:01", heartbeat_tolerance=9),
            ping("beat", "02:00"),
        )
        assert found(given, "02:59") == ()

    def test_a_run_that_was_started_in_a_pause_holds_no_window_open(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            paused("00:40"),
            ping("start", "00:58"),
            resumed("00:59"),
        )
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_finish_in_a_pause_ends_its_run(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("start", "01:00"), paused("01:01"), ping("success", "01:02")
        )
        assert given.state.open_starts == ()

    def test_a_pause_ends_an_outage(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            missed("01:00", "01:05"),
            paused("02:30"),
            resumed("03:30"),
        )
        assert found(given, "23:59") == (missed("04:00", "04:05"),)


class TestChanges:
    def test_a_new_schedule_is_watched_from_its_next_tick_on(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), updated("00:40", schedule="30 * * * *")
        )
        assert found(given, "23:59") == (missed("01:30", "01:35"),)

    def test_a_new_tolerance_counts_from_the_next_tick_on(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), updated("01:02", heartbeat_tolerance=20)
        )
        assert found(given, "23:59") == (missed("02:00", "02:20"),)

    def test_what_was_missed_before_the_change_is_still_recorded(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), updated("01:06", schedule="30 * * * *")
        )
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_an_outage_goes_on_through_a_change_of_the_schedule(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            missed("01:00", "01:05"),
            updated("01:06", schedule="30 * * * *"),
        )
        assert found(given, "23:59") == ()

    def test_a_change_of_something_else_leaves_the_watch_alone(self) -> None:
        before = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "01:02"))
        after = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            ping("start", "01:02"),
            updated("01:03", timeout=60),
        )
        assert after.state == before.state

    def test_a_running_run_gets_its_time_from_the_new_terms(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("start", "01:02"), updated("01:03", heartbeat_tolerance=20)
        )
        assert given.state.closes_at == at("01:40")

    def test_a_watch_that_is_given_up_finds_nothing_more(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("start", "01:02"), updated("01:03", heartbeat=False)
        )
        assert given.state.closes_at is None
        assert found(given, "23:59") == ()


class TestPairing:
    def starts(self, *runs: str | None) -> tuple[OpenStart, ...]:
        return tuple(
            OpenStart(ping_id=f"p{number}", started_at=at("01:00"), run_id=run)
            for number, run in enumerate(runs)
        )

    def test_a_finish_without_a_run_id_closes_the_latest_open_start(self) -> None:
        first, second = self.starts("a", None)
        pairing = pair((first, second), ping("success", "01:01"))
        assert (pairing.finished, pairing.still_open) == (second, (first,))

    def test_it_closes_one_with_a_run_id_too(self) -> None:
        first, second = self.starts(None, "a")
        pairing = pair((first, second), ping("fail", "01:01"))
        assert (pairing.finished, pairing.still_open) == (second, (first,))

    def test_a_finish_with_a_run_id_closes_the_start_of_the_same(self) -> None:
        first, second, third = self.starts("a", "b", None)
        pairing = pair((first, second, third), ping("success", "01:01", run="a"))
        assert (pairing.finished, pairing.still_open) == (first, (second, third))

    def test_a_finish_of_an_unknown_run_closes_none(self) -> None:
        starts = self.starts("a", None)
        pairing = pair(starts, ping("success", "01:01", run="c"))
        assert (pairing.finished, pairing.still_open) == (None, starts)

    def test_a_finish_without_any_open_start_closes_none(self) -> None:
        pairing = pair((), ping("success", "01:01"))
        assert (pairing.finished, pairing.still_open) == (None, ())

    def test_a_beat_closes_none(self) -> None:
        starts = self.starts(None)
        pairing = pair(starts, ping("beat", "01:01"))
        assert (pairing.finished, pairing.still_open) == (None, starts)

    def test_a_start_is_open_until_its_finish(self) -> None:
        (opened,) = pair((), ping("start", "01:01", run="a")).still_open
        assert (opened.ping_id, opened.started_at, opened.run_id) == (
            "start 01:01",
            at("01:01"),
            "a",
        )

    def test_the_oldest_start_is_given_up_when_there_are_too_many(self) -> None:
        starts = self.starts(*[None] * (MAX_OPEN_STARTS - 1))
        full = pair(starts, ping("start", "01:01"))
        assert full.given_up is None
        over = pair(full.still_open, ping("start", "01:02"))
        assert over.given_up == starts[0]
        assert len(over.still_open) == MAX_OPEN_STARTS
        assert over.still_open[0] == starts[1]


def test_the_stream_of_pings_is_named_after_the_job() -> None:
    assert stream("j1") == "pings-j1"
