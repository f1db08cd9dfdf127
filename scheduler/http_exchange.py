"""One HTTP/1.1 request and its answer, on a connection that is used for nothing else.

The parser is llhttp, Node's, through httptools. What it leaves to its user is here: what ends an
answer (RFC 9112, section 6.3), interim answers (RFC 9110, section 15.2), and the limits that keep
an endless answer from filling the memory.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools
import httpx

from scheduler.stopwatch import Stopwatch

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_FORBIDDEN_IN_VALUE = re.compile(rb"[\r\n\0]")  # RFC 9110, section 5.5
_FRAMING = (b"connection", b"content-length", b"transfer-encoding")  # ours to say, and said once


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of an answer is read: bytes as they come over the wire, and header lines."""

    head_bytes: int = 65_536
    header_lines: int = 200
    body_bytes: int = 1_048_576


class AnswerTooLarge(httpx.RemoteProtocolError):
    """The answer goes past a limit; the message names it."""


class TlsFailed(httpx.ConnectError):
    """There is a connection, and no trusted TLS session over it."""


def in_words(exc: Exception) -> str:
    """Say what went wrong in the platform's words, without its codes and addresses."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.replace("_", " ").lower()
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno).lower()
    return "the server broke it off"


def serialised(request: httpx.Request) -> bytes:
    """Return ``request``, whose body has been read, as it goes over the wire (RFC 9112, section 3).

    Raises:
        httpx.LocalProtocolError: the method or a header would change what the message means.

    """
    method = request.method.encode()
    if not _TOKEN.fullmatch(method):
        raise httpx.LocalProtocolError("the method can't be sent: it has to be a token")
    lines = [b"%s %s HTTP/1.1" % (method, request.url.raw_path), b"Connection: close"]
    if request.content or "content-length" in request.headers:
        lines.append(b"Content-Length: %d" % len(request.content))
    for name, value in request.headers.raw:
        if not _TOKEN.fullmatch(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise httpx.LocalProtocolError(
                "a header can't be sent: its name has to be a token, its value one line without NUL"
            )
        if name.lower() not in _FRAMING:
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", request.content])


class HttpExchange(asyncio.Protocol):
    """Sends ``message`` once connected and reads what comes back.

    ``status`` and ``headers`` hold the answer's once ``head`` has returned.
    """

    def __init__(
        self, message: bytes, *, without_body: bool, limits: Limits, stopwatch: Stopwatch
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._message = message
        self._without_body = without_body
        self._limits = limits
        self._stopwatch = stopwatch
        self._connection: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        # As tolerant as browsers and aiohttp's client. What that may endanger, the reading of one
        # message as two, can do no harm where a connection carries one answer and is closed.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._received = 0
        self._head_received = 0
        self._body_received = 0
        self._body: deque[bytes] = deque()
        self._ends_with_connection = True
        self._complete = False
        self._failure: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait until status and headers are there.

        Raises:
            httpx.TransportError: the answer is not HTTP, goes past a limit, or breaks off.

        """
        while not self.status:
            await self._news()

    async def next_part(self) -> bytes | None:
        """Return the next part of the body, as it comes and not decompressed; None at its end.

        Raises:
            httpx.TransportError: as ``head`` does.

        """
        while not self._body:
            if self._complete:
                return None
            await self._news()
        return self._body.popleft()

    def close(self) -> None:
        """Drop the connection at once, whether the peer wants to say goodbye or not."""
        if self._connection is not None:
            self._connection.abort()

    async def _news(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What the connection calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request; what comes from here on counts as the answer."""
        self._connection = cast("asyncio.Transport", transport)
        self._stopwatch.next("first_byte")
        self._connection.write(self._message)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the answer is already over."""
        if self._complete or self._failure is not None:
            return
        if not self._received:
            self._stopwatch.next("body")
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # after a 101, whose answer is over: the rest isn't HTTP
        except httptools.HttpParserError as exc:
            self._fail(httpx.RemoteProtocolError(f"the answer is not valid HTTP: {exc}"))
        self._check_received()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer that lasts as long as its connection; any other one has broken off."""
        if isinstance(exc, ssl.SSLError):
            self._fail(TlsFailed(f"the TLS session failed: {in_words(exc)}"))
        elif exc is not None:
            self._fail(httpx.ReadError("the connection was lost before the answer was complete"))
        elif self.status and self._ends_with_connection:
            self._complete = True
        elif self._received:
            self._fail(httpx.RemoteProtocolError("the answer ended before it was complete"))
        else:
            self._fail(httpx.RemoteProtocolError("the server closed the connection unanswered"))
        self._wake()

    # What the parser calls; an exception makes it stop.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header line; trailers, which come after the body, are dropped."""
        if self.status:
            return
        self.headers.append((name, value))
        self._head_received += len(name) + len(value)
        if len(self.headers) > self._limits.header_lines:
            self._stop(f"the answer has more than {self._limits.header_lines} header lines")
        if self._head_received > self._limits.head_bytes:
            self._stop(self._head_too_large)
        lower = name.lower()
        if lower == b"content-length" or (
            lower == b"transfer-encoding" and value.lower().rstrip().endswith(b"chunked")
        ):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        """Take over the head, unless it is an interim one."""
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS:
            self.headers.clear()
            self._ends_with_connection = True
            return
        self.status = status
        self._complete = self._without_body

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body until it is asked for."""
        if self._complete:
            return
        room = self._limits.body_bytes - self._body_received
        self._body_received += len(part)
        self._body.append(part[:room])
        if len(part) > room:
            self._stop(f"the answer's body is larger than {self._limits.body_bytes} bytes")

    def on_message_complete(self) -> None:
        """Note the end of the answer; interim ones end too."""
        self._complete = bool(self.status)

    def _check_received(self) -> None:
        """Limit what comes as neither header nor body too: an endless line, endless framing."""
        if not self.status and self._received > self._limits.head_bytes:
            self._fail(AnswerTooLarge(self._head_too_large))
        elif self._received > self._limits.head_bytes + self._limits.body_bytes:
            self._fail(AnswerTooLarge("the answer's framing is larger than its body may be"))

    @property
    def _head_too_large(self) -> str:
        return f"the answer's head is larger than {self._limits.head_bytes} bytes"

    def _stop(self, message: str) -> None:
        failure = AnswerTooLarge(message)
        self._fail(failure)
        raise failure

    def _fail(self, failure: httpx.TransportError) -> None:
        """Keep the first failure; nobody asks for one once the answer is complete."""
        if self._failure is None:
            self._failure = failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
