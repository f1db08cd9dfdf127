"""What a cron expression may say, and what it is told when it says anything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.cron_expression import CronExpression, read_expression
from domain.errors import InvalidField
from domain.schedule import parse_schedule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
JUST_BEFORE = NEW_YEAR - timedelta(seconds=1)


def days_of(expression: str, count: int) -> list[str]:
    """The dates of the first ticks from New Year on, as month-day."""
    schedule, moment = parse_schedule(expression), JUST_BEFORE
    days: list[str] = []
    while len(days) < count:
        tick = schedule.next_after(moment)
        assert tick is not None
        days.append(f"{tick:%m-%d}")
        moment = tick
    return days


def refusal(expression: str) -> str:
    with pytest.raises(InvalidField) as refused:
        parse_schedule(expression)
    assert refused.value.field == "schedule"
    return refused.value.rule


class TestFields:
    @pytest.mark.parametrize(
        ("index", "read", "low", "high"),
        [
            (0, lambda e: set(e.seconds), 0, 59),
            (1, lambda e: set(e.minutes), 0, 59),
            (2, lambda e: set(e.hours), 0, 23),
            (3, lambda e: set(e.days), 1, 31),
            (4, lambda e: set(e.months), 1, 12),
            (5, lambda e: {day for day, _ in e.weekdays}, 0, 7),
        ],
    )
    def test_ranges_and_steps_name_what_counting_gives(
        self, index: int, read: Callable[[CronExpression], set[int]], low: int, high: int
    ) -> None:
        for first in range(low, high + 1, 1 + high // 20):
            for last in range(first, high + 1):
                for step in {1, 2, 3, 4, 5, high, high + 9}:
                    fields = ["*"] * 6
                    fields[index] = f"{first}-{last}/{step}"
                    numbers = range(first, last + 1, step)
                    named = {n % 7 for n in numbers} if index == 5 else set(numbers)
                    assert read(read_expression.__wrapped__(" ".join(fields))) == named, fields

    def test_a_range_from_a_day_to_itself_is_that_day_alone(self) -> None:
        assert days_of("0 0 5-5 * *", 3) == ["01-05", "02-05", "03-05"]

    def test_a_number_with_a_step_starts_there_and_goes_on_to_the_field_s_end(self) -> None:
        assert read_expression("50/4 * * * *").minutes == (50, 54, 58)
        assert read_expression("59/1 * * * *").minutes == (59,)
        assert days_of("0 0 * * 3/2", 4) == ["01-02", "01-04", "01-07", "01-09"]

    def test_a_step_beyond_the_field_leaves_the_first_number(self) -> None:
        assert read_expression("*/90 * * * *").minutes == (0,)

    def test_lists_may_overlap_and_numbers_may_have_leading_zeros(self) -> None:
        assert read_expression("05,5,04-06,00 * * * *").minutes == (0, 4, 5, 6)

    def test_names_are_read_in_any_case_and_in_ranges(self) -> None:
        assert read_expression("0 0 * Jan,MAR-may *").months == {1, 3, 4, 5}
        assert days_of("0 0 * * Mon-fri", 4) == ["01-01", "01-02", "01-05", "01-06"]

    def test_sunday_is_0_7_and_sun(self) -> None:
        for sunday in ("0", "7", "sun", "7-7", "SUN,7"):
            assert days_of(f"0 0 * * {sunday}", 2) == ["01-04", "01-11"]
        assert days_of("0 0 * * sat-7", 3) == ["01-03", "01-04", "01-10"]

    def test_six_fields_begin_with_seconds(self) -> None:
        tick = parse_schedule("7 8 9 * * *").next_after(NEW_YEAR)
        assert tick == datetime(2026, 1, 1, 9, 8, 7, tzinfo=UTC)

    def test_fields_may_be_parted_by_runs_of_spaces_and_tabs(self) -> None:
        schedule = parse_schedule(" \t5  4 \t* * *\t")
        assert schedule.expression == "5  4 \t* * *"
        assert schedule.next_after(NEW_YEAR) == datetime(2026, 1, 1, 4, 5, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("nickname", "fields"),
        [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@Hourly", "0 * * * *"),
        ],
    )
    def test_a_nickname_stands_for_its_five_fields(self, nickname: str, fields: str) -> None:
        assert days_of(nickname, 30) == days_of(fields, 30)
        tick = parse_schedule(nickname).next_after(NEW_YEAR)
        assert tick == parse_schedule(fields).next_after(NEW_YEAR)


class TestDays:
    def test_a_date_and_a_weekday_are_alternatives_when_both_are_restricted(self) -> None:
        assert days_of("0 0 13 * fri", 4) == ["01-02", "01-09", "01-13", "01-16"]
        assert days_of("0 0 31 2 sun", 2) == ["02-01", "02-08"]

    def test_a_field_that_begins_with_a_star_must_be_met_as_well(self) -> None:
        assert days_of("0 0 */2 * fri", 4) == ["01-09", "01-23", "02-13", "02-27"]
        assert days_of("0 0 1-7 * */7", 3) == ["01-04", "02-01", "03-01"]
        assert days_of("0 0 *,1 * fri", 2) == ["01-02", "01-09"]

    def test_a_star_later_in_a_list_leaves_them_alternatives(self) -> None:
        assert days_of("0 0 1,* * fri", 3) == ["01-01", "01-02", "01-03"]

    def test_all_days_written_out_are_a_restriction_and_so_an_alternative(self) -> None:
        assert days_of("0 0 1-31 * fri", 3) == ["01-01", "01-02", "01-03"]

    def test_l_is_the_last_day_of_each_month(self) -> None:
        assert days_of("0 0 L * *", 4) == ["01-31", "02-28", "03-31", "04-30"]
        assert days_of("0 0 l,15 * *", 3) == ["01-15", "01-31", "02-15"]
        leap_year = datetime(2028, 2, 1, tzinfo=UTC)
        assert parse_schedule("0 0 L 2 *").next_after(leap_year) == leap_year.replace(day=29)

    def test_a_hash_takes_one_week_s_day_of_each_month(self) -> None:
        assert days_of("0 0 * * 5#2", 3) == ["01-09", "02-13", "03-13"]
        assert days_of("0 0 * * fri#5", 3) == ["01-30", "05-29", "07-31"]
        assert days_of("0 0 * * sun#1,7#3", 3) == ["01-04", "01-18", "02-01"]

    def test_l_before_a_weekday_takes_the_month_s_last(self) -> None:
        assert days_of("0 0 * * L5", 3) == ["01-30", "02-27", "03-27"]
        assert days_of("0 0 * * L0,L7", 2) == ["01-25", "02-22"]
        assert days_of("0 0 * * 5#1,L5", 3) == ["01-02", "01-30", "02-06"]

    def test_a_date_and_a_hash_are_alternatives_too(self) -> None:
        assert days_of("0 0 1 * mon#1", 4) == ["01-01", "01-05", "02-01", "02-02"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("expression", "rule"),
        [
            ("60 * * * *", "minute: 60 is not in 0-59"),
            ("* 25 * * *", "hour: 25 is not in 0-23"),
            ("60 * * * * *", "second: 60 is not in 0-59"),
            ("* * 0 * *", "day-of-month: 0 is not in 1-31, or L for the last day"),
            ("* * 1-32 * *", "day-of-month: 32 is not in 1-31, or L for the last day"),
            ("* * * 0/2 *", "month: 0 is not in 1-12 or jan-dec"),
            ("* * * mon *", "month: mon is not in 1-12 or jan-dec"),
            ("* -1 * * *", "hour: '-1' is not *, a number, a range"),
            ("* *-5 * * *", "hour: '*-5' is not *, a number, a range"),
            ("1,,2 * * * *", "minute: '' is not *, a number, a range"),
            ("5/ * * * *", "minute: '5/' is not *, a number, a range"),
            ("1/2/3 * * * *", "minute: '1/2/3' is not *, a number, a range"),
            ("*/0 * * * *", "minute: */0: a step must be at least 1"),
            ("5-9/00 * * * *", "minute: 5-9/00: a step must be at least 1"),
            ("* 22-4 * * *", "hour: 22-4 runs backwards; write it as two ranges"),
            ("* * * * fri-mon", "day-of-week: fri-mon runs backwards; write it as two ranges"),
            ("* * * * sat-sun", "day-of-week: sat-sun runs backwards; write it as two ranges"),
            ("* * * * 8", "day-of-week: 8 is not in 0-7 or sun-sat, fri#2 for the second Friday"),
            ("* * * * 5L", "day-of-week: 5l is not in 0-7 or sun-sat, fri#2"),
            ("* * * * L8", "day-of-week: 8 is not in 0-7"),
            ("* * * * 1#6", "day-of-week: 1#6: the number after # is not in 1-5"),
            ("* * * * 1#0", "day-of-week: 1#0: the number after # is not in 1-5"),
            ("* * * * mon,5#2", "day-of-week: days with # or L can't share a list with days"),
            ("* * * * 0-6,1#2", "day-of-week: days with # or L can't share a list with days"),
            ("* * * * *,L5", "day-of-week: days with # or L can't share a list with days"),
            ("* * * * mon-fri#1", "day-of-week: 'mon-fri#1' is not *, a number, a range"),
            ("* * LW * *", "day-of-month: lw is not in 1-31, or L"),
            ("* * 15W * *", "day-of-month: 15w is not in 1-31, or L"),
            ("* * 20-L * *", "day-of-month: l is not in 1-31, or L"),
            ("* * 5#1 * *", "day-of-month: '5#1' is not *, a number, a range"),
            ("* * ? * *", "day-of-month: '?' is not *, a number, a range"),
        ],
    )
    def test_a_refusal_names_the_field_and_what_is_allowed(
        self, expression: str, rule: str
    ) -> None:
        assert refusal(expression).startswith(rule)

    @pytest.mark.parametrize(
        "expression", ["R * * * *", "r/5 * * * *", "R(0-9) * * * *", "H H * * *", "0 h/2 * * *"]
    )
    def test_random_and_hashed_times_are_refused(self, expression: str) -> None:
        assert refusal(expression).split(":")[0] in {"minute", "hour"}

    @pytest.mark.parametrize(
        "expression",
        ["", " ", "*", "* * * *", "* * * * * * *", "0 0 1 1 * 0 2030", "@", "@reboot", "@daily *"],
    )
    def test_another_number_of_fields_is_refused_with_the_forms_there_are(
        self, expression: str
    ) -> None:
        rule = refusal(expression)
        assert rule.startswith("must have five fields (minute, hour, day-of-month, month")
        assert "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly" in rule

    @pytest.mark.parametrize(
        "gap", ["\n", "\r", "\x0b", "\x0c", "\x00", "\x1c", "\x85", "\xa0", "\u2003", "\u2028"]
    )
    def test_anything_but_spaces_and_tabs_between_fields_is_refused(self, gap: str) -> None:
        for expression in (f"* * * *{gap}*", f"* * * * *{gap}*", f"* * * * *{gap}", f"{gap}@daily"):
            assert refusal(expression).startswith("must be one line of plain ASCII")

    @pytest.mark.parametrize("expression", ["\u0665 * * * *", "* * * * \u017fun", "\uff0a * * * *"])
    def test_characters_that_only_look_or_fold_like_cron_s_are_refused(
        self, expression: str
    ) -> None:
        assert refusal(expression).startswith("must be one line of plain ASCII")

    def test_an_expression_has_at_most_128_characters(self) -> None:
        assert parse_schedule("0 0 * * *".ljust(128)).expression == "0 0 * * *"
        assert refusal("0 0 * * *".ljust(129)) == "must be at most 128 characters long"

    @pytest.mark.parametrize(
        ("expression", "zone"),
        [
            ("0 0 30 2 *", "UTC"),
            ("0 0 31 4,6,9,11 *", "UTC"),
            ("0 0 30 2 */2", "UTC"),
            ("0 0 */30 2 1#2", "UTC"),
            # Every second Sunday of March has no 02:00 to 02:59 in New York.
            ("* 2 8-14 3 */7", "America/New_York"),
        ],
    )
    def test_an_expression_without_any_tick_is_refused(self, expression: str, zone: str) -> None:
        with pytest.raises(InvalidField, match="must have a next tick") as refused:
            parse_schedule(expression, zone)
        assert refused.value.field == "schedule"

    @settings(deadline=None)
    @given(st.text(st.sampled_from("0123456789*/-,#?LWRHlwrhmonjasuty@ \t\n"), max_size=40))
    @example("*\t*\t*\t*\t*")
    def test_no_text_meets_anything_but_a_schedule_or_a_refusal(self, text: str) -> None:
        try:
            schedule = parse_schedule(text)
        except InvalidField as refused:
            assert refused.field == "schedule"  # noqa: PT017 - most texts are refused, not all
        else:
            assert schedule.next_after(NEW_YEAR) is not None
