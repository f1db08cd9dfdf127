"""The written list of where CronPulse's ticks differ from cronsim's on purpose, with the reasons.

``docs/schedules.md`` tells users the same. Every entry is shown to be true on both sides, so that the
list can't outlive a difference; ``test_schedule_properties.py`` shows that there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.schedule import parse_schedule

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "schedules.md"

Ticks = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An expression, and its first ticks after a moment in UTC, or why it has none."""

    name: str
    expression: str
    zone: str = "UTC"
    after: str = "2026-01-01 00:00"
    ours: Ticks | str
    cronsim: Ticks | str
    reason: str


REFUSED = "refused"
NEVER = "never"

OF_TICKS = (
    Difference(
        name="six fields, clock back",
        expression="0 30 1 * * *",
        zone="America/New_York",
        after="2026-11-01 04:00",
        ours=("11-01 05:30", "11-02 06:30"),
        cronsim=("11-01 05:30", "11-01 06:30"),
        reason="A fixed-time job stays one when its seconds are written, too; cronsim treats every "
        "expression of six fields as elapsed time.",
    ),
    Difference(
        name="six fields, clock forward",
        expression="0 30 2 * * *",
        zone="America/New_York",
        after="2026-03-08 05:00",
        ours=("03-08 07:00", "03-09 06:30"),
        cronsim=("03-09 06:30", "03-10 06:30"),
        reason="The same.",
    ),
    Difference(
        name="asked within the repeated hour",
        expression="30 1 * * *",
        zone="America/New_York",
        after="2026-11-01 06:10",
        ours=("11-02 06:30", "11-03 06:30"),
        cronsim=("11-01 05:30", "11-02 06:30"),
        reason="The next tick is later than the moment asked about; cronsim forgets in which of the "
        "two passes of the hour it was asked, and answers with one that is past.",
    ),
    Difference(
        name="a gap that ends off the minute",
        expression="0 0 * * *",
        zone="Europe/Amsterdam",
        after="1937-06-30 12:00",
        ours=("06-30 22:40:28", "07-01 22:40"),
        cronsim=("06-30 22:41", "07-01 22:40"),
        reason="The first valid instant is found to the second; cronsim steps by minutes.",
    ),
    Difference(
        name="elapsed time, clock back by half an hour",
        expression="* 2 * * *",
        zone="Australia/Lord_Howe",
        after="2026-04-04 14:31",
        ours=("04-04 15:30", "04-04 15:31"),
        cronsim=("04-04 16:00", "04-04 16:01"),
        reason="Every minute that the clock shows is a tick; cronsim steps by hours, and over half "
        "of this one.",
    ),
    Difference(
        name="elapsed time, clock forward from midnight",
        expression="* 0 * * sun",
        zone="America/Havana",
        after="2026-03-07 12:00",
        ours=("03-15 04:00", "03-15 04:01"),
        cronsim=("03-08 05:00", "03-15 04:00"),
        reason="What the clock skips is no tick of a wildcard job; cronsim makes one at 01:00.",
    ),
    Difference(
        name="elapsed time, clock back into the day before",
        expression="* * * * sun",
        zone="America/St_Johns",
        after="2009-11-01 02:29",
        ours=("11-01 02:30", "11-01 03:30", "11-01 03:31"),
        cronsim=("11-01 02:30", "11-01 02:30", "11-01 02:30"),
        reason="Ticks go forward; cronsim goes round in a circle for ever.",
    ),
    Difference(
        name="a range of one number with a step",
        expression="5-5/15 * * * *",
        ours=("01-01 00:05", "01-01 01:05"),
        cronsim=("01-01 00:05", "01-01 00:20"),
        reason="A range ends where it says; cronsim reads it as 5/15.",
    ),
)

OF_EXPRESSIONS = (
    Difference(
        name="a nickname",
        expression="@hourly",
        ours=("01-01 01:00", "01-01 02:00"),
        cronsim=REFUSED,
        reason="Vixie cron and croniter have them.",
    ),
    Difference(
        name="L before the weekday",
        expression="0 0 * * L5",
        ours=("01-30 00:00", "02-27 00:00"),
        cronsim=REFUSED,
        reason="It is croniter's spelling.",
    ),
    Difference(
        name="L after the weekday",
        expression="0 0 * * 5L",
        ours=REFUSED,
        cronsim=("01-30 00:00", "02-27 00:00"),
        reason="The same.",
    ),
    Difference(
        name="the last working day",
        expression="0 0 LW * *",
        ours=REFUSED,
        cronsim=("01-30 00:00", "02-27 00:00"),
        reason="croniter does not have it.",
    ),
    Difference(
        name="plain weekdays beside the n-th",
        expression="0 0 * * mon,fri#2",
        ours=REFUSED,
        cronsim=("01-05 00:00", "01-09 00:00"),
        reason="croniter does not have it.",
    ),
    Difference(
        name="L with a step",
        expression="0 0 L/2 * *",
        ours=REFUSED,
        cronsim=("01-31 00:00", "02-28 00:00"),
        reason="A step along one day means nothing.",
    ),
    Difference(
        name="other whitespace",
        expression="0 0 *\n* *",
        ours=REFUSED,
        cronsim=("01-02 00:00", "01-03 00:00"),
        reason="An expression is one line.",
    ),
    Difference(
        name="other alphabets",
        expression="0 0 * * \u017fun",
        ours=REFUSED,
        cronsim=("01-04 00:00", "01-11 00:00"),
        reason="An expression is ASCII: this is not the letter s.",
    ),
    Difference(
        name="too long",
        expression="0 0 * * *" + " " * 120,
        ours=REFUSED,
        cronsim=("01-02 00:00", "01-03 00:00"),
        reason="An expression has at most 128 characters.",
    ),
    Difference(
        name="a date that never comes",
        expression="0 0 */30 2 1#2",
        ours=REFUSED,
        cronsim=NEVER,
        reason="A schedule must have a next tick; cronsim finds out only by looking for it.",
    ),
)


@pytest.mark.parametrize("difference", OF_TICKS + OF_EXPRESSIONS, ids=lambda d: d.name)
def test_the_difference_is_as_written(difference: Difference) -> None:
    assert difference.ours != difference.cronsim
    assert ours(difference) == difference.ours
    assert cronsim(difference) == difference.cronsim


@pytest.mark.parametrize("difference", OF_TICKS + OF_EXPRESSIONS, ids=lambda d: d.name)
def test_users_are_told_of_the_difference(difference: Difference) -> None:
    chapter = DOCUMENTATION.read_text("utf-8").partition("## Differences to cronsim")[2]
    assert f"| {difference.name}" in chapter


def ours(difference: Difference) -> Ticks | str:
    try:
        schedule = parse_schedule(difference.expression, difference.zone)
    except InvalidField:
        return REFUSED
    ticks, moment = [], start(difference)
    for _ in difference.ours:
        tick = schedule.next_after(moment)
        assert tick is not None
        ticks.append(shown(tick))
        moment = tick
    return tuple(ticks)


def cronsim(difference: Difference) -> Ticks | str:
    moment = start(difference)
    if difference.zone != "UTC":
        moment = moment.astimezone(ZoneInfo(difference.zone))
    try:
        search = CronSim(difference.expression, moment)
    except CronSimError:
        return REFUSED
    count = len(difference.cronsim) if isinstance(difference.cronsim, tuple) else 1
    return tuple(shown(tick) for tick in islice(search, count)) or NEVER


def start(difference: Difference) -> datetime:
    return datetime.fromisoformat(difference.after).replace(tzinfo=UTC)


def shown(tick: datetime) -> str:
    return tick.astimezone(UTC).strftime("%m-%d %H:%M:%S").removesuffix(":00")


NEARLY_RIGHT = st.from_regex(
    r"(\*|[0-9]{1,2}|sun|fri|jan|dec)?(-([0-9]{1,2}|sun|fri|jan|dec))?(/[0-9]{1,2})?(#[0-9])?",
    fullmatch=True,
)


@settings(deadline=None)
@given(st.integers(0, 5), st.lists(NEARLY_RIGHT, min_size=1, max_size=2))
def test_cronsim_and_the_grammar_allow_the_same_fields(index: int, items: list[str]) -> None:
    """Of L and of lists that mix # with plain days they think differently: see above."""
    assume(len({"#" in item for item in items}) == 1)
    fields = ["*"] * 6
    fields[index] = ",".join(items)
    assert is_allowed_by_us(" ".join(fields)) == is_allowed_by_cronsim(" ".join(fields))


def is_allowed_by_us(expression: str) -> bool:
    try:
        parse_schedule(expression)
    except InvalidField:
        return False
    return True


def is_allowed_by_cronsim(expression: str) -> bool:
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True
