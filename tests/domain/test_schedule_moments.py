"""Where a moment ends and the next begins, and where the calendar does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from domain.schedule import parse_schedule

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_next_is_strictly_after_and_previous_strictly_before_to_the_microsecond() -> None:
    schedule = parse_schedule("0 * * * *")
    noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
    hour = timedelta(hours=1)
    assert schedule.next_after(noon - instant) == noon
    assert schedule.next_after(noon) == noon + hour
    assert schedule.next_after(noon + instant) == noon + hour
    assert schedule.previous_before(noon - instant) == noon - hour
    assert schedule.previous_before(noon) == noon - hour
    assert schedule.previous_before(noon + instant) == noon


def test_latest_until_includes_its_end_and_excludes_its_start() -> None:
    schedule = parse_schedule("0 * * * *")
    noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
    day = timedelta(days=1)
    assert schedule.latest_until(noon, after=noon - day) == noon
    assert schedule.latest_until(noon, after=noon - instant) == noon
    assert schedule.latest_until(noon, after=noon) is None
    assert schedule.latest_until(noon - instant, after=noon - day) == noon - timedelta(hours=1)
    assert schedule.latest_until(noon + instant, after=noon) is None
    assert schedule.latest_until(noon - day, after=noon) is None


def test_count_between_includes_its_end_and_excludes_its_start() -> None:
    schedule = parse_schedule("0 * * * *")
    noon, instant = utc("2026-01-01 12:00"), timedelta(microseconds=1)
    day = timedelta(days=1)
    assert schedule.count_between(noon - day, noon) == 24
    assert schedule.count_between(noon - day, noon - instant) == 23
    assert schedule.count_between(noon - day - instant, noon) == 25
    assert schedule.count_between(noon, noon) == 0
    assert schedule.count_between(noon, noon - day) == 0


def test_a_moment_counts_and_not_the_zone_it_is_told_in() -> None:
    schedule = parse_schedule("30 1 * * *", BERLIN)
    moment = utc("2026-06-01 12:00")
    assert schedule.next_after(moment.astimezone()) == schedule.next_after(moment)


def test_a_moment_without_a_zone_is_an_error() -> None:
    with pytest.raises(TypeError):
        parse_schedule("@daily").next_after(datetime(2026, 1, 1))  # noqa: DTZ001 - the error


def test_the_epoch_itself_is_a_tick_like_any_other() -> None:
    epoch = utc("1970-01-01 00:00")
    assert parse_schedule("@daily").next_after(epoch - timedelta(hours=1)) == epoch
    assert parse_schedule("@daily").previous_before(epoch + timedelta(hours=1)) == epoch


def test_the_rarest_dates_are_found_both_ways() -> None:
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


def test_the_ends_of_the_calendar_are_not_errors() -> None:
    schedule = parse_schedule("@daily", "Pacific/Kiritimati")
    first, last = (utc("0001-01-01 00:00"), datetime.max.replace(tzinfo=UTC))
    assert schedule.next_after(last) is None
    assert schedule.previous_before(first) is None
    assert schedule.count_between(last - timedelta(days=1), last) == 0
    earliest, latest = schedule.next_after(first), schedule.previous_before(last)
    assert earliest is not None
    assert latest is not None
    assert (earliest.year, latest.year) == (2, 9998)


def test_a_rare_date_that_the_calendar_has_no_more_of_is_no_error() -> None:
    schedule = parse_schedule("0 0 29 2 */7", "America/Los_Angeles")
    last = schedule.previous_before(datetime.max.replace(tzinfo=UTC))
    assert last is not None
    assert schedule.next_after(last) is None
    first = schedule.next_after(utc("0001-01-01 00:00"))
    assert first is not None
    assert schedule.previous_before(first) is None
