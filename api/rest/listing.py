"""Lists: complete by default, or one page with a link to the next; a bare array in any case.

However long a list is, it's read in portions, and between two portions others get their turn. A
complete list of more than one portion is sent while it's read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.responses import Response, StreamingResponse

from api.rest.call import Call
from api.rest.query import cursor, limit_of, place_of
from api.rest.rendering import NOT_STORED, Shown, answer, json_bytes

PORTION: Final = 250
"""Items that are read at once: reading them keeps everybody else waiting for some milliseconds."""

PAGING: Final = ("limit", "after")
"""The query parameters that every list has."""

V = TypeVar("V")
P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[V, P]):
    """The order of a list: where an item stands in it, and how a cursor spells that place.

    ``kind`` tells its cursors from those of other lists; ``shape`` is the regular expression of a
    place's parts.
    """

    kind: str
    shape: str
    place: Callable[[V], P]
    spell: Callable[[P], tuple[int | str, ...]]
    read: Callable[[tuple[str, ...]], P]

    def after(self, query: Mapping[str, str]) -> P | None:
        """The place behind which the list is to begin. Raises ``InvalidField``."""
        parts = place_of(query, self.kind, self.shape)
        return None if parts is None else self.read(parts)

    def cursor_after(self, item: V) -> str:
        """The word for the place of an item."""
        return cursor(self.kind, *self.spell(self.place(item)))


Read = Callable[[P | None, int], Awaitable[Sequence[V]]]
"""Up to so many items that come after a place (None: from the first one on)."""


async def answer_list(
    call: Call,
    query: Mapping[str, str],
    order: Order[V, P],
    read: Read[P, V],
    show: Callable[[V], Shown],
) -> Response:
    """The items as a bare array. Raises ``InvalidField`` for ``limit`` and ``after``."""
    limit, after = limit_of(query), order.after(query)
    if limit is not None:
        items = [item async for part in _portions(order, read, after, limit + 1) for item in part]
        link = _link(call, query, order, items[limit - 1]) if len(items) > limit else None
        return answer([show(item) for item in items[:limit]], headers=link)
    portions = _portions(order, read, after, None)
    first = await anext(portions, ())
    if len(first) < PORTION:
        return answer([show(item) for item in first])
    return StreamingResponse(
        _array(first, portions, show), headers=NOT_STORED, media_type="application/json"
    )


async def _portions(
    order: Order[V, P], read: Read[P, V], after: P | None, wanted: int | None
) -> AsyncIterator[Sequence[V]]:
    left = wanted
    while left is None or left > 0:
        size = PORTION if left is None else min(left, PORTION)
        part = await read(after, size)
        yield part
        if len(part) < size:
            return
        after = order.place(part[-1])
        left = None if left is None else left - size
        await asyncio.sleep(0)


async def _array(
    first: Sequence[V], others: AsyncIterator[Sequence[V]], show: Callable[[V], Shown]
) -> AsyncIterator[bytes]:
    yield json_bytes([show(item) for item in first])[:-1]
    async for part in others:
        if part:
            yield b"," + json_bytes([show(item) for item in part])[1:-1]
    yield b"]"


def _link(call: Call, query: Mapping[str, str], order: Order[V, P], last: V) -> dict[str, str]:
    """The header that leads to the page behind ``last`` (RFC 8288), which filters as this one did."""
    following = {**query, "after": order.cursor_after(last)}
    return {"link": f'<{call.location(call.scope["path"], following)}>; rel="next"'}
