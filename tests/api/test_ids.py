"""Ids as the contract wants them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from api.ids import new_id


def test_an_id_is_lower_case_letters_and_digits_that_start_with_a_letter() -> None:
    for _ in range(1_000):
        assert re.fullmatch(r"[a-z][a-z0-9]{23,}", new_id())


def test_no_two_ids_are_the_same_whichever_thread_asks() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id(), range(20_000)))
    assert len(set(made)) == 20_000


def test_every_place_of_an_id_takes_every_digit() -> None:
    made = [new_id() for _ in range(5_000)]
    for place in range(1, 25):
        assert len({each[place] for each in made}) == 36
