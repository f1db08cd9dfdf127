"""Reading a request's body: no more of it than is wanted, and never an endless one."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api.errors import BodyTooLarge


async def read_body(scope: Scope, receive: Receive, *, longest: int) -> bytes:
    """The whole body.

    Raises :class:`~api.errors.BodyTooLarge` for one of more than ``longest`` bytes, unread where
    its length was announced, and ``ClientDisconnect`` where the rest never came.
    """
    too_large = BodyTooLarge(f"the body is too large: at most {longest:,} bytes are read")
    if announced_length(scope) > longest:
        raise too_large
    body = bytearray()
    more = True
    while more:
        part, more = await _next_part(receive)
        body += part
        if len(body) > longest:
            raise too_large
    return bytes(body)


async def read_beginning(receive: Receive, *, kept: int, longest: int) -> tuple[bytes, bool]:
    """The first ``kept`` bytes of the body, and whether that is all of it.

    The rest is read and dropped, up to ``longest`` bytes in all: what a caller goes on sending
    after that is the server's to drop. Raises ``ClientDisconnect``.
    """
    body = bytearray()
    length = 0
    more = True
    while more and length < longest:
        part, more = await _next_part(receive)
        length += len(part)
        body += part[: kept - len(body)]
    return bytes(body), length == len(body)


def announced_length(scope: Scope) -> int:
    """The body's length as its ``Content-Length`` says; 0 where nothing does."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)
