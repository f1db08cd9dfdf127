"""How much work a schedule may make, measured in calls and not in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from domain import cron_expression, schedule, time_zone, wall_calendar
from domain.errors import InvalidField
from domain.schedule import parse_schedule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CACHES = (
    cron_expression.read_expression,
    wall_calendar._days_in,
    time_zone._stretches,
    schedule._timetable,
    schedule._first_from,
    schedule._last_before,
)


def calls_of(work: Callable[[], object]) -> int:
    """How many function calls, of Python and of C, some work makes."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "expression",
    [
        ",".join(["0-59"] * 24) + " * * * *",
        "0 0 " + ",".join(["1-31"] * 24) + " * *",
        "* * * * " + ",".join(["1#1", "L2", "3#5", "7#4"] * 7),
        ",".join(str(n) for n in range(20, 59)) + " * * * *",
        "* * * * " + "9" * 110,
        "0 0 29 2 */7",
        "0 0 * 2 1#5",
        "* 2 8-14 3 */7",  # in New York only times that the clock skips, year after year
    ],
)
def test_no_expression_makes_much_work(expression: str) -> None:
    assert len(expression) <= 128
    parse_schedule("@daily", "America/New_York")  # the names of zones are read once
    for cache in CACHES:
        cache.cache_clear()

    def read_and_search() -> None:
        with suppress(InvalidField):
            parse_schedule(expression, "America/New_York").next_after(NEW_YEAR)

    # Measured at half a microsecond a call: a third of 50 ms.
    assert calls_of(read_and_search) < 30_000


def test_counting_the_ticks_of_a_downtime_does_not_visit_them() -> None:
    every_second = parse_schedule("* * * * * *", "America/New_York")
    month = timedelta(days=31)
    counted: list[int] = []
    calls = calls_of(lambda: counted.append(every_second.count_between(NEW_YEAR, NEW_YEAR + month)))
    assert counted == [31 * 86_400]
    assert calls < 1_000


def test_jobs_that_share_a_schedule_share_the_search_for_its_ticks() -> None:
    parse_schedule("*/7 * * * *").next_after(NEW_YEAR)
    shared = parse_schedule("*/7 * * * *")
    assert calls_of(lambda: shared.next_after(NEW_YEAR)) < 10


def test_what_is_remembered_is_bounded() -> None:
    assert all(cache.cache_parameters()["maxsize"] for cache in CACHES)
