"""An httpx transport for calls to places that others chose: one guarded connection a request.

There is exactly one way from a URL to a socket here, and it leads through the network guard: what
is connected to is an address the guard let through, never a name. What a client for friendly
places has besides (a pool, proxies, cookies, redirects, decoders) is not switched off but absent.
``docs/decisions/0003-outbound-http-engine.md`` says what was measured and why it is built so.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohappyeyeballs
import certifi
import httpx

from scheduler.http_exchange import HttpExchange, Limits, TlsFailed, in_words, serialised
from scheduler.network_guard import Address, Blocked, NetworkGuard
from scheduler.stopwatch import Stopwatch

ADDRESSES_TRIED = 8
"""Of a host's addresses; more would let one name make the service knock at a thousand doors."""

_ATTEMPT_DELAY = 0.25  # seconds until the next address is tried beside the last (RFC 8305, 5)
_UNLIMITED = 86_400.0  # seconds; asyncio insists on a limit, and the caller's deadline is the one
_PORTS = range(1, 65_536)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, to an address that ``guard`` let through.

    A request may carry a ``Stopwatch`` as its extension ``stopwatch``. There is no time limit but
    the caller's, who cancels, and nothing is kept from one request to the next.
    """

    def __init__(
        self,
        guard: NetworkGuard,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._limits = limits or Limits()
        self._tls = tls or trusted_tls()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` and return the response once its head is there; its body is a stream.

        Closing the response closes the connection.

        Raises:
            Blocked: the destination is not one that may be called; nothing was sent.
            ResolutionFailed: the host has no address.
            httpx.LocalProtocolError: the request can't be sent as it is.
            httpx.ConnectError: no connection; ``TlsFailed``: no trusted TLS session over it.
            AnswerTooLarge: the answer goes past a limit.
            httpx.TransportError: the answer is not HTTP, or breaks off.

        """
        await request.aread()
        stopwatch = request.extensions.get("stopwatch") or Stopwatch()
        exchange = HttpExchange(
            serialised(request),
            without_body=request.method == "HEAD",
            limits=self._limits,
            stopwatch=stopwatch,
        )
        host, port = _destination(request.url)
        addresses = await self._guard.addresses_for(host, port)
        stopwatch.next("connect")
        connected = await _connected_socket(addresses, host, port)
        try:
            if request.url.scheme == "https":
                stopwatch.next("tls")
                await self._start_over_tls(exchange, connected, host)
            else:
                await _start(exchange, connected, host)
            await exchange.head()
        except BaseException:
            exchange.close()
            connected.close()
            raise
        return httpx.Response(
            exchange.status, headers=exchange.headers, stream=_Body(exchange), request=request
        )

    async def _start_over_tls(
        self, exchange: HttpExchange, connected: socket.socket, host: str
    ) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: exchange,
                sock=connected,
                ssl=self._tls,
                server_hostname=host.removesuffix("."),  # RFC 6066, section 3
                ssl_handshake_timeout=_UNLIMITED,
            )
        except OSError as exc:
            raise TlsFailed(f"no TLS session with {host}: {in_words(exc)}") from exc


class _Body(httpx.AsyncByteStream):
    """The body of an answer, which ends its connection when closed."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await self._exchange.next_part()
        if part is None:
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        self._exchange.close()


def trusted_tls() -> ssl.SSLContext:
    """Return settings that trust what this system trusts, or certifi's list where it has none."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    if paths.cafile is None and not (folder and any(folder.iterdir())):
        context.load_verify_locations(certifi.where())
    return context


def _destination(url: httpx.URL) -> tuple[str, int]:
    """Return the host, in ASCII, and the port that ``url`` names."""
    port = _DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port
    if url.scheme not in _DEFAULT_PORTS or port not in _PORTS:
        raise Blocked("the URL has to be http or https, with a port from 1 to 65535")
    return url.raw_host.decode("ascii"), port


async def _connected_socket(addresses: Sequence[Address], host: str, port: int) -> socket.socket:
    try:
        return await aiohappyeyeballs.start_connection(
            [_address_info(address, port) for address in addresses[:ADDRESSES_TRIED]],
            happy_eyeballs_delay=_ATTEMPT_DELAY,
        )
    except (OSError, RuntimeError) as exc:  # uvloop has RuntimeError where asyncio has OSError
        raise httpx.ConnectError(f"no connection to {host} port {port}: {in_words(exc)}") from exc


async def _start(exchange: HttpExchange, connected: socket.socket, host: str) -> None:
    try:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: exchange, sock=connected)
    except OSError as exc:  # some systems notice only here that the peer has gone
        raise httpx.ConnectError(f"no connection to {host}: {in_words(exc)}") from exc


def _address_info(address: Address, port: int) -> aiohappyeyeballs.AddrInfoType:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port)
