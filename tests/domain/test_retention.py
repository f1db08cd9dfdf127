"""Which executions expire next, and when to look again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import api_key
from domain.errors import InvalidField
from domain.retention import (
    ACCOUNT,
    EVERY,
    SOONEST,
    SUBJECT,
    ExecutionsExpired,
    Place,
    expire,
    next_look,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEEP = timedelta(days=30)
MINUTE = timedelta(minutes=1)


def stretch(since: Place, before: Place) -> tuple[ExecutionsExpired, ...]:
    expired = ExecutionsExpired(
        since=since[0], since_id=since[1], before=before[0], before_id=before[1]
    )
    return (expired,)


class TestExpiring:
    def test_nothing_expires_of_an_empty_history(self) -> None:
        assert expire(None, None, horizon=NOON) == ()

    def test_what_happened_before_the_horizon_expires(self) -> None:
        oldest = (NOON - MINUTE, "e1")
        assert expire(oldest, None, horizon=NOON) == stretch(oldest, (NOON, ""))

    def test_what_happened_at_the_horizon_stays(self) -> None:
        assert expire((NOON, "e1"), None, horizon=NOON) == ()

    def test_a_portion_goes_at_a_time(self) -> None:
        oldest, beyond = (NOON - 3 * MINUTE, "e1"), (NOON - MINUTE, "e5")
        assert expire(oldest, beyond, horizon=NOON) == stretch(oldest, beyond)

    def test_a_moment_at_which_much_happened_is_divided_by_the_ids(self) -> None:
        oldest, beyond = (NOON - MINUTE, "e1"), (NOON - MINUTE, "e5")
        assert expire(oldest, beyond, horizon=NOON) == stretch(oldest, beyond)

    @pytest.mark.parametrize("beyond", [(NOON, "e0"), (NOON, "e5"), (NOON + MINUTE, "")])
    def test_a_portion_ends_at_the_horizon(self, beyond: Place) -> None:
        oldest = (NOON - MINUTE, "e1")
        assert expire(oldest, beyond, horizon=NOON) == stretch(oldest, (NOON, ""))


class TestLookingAgain:
    def test_it_is_in_an_hour_if_little_happens(self) -> None:
        assert next_look(None, keep=KEEP, at=NOON) == NOON + EVERY
        far = (NOON - KEEP + 2 * EVERY, "e1")
        assert next_look(far, keep=KEEP, at=NOON) == NOON + EVERY

    def test_it_is_once_a_portion_is_old_enough_if_much_happens(self) -> None:
        beyond = (NOON - KEEP + 7 * MINUTE, "e1")
        assert next_look(beyond, keep=KEEP, at=NOON) == NOON + 7 * MINUTE

    def test_it_is_never_at_once(self) -> None:
        beyond = (NOON - KEEP, "e1")
        assert next_look(beyond, keep=KEEP, at=NOON) == NOON + SOONEST

    @given(st.timedeltas(timedelta(days=-9_000), timedelta(days=9_000)))
    def test_it_is_within_the_hour_whatever_happened(self, later: timedelta) -> None:
        assert SOONEST <= next_look((NOON + later, "e1"), keep=KEEP, at=NOON) - NOON <= EVERY


class TestWhoseItIs:
    def test_no_account_can_be_called_like_the_one_that_stands_for_all(self) -> None:
        with pytest.raises(InvalidField):
            api_key.check_account(ACCOUNT)

    def test_the_subject_can_be_no_id_so_nobody_can_have_it_erased(self) -> None:
        assert not re.fullmatch(r"[a-z][a-z0-9]{23,}", SUBJECT)
