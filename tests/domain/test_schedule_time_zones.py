"""Ticks where clocks are put forward and back, told by examples."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from domain.errors import InvalidField
from domain.schedule import Schedule, parse_schedule
from domain.time_zone import stretch_at

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


def zone_of_rule(rule: str) -> ZoneInfo:
    """A zone that follows a POSIX rule and has no history: a TZif file (RFC 8536) of a footer."""
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1)
    one_type = bytes(6) + b"\0"
    return ZoneInfo.from_file(BytesIO(2 * (header + one_type) + b"\n" + rule.encode() + b"\n"))


class TestStretches:
    def test_what_was_shown_before_is_known_across_the_seam_of_two_blocks_of_weeks(self) -> None:
        # Clocks go back at 00:30 by their own time, which is 23:30 UTC of the day before.
        zone = zone_of_rule("STD0DST,J60/0,J127/0:30")
        seam = utc("2026-05-07 00:00")
        assert (seam - utc("1970-01-01 00:00")).days % 28 == 0
        change, instant = int(seam.timestamp()) - 1_800, int(seam.timestamp())
        summer, winter = stretch_at(zone, change - 1), stretch_at(zone, change)
        after_the_seam = stretch_at(zone, instant)
        assert (summer.offset, summer.end) == (3_600, change)
        assert (winter.offset, winter.start, winter.end) == (0, change, instant)
        assert (after_the_seam.offset, after_the_seam.start) == (0, instant)
        assert winter.reached == after_the_seam.reached == change + 3_600

    def test_a_stretch_starts_to_the_second_where_the_clock_changes(self) -> None:
        change = int(utc("1937-06-30 22:40:28").timestamp())
        before = stretch_at(ZoneInfo("Europe/Amsterdam"), change - 1)
        after = stretch_at(ZoneInfo("Europe/Amsterdam"), change)
        assert (before.end, after.start) == (change, change)
        assert after.offset - before.offset == 28
        assert after.reached == change + before.offset

    def test_a_change_at_the_first_or_last_instant_of_a_day_is_found(self) -> None:
        for local, change in (("0", "2026-03-01 00:00"), ("23:59:59", "2026-03-01 23:59:59")):
            zone = zone_of_rule(f"STD0DST,J60/{local},J300/0")
            instant = int(utc(change).timestamp())
            assert stretch_at(zone, instant - 1).end == instant
            assert stretch_at(zone, instant).offset == 3_600


class TestMoments:
    def test_next_is_strictly_after_and_previous_strictly_before_to_the_microsecond(self) -> None:
        schedule = parse_schedule("0 * * * *")
        noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
        hour = timedelta(hours=1)
        assert schedule.next_after(noon - instant) == noon
        assert schedule.next_after(noon) == noon + hour
        assert schedule.next_after(noon + instant) == noon + hour
        assert schedule.previous_before(noon - instant) == noon - hour
        assert schedule.previous_before(noon) == noon - hour
        assert schedule.previous_before(noon + instant) == noon

    def test_latest_until_includes_its_end_and_excludes_its_start(self) -> None:
        schedule = parse_schedule("0 * * * *")
        noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
        day = timedelta(days=1)
        assert schedule.latest_until(noon, after=noon - day) == noon
        assert schedule.latest_until(noon, after=noon - instant) == noon
        assert schedule.latest_until(noon, after=noon) is None
        assert schedule.latest_until(noon - instant, after=noon - day) == noon - timedelta(hours=1)
        assert schedule.latest_until(noon + instant, after=noon) is None
        assert schedule.latest_until(noon - day, after=noon) is None

    def test_count_between_includes_its_end_and_excludes_its_start(self) -> None:
        schedule = parse_schedule("0 * * * *")
        noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
        day = timedelta(days=1)
        assert schedule.count_between(noon - day, noon) == 24
        assert schedule.count_between(noon - day, noon - instant) == 23
        assert schedule.count_between(noon - day - instant, noon) == 25
        assert schedule.count_between(noon, noon) == 0
        assert schedule.count_between(noon, noon - day) == 0

    def test_a_moment_counts_and_not_the_zone_it_is_told_in(self) -> None:
        schedule = parse_schedule("30 1 * * *", BERLIN)
        moment = utc("2026-06-01 12:00")
        assert schedule.next_after(moment.astimezone()) == schedule.next_after(moment)

    def test_a_moment_without_a_zone_is_an_error(self) -> None:
        with pytest.raises(TypeError):
            parse_schedule("@daily").next_after(datetime(2026, 1, 1))  # noqa: DTZ001 - the error

    def test_the_epoch_itself_is_a_tick_like_any_other(self) -> None:
        epoch = utc("1970-01-01 00:00")
        assert parse_schedule("@daily").next_after(epoch - timedelta(hours=1)) == epoch
        assert parse_schedule("@daily").previous_before(epoch + timedelta(hours=1)) == epoch

    def test_the_rarest_dates_are_found_both_ways(self) -> None:
        leap_sunday = parse_schedule("0 0 29 2 */7", BERLIN)
        found = [utc("2070-01-01 00:00")]
        for _ in range(3):
            tick = leap_sunday.next_after(found[-1])
            assert tick is not None
            found.append(tick)
        assert [(tick + timedelta(hours=1)).date().isoformat() for tick in found[1:]] == [
            "2088-02-29",
            "2128-02-29",
            "2156-02-29",
        ]
        for earlier, later in pairwise(found[1:]):
            assert leap_sunday.previous_before(later) == earlier
            assert leap_sunday.latest_until(later, after=earlier) == later
            assert leap_sunday.count_between(earlier, later) == 1

    def test_the_ends_of_the_calendar_are_not_errors(self) -> None:
        schedule = parse_schedule("@daily", "Pacific/Kiritimati")
        first, last = (utc("0001-01-01 00:00"), datetime.max.replace(tzinfo=UTC))
        assert schedule.next_after(last) is None
        assert schedule.previous_before(first) is None
        assert schedule.count_between(last - timedelta(days=1), last) == 0
        earliest, latest = schedule.next_after(first), schedule.previous_before(last)
        assert earliest is not None
        assert latest is not None
        assert (earliest.year, latest.year) == (2, 9998)


class TestTimeZoneNames:
    @pytest.mark.parametrize(
        "name", ["UTC", BERLIN, "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"]
    )
    def test_iana_names_are_known(self, name: str) -> None:
        assert parse_schedule("@daily", name) == Schedule("@daily", name)

    def test_the_zone_is_utc_unless_it_is_given(self) -> None:
        assert parse_schedule("@daily").timezone == "UTC"

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            "Mars/Olympus",
            "europe/berlin",
            "Europe/Berlin ",
            "Europe/Berlin\n",
            "Europe/Berlin\0",
            "\0",
            "Europe",
            "Europe/",
            ".",
            "..",
            "/etc/localtime",
            "/usr/share/zoneinfo/UTC",
            "../zoneinfo/UTC",
            "Europe/../UTC",
            "localtime",
            "posixrules",
            "posix/UTC",
            "right/UTC",
            "zone.tab",
            "tzdata.zi",
            "UTC+2",
            "+02:00",
            "CET-1CEST",
            "\ud800",
            "Z\u00fcrich",
            "x" * 100_000,
        ],
    )
    def test_anything_else_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(InvalidField) as refused:
            parse_schedule("@daily", name)
        assert refused.value.field == "timezone"
        assert refused.value.rule.startswith("must be an IANA time zone name")
