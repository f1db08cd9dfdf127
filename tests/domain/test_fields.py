"""Rules for single values from outside: what they take, and that they never do more than refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.fields import boolean, check, choice, integer, name, require, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def refusal(rule: Any, value: Any, **limits: Any) -> str:
    with pytest.raises(InvalidField) as refused:
        rule("field", value, **limits)
    assert refused.value.field == "field"
    refused.value.message.encode()
    return refused.value.message


class TestIntegers:
    @pytest.mark.parametrize("value", [1, 5, 300, 1.0, 300.0])
    def test_whole_numbers_in_range_are_taken(self, value: float) -> None:
        taken = integer("field", value, low=1, high=300)
        assert taken == value
        assert type(taken) is int

    @pytest.mark.parametrize(
        "value",
        [
            0,
            301,
            -1,
            10**400,
            -(10**400),
            1.5,
            0.9999,
            300.0001,
            1e308,
            float("nan"),
            float("inf"),
            float("-inf"),
            True,
            False,
            None,
            "5",
            "",
            [5],
            {},
        ],
    )
    def test_anything_else_is_refused_with_the_range(self, value: Any) -> None:
        message = refusal(integer, value, low=1, high=300)
        assert message == "field: must be a whole number from 1 to 300"

    @given(JSON)
    def test_it_raises_nothing_but_a_refusal(self, value: Any) -> None:
        try:
            assert 1 <= integer("field", value, low=1, high=300) <= 300
        except InvalidField:
            assert isinstance(value, bool) or value not in range(1, 301)


class TestWords:
    def test_true_and_false_are_taken(self) -> None:
        assert boolean("field", True) is True
        assert boolean("field", False) is False

    @pytest.mark.parametrize("value", [0, 1, "true", "", None, [], 1.0])
    def test_what_only_looks_true_or_false_is_refused(self, value: Any) -> None:
        assert refusal(boolean, value) == "field: must be true or false"

    @pytest.mark.parametrize("value", ["A", "c", "", "a ", None, 1, ["a"], True])
    def test_a_choice_is_one_of_the_words_exactly(self, value: Any) -> None:
        assert choice("field", "a", among=("a", "b")) == "a"
        assert refusal(choice, value, among=("a", "b")) == "field: must be one of a, b"

    @pytest.mark.parametrize("value", ["", "abcd", None, 5, b"ab", ["a"]])
    def test_a_text_has_a_length(self, value: Any) -> None:
        assert text("field", "abc", shortest=1, longest=3) == "abc"
        assert "1 to 3 characters" in refusal(text, value, shortest=1, longest=3)

    @pytest.mark.parametrize("value", ["a\x00b", "\ud800", "a\udfff"])
    def test_a_text_can_be_stored_and_sent_everywhere(self, value: str) -> None:
        assert "NUL or unpaired surrogate" in refusal(text, value, shortest=1, longest=9)

    @pytest.mark.parametrize("value", ["n", "n" * 200, "Nightly 🌙 backup", " x "])
    def test_a_name_is_for_people(self, value: str) -> None:
        assert name("field", value) == value

    @pytest.mark.parametrize(
        "value", ["", "n" * 201, " ", "\u3000", "a\nb", "a\tb", "a\x1fb", "a\x7fb", None, 5]
    )
    def test_other_names_are_refused(self, value: Any) -> None:
        refusal(name, value)


class TestSets:
    def test_every_field_is_put_through_its_rule(self) -> None:
        rules = {"on": boolean, "name": name}
        assert check({"name": "n", "on": True}, rules) == {"name": "n", "on": True}
        with pytest.raises(InvalidField, match=r"^on: "):
            check({"name": "n", "on": 1}, rules)

    def test_an_unknown_field_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(InvalidField) as refused:
            check({"nam": "n"}, {"name": name, "on": boolean})
        assert refused.value.message == "nam: unknown field; allowed are name, on"

    @pytest.mark.parametrize("unknown", ["\ud800", "x" * 100_000, "\n", "ä\x00"])
    def test_a_hostile_field_name_makes_no_hostile_message(self, unknown: str) -> None:
        with pytest.raises(InvalidField) as refused:
            check({unknown: 1}, {"name": name})
        assert len(refused.value.message.encode()) < 1_500

    def test_a_fixed_field_is_refused(self) -> None:
        with pytest.raises(InvalidField, match=r"^name: can't be changed$"):
            check({"name": "n"}, {"name": name}, fixed=("name",))

    def test_a_required_field_that_is_missing_is_named(self) -> None:
        require({"a": None, "b": 1}, ("a", "b"))
        with pytest.raises(InvalidField, match=r"^c: is required$"):
            require({"a": None, "b": 1}, ("a", "c"))
