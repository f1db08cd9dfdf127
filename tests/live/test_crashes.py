"""What was promised before ``kill -9`` is kept after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.live.crash_run import report
from tests.live.crashes import crash
from tests.live.tick_accounts import Recorded, faults_of_ticks, ticks_between

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


def second(number: int) -> datetime:
    return NOON + timedelta(seconds=number)


@pytest.mark.timeout(180)
def test_a_service_that_is_killed_again_and_again_keeps_what_it_promised(tmp_path: Path) -> None:
    text, kept = report(crash(tmp_path, kills=5, seed=20), seed=20)
    assert kept, text


def test_the_ticks_between_two_moments_are_those_after_the_one_and_up_to_the_other() -> None:
    just_after = NOON + timedelta(milliseconds=1)
    assert ticks_between(just_after, second(3), every=1) == [second(1), second(2), second(3)]
    assert ticks_between(NOON, second(3), every=2) == [second(2)]


def test_ticks_that_are_recorded_once_or_counted_once_are_in_order() -> None:
    ticks = [second(n) for n in range(1, 6)]
    recorded = [Recorded(tick=second(1)), Recorded(tick=second(4), skipped_ticks=2)]
    assert faults_of_ticks(ticks, [*recorded, Recorded(tick=second(5))]) == []


@pytest.mark.parametrize(
    ("recorded", "faults"),
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
    recorded: list[tuple[int, int]], faults: list[str]
) -> None:
    ticks = [second(n) for n in range(1, 4)]
    found = [Recorded(tick=second(at), skipped_ticks=skipped) for at, skipped in recorded]
    assert faults_of_ticks(ticks, found) == faults
