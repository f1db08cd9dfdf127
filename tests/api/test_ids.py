"""Ids as the contract wants them."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import time_ns

from api.ids import new_id

NOON = 1_773_144_000_000_000_000
"""2026-03-10T12:00:00Z in nanoseconds."""


def test_an_id_is_lower_case_letters_and_digits_that_start_with_a_letter() -> None:
    for _ in range(1_000):
        assert re.fullmatch(r"[a-z][a-z0-9]{23,}", new_id())


def test_no_two_ids_are_the_same_whichever_thread_asks() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id(), range(20_000)))
    assert len(set(made)) == 20_000


def test_no_two_ids_of_the_same_moment_are_the_same() -> None:
    assert len({new_id(lambda: NOON) for _ in range(20_000)}) == 20_000


def test_ids_of_a_later_moment_sort_behind_those_of_an_earlier_one() -> None:
    earlier = [new_id(lambda: NOON) for _ in range(100)]
    later = [new_id(lambda: NOON + 1_000_000) for _ in range(100)]
    assert max(earlier) < min(later)


def test_the_time_is_that_of_the_machine() -> None:
    assert new_id(lambda: NOON)[:10] == "c0mmkk5mo0"
    before, made, after = time_ns(), new_id(), time_ns()
    assert before // 1_000_000 <= int(made[1:10], 36) <= after // 1_000_000


def test_every_place_behind_the_time_takes_every_digit() -> None:
    made = [new_id() for _ in range(5_000)]
    for place in range(10, 34):
        assert len({each[place] for each in made}) == 36


def test_the_last_character_is_even_enough_to_divide_work_by() -> None:
    counts = Counter(new_id()[-1] for _ in range(36_000))
    assert set(counts) == set("0123456789abcdefghijklmnopqrstuvwxyz")
    assert 800 < min(counts.values()) <= max(counts.values()) < 1200  # six deviations to each side
