from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import Mapping, Sequence

import pytest

from scheduler.http_check import CheckResult
from scheduler.network_guard import NetworkGuard
from tests.scheduler.loopback_servers import (
    LOOPBACK,
    OK,
    LoopClock,
    dripping,
    endless,
    loopback_guard,
    serving,
    silent,
)
from tests.scheduler.sending_checks import answer, check, checking, outcome, request

HEAD_OK = b"HTTP/1.1 200 OK\r\n"


class TestTheRequest:
    async def sent(self, **changes: object) -> bytes:
        async with serving() as server, checking() as checker:
            path = str(changes.pop("path", "/"))
            result = await checker.check(request(server.url(path), **changes))
            assert result.reason is None
            return server.requests[0].replace(str(server.port).encode(), b"PORT")

    async def test_goes_out_as_configured_and_with_headers_of_our_own(self) -> None:
        assert await self.sent(path="/a%20b?q=%C3%A9&x", headers={"x-Own-CASE": "as is"}) == (
            b"GET /a%20b?q=%C3%A9&x HTTP/1.1\r\n"
            b"Connection: close\r\n"
            b"Host: 127.0.0.1:PORT\r\n"
            b"User-Agent: CronPulse/1\r\n"
            b"Accept: */*\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Idempotency-Key: e1b2c3\r\n"
            b"x-Own-CASE: as is\r\n\r\n"
        )

    async def test_has_the_jobs_header_in_place_of_ours_however_it_is_written(self) -> None:
        own = {
            "user-agent": "mine",
            "ACCEPT": "text/html",
            "Accept-encoding": "br",
            "idempotency-KEY": "my key",
        }
        sent = await self.sent(headers=own)
        for name, value in own.items():
            assert f"\r\n{name}: {value}\r\n".encode() in sent
            assert sent.lower().count(b"\r\n" + name.lower().encode() + b": ") == 1

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def test_has_the_body_with_its_length_in_bytes(self, method: str) -> None:
        sent = await self.sent(method=method, body='{"name": "é"}')
        assert sent.startswith(method.encode() + b" / HTTP/1.1\r\n")
        assert b"\r\nContent-Length: 14\r\n" in sent
        assert sent.lower().count(b"content-length") == 1
        assert b"content-type" not in sent.lower()
        assert sent.endswith('\r\n\r\n{"name": "é"}'.encode())

    async def test_has_a_large_body_whole(self) -> None:
        assert (await self.sent(method="POST", body="x" * 65_536)).endswith(b"x" * 65_536)

    @pytest.mark.parametrize(("method", "says"), [("POST", True), ("GET", False)])
    async def test_without_a_body_says_so_where_one_is_usual(self, method: str, says: bool) -> None:
        assert (b"Content-Length: 0\r\n" in await self.sent(method=method)) is says

    async def test_has_a_path_even_where_the_url_has_none(self) -> None:
        assert (await self.sent(path="")).startswith(b"GET / HTTP/1.1\r\n")
        assert (await self.sent(path="?a=b")).startswith(b"GET /?a=b HTTP/1.1\r\n")

    async def test_does_not_contain_the_urls_fragment(self) -> None:
        assert b"part" not in await self.sent(path="/a#part")

    async def test_carries_text_beyond_ascii_as_utf_8(self) -> None:
        assert "\r\nX-Name: José\r\n".encode() in await self.sent(headers={"X-Name": "José"})

    async def test_names_the_host_as_the_url_does(self) -> None:
        async with serving() as server, checking(loopback_guard()) as checker:
            for host in ("a.example", "A.Example", "bücher.example"):
                await checker.check(request(server.url(host=host)))
        hosts = [sent.split(b"Host: ")[1].split(b":")[0] for sent in server.requests]
        assert hosts == [b"a.example", b"a.example", b"xn--bcher-kva.example"]

    async def test_ignores_the_proxies_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert await self.sent()

    async def test_brings_no_cookie_back(self) -> None:
        setting = answer("200 OK", b"", b"Set-Cookie: a=b; Path=/")
        async with serving(setting) as server, checking() as checker:
            for _ in range(2):
                await checker.check(request(server.url()))
        assert len(server.requests) == 2
        assert b"cookie" not in b"".join(server.requests).lower()


class TestARequestThatCannotBeSent:
    @pytest.mark.parametrize(
        "headers",
        [
            {"X-A": "b\r\nHost: c"},
            {"X-A": "b\n"},
            {"X-A": "b\rc"},
            {"X-A": "\0"},
            {"X A": "b"},
            {"X-A:": "b"},
            {"X-A\r\nX-B": "b"},
            {"": "b"},
            {"É": "b"},
            {"X-A": "\ud800"},
        ],
    )
    async def test_is_blocked_for_a_header_that_would_be_another(
        self, headers: Mapping[str, str]
    ) -> None:
        async with serving() as server, checking() as checker:
            result = await checker.check(request(server.url(), headers=headers))
        assert outcome(result) == ("blocked", None)
        assert server.requests == []

    async def test_is_blocked_for_a_method_that_would_be_more(self) -> None:
        result = await check(OK, method="GET / HTTP/1.1\r\nX:")
        assert outcome(result) == ("blocked", None)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "/",
            "example",
            "http://",
            "http:///path",
            "https://:443/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_",
            "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:-1/",
            "http://127.0.0.1:99999999999999999999/",
            "http://127.0.0.1:a/",
            "http://[::1/",
            "http://[::1%25lo]/",
            "http://0177.0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://127.0.0.1/\n",
            "http://127.0.0.1/\0",
            "http://127.0.0.1/\ud800",
            "http://" + "a" * 70_000,
        ],
    )
    async def test_is_blocked_for_a_url_that_is_none_or_not_http(self, url: str) -> None:
        async with checking() as checker, checker.slot(url):
            result = await checker.check(request(url))
        assert outcome(result) == ("blocked", None)
        assert result.timings.connect_ms is None


class TestADestinationThatChecksMayNotReach:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127。0。0。1",
            "127%2e0%2e0%2e1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
            "[fe80::1%25lo]",
            "0.0.0.0",
            "0",
            "localhost",
            "loc%61lhost",
            "user:secret@127.0.0.1",
            "example.com@127.0.0.1",
        ],
    )
    async def test_is_blocked_without_a_connection(self, host: str) -> None:
        async with serving() as server, checking(NetworkGuard()) as checker:
            result = await checker.check(request(server.url(host=host)))
        assert outcome(result) == ("blocked", None)
        assert server.requests == []

    async def test_is_blocked_behind_a_name(self) -> None:
        async def resolve(host: str, port: int) -> Sequence[str]:
            return ["8.8.8.8", "127.0.0.1"]

        async with serving() as server, checking(NetworkGuard((), resolve)) as checker:
            result = await checker.check(request(server.url(host="innocent.example")))
        assert outcome(result) == ("blocked", None)
        assert server.requests == []
        assert "innocent.example" in (result.message or "")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_is_not_reached_by_redirect(self, status: int) -> None:
        async with serving() as inside:
            redirect = answer(f"{status} Moved", b"", b"Location: " + inside.url().encode())
            result = await check(redirect)
            assert outcome(result) == ("status", status)
            assert "redirects are not followed" in (result.message or "")
            assert inside.requests == []

    async def test_is_not_reached_by_a_name_that_changes_its_mind(self) -> None:
        answers = [["127.0.0.1"], ["127.0.0.2"]]

        async def resolve(host: str, port: int) -> Sequence[str]:
            return answers.pop(0)

        guard = NetworkGuard(LOOPBACK[:1], resolve)
        async with serving() as server, checking(guard) as checker:
            result = await checker.check(request(server.url(host="rebinding.example")))
        assert outcome(result) == (None, 200)
        assert answers == [["127.0.0.2"]]


class TestAnAnswer:
    @pytest.mark.parametrize("status", [200, 201, 299, 301, 304, 404, 500, 599])
    async def test_is_a_success_when_its_status_is_the_expected_one(self, status: int) -> None:
        result = await check(answer(f"{status} Whatever", b"a body"), expected_status_code=status)
        assert result == CheckResult(
            reason=None, status_code=status, message=None, output=None, timings=result.timings
        )

    @pytest.mark.parametrize(("status", "expected"), [(500, 200), (200, 201), (404, 200)])
    async def test_is_a_failure_when_its_status_is_another(
        self, status: int, expected: int
    ) -> None:
        result = await check(answer(f"{status} No", b"why"), expected_status_code=expected)
        assert outcome(result) == ("status", status)
        assert result.message == f"the answer was {status}, expected {expected}"
        assert result.output == "why"

    @pytest.mark.parametrize("without_status_text", [b"HTTP/1.1 200\r\n", b"HTTP/1.0 200 OK\r\n"])
    async def test_may_be_terse_or_old(self, without_status_text: bytes) -> None:
        assert outcome(await check(without_status_text + b"\r\nok")) == (None, 200)

    async def test_counts_after_interim_ones(self) -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert outcome(
            await check(interim + answer("204 No Content"), expected_status_code=204)
        ) == (
            None,
            204,
        )

    async def test_may_be_a_switch_of_protocols(self, caplog: pytest.LogCaptureFixture) -> None:
        switch = (
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\0"
        )
        assert outcome(await check(switch, expected_status_code=101)) == (None, 101)
        assert outcome(await check(switch)) == ("status", 101)
        assert caplog.records == []

    async def test_may_offer_another_protocol(self) -> None:
        offer = answer("200 OK", b"ok", b"Upgrade: h2,h2c", b"Connection: Upgrade, close")
        assert outcome(await check(offer)) == (None, 200)

    async def test_to_head_has_no_body_whatever_it_promises(self) -> None:
        promise = HEAD_OK + b"Content-Length: 5000000000\r\n\r\n"
        assert outcome(await check(promise, method="HEAD")) == (None, 200)
        chunked = HEAD_OK + b"Transfer-Encoding: chunked\r\n\r\n"
        assert outcome(await check(chunked, method="HEAD")) == (None, 200)
        result = await check(answer("500 No", b"sent all the same"), method="HEAD")
        assert (result.reason, result.output) == ("status", None)

    @pytest.mark.parametrize(
        "status", ["101 Switching Protocols", "204 No Content", "304 Not Modified"]
    )
    async def test_without_a_body_by_its_status_is_over_with_its_head(self, status: str) -> None:
        clock = LoopClock()
        promise = f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode()
        result = await check(
            silent(lambda: clock.advance(31), after=promise), expected_status_code=int(status[:3])
        )
        assert result.reason is None

    @pytest.mark.parametrize(
        "framed",
        [
            b"Content-Length: 5\r\n\r\nwrong",
            b"Content-Length: 5\r\n\r\nwrong and more",
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nwr\r\n3;x=y\r\nong\r\n0\r\nX: y\r\n\r\n",
            b"Transfer-Encoding: Chunked\r\n\r\n5 \r\nwrong\r\n0\r\n\r\n",
            b"\r\nwrong",
            b"Connection: close\r\n\r\nwrong",
            b"X:\r\n\r\nwrong",
            b"X: y\x01z\r\n\r\nwrong",
            b"X: y,\r\n z\r\n\r\nwrong",
        ],
    )
    async def test_has_its_body_taken_out_of_its_frame(self, framed: bytes) -> None:
        result = await check(HEAD_OK.replace(b"200", b"500") + framed)
        assert (result.reason, result.output) == ("status", "wrong")

    async def test_may_have_bare_line_feeds(self) -> None:
        assert outcome(await check(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")) == (None, 200)

    async def test_may_come_byte_by_byte(self) -> None:
        whole = answer("500 No", b"wrong", b"X-A: b")

        async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for number in range(len(whole)):
                writer.write(whole[number : number + 1])
                await writer.drain()
                await asyncio.sleep(0)

        result = await check(behave)
        assert (result.reason, result.output) == ("status", "wrong")

    async def test_may_come_before_the_server_has_read_the_request(self) -> None:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer("413 Too Large", b"no"))
            await writer.drain()
            await reader.read()

        result = await check(behave, method="POST", body="x" * 65_536, expected_status_code=413)
        assert outcome(result) == (None, 413)

    async def test_is_not_decompressed(self) -> None:
        bomb = b"\x1f\x8b\x08\0\0\0\0\0\0\xffa bomb"
        result = await check(answer("500 No", bomb, b"Content-Encoding: gzip"))
        assert outcome(result) == ("status", 500)
        assert "a bomb" in (result.output or "")
        assert outcome(await check(answer("200 OK", bomb, b"Content-Encoding: gzip"))) == (
            None,
            200,
        )


class TestTheOutput:
    async def kept(self, body: bytes, **headers: str) -> str | None:
        return (await check(answer("500 No", body), headers=headers)).output

    async def test_is_the_beginning_of_the_body(self) -> None:
        assert await self.kept(b"a" * 4095 + b"bcd") == "a" * 4095 + "b"
        assert await self.kept(b"a" * 100_000) == "a" * 4096

    async def test_is_none_without_a_body(self) -> None:
        assert await self.kept(b"") is None

    async def test_is_text_whatever_the_body_is(self) -> None:
        assert await self.kept("é\0".encode() + b"\xff") == "é\ufffd\ufffd"

    async def test_has_no_half_character_at_its_end(self) -> None:
        assert await self.kept(b"a" * 4095 + "éé".encode()) == "a" * 4095
        assert await self.kept(b"a" + "é".encode()[:1]) == "a\ufffd"

    async def test_masks_secret_headers_that_the_answer_repeats(self) -> None:
        assert await self.kept(b"<hunter2>", **{"X-Api-Key": "hunter2"}) == "<********>"
        echo = b"Bearer abcdefgh1234, or abcdefgh1234?"
        assert (
            await self.kept(echo, Authorization="Bearer abcdefgh1234") == "********, or ********?"
        )
        assert await self.kept(b"sid=0123456789", Cookie="a=b; sid=0123456789") == "sid=********"

    async def test_shows_headers_that_are_not_secret(self) -> None:
        assert await self.kept(b"<hunter2>", **{"X-Pet": "hunter2"}) == "<hunter2>"

    async def test_masks_a_secret_as_a_whole_before_its_parts(self) -> None:
        secret = "abcdefgh1234 xyz"
        assert await self.kept(secret.encode(), Authorization=secret) == "********"

    async def test_masks_a_secret_that_its_end_would_cut(self) -> None:
        kept = await self.kept(b"a" * 4090 + b"hunter2 hunter2", Authorization="hunter2")
        assert kept == "a" * 4090 + "********"

    async def test_is_what_came_before_the_answer_broke_off(self) -> None:
        result = await check(HEAD_OK + b"Content-Length: 9\r\n\r\nhalf")
        assert (result.reason, result.output) == ("protocol", "half")


class TestAnAnswerThatIsTooLarge:
    limits: Mapping[str, object] = {"max_body_bytes": 100_000}

    async def test_has_a_body_past_the_limit(self) -> None:
        ok = answer("200 OK", b"a" * 100_000)
        assert outcome(await check(ok, settings=self.limits)) == (None, 200)
        result = await check(answer("200 OK", b"a" * 100_001), settings=self.limits)
        assert outcome(result) == ("too_large", 200)
        assert "100000 bytes" in (result.message or "")
        assert result.output == "a" * 4096

    async def test_shows_no_more_than_the_limit(self) -> None:
        result = await check(answer("200 OK", b"a" * 100), settings={"max_body_bytes": 10})
        assert (result.reason, result.output) == ("too_large", "a" * 10)

    @pytest.mark.parametrize(
        ("head", "forever"),
        [
            (b"", b"a" * 4096),
            (b"Content-Length: 5000000000\r\n", b"a" * 4096),
            (b"Transfer-Encoding: chunked\r\n", b"1000\r\n" + b"a" * 4096 + b"\r\n"),
            (b"Transfer-Encoding: chunked\r\n", b"1;" + b"x" * 4096 + b"\r\na\r\n"),
            (b"Transfer-Encoding: chunked\r\n\r\n0", b"X: " + b"y" * 4096 + b"\r\n"),
        ],
        ids=["until closed", "by length", "chunks", "chunk extensions", "trailers"],
    )
    async def test_never_ends(self, head: bytes, forever: bytes) -> None:
        result = await check(endless(HEAD_OK + head + b"\r\n", forever), settings=self.limits)
        assert outcome(result) == ("too_large", 200)

    @pytest.mark.parametrize(
        ("begun", "forever"),
        [
            (HEAD_OK, b"X: y\r\n"),
            (HEAD_OK, b"X: " + b"y" * 4096 + b"\r\n"),
            (HEAD_OK + b"X: ", b"y" * 4096),
            (HEAD_OK, b"y" * 4096),
            (b"HTTP/1.1 200 ", b"O" * 4096),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
            (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
        ],
        ids=["lines", "long lines", "value", "name", "status text", "interim", "early hints"],
    )
    async def test_never_gets_past_its_head(self, begun: bytes, forever: bytes) -> None:
        result = await check(endless(begun, forever))
        assert outcome(result) == ("too_large", None)
        assert re.search("head is larger|header lines", result.message or "")

    async def test_is_not_one_with_many_lines_in_several_heads_and_trailers(self) -> None:
        lines = b"".join(b"X-%d: y\r\n" % number for number in range(150))
        parts = [
            b"HTTP/1.1 103 Early Hints\r\n" + lines,
            HEAD_OK + b"Transfer-Encoding: chunked\r\n" + lines,
            b"0\r\n" + lines,
        ]
        assert outcome(await check(b"\r\n".join([*parts, b""]))) == (None, 200)

    async def test_has_too_many_header_lines_or_too_long_ones(self) -> None:
        lines = [b"X-%d: y" % number for number in range(199)]
        assert outcome(await check(answer("200 OK", b"", *lines))) == (None, 200)
        assert outcome(await check(answer("200 OK", b"", *lines, b"X: y"))) == ("too_large", None)
        long = b"X: " + b"y" * 65_536
        assert outcome(await check(answer("200 OK", b"", long))) == ("too_large", None)

    @pytest.mark.parametrize("rest", [b"a" * 4096, b"1000\r\nbroken"])
    async def test_is_a_wrong_status_first_of_all_and_then_hardly_read(self, rest: bytes) -> None:
        head = b"HTTP/1.1 502 Bad\r\nContent-Length: 5000000000\r\n\r\n"
        much = asyncio.Event()
        flood = dripping(head, rest, then=much.set, drops=20_000)
        result = await check(flood, settings={"max_body_bytes": 100_000_000})
        assert outcome(result) == ("status", 502)
        assert not much.is_set()


class TestSomethingThatIsNotAnAnswer:
    @pytest.mark.parametrize(
        "garbage",
        [
            b"",
            b"\r\n\r\n",
            b"hello\r\n",
            b"SSH-2.0-OpenSSH_9.7\r\n",
            b"220 mail.example ESMTP\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/9.9 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 twohundred OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0" * 1000,
        ],
    )
    async def test_is_a_failure_of_the_protocol(self, garbage: bytes) -> None:
        result = await check(garbage)
        assert outcome(result) == ("protocol", None)
        assert result.message

    @pytest.mark.parametrize(
        "broken",
        [
            b"Content-Length: 5\r\n\r\nhalf",
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"Transfer-Encoding: chunked\r\n\r\nnot a number\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n2\r\ntoo long\r\n",
        ],
    )
    async def test_is_a_failure_of_the_protocol_after_a_good_head_too(self, broken: bytes) -> None:
        assert outcome(await check(HEAD_OK + broken)) == ("protocol", 200)

    async def test_is_a_connection_that_is_reset(self) -> None:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection: socket.socket = writer.get_extra_info("socket")
            linger_not = (1).to_bytes(4, "little") + bytes(4)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)

        result = await check(reset)
        assert outcome(result) == ("protocol", None)
        assert "lost" in (result.message or "")


class TestAHostThatCannotBeReached:
    async def test_fails_by_dns_when_its_name_is_unknown(self) -> None:
        async with checking(loopback_guard("a.example")) as checker:
            result = await checker.check(request("http://b.example/"))
        assert outcome(result) == ("dns", None)
        assert result.message == "b.example can't be resolved: the lookup failed"

    async def test_fails_by_connect_when_nothing_listens(self) -> None:
        async with checking() as checker:
            result = await checker.check(request(f"http://127.0.0.1:{unused_port()}/"))
        assert outcome(result) == ("connect", None)
        assert "connection refused" in (result.message or "")
        assert result.timings.dns_ms is not None
        assert result.timings.connect_ms is None

    async def test_fails_by_connect_when_it_is_gone_before_the_connection_is_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connected: list[socket.socket] = []

        async def gone(*_: object, sock: socket.socket) -> None:
            connected.append(sock)
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", gone)
        async with serving() as server, checking() as checker:
            result = await checker.check(request(server.url()))
        assert outcome(result) == ("connect", None)
        assert [sock.fileno() for sock in connected] == [-1]

    async def test_is_tried_at_its_next_address(self) -> None:
        guard = loopback_guard(addresses=["127.0.0.2", "::1", "127.0.0.1"])
        async with serving() as server, checking(guard) as checker:
            result = await checker.check(request(server.url(host="a.example")))
        assert outcome(result) == (None, 200)

    async def test_is_tried_at_eight_addresses_and_no_more(self) -> None:
        addresses = [f"127.0.0.{number}" for number in range(9, 1, -1)]
        async with serving() as server:
            async with checking(loopback_guard(addresses=[*addresses, "127.0.0.1"])) as checker:
                result = await checker.check(request(server.url(host="many.example")))
                assert outcome(result) == ("connect", None)
            async with checking(loopback_guard(addresses=[*addresses[1:], "127.0.0.1"])) as checker:
                result = await checker.check(request(server.url(host="many.example")))
                assert outcome(result) == (None, 200)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
