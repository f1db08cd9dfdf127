"""What has come and is not recorded yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.missed_ticks import Missed, missed
from domain.schedule import parse_schedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVERY_SECOND = parse_schedule("* * * * * *")


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def test_a_tick_alone_stands_for_itself() -> None:
    assert missed(EVERY_SECOND, tick=at(2), since=at(0), until=at(2)) == Missed(
        tick=at(2), others=0
    )


def test_the_latest_of_several_stands_for_all() -> None:
    assert missed(EVERY_SECOND, tick=at(2), since=at(0), until=at(6)) == Missed(
        tick=at(6), others=4
    )


def test_a_tick_of_a_former_schedule_counts_with_those_of_the_present_one() -> None:
    tens = parse_schedule("*/10 * * * * *")
    assert missed(tens, tick=at(3), since=at(5), until=at(21)) == Missed(tick=at(20), others=2)


def test_a_tick_of_a_former_schedule_stands_for_itself_until_the_present_one_ticks() -> None:
    tens = parse_schedule("*/10 * * * * *")
    assert missed(tens, tick=at(3), since=at(5), until=at(9)) == Missed(tick=at(3), others=0)


@given(first=st.integers(0, 50), later=st.integers(0, 500), step=st.sampled_from([1, 2, 5, 7, 20]))
def test_every_tick_that_has_come_is_counted_once(first: int, later: int, step: int) -> None:
    schedule = parse_schedule(f"*/{step} * * * * *")
    tick = schedule.next_after(at(first))
    assert tick is not None
    until = tick + timedelta(seconds=later)
    come, each = [], tick
    while each is not None and each <= until:
        come.append(each)
        each = schedule.next_after(each)
    found = missed(schedule, tick=tick, since=at(first), until=until)
    assert (found.tick, found.others) == (come[-1], len(come) - 1)


@pytest.mark.parametrize("part", [0.4, 0.9])
def test_parts_of_a_second_bring_no_tick(part: float) -> None:
    assert missed(EVERY_SECOND, tick=at(2), since=at(0), until=at(2 + part)).others == 0
