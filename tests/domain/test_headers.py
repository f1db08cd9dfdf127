"""The headers of a job: what may be set, and what is never shown again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.headers import MASK, MAX_BYTES, MAX_COUNT, check, is_secret, keep_masked, masked

VALUES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)
NAMES = st.from_regex(r"\AX-[A-Za-z0-9]{1,12}\Z")


def refusal(value: Any) -> str:
    with pytest.raises(InvalidField) as refused:
        check("headers", value)
    assert refused.value.field == "headers"
    return refused.value.message


class TestChecking:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer token"},
            {"X-Empty": ""},
            {"X-Tab": "a\tb"},
            {"X-Text": "grüße, 世界"},
            {"!#$%&'*+-.^_`|~09Az": "every character that a name may have"},
            {"Proxy-Authorization": "Basic x"},
            {"User-Agent": "mine"},
        ],
    )
    def test_headers_that_may_be_set_are_kept_as_they_are(self, headers: dict[str, str]) -> None:
        assert check("headers", headers) == headers

    def test_their_order_is_kept(self) -> None:
        headers = {"X-B": "1", "X-A": "2", "X-C": "3"}
        assert list(check("headers", headers)) == ["X-B", "X-A", "X-C"]

    @pytest.mark.parametrize("value", [None, [], [["A", "b"]], "A: b", 5, True])
    def test_anything_but_an_object_is_refused(self, value: Any) -> None:
        assert "must be an object" in refusal(value)

    def test_fifty_headers_are_allowed_and_no_more(self) -> None:
        headers = {f"X-{number}": "" for number in range(MAX_COUNT)}
        assert MAX_COUNT == 50
        assert len(check("headers", headers)) == 50
        assert "50" in refusal(headers | {"X-More": ""})

    def test_8_kib_together_are_allowed_and_no_more(self) -> None:
        half = MAX_BYTES // 2
        assert MAX_BYTES == 8192
        headers = {"X-A": "a" * (half - 3), "X-B": "b" * (half - 3)}
        assert check("headers", headers) == headers
        assert "8,192 bytes" in refusal(headers | {"X-B": "b" * (half - 2)})
        assert "8,192 bytes" in refusal(headers | {"X": ""})

    def test_it_is_bytes_and_not_characters_that_count(self) -> None:
        assert "8,192 bytes" in refusal({"X": "é" * 4096})

    @pytest.mark.parametrize(
        "name", ["", " ", "X Y", "X:", "X\r\nY", "X\n", "Ä", "X\x00", "X(Y)", "\ud800", 5, None]
    )
    def test_a_name_that_is_no_token_is_refused(self, name: Any) -> None:
        assert "names must be made of" in refusal({name: "v"})

    @pytest.mark.parametrize(
        "name",
        [
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Host",
            "Content-Length",
        ],
    )
    def test_headers_of_the_connection_are_refused_in_any_case(self, name: str) -> None:
        for spelt in (name, name.lower(), name.upper()):
            assert spelt in refusal({spelt: "v"})

    @pytest.mark.parametrize(
        "value", ["a\rb", "a\nb", "a\r\nX-Injected: 1", "a\x00", "\x0b", "\x7f", "\x85", "\x1f"]
    )
    def test_a_value_with_a_line_break_or_control_is_refused(self, value: str) -> None:
        assert "must not contain" in refusal({"X-A": value})

    def test_a_value_with_half_a_character_is_refused(self) -> None:
        assert "surrogates" in refusal({"X-A": "\udc80"})

    @pytest.mark.parametrize("value", [None, 5, 1.5, True, ["a"], {"a": "b"}])
    def test_a_value_that_is_no_string_is_refused_naming_its_header(self, value: Any) -> None:
        assert "X-A must be a string" in refusal({"X-A": value})

    def test_the_same_name_twice_in_different_case_is_refused(self) -> None:
        assert "x-a" in refusal({"X-A": "1", "x-a": "2"})

    @pytest.mark.parametrize("bad", ["s3cret\n", "s3cret\x00", "s3cret\udc80"])
    def test_a_refusal_never_repeats_a_value(self, bad: str) -> None:
        assert "s3cret" not in refusal({"Authorization": bad})

    @given(
        st.one_of(
            st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=5))),
            st.dictionaries(NAMES, st.text(max_size=5)),
            st.recursive(st.integers() | st.text(), st.lists, max_leaves=3),
        )
    )
    def test_it_raises_nothing_but_a_refusal(self, value: Any) -> None:
        try:
            checked = check("headers", value)
        except InvalidField as refused:
            refused.message.encode()
        else:
            assert checked == value


class TestSecrets:
    @pytest.mark.parametrize(
        "name",
        [
            "Authorization",
            "PROXY-AUTHORIZATION",
            "cookie",
            "X-Auth-Token",
            "tokens",
            "Client-Secret",
            "X-Password-Hint",
            "X-API-Key",
            "Keyboard",
            "MONKEY",
        ],
    )
    def test_these_names_are_secret(self, name: str) -> None:
        assert is_secret(name)
        assert masked({name: "value"}) == {name: "********"}

    @pytest.mark.parametrize("name", ["Accept", "X-Authorization-Mode", "Cookies", "User-Agent"])
    def test_these_names_are_not(self, name: str) -> None:
        assert not is_secret(name)
        assert masked({name: "value"}) == {name: "value"}

    def test_an_empty_secret_value_reads_back_as_the_mask_too(self) -> None:
        assert masked({"X-Key": ""}) == {"X-Key": MASK}


class TestKeeping:
    def test_a_mask_keeps_the_stored_value_whatever_the_case_of_its_name(self) -> None:
        kept = keep_masked("headers", {"x-api-key": MASK, "X-A": "1"}, {"X-API-Key": "old"})
        assert kept == {"x-api-key": "old", "X-A": "1"}

    def test_a_new_value_replaces_the_stored_one(self) -> None:
        assert keep_masked("headers", {"X-Key": "new"}, {"X-Key": "old"}) == {"X-Key": "new"}

    def test_what_is_not_sent_again_is_gone(self) -> None:
        assert keep_masked("headers", {}, {"X-Key": "old"}) == {}

    def test_eight_stars_are_a_value_like_any_other_where_nothing_is_secret(self) -> None:
        assert keep_masked("headers", {"X-A": MASK}, {"X-A": "old"}) == {"X-A": MASK}

    @pytest.mark.parametrize("value", ["*******", "*********"])
    def test_other_numbers_of_stars_are_values(self, value: str) -> None:
        assert keep_masked("headers", {"X-Key": value}, {"X-Key": "old"}) == {"X-Key": value}

    def test_a_mask_for_which_nothing_is_stored_is_refused(self) -> None:
        with pytest.raises(InvalidField, match="X-Key") as refused:
            keep_masked("headers", {"X-Key": MASK}, {"X-Other-Key": "s3cret"})
        assert "s3cret" not in refused.value.message

    def test_kept_values_count_towards_the_limit(self) -> None:
        stored = check("headers", {"X-Key": "k" * 5000})
        sent = check("headers", {"X-Key": MASK, "X-A": "a" * 5000})
        with pytest.raises(InvalidField, match="8,192 bytes"):
            keep_masked("headers", sent, stored)

    @given(st.dictionaries(NAMES | st.just("Cookie"), VALUES, max_size=6))
    def test_sending_back_what_was_read_changes_nothing(self, stored: dict[str, str]) -> None:
        try:
            stored = check("headers", stored)
        except InvalidField:
            return
        assert keep_masked("headers", masked(stored), stored) == stored
