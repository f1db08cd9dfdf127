"""A check: one HTTP request, sent to a URL that anybody may have set up, and what came of it.

``HttpChecker.check`` answers for every outcome with a ``CheckResult`` and never raises, because a
tick has to be recorded whatever its URL does. What the words in ``reason`` mean:

=============  ====================================================================================
``status``     the answer came, with another status than the expected one
``timeout``    the exchange took longer than the check's timeout, name lookup included
``dns``        the host name has no address, or its name servers don't say
``connect``    no TCP connection
``tls``        a connection, but no trusted TLS session over it
``blocked``    CronPulse refused: a destination checks may not reach, or a request it can't send
``protocol``   a connection, but no HTTP answer over it, or only a part of one
``too_large``  more header lines or bytes than are read of an answer
=============  ====================================================================================

Once a wrong status has arrived the reason is ``status``, whatever happens to the body after it,
and no more of the body is read than is kept.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httpx

from domain.execution import Reason
from scheduler.guarded_transport import GuardedTransport
from scheduler.host_slots import HostSlots
from scheduler.http_exchange import AnswerTooLarge, Limits, TlsFailed
from scheduler.kept_output import KeptOutput
from scheduler.network_guard import Blocked, NetworkGuard, ResolutionFailed
from scheduler.stopwatch import Stage, Stopwatch

_REASONS: dict[type[Exception], Reason] = {
    Blocked: "blocked",
    httpx.LocalProtocolError: "blocked",
    ResolutionFailed: "dns",
    TlsFailed: "tls",
    httpx.ConnectError: "connect",
    AnswerTooLarge: "too_large",
    httpx.TransportError: "protocol",
}
"""The first that fits; a subclass stands before its class."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110, section 15.4

_UNDER_WAY: dict[Stage, str] = {
    "dns": "the host name was being looked up",
    "connect": "the connection was being made",
    "tls": "the TLS session was being negotiated",
    "first_byte": "nothing of the answer had come",
    "body": "the answer was still coming",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What to send. ``timeout`` is in seconds, for the whole exchange including the name lookup.

    ``execution_id`` goes out as ``Idempotency-Key``, unless ``headers`` has one.
    """

    execution_id: str
    url: str
    method: str
    headers: Mapping[str, str]
    body: str | None
    timeout: int
    expected_status_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds that each stage took; None for one that wasn't there or didn't end.

    ``first_byte_ms`` runs from the sending of the request, ``total_ms`` from the start to the end.
    """

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What came of a check.

    ``reason`` is None for a success, else a word of this module's table. ``message`` says the same
    in a sentence, without anything secret. ``output`` is the beginning of the body, on failure.
    """

    reason: Reason | None
    status_code: int | None
    message: str | None
    output: str | None
    timings: Timings


class HttpChecker:
    """Sends checks. ``calls_per_host`` of them at once to one host, for those who take a slot."""

    def __init__(
        self,
        guard: NetworkGuard,
        *,
        user_agent: str,
        calls_per_host: int = 100,
        max_body_bytes: int = 1_048_576,
        clock: Callable[[], float] = time.perf_counter,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._transport = GuardedTransport(guard, limits=Limits(body_bytes=max_body_bytes), tls=tls)
        self._slots = HostSlots(calls_per_host)
        self._user_agent = user_agent
        self._clock = clock

    def slot(self, url: str) -> AbstractAsyncContextManager[None]:
        """Wait for a slot to call the host of ``url`` with; it is had for the length of the block.

        The wait is not a part of the check: no timeout runs, and no timing counts it.
        """
        return self._slots.taken(_host(url))

    async def check(self, request: CheckRequest) -> CheckResult:
        """Send ``request`` and say what came of it; nothing is raised but ``CancelledError``."""
        stopwatch = Stopwatch(self._clock)
        answer = _Answer(output=KeptOutput(request.headers))
        trouble: Exception | None = None
        try:
            async with asyncio.timeout(request.timeout):
                await self._exchange(request, stopwatch, answer)
        except Exception as exc:  # noqa: BLE001 - whatever it is, _verdict makes an outcome of it
            trouble = exc
        reason, message = _verdict(request, answer.status, trouble, stopwatch.stage)
        return CheckResult(
            reason=reason,
            status_code=answer.status,
            message=message,
            output=answer.output.text() if reason else None,
            timings=Timings(
                dns_ms=stopwatch.took.get("dns"),
                connect_ms=stopwatch.took.get("connect"),
                tls_ms=stopwatch.took.get("tls"),
                first_byte_ms=stopwatch.took.get("first_byte"),
                total_ms=stopwatch.total(),
            ),
        )

    async def aclose(self) -> None:
        """Let go of what is kept between checks."""
        await self._transport.aclose()

    async def _exchange(self, request: CheckRequest, stopwatch: Stopwatch, answer: _Answer) -> None:
        response = await self._transport.handle_async_request(self._message(request, stopwatch))
        answer.status = response.status_code
        is_wrong = response.status_code != request.expected_status_code
        try:
            async for part in cast("httpx.AsyncByteStream", response.stream):
                answer.output.keep(part)
                if is_wrong and answer.output.is_full:
                    break
        finally:
            await response.aclose()

    def _message(self, request: CheckRequest, stopwatch: Stopwatch) -> httpx.Request:
        """Return what goes out: the job's headers as they are, and ours where it has none."""
        ours = {
            "User-Agent": self._user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Idempotency-Key": request.execution_id,
        }
        set_by_the_job = {name.lower() for name in request.headers}
        headers = {name: text for name, text in ours.items() if name.lower() not in set_by_the_job}
        headers.update(request.headers)
        try:
            return httpx.Request(
                request.method,
                request.url,
                headers=[(name.encode(), text.encode()) for name, text in headers.items()],
                content=None if request.body is None else request.body.encode(),
                extensions={"stopwatch": stopwatch},
            )
        except httpx.InvalidURL as exc:
            raise Blocked("the URL can't be read as one (RFC 3986)") from exc
        except UnicodeEncodeError as exc:
            raise Blocked("the request has a character that can't be sent") from exc


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


@dataclass(slots=True, kw_only=True)
class _Answer:
    """What has come so far."""

    output: KeptOutput
    status: int | None = None


def _verdict(
    request: CheckRequest, status: int | None, trouble: Exception | None, stage: Stage
) -> tuple[Reason | None, str | None]:
    """Return reason and message; both None for a success."""
    if status is not None and status != request.expected_status_code:
        hint = "; redirects are not followed" if status in _REDIRECTS else ""
        return "status", f"the answer was {status}, expected {request.expected_status_code}{hint}"
    if trouble is None:
        return None, None
    if isinstance(trouble, TimeoutError):
        return "timeout", f"not complete within {request.timeout} s: {_UNDER_WAY[stage]}"
    for kind, reason in _REASONS.items():
        if isinstance(trouble, kind):
            return reason, str(trouble)
    # Not with exc_info: the words of an exception that isn't ours may quote what was sent.
    where = "".join(traceback.format_tb(trouble.__traceback__))
    _log.error("a check failed inside CronPulse with %s\n%s", type(trouble).__name__, where)
    return "protocol", "the check failed inside CronPulse; its log tells where"
