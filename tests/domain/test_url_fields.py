"""The URLs that may be called: what is one, and that what is none is never more than refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvalidField
from domain.fields import http_url

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


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://a",
            "https://example.com",
            "HTTPS://EXAMPLE.COM/",
            "https://example.com./health",
            "http://example.com:8080/a/b?c=d&e=%20#f",
            "http://example.com:/",
            "http://example.com:65535",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[2001:db8::1]:8080/x",
            "http://[::ffff:10.0.0.1]/",
            "https://example.com/k%C3%A4se?a=%5Bb%5D",
            "https://xn--bcher-kva.example/",
            "http://my_service.internal/",
            "https://example.com/@user",
            "https://example.com/?to=a@b.example",
            "https://example.com?@",
            "http://" + "a" * 63 + ".example",
        ],
    )
    def test_an_absolute_http_or_https_url_is_kept_as_it_is(self, url: str) -> None:
        assert http_url("field", url) == url

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "/health",
            "example.com",
            "//example.com/",
            "http:example.com",
            "http:/example.com",
            "http://",
            "http:///path",
            "http://:80/",
            "http://?query",
            "http://#fragment",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "gopher://example.com/",
            "httpss://example.com/",
            "http+unix://socket/",
        ],
    )
    def test_any_other_url_is_refused(self, url: str) -> None:
        assert "must be an absolute http or https URL" in refusal(http_url, url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://[",
            "http://]",
            "http://[]/",
            "http://[::1",
            "http://::1]/",
            "http://[::1]evil.example/",
            "http://evil[::1]/",
            "http://[::1]:80:80/",
            "http://[fe80::1%25eth0]/",
            "http://[v1.fe]/",
            "http://[1.2.3.4]/",
            "http://[:::]/",
            "http://[12345::]/",
            "http://::1/",
            "http://example.com:65536/",
            "http://example.com:0/",
            "http://example.com:-1/",
            "http://example.com:+1/",
            "http://example.com:8o/",
            "http://example.com:٨٠/",
            "http://example.com:80:80/",
            "http://example.com:000080/",
            "http://example.com:" + "9" * 1000 + "/",
            "http://.",
            "http://..",
            "http://a..b/",
            "http://.a/",
            "http://" + "a" * 64 + "/",
            "http://" + "a." * 127 + "/",
            "http://" + "ä" * 64 + "/",
            "http://" + "ä." * 200 + "/",
            "http://ex%61mple.com/",
            "http://exa(mple).com/",
            "http://a,b/",
            "http://a;b/",
            "http://*/",
            "http://<script>/",
            "http://`id`/",
            "http://${host}/",
            "http://a|b/",
            "http://℀.example/",
        ],
    )
    def test_a_host_or_port_that_nothing_could_connect_to_is_refused(self, url: str) -> None:
        assert "must be an absolute http or https URL" in refusal(http_url, url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://user:password@example.com/",
            "http://user@example.com/",
            "http://@example.com/",
            "http://:@example.com/",
            "http://good.example:80@evil.example/",
            "http://good.example@[::1]/",
            "http://a@b@c/",
        ],
    )
    def test_a_user_and_password_part_is_refused_and_not_repeated(self, url: str) -> None:
        message = refusal(http_url, url)
        assert "without a user:password part" in message
        assert "example" not in message

    @pytest.mark.parametrize(
        "url",
        [
            " http://example.com/",
            "http://example.com/ ",
            "http://exa mple.com/",
            "http://example.com/a b",
            "http://example.com/\r\nHost: evil.example",
            "http://example.com/\t",
            "ht\ntp://example.com/",
            "http://example.com/\x00",
            "http://example.com/\x7f",
            "http://example.com/\u2028",
            "http://example.com/\u202egnp.exe",
            "http://exam\u200bple.com/",
            "http://example.com/\ud800",
            "http://example.com/\ufeff",
        ],
    )
    def test_spaces_and_what_can_not_be_printed_are_refused(self, url: str) -> None:
        assert "without spaces and control characters" in refusal(http_url, url)

    @pytest.mark.parametrize(
        "url", ["https://bücher.example/", "https://example.com/käse", "https://a/?q=\u00e4"]
    )
    def test_what_is_not_ascii_is_refused_with_the_way_to_write_it(self, url: str) -> None:
        assert "percent-encoded" in refusal(http_url, url)

    @pytest.mark.parametrize(
        "part", ['"', "<", ">", "^", "`", "{", "|", "}", "%", "%2", "%zz", "#"]
    )
    def test_what_a_url_may_not_contain_is_refused(self, part: str) -> None:
        refusal(http_url, f"https://example.com/a#{part}")
        if part != "#":
            refusal(http_url, f"https://example.com/{part}")
            refusal(http_url, f"https://example.com/?{part}")

    @pytest.mark.parametrize(
        "url", ["http://good.example\\@evil.example/", "http:\\\\example.com", "http://a/\\b"]
    )
    def test_backslashes_are_refused_for_parsers_disagree_on_them(self, url: str) -> None:
        refusal(http_url, url)

    def test_2048_characters_are_allowed_and_no_more(self) -> None:
        longest = "https://example.com/".ljust(2048, "x")
        assert http_url("field", longest) == longest
        assert "2,048" in refusal(http_url, longest + "x")

    @given(st.one_of(JSON, st.text(max_size=60).map(lambda rest: f"http://{rest}")))
    @example("http://" + "\U0001f4a9" * 50)
    @example("http://\u00df\u3002\u3002/")
    @example("http://xn--/")
    @example("http://xn--\u00e4/")
    @example("http://[::ffff:1.2.3.4.5]/")
    def test_it_raises_nothing_but_a_refusal(self, value: Any) -> None:
        try:
            checked = http_url("field", value)
        except InvalidField as refused:
            refused.message.encode()
        else:
            assert checked == value

    @given(st.text("[]:%@.-/\\?#ä0aA٣。xn\u00ad", max_size=14).map(lambda rest: f"https://{rest}"))
    def test_it_raises_nothing_but_a_refusal_at_the_seams_of_a_url(self, value: str) -> None:
        try:
            assert http_url("field", value) == value
        except InvalidField as refused:
            refused.message.encode()
