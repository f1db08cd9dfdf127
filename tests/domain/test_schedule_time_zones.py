"""The names of time zones, and the stretches in which a zone's clock runs evenly."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest

from domain.errors import InvalidField
from domain.schedule import Schedule, parse_schedule
from domain.time_zone import stretch_at

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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

    @pytest.mark.parametrize("time_of_day", ["00:00:00", "00:00:01", "12:00:00", "23:59:59"])
    def test_a_change_is_found_at_whatever_second_of_a_day_of_utc(self, time_of_day: str) -> None:
        zone = zone_of_rule(f"STD0DST,J60/{time_of_day},J300/0")
        change = int(utc(f"2026-03-01 {time_of_day}").timestamp())
        assert stretch_at(zone, change - 1).end == change
        assert stretch_at(zone, change).offset == 3_600


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
