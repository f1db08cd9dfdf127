"""Which ticks there are, and that each is in exactly one record, is computed as it should be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim

from tests.live.tick_accounts import (
    NEVER,
    Recorded,
    Terms,
    expected_ticks,
    faults_of_ticks,
    seconds_of,
    ticks_between,
    waits_for_a_record,
)

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
EACH_SECOND = "* * * * * *"
EVERY_TENTH = "*/10 * * * * *"


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def seconds(*numbers: int) -> list[datetime]:
    return [second(number) for number in numbers]


def terms(schedule: str, since: float, position: int, *, stops: bool = False) -> Terms:
    return Terms(since=second(since), position=position, seconds=seconds_of(schedule), stops=stops)


def recorded(at: int, position: int, skipped: int = 0, *, late: float = 0) -> Recorded:
    return Recorded(tick=second(at), skipped_ticks=skipped, position=position, at=second(at + late))


def test_the_ticks_between_two_moments_are_those_after_the_one_and_up_to_the_other() -> None:
    each, every_other = seconds_of(EACH_SECOND), seconds_of("*/2 * * * * *")
    just_after = NOON + timedelta(milliseconds=1)
    assert ticks_between(just_after, second(3), seconds=each) == seconds(1, 2, 3)
    assert ticks_between(NOON, second(3), seconds=every_other) == seconds(2)


@pytest.mark.parametrize(
    "schedule",
    [
        *(f"*/{n} * * * * *" for n in range(1, 11)),
        "3-59/7 * * * * *",
        "1,5-9 * * * * *",
        "* * * * * *",
    ],
)
def test_the_seconds_of_a_schedule_are_those_of_an_independent_evaluator(schedule: str) -> None:
    evaluator = CronSim(schedule, NOON)
    oracle = [next(evaluator) for _ in range(100)]
    assert ticks_between(NOON, oracle[-1], seconds=seconds_of(schedule)) == oracle


def test_a_schedule_that_is_not_one_of_seconds_alone_is_refused() -> None:
    assert seconds_of(NEVER) == frozenset()
    with pytest.raises(ValueError, match="no schedule of seconds alone"):
        seconds_of("* 5 * * * *")


def test_ticks_that_are_recorded_once_or_counted_once_are_in_order() -> None:
    records = [recorded(1, 1), recorded(4, 2, 2), recorded(5, 3)]
    assert faults_of_ticks(seconds(1, 2, 3, 4, 5), records) == []


@pytest.mark.parametrize(
    ("records", "faults"),
    [
        ([(1, 0), (3, 0)], ["12:00:02 is missing"]),
        ([(1, 0), (2, 0)], ["12:00:03 is missing"]),
        ([(1, 0), (3, 2)], ["12:00:01 is accounted for 2 times"]),
        ([(1, 0), (2, 0), (2, 0), (3, 0)], ["12:00:02 is accounted for 2 times"]),
        ([(1, 0), (2, 0), (3, 0), (4, 0)], ["12:00:04 (+0) is more than there ever was"]),
        (
            [(2, 2), (3, 0)],
            [
                "12:00:02 (+2) is more than there ever was",
                "12:00:01 is missing",
                "12:00:02 is missing",
            ],
        ),
    ],
)
def test_a_tick_that_is_lost_or_recorded_twice_is_noticed(
    records: Sequence[tuple[int, int]], faults: list[str]
) -> None:
    found = [recorded(at, 1, skipped) for at, skipped in records]
    assert faults_of_ticks(seconds(1, 2, 3), found) == faults


def test_a_job_whose_ticks_have_not_ended_can_t_be_accounted_for() -> None:
    with pytest.raises(ValueError, match="still ticks"):
        expected_ticks([terms(EACH_SECOND, 0, 1)], [])


def test_the_ticks_of_the_old_schedule_are_expected_up_to_the_change_and_then_the_new_ones() -> (
    None
):
    timeline = [terms(EACH_SECOND, 0, 1), terms(EVERY_TENTH, 3.5, 9), terms(NEVER, 21, 20)]
    found = expected_ticks(timeline, [recorded(1, 2)])
    assert found.ticks == seconds(1, 2, 3, 10, 20)
    assert (found.dropped, found.held_up) == ([], set())


def test_a_tick_recorded_before_a_change_that_was_decided_earlier_is_the_old_schedule_s() -> None:
    timeline = [terms(EACH_SECOND, 0, 1), terms("*/2 * * * * *", 1.5, 9), terms(NEVER, 6.5, 20)]
    records = [recorded(each, position) for each, position in [(1, 2), (2, 3), (3, 4)]]
    assert expected_ticks(timeline, records).ticks == seconds(1, 2, 3, 4, 6)


def test_what_a_pause_held_up_counts_with_the_next_record() -> None:
    timeline = [
        terms(EACH_SECOND, 0, 1),
        terms(NEVER, 4.5, 9, stops=True),
        terms(EACH_SECOND, 20, 10),
        terms(NEVER, 22.5, 20),
    ]
    records = [recorded(1, 2), recorded(2, 3), recorded(21, 11, 2, late=0.5), recorded(22, 12)]
    found = expected_ticks(timeline, records)
    assert found.ticks == seconds(1, 2, 3, 4, 21, 22)
    assert faults_of_ticks(found.ticks, records) == []
    assert found.dropped == []
    waits = waits_for_a_record(found, records)
    assert waits == [timedelta(), timedelta(), timedelta(seconds=0.5), timedelta()]


def test_what_a_pause_held_up_is_dropped_where_the_job_never_ticks_again() -> None:
    timeline = [
        terms(EACH_SECOND, 0, 1),
        terms(NEVER, 4.5, 9, stops=True),
        terms(NEVER, 20, 10),
    ]
    found = expected_ticks(timeline, [recorded(1, 2), recorded(2, 3)])
    assert (found.ticks, found.dropped) == (seconds(1, 2), seconds(3, 4))


def test_what_nothing_held_up_is_never_dropped() -> None:
    timeline = [
        terms(EACH_SECOND, 0, 1),
        terms(NEVER, 2.5, 9, stops=True),
        terms(EACH_SECOND, 20, 10),
        terms(NEVER, 22.5, 20),
    ]
    found = expected_ticks(timeline, [recorded(1, 2)])
    assert found.ticks == seconds(1, 21, 22)
    assert found.dropped == seconds(2)


def test_a_record_has_waited_as_long_as_the_oldest_tick_that_it_stands_for() -> None:
    expected = expected_ticks([terms(EACH_SECOND, 0, 1), terms(NEVER, 4.5, 9)], [])
    records = [recorded(1, 2, late=0.25), recorded(4, 3, 2, late=0.5)]
    waits = waits_for_a_record(expected, records)
    assert [each.total_seconds() for each in waits] == [0.25, 2.5]
