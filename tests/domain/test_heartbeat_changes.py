"""What the watch makes of pauses, of new settings, and of pings and misses that race."""

from __future__ import annotations

import pytest

from tests.domain.heartbeat_story import (
    HEARTBEAT,
    at,
    created,
    found,
    missed,
    paused,
    ping,
    resumed,
    updated,
)


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
