"""What may be sent as a body, and what is said about anything else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from api.errors import BodyTooLarge, MalformedRequest, UnsupportedMediaType
from api.request_body import read_beginning, read_body
from api.rest.call import BODY_LONGEST
from api.rest.json_object import check_media_type, parse_object
from tests.api.asking import Api


class TestJson:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "the body must be JSON: Expecting value at line 1 column 1"),
            (b'{"name": "a"', "the body must be JSON: Expecting ',' delimiter at line 1 column 13"),
            (b"{'name': 1}", "the body must be JSON: Expecting property name enclosed in double"),
            (b'{"name": 1} {}', "the body must be JSON: Extra data at line 1 column 13"),
            (b'{"name": 1,}', "the body must be JSON: "),
            (b'{"name": "a\nb"}', "the body must be JSON: Invalid control character at"),
            (b'{"timeout": NaN}', "the body must be JSON: NaN is not"),
            (b'{"timeout": -Infinity}', "the body must be JSON: -Infinity is not"),
            (b"null", "the body must be a JSON object"),
            (b"[]", "the body must be a JSON object"),
            (b'"name"', "the body must be a JSON object"),
            (b"5", "the body must be a JSON object"),
            (b"[" * 200_000, "the body is nested too deeply"),
            (b'{"a":' * 100_000, "the body is nested too deeply"),
            (b'{"timeout": %s}' % (b"9" * 5_000), "the body has a number with too many digits"),
            (b'{"name": "\xff"}', "the body must be JSON in UTF-8"),
            ('{"name": "x"}'.encode("utf-16"), "the body must be JSON in UTF-8"),
            (b'{"name": "a", "url": "b", "name": "c"}', "name: stands there twice"),
            (b'{"headers": {"A": "1", "A": "2"}}', "A: stands there twice"),
        ],
        ids=range(19),
    )
    async def test_anything_but_one_json_object_is_refused_in_words(
        self, api: Api, body: bytes, message: str
    ) -> None:
        for method, path in (("POST", "/projects"), ("PUT", f"/jobs/{await api.me.a_job()}")):
            answer = await api.me(
                method, path, content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400
            assert answer.json()["error"].startswith(message)

    async def test_a_field_that_has_no_utf8_is_refused_by_name(self, api: Api) -> None:
        body = rb'{"name": "\ud800", "url": "https://example.com"}'
        answer = await api.me.post("/projects", content=body)
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "name: must not contain NUL or unpaired surrogate characters"
        }

    async def test_a_field_whose_name_has_no_utf8_is_refused(self, api: Api) -> None:
        answer = await api.me.post("/projects", content=rb'{"\udc00": 1}')
        assert answer.status_code == 400
        assert answer.json() == {"error": r"\udc00: unknown field; allowed are name, url"}

    async def test_a_long_name_of_a_field_is_not_repeated_in_full(self, api: Api) -> None:
        answer = await api.me.post("/projects", {"n" * 100_000: 1})
        assert answer.status_code == 400
        assert len(answer.content) < 1_100

    def test_a_byte_order_mark_is_overlooked(self) -> None:
        assert parse_object(b'\xef\xbb\xbf{"name": "a"}') == {"name": "a"}

    def test_values_are_as_json_has_them(self) -> None:
        body = b'{"a": 1, "b": 1.5, "c": true, "d": null, "e": ["x"], "f": {"g": "\\u00e9"}}'
        fields = {"a": 1, "b": 1.5, "c": True, "d": None, "e": ["x"], "f": {"g": "é"}}
        assert parse_object(body) == fields

    @given(st.binary(max_size=200))
    def test_no_bytes_at_all_lead_to_anything_but_an_object_or_a_refusal(self, body: bytes) -> None:
        with suppress(MalformedRequest):
            assert isinstance(parse_object(body), dict)


class TestMediaType:
    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            'application/json;charset="UTF-8"',
            "application/json; profile=x; charset=utf8",
            "application/merge-patch+json",
        ],
    )
    def test_json_is_taken_and_so_is_what_has_no_type(self, content_type: str | None) -> None:
        check_media_type(content_type, None)

    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonl",
            "application/+json",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
        ],
    )
    def test_anything_else_is_refused(self, content_type: str) -> None:
        with pytest.raises(UnsupportedMediaType, match=r"^Content-Type: must be application/json"):
            check_media_type(content_type, None)

    @pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
    def test_what_is_compressed_is_refused(self, encoding: str) -> None:
        with pytest.raises(UnsupportedMediaType, match=r"^Content-Encoding: "):
            check_media_type("application/json", encoding)

    def test_identity_is_no_encoding(self) -> None:
        check_media_type("application/json", "Identity")

    async def test_the_status_is_415(self, api: Api) -> None:
        answer = await api.me.post("/projects", data={"name": "a"})
        assert answer.status_code == 415
        assert answer.json() == {"error": "Content-Type: must be application/json in UTF-8"}
        assert (await api.me.get("/projects")).json() == []


class TestSize:
    async def test_a_body_that_announces_too_much_is_refused_unread(self) -> None:
        async def receive() -> Message:
            pytest.fail("it is not to be read")

        scope = {"headers": [(b"content-length", b"11")]}
        with pytest.raises(BodyTooLarge, match="at most 10 bytes are read"):
            await read_body(scope, receive, longest=10)

    async def test_a_body_that_announces_nothing_is_read_until_it_is_too_much(self) -> None:
        received: list[int] = []

        async def receive() -> Message:
            received.append(1)
            return {"type": "http.request", "body": b"xxxx", "more_body": True}

        with pytest.raises(BodyTooLarge):
            await read_body({"headers": []}, receive, longest=10)
        assert len(received) == 3

    async def test_a_body_may_be_as_long_as_is_read(self) -> None:
        for headers in ([], [(b"content-length", b"10")]):
            receive = parts(b"12345", b"67890")
            scope = {"headers": headers}
            assert await read_body(scope, receive, longest=10) == b"1234567890"

    async def test_a_part_that_says_nothing_of_more_is_the_last(self) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"all"}

        assert await read_body({"headers": []}, receive, longest=3) == b"all"

    async def test_a_caller_who_hangs_up_meanwhile_sent_no_body(self) -> None:
        with pytest.raises(ClientDisconnect):
            await read_body({"headers": []}, parts(b"1", None), longest=10)

    async def test_the_status_is_413(self, api: Api) -> None:
        answer = await api.me.post("/projects", content=b"x" * (BODY_LONGEST + 1))
        assert answer.status_code == 413
        assert answer.json() == {"error": "the body is too large: at most 1,048,576 bytes are read"}

    @pytest.mark.parametrize("length", [b"-5", b"+5", b"5x", b""])
    async def test_a_length_that_is_no_number_announces_nothing(self, length: bytes) -> None:
        scope = {"headers": [(b"content-length", length)]}
        assert await read_body(scope, parts(b"ok"), longest=2) == b"ok"


class TestBeginning:
    @given(st.lists(st.binary(max_size=8), max_size=8))
    async def test_the_beginning_is_kept_however_it_comes_in_parts(
        self, given_parts: list[bytes]
    ) -> None:
        whole = b"".join(given_parts)
        kept, is_whole = await read_beginning(parts(*given_parts, b""), kept=10, longest=1_000)
        assert kept == whole[:10]
        assert is_whole == (len(whole) <= 10)

    async def test_the_rest_is_read_up_to_a_bound_and_no_further(self) -> None:
        received: list[int] = []

        async def receive() -> Message:
            received.append(1)
            return {"type": "http.request", "body": b"x" * 10, "more_body": True}

        assert await read_beginning(receive, kept=5, longest=40) == (b"xxxxx", False)
        assert len(received) == 4


def parts(*bodies: bytes | None) -> Receive:
    """Receives the parts in turn; None is a caller who hangs up."""
    messages: list[dict[str, Any]] = [
        {"type": "http.disconnect"}
        if body is None
        else {"type": "http.request", "body": body, "more_body": number < len(bodies) - 1}
        for number, body in enumerate(bodies)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    return receive
