"""Pings: what users' own jobs call. No key is asked for; the id of the job is the key.

This is the hottest path there is, so it does nothing that it could leave out: no request objects, no
parsing of what is not looked at, one answer made beforehand. And as the caller is a cron job with
nobody watching, nothing that is sent beside the id is ever refused: what is too long is cut.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from api.commands.pings import Ping
from api.edge import edge_of, request_id_of
from api.request_body import read_beginning
from domain.errors import NotFound
from domain.pings import (
    CLIENT_MAX_LENGTH,
    MESSAGE_MAX_LENGTH,
    OUTPUT_MAX_BYTES,
    RUN_ID_MAX_LENGTH,
    PingKind,
)

METHODS: Final = ("GET", "HEAD", "POST")

READ_AT_MOST: Final = 1024 * 1024
"""Bytes of a body that are waited for before the ping is recorded and answered all the same."""

_JOB_ID = re.compile("[a-z0-9]{1,64}")
_NO_MESSAGE: Final = frozenset({"", "True", "true"})
"""What the clients send as ``errorMessage`` when there is none."""

_NOT_FAILED: Final = frozenset({"", "false", "0"})
_JUST_FAILED: Final = frozenset({"true", "1"})

_ANSWER: Final = b'{"status": "ok"}'
_START: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-length", str(len(_ANSWER)).encode()),
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
    ],
}
_BODY: Final[Message] = {"type": "http.response.body", "body": _ANSWER}

Query = Mapping[bytes, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What a ping says: its kind, and a message if it tells of a failure."""

    kind: PingKind
    message: str | None = None


class PingEndpoint:
    """Serves a path of pings: records one, and answers once it is durable."""

    def __init__(self, read: Callable[[Query], Report]) -> None:
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ``NotFound`` for an unknown job, and what the log raises."""
        job_id = scope["path_params"]["job_id"]
        if not _JOB_ID.fullmatch(job_id):
            raise NotFound("job")
        edge = edge_of(scope)
        query = _read_query(scope["query_string"])
        report = self._read(query)
        ping = Ping(
            kind=report.kind,
            run_id=_kept(query.get(b"rid"), RUN_ID_MAX_LENGTH),
            client=_kept(query.get(b"client"), CLIENT_MAX_LENGTH),
            message=_kept(report.message, MESSAGE_MAX_LENGTH),
            output=await _read_output(receive) if scope["method"] == "POST" else None,
        )
        await edge.pings.record(job_id, ping, correlation_id=request_id_of(scope))
        edge.metrics.pings_total.labels(report.kind).inc()
        await send(_START)
        await send(_BODY)


def _read_beat(_query: Query) -> Report:
    return Report("beat")


def _read_start(_query: Query) -> Report:
    return Report("start")


def _read_success(_query: Query) -> Report:
    return Report("success")


def _read_fail(query: Query) -> Report:
    return Report("fail", _error_message(query))


def _read_complete(query: Query) -> Report:
    """The end of a run, good or bad: ``failed`` tells, and may be the message."""
    failed = query.get(b"failed", "")
    word = failed.strip().lower()
    if word in _NOT_FAILED:
        return Report("success")
    return Report("fail", _error_message(query) or (None if word in _JUST_FAILED else failed))


def _error_message(query: Query) -> str | None:
    message = query.get(b"errorMessage", "")
    return None if message in _NO_MESSAGE else message


READERS: Final[Mapping[str, Callable[[Query], Report]]] = {
    "/api/ping/{job_id}": _read_beat,
    "/api/ping/{job_id}/start": _read_start,
    "/api/ping/{job_id}/success": _read_success,
    "/api/ping/{job_id}/fail": _read_fail,
    "/api/run/{job_id}": _read_start,
    "/api/complete/{job_id}": _read_complete,
}
"""Every path of pings, the last two being those of older clients, and what it takes from a query."""

ROUTES: Final = tuple(
    Route(path, PingEndpoint(read), methods=METHODS) for path, read in READERS.items()
)


def _read_query(query_string: bytes) -> dict[bytes, str]:
    """The parameters; of one that is repeated, the first."""
    query: dict[bytes, str] = {}
    if query_string:
        for pair in query_string.split(b"&"):
            name, _, value = pair.partition(b"=")
            query.setdefault(name, _text(value))
    return query


def _text(value: bytes) -> str:
    if b"%" in value or b"+" in value:
        value = unquote_to_bytes(value.replace(b"+", b" "))
    return _storable(value.decode("utf-8", "replace"))


def _kept(text: str | None, longest: int) -> str | None:
    return text[:longest] if text else None


async def _read_output(receive: Receive) -> str | None:
    """The beginning of the body, whatever it is, as text; None for a body without a byte."""
    body, is_whole = await read_beginning(receive, kept=OUTPUT_MAX_BYTES, longest=READ_AT_MOST)
    if not body:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # drops a character cut in two
    return _storable(decoder.decode(body, final=is_whole))


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text has no NUL
