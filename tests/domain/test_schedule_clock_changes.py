"""Ticks where clocks are put forward and back, told by examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.schedule import parse_schedule

NEW_YORK = "America/New_York"
BERLIN = "Europe/Berlin"


def ticks(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks after a moment, in UTC, to the minute or, where it matters, the second."""
    schedule, moment, found = parse_schedule(expression, zone), utc(after), []
    for _ in range(count):
        tick = schedule.next_after(moment)
        assert tick is not None
        assert tick.tzinfo is UTC
        found.append(tick.strftime("%m-%d %H:%M:%S").removesuffix(":00"))
        moment = tick
    return found


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestAFixedTimeJob:
    def test_fires_once_on_the_day_the_clock_goes_back(self) -> None:
        # 01:30 comes twice on 1 November, at 05:30 and at 06:30 UTC.
        assert ticks("30 1 * * *", NEW_YORK, "2026-10-31 12:00", 2) == [
            "11-01 05:30",
            "11-02 06:30",
        ]

    def test_fires_after_the_gap_on_the_day_the_clock_goes_forward(self) -> None:
        # 02:30 never comes on 8 March: 01:59:59 is followed by 03:00, at 07:00 UTC.
        assert ticks("30 2 * * *", NEW_YORK, "2026-03-07 12:00", 2) == [
            "03-08 07:00",
            "03-09 06:30",
        ]

    def test_fires_once_for_all_that_fell_into_the_gap(self) -> None:
        expression = "0,20,40,5-45/10 2,3 8 * *"
        assert ticks(expression, NEW_YORK, "2026-03-08 06:00", 2) == ["03-08 07:00", "03-08 07:05"]
        schedule = parse_schedule(expression, NEW_YORK)
        assert schedule.count_between(utc("2026-03-08 06:00"), utc("2026-03-08 07:00")) == 1
        assert schedule.count_between(utc("2026-03-08 06:00"), utc("2026-03-08 07:05")) == 2
        assert schedule.count_between(utc("2026-03-08 07:00"), utc("2026-03-08 07:05")) == 1
        assert schedule.previous_before(utc("2026-03-08 07:05")) == utc("2026-03-08 07:00")
        before = schedule.previous_before(utc("2026-03-08 07:00"))
        assert before == utc("2026-02-08 08:45")

    def test_is_fixed_with_lists_and_ranges_and_with_seconds_too(self) -> None:
        assert ticks("0-59/30 1 * * *", NEW_YORK, "2026-11-01 05:00", 2) == [
            "11-01 05:30",
            "11-02 06:00",
        ]
        assert ticks("15 30 1 * * *", NEW_YORK, "2026-11-01 05:00", 2) == [
            "11-01 05:30:15",
            "11-02 06:30:15",
        ]
        assert ticks("*/30 30 2 * * *", NEW_YORK, "2026-03-08 06:00", 2) == [
            "03-08 07:00",
            "03-09 06:30",
        ]

    def test_fires_once_where_the_repeat_begins_at_the_seam_of_two_blocks_of_weeks(self) -> None:
        # The repeated hour began at 00:00 UTC, 375 blocks of four weeks after the epoch.
        assert ticks("30 3 * * *", "Asia/Baghdad", "1998-09-30 12:00", 2) == [
            "09-30 23:30",
            "10-02 00:30",
        ]

    def test_asked_within_the_repeated_hour_never_answers_with_the_past(self) -> None:
        assert ticks("30 1 * * *", NEW_YORK, "2026-11-01 06:10", 1) == ["11-02 06:30"]
        schedule = parse_schedule("30 1 * * *", NEW_YORK)
        assert schedule.previous_before(utc("2026-11-01 06:10")) == utc("2026-11-01 05:30")
        assert schedule.count_between(utc("2026-11-01 05:30"), utc("2026-11-01 07:00")) == 0

    def test_goes_back_over_a_repeat_that_is_further_than_a_day_away_from_its_times(self) -> None:
        schedule = parse_schedule("45 1 1 11 *", NEW_YORK)
        assert schedule.previous_before(utc("2026-11-01 06:10")) == utc("2026-11-01 05:45")

    def test_at_midnight_fires_at_one_where_midnight_is_skipped(self) -> None:
        assert ticks("0 0 * * *", "America/Santiago", "2024-09-07 12:00", 2) == [
            "09-08 04:00",
            "09-09 03:00",
        ]

    def test_at_midnight_fires_once_where_midnight_is_repeated(self) -> None:
        assert ticks("0 0 * * *", "America/Havana", "2026-10-31 12:00", 2) == [
            "11-01 04:00",
            "11-02 05:00",
        ]

    def test_of_a_date_that_was_skipped_fires_when_the_next_day_begins(self) -> None:
        # Samoa went from 29 December 2011 straight to the 31st.
        assert ticks("0 9 30 12 *", "Pacific/Apia", "2011-12-01 00:00", 1) == ["12-30 10:00"]

    def test_of_a_date_that_came_twice_fires_once(self) -> None:
        # Alaska had two 18ths of October 1867: it moved to this side of the date line.
        schedule = parse_schedule("0 9 18 10 *", "America/Juneau")
        january = utc("1867-01-01 00:00")
        assert schedule.count_between(january, january + timedelta(days=364)) == 1

    def test_fires_to_the_second_after_a_gap_that_ends_off_the_minute(self) -> None:
        # Amsterdam moved its clocks from 00:00:00 to 00:00:28.
        assert ticks("0 0 1 7 *", "Europe/Amsterdam", "1937-06-30 00:00", 1) == ["06-30 22:40:28"]


class TestAJobWithAWildcardMinuteOrHour:
    def test_runs_through_the_repeated_hour_by_real_time(self) -> None:
        assert ticks("0 * * * *", NEW_YORK, "2026-11-01 04:30", 3) == [
            "11-01 05:00",
            "11-01 06:00",
            "11-01 07:00",
        ]
        assert ticks("*/30 1 * * *", NEW_YORK, "2026-11-01 04:30", 5) == [
            "11-01 05:00",
            "11-01 05:30",
            "11-01 06:00",
            "11-01 06:30",
            "11-02 06:00",
        ]

    def test_runs_over_the_gap_by_real_time(self) -> None:
        assert ticks("*/30 * * * *", NEW_YORK, "2026-03-08 06:00", 3) == [
            "03-08 06:30",
            "03-08 07:00",
            "03-08 07:30",
        ]

    def test_leaves_out_what_the_clock_leaves_out(self) -> None:
        assert ticks("*/30 2 * * *", NEW_YORK, "2026-03-08 06:00", 1) == ["03-09 06:00"]

    def test_finds_the_second_pass_of_a_yearly_date_east_and_west_of_greenwich(self) -> None:
        assert ticks("*/15 2 25 10 *", BERLIN, "2026-10-25 00:45", 2) == [
            "10-25 01:00",
            "10-25 01:15",
        ]
        assert ticks("*/15 1 1 11 *", NEW_YORK, "2026-11-01 05:45", 2) == [
            "11-01 06:00",
            "11-01 06:15",
        ]
        schedule = parse_schedule("*/15 1 1 11 *", NEW_YORK)
        assert schedule.previous_before(utc("2026-11-01 06:00")) == utc("2026-11-01 05:45")

    def test_keeps_its_pace_where_the_clock_goes_back_by_half_an_hour(self) -> None:
        # Lord Howe Island: 02:00 becomes 01:30, at 15:00 UTC.
        assert ticks("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04 14:00", 4) == [
            "04-04 14:30",
            "04-04 15:00",
            "04-04 15:30",
            "04-04 16:00",
        ]
        assert ticks("0 * * * *", "Australia/Lord_Howe", "2026-04-04 13:30", 2) == [
            "04-04 14:00",
            "04-04 15:30",
        ]
