"""What holds of every schedule: by its definition, by its own operations, and by cronsim's answers.

Moments are drawn from around changes of the clock, where schedules go wrong. Two oracles judge them:
the definition, worked out wall time by wall time with the standard library's rules for skipped and
repeated times (PEP 495), in every zone; and cronsim, wherever no difference to it is intended
(``test_schedule_differences.py`` lists those).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, product
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.schedule import Schedule, parse_schedule

UNHURRIED = settings(deadline=None, max_examples=150)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

# Where clocks change by whole hours, on the hour, and not at midnight, cronsim is always right.
PLAIN_CHANGES = {
    "America/New_York": ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
    "Europe/Berlin": ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "Europe/Dublin": ("2027-03-28T01:00Z", "2027-10-31T01:00Z"),
    "Pacific/Auckland": ("2026-04-04T14:00Z", "2026-09-26T14:00Z"),
    "Antarctica/Troll": ("2024-03-31T01:00Z", "2024-10-27T01:00Z"),
    "Asia/Baghdad": ("1998-04-01T00:00Z", "1998-10-01T00:00Z"),
    "UTC": ("2026-12-31T23:59Z",),
}
ODD_CHANGES = {
    "Australia/Lord_Howe": ("2026-04-04T15:00Z", "2026-10-03T15:30Z"),  # by half an hour
    "America/Havana": ("2026-03-08T05:00Z", "2026-11-01T05:00Z"),  # from midnight, to midnight
    "America/Santiago": ("2024-04-07T03:00Z", "2024-09-08T04:00Z"),  # back into the day before
    "America/St_Johns": ("2009-03-08T03:31Z", "2009-11-01T02:31Z"),  # a minute after midnight
    "America/Caracas": ("2007-12-09T07:00Z", "2016-05-01T07:00Z"),
    "Asia/Kathmandu": ("1985-12-31T18:30Z",),  # by a quarter of an hour
    "Pacific/Chatham": ("2026-04-04T14:00Z", "2026-09-26T14:00Z"),  # at 03:45 and 02:45
    "Pacific/Apia": ("2011-12-30T10:00Z",),  # leaves out a day
    "Pacific/Kwajalein": (
        "1969-09-30T13:00Z",
        "1993-08-21T12:00Z",
    ),  # most of a day twice; a day out
    "Europe/Amsterdam": ("1937-06-30T22:40:28Z",),  # by 28 seconds
    "America/Juneau": ("1867-10-19T00:31:13Z",),  # a whole day twice
}
CHANGES = {
    zone: tuple(datetime.fromisoformat(change).astimezone(UTC) for change in changes)
    for zone, changes in (PLAIN_CHANGES | ODD_CHANGES).items()
}


def test_the_changes_of_the_clock_are_where_they_are_said_to_be() -> None:
    for zone, changes in CHANGES.items():
        for change in changes if zone != "UTC" else ():
            assert offset(zone, change) != offset(zone, change - SECOND), (zone, change)


def offset(zone: str, moment: datetime) -> timedelta | None:
    return moment.astimezone(ZoneInfo(zone)).utcoffset()


# Expressions, zones and moments


def field(low: int, high: int, *, wildcard: bool = True) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    steps = st.integers(1, high + 1)
    rising = st.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1])
    items = st.one_of(
        numbers.map(str),
        st.builds("{}/{}".format, numbers, steps),
        rising.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.builds(lambda pair, step: f"{pair[0]}-{pair[1]}/{step}", rising, steps),
    )
    if wildcard:
        items = st.one_of(st.just("*"), steps.map("*/{}".format), items)
    return st.lists(items, min_size=1, max_size=3).map(",".join)


UNRESTRICTED = st.just("*")
WEEKDAYS_OF_A_MONTH = st.lists(
    st.one_of(
        st.builds("{}#{}".format, st.integers(0, 7), st.integers(1, 5)),
        st.integers(0, 7).map("L{}".format),
    ),
    min_size=1,
    max_size=2,
).map(",".join)


DATES = (
    st.one_of(UNRESTRICTED, field(1, 31), st.just("L")),
    st.one_of(UNRESTRICTED, field(1, 12)),
    st.one_of(UNRESTRICTED, field(0, 7), WEEKDAYS_OF_A_MONTH),
)
HALVES = st.sampled_from(["0", "30"])
# Clocks change in the small hours.
FIVE_FIELDS = st.tuples(field(0, 59) | HALVES, field(0, 4) | field(0, 23), *DATES).map(" ".join)
FIXED_TIMES = st.tuples(
    field(0, 59, wildcard=False) | HALVES,
    field(0, 4, wildcard=False) | field(0, 23, wildcard=False),
    *DATES,
).map(" ".join)
SECONDS = st.sampled_from(["0", "59", "*/30", "7,8"])
SIX_FIELDS = st.tuples(SECONDS, FIVE_FIELDS).map(" ".join)
FROM_THE_CHANGE = st.one_of(
    st.sampled_from([-HOUR, -SECOND, timedelta(0), SECOND, HOUR]),
    st.integers(-7_200, 7_200).map(lambda seconds: seconds * SECOND),
    st.integers(-172_800_000, 172_800_000).map(lambda ms: timedelta(milliseconds=ms)),
)


class Case(NamedTuple):
    schedule: Schedule
    moment: datetime


@st.composite
def cases(
    draw: st.DrawFn,
    zones: Sequence[str] = tuple(CHANGES),
    expressions: st.SearchStrategy[str] = FIVE_FIELDS | SIX_FIELDS,
) -> Case:
    zone = draw(st.sampled_from(zones))
    expression = draw(expressions)
    moment = draw(st.sampled_from(CHANGES[zone])) + draw(FROM_THE_CHANGE)
    try:
        return Case(parse_schedule(expression, zone), moment)
    except InvalidField as refused:
        assume("must have a next tick" not in refused.rule and "at most 128" not in refused.rule)
        raise


def walk(case: Case, count: int) -> list[datetime]:
    schedule, moment = case
    ticks: list[datetime] = []
    for _ in range(count):
        tick = schedule.next_after(ticks[-1] if ticks else moment)
        if tick is None:
            break
        ticks.append(tick)
    return ticks


# The operations agree with each other


@UNHURRIED
@given(cases())
def test_ticks_are_whole_seconds_of_utc_and_come_in_order(case: Case) -> None:
    ticks = walk(case, 20)
    assert all(earlier < later for earlier, later in pairwise([case.moment, *ticks]))
    assert all(tick.tzinfo is UTC and tick.microsecond == 0 for tick in ticks)


@UNHURRIED
@given(cases(), st.integers(0, 19))
def test_going_back_from_a_tick_leads_to_the_one_before(case: Case, start: int) -> None:
    ticks = walk(case, 20)
    for earlier, later in pairwise(ticks[start:]):
        assert case.schedule.previous_before(later) == earlier
        assert case.schedule.previous_before(earlier + timedelta(microseconds=1)) == earlier
        assert case.schedule.latest_until(later - SECOND, after=case.moment) == earlier
        assert case.schedule.latest_until(later, after=case.moment) == later
        assert case.schedule.latest_until(later, after=later) is None


@UNHURRIED
@given(cases())
def test_nothing_lies_between_a_moment_and_the_tick_after_it(case: Case) -> None:
    schedule, moment = case
    tick = schedule.next_after(moment)
    assert tick is not None
    assert schedule.count_between(moment, tick - SECOND) == 0
    assert schedule.latest_until(tick - timedelta(microseconds=1), after=moment) is None
    before = schedule.previous_before(tick)
    assert before is None or before <= moment


@UNHURRIED
@given(cases(), st.data())
def test_counting_ticks_gives_as_many_as_walking_them(case: Case, data: st.DataObject) -> None:
    schedule, moment = case
    ticks = walk(case, 40)
    for count, tick in enumerate(ticks, 1):
        assert schedule.count_between(moment, tick) == count
        assert schedule.count_between(moment, tick - SECOND) == count - 1
    middle = data.draw(st.sampled_from(ticks))
    halves = schedule.count_between(moment, middle) + schedule.count_between(middle, ticks[-1])
    assert halves == len(ticks)


# The definition


@UNHURRIED
@given(cases())
def test_ticks_are_what_the_definition_says(case: Case) -> None:
    schedule, moment = case
    until = moment + 30 * HOUR
    expected = sorted({tick for tick in defined(schedule, moment) if moment < tick <= until})
    assert schedule.count_between(moment, until) == len(expected)
    assert walk(case, min(50, len(expected))) == expected[:50]
    last = expected[-1] if expected else None
    assert schedule.latest_until(until, after=moment) == last


def defined(schedule: Schedule, around: datetime) -> Iterator[datetime]:
    """The instants of all ticks whose wall times lie within a few days of a moment."""
    zone = ZoneInfo(schedule.timezone)
    fixed_time = is_fixed_time(schedule.expression)
    for wall in wall_times(schedule.expression, around.date()):
        instants = showing(wall, zone)
        if fixed_time:
            yield min(instants) if instants else end_of_gap(wall, schedule.timezone)
        else:
            yield from instants


def wall_times(expression: str, around: date) -> Iterator[datetime]:
    """cronsim's reading of the fields is used, none of its search."""
    fields = CronSim(as_cronsim_writes(expression), datetime.combine(around, time()))
    for days in range(-4, 5):
        day = around + days * DAY
        if day.month in fields.months and fields.match_day(day):
            for clock in product(fields.hours, fields.minutes, fields.seconds):
                yield datetime.combine(day, time(*clock))


def is_fixed_time(expression: str) -> bool:
    minute, hour = expression.split()[-5:-3]
    return not minute.startswith("*") and not hour.startswith("*")


def showing(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The instants at which a clock shows a time: one, or two if repeated, or none if skipped."""
    instants = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return [i for i in instants if i.astimezone(zone).replace(tzinfo=None) == wall]


def end_of_gap(wall: datetime, zone: str) -> datetime:
    def shown(moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)

    return next(c for c in CHANGES[zone] if shown(c - SECOND) < wall < shown(c))


# cronsim


def as_cronsim_writes(expression: str) -> str:
    """The last Friday is L5 in croniter and 5L in cronsim."""
    *fields, weekday = expression.split()
    items = [item[1:] + "L" if item.startswith("L") else item for item in weekday.split(",")]
    return " ".join([*fields, ",".join(items)])


def cronsim_ticks(case: Case, count: int) -> list[datetime]:
    """cronsim's next ticks, without those before the moment that it was given."""
    schedule, moment = case
    local = moment.astimezone(ZoneInfo(schedule.timezone))
    search = CronSim(as_cronsim_writes(schedule.expression), local)
    later = (tick.astimezone(UTC) for tick in search if tick > moment)
    return list(islice(later, count))


@UNHURRIED
@given(cases(tuple(PLAIN_CHANGES)))
def test_cronsim_agrees_where_clocks_change_by_whole_hours(case: Case) -> None:
    expression = case.schedule.expression
    assume(len(expression.split()) == 5 or not is_fixed_time(expression))
    assert walk(case, 12) == cronsim_ticks(case, 12)


@UNHURRIED
@given(cases(tuple(zone for zone in CHANGES if zone != "Europe/Amsterdam"), FIXED_TIMES))
def test_cronsim_agrees_on_fixed_time_jobs_however_clocks_change(case: Case) -> None:
    assert walk(case, 12) == cronsim_ticks(case, 12)
