from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest

from scheduler.guarded_transport import trusted_tls
from scheduler.http_check import CheckResult
from tests.scheduler.loopback_servers import Authority, refusing_tls, serving
from tests.scheduler.sending_checks import answer, checking, outcome, request

HOST = "shop.example"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def check_over_tls(
    client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST
) -> CheckResult:
    async with serving(tls=server) as served, checking(tls=client) as checker:
        return await checker.check(request(served.url(host=host)))


class TestATrustedServer:
    async def test_is_checked_over_tls(self, authority: Authority) -> None:
        result = await check_over_tls(authority.client(), authority.server(HOST))
        assert outcome(result) == (None, 200)
        assert result.timings.tls_ms is not None
        assert result.timings.first_byte_ms is not None

    @pytest.mark.parametrize("spelling", [HOST, "SHOP.example", "shop.example."])
    async def test_is_asked_for_by_its_name_and_not_by_its_address(
        self, authority: Authority, spelling: str
    ) -> None:
        async with (
            serving(tls=authority.server(HOST)) as server,
            checking(tls=authority.client()) as checker,
        ):
            assert outcome(await checker.check(request(server.url(host=spelling)))) == (None, 200)
        assert server.names_asked_for == [HOST]
        assert b"\r\nHost: " + spelling.lower().encode() in server.requests[0]

    async def test_may_have_a_name_beyond_ascii(self, authority: Authority) -> None:
        server = authority.server("xn--bcher-kva.example")
        result = await check_over_tls(authority.client(), server, "bücher.example")
        assert outcome(result) == (None, 200)

    async def test_may_be_named_by_an_address(self, authority: Authority) -> None:
        server = authority.server("127.0.0.1")
        assert outcome(await check_over_tls(authority.client(), server, "127.0.0.1")) == (None, 200)

    async def test_is_hung_up_on_without_a_farewell_that_could_take_long(
        self, authority: Authority
    ) -> None:
        ended = asyncio.Event()

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer("200 OK"))
            await reader.read()
            ended.set()

        async with (
            serving(behave, tls=authority.server(HOST)) as server,
            checking(tls=authority.client()) as checker,
        ):
            await checker.check(request(server.url(host=HOST)))
            await ended.wait()


class TestAServerThatIsNotTrusted:
    async def fails(self, client: ssl.SSLContext, server: ssl.SSLContext, words: str) -> None:
        result = await check_over_tls(client, server)
        assert outcome(result) == ("tls", None)
        assert words in (result.message or "")
        assert result.timings.connect_ms is not None
        assert result.timings.tls_ms is None

    async def test_has_a_certificate_of_an_unknown_authority(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path)
        await self.fails(authority.client(), other.server(HOST), "the certificate is not trusted")
        await self.fails(trusted_tls(), authority.server(HOST), "the certificate is not trusted")

    async def test_has_a_certificate_for_another_name(self, authority: Authority) -> None:
        await self.fails(authority.client(), authority.server("a.example"), "Hostname mismatch")

    async def test_has_a_certificate_for_its_address_only(self, authority: Authority) -> None:
        await self.fails(authority.client(), authority.server("127.0.0.1"), "Hostname mismatch")

    async def test_has_a_certificate_that_has_expired(self, authority: Authority) -> None:
        await self.fails(authority.client(), authority.server(HOST, days=0), "expired")

    async def test_speaks_no_version_that_we_do(self, authority: Authority) -> None:
        client, server = authority.client(), authority.server(HOST)
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        await self.refuses(client, server, "alert protocol version")

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_asks_for_a_certificate_that_we_do_not_have(
        self, authority: Authority, version: ssl.TLSVersion
    ) -> None:
        server = authority.server(HOST)
        server.verify_mode = ssl.CERT_REQUIRED
        server.maximum_version = version
        await self.refuses(authority.client(), server, "alert")

    async def refuses(self, client: ssl.SSLContext, server: ssl.SSLContext, words: str) -> None:
        refusing = refusing_tls(server)
        async with serving(refusing, listens=False) as served, checking(tls=client) as checker:
            url = served.url(host=HOST).replace("http:", "https:")
            result = await checker.check(request(url))
        assert outcome(result) == ("tls", None)
        assert words in (result.message or "")

    async def test_breaks_the_handshake_off(self, authority: Authority) -> None:
        server = authority.server(HOST)
        server.verify_mode = ssl.CERT_REQUIRED
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        await self.fails(authority.client(), server, "the server broke it off")

    @pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 100])
    async def test_speaks_no_tls_at_all(self, authority: Authority, says: bytes) -> None:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(5)
            writer.write(says)
            writer.close()
            await writer.wait_closed()

        async with (
            serving(behave, listens=False) as server,
            checking(tls=authority.client()) as checker,
        ):
            url = server.url(host=HOST).replace("http:", "https:")
            result = await checker.check(request(url))
        assert outcome(result) == ("tls", None)
        assert result.message


class TestTheTrust:
    def test_is_the_systems_and_asks_for_a_certificate_of_the_name(self) -> None:
        context = trusted_tls()
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2

    @pytest.mark.parametrize(("has_folder", "expected"), [(False, True), (True, True)])
    def test_is_certifis_list_where_the_system_has_none(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        *,
        has_folder: bool,
        expected: bool,
    ) -> None:
        paths = SimpleNamespace(cafile=None, capath=str(tmp_path) if has_folder else None)
        assert (self.loaded(monkeypatch, paths) == [certifi.where()]) is expected

    def test_is_not_certifis_list_where_the_system_has_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "authority.0").touch()
        file = SimpleNamespace(cafile=str(tmp_path / "authority.0"), capath=None)
        folder = SimpleNamespace(cafile=None, capath=str(tmp_path))
        assert self.loaded(monkeypatch, file) == []
        assert self.loaded(monkeypatch, folder) == []

    def loaded(self, monkeypatch: pytest.MonkeyPatch, paths: SimpleNamespace) -> list[str]:
        """Which lists are loaded beside the system's, where the system has ``paths``."""
        loaded: list[str] = []

        class Context(ssl.SSLContext):
            def load_verify_locations(self, cafile: str) -> None:  # type: ignore[override]
                loaded.append(cafile)

        context = Context(ssl.PROTOCOL_TLS_CLIENT)
        monkeypatch.setattr(ssl, "create_default_context", lambda: context)
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
        trusted_tls()
        return loaded
