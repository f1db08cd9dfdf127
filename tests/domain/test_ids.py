"""The form of ids."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import sortable_id

MILLISECONDS = st.integers(-(2**60), 2**60)
CHANCE = st.integers(0, 2**128 - 1)
YEAR_5188 = 36**9 - 1


def value(digits: str) -> int:
    return int(digits, 36)


@given(MILLISECONDS, CHANCE)
def test_an_id_is_a_letter_nine_digits_of_time_and_twenty_four_of_chance(
    milliseconds: int, chance: int
) -> None:
    made = sortable_id("c", milliseconds, chance)
    assert re.fullmatch(r"c[0-9a-z]{33}", made)
    assert value(made[1:10]) == min(max(milliseconds, 0), YEAR_5188)
    assert value(made[10:]) == chance % 36**24


def test_a_known_time_and_a_known_chance_give_a_known_id() -> None:
    assert sortable_id("c", 0, 0) == "c" + "0" * 33
    assert sortable_id("e", 1_773_144_000_000, 35) == "e0mmkk5mo0" + "0" * 23 + "z"
    assert sortable_id("z", YEAR_5188, 36**24 - 1) == "z" * 34


@given(st.integers(0, YEAR_5188), st.integers(0, YEAR_5188), CHANCE, CHANCE)
def test_ids_sort_by_their_time(one: int, other: int, chance: int, another: int) -> None:
    ids = sortable_id("c", one, chance), sortable_id("c", other, another)
    if one != other:
        assert (ids[0] < ids[1]) == (one < other)


def test_ids_keep_at_least_120_bits_of_chance() -> None:
    assert 36**24 > 2**124
    assert sortable_id("c", 0, 36**24 - 1) != sortable_id("c", 0, 36**24 - 2)
