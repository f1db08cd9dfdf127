"""Hearing from PostgreSQL that the log has grown: one connection a process, which listens.

Each transaction that appends sends one notification, ``<origin> <position> <Type>,<Type>…``, which
the server delivers once it is committed. What this process appended itself it has told its
listeners already, with less delay.

A notification can be missed: it is not kept for who is not connected, and poolers may swallow it.
So after every connect, and every second, the log's head is looked at. That look also finds a
connection that has died without a word.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from psycopg import AsyncConnection, Error

from eventstore.changes import LogChanges

CHANNEL: Final = "cronpulse_log"

LOOK_EVERY: Final = 1.0
"""Seconds between looks at the head."""

PAUSE: Final = 1.0
"""Seconds before a lost connection is opened anew."""

MAX_PAYLOAD: Final = 7_999
"""Bytes that PostgreSQL lets a notification hold."""

_HEAD: Final = "SELECT max(position) FROM events"

_log = logging.getLogger(__name__)


def payload(origin: str, position: int, types: Collection[str]) -> str:
    """What a notification says; without the types, where they are too many to say."""
    told = f"{origin} {position} {','.join(sorted(types))}"
    return told if len(told.encode()) <= MAX_PAYLOAD else f"{origin} {position} "


class Follower:
    """Tells a process's listeners what other processes append.

    ``connection`` are the driver's settings; ``origin`` is what this process's own notifications
    are known by.
    """

    def __init__(self, connection: Mapping[str, Any], origin: str, changes: LogChanges) -> None:
        self._connection = connection
        self._origin = origin
        self._changes = changes

    async def run(
        self,
        pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(PAUSE),
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Until cancelled: listen; where the connection is lost, ``pause`` and open another."""
        hears = True
        while True:
            try:
                async with await AsyncConnection.connect(
                    **self._connection, autocommit=True
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._changes.publish_position(await _head(connection))
                    hears = True
                    await self._listen(connection, look_every)
            except Error:
                if hears:
                    _log.warning("the database can't be listened to; trying until it can")
                hears = False
            await pause()

    async def _listen(self, connection: AsyncConnection[Any], look_every: float) -> None:
        while True:
            async for notification in connection.notifies(timeout=look_every):
                self._tell(notification.payload)
            head = await _head(connection)
            if head > self._changes.position:
                self._changes.publish_position(head)

    def _tell(self, told: str) -> None:
        origin, _, rest = told.partition(" ")
        position, _, types = rest.partition(" ")
        if origin != self._origin and position.isdecimal():
            self._changes.publish_position(int(position), types.split(",") if types else None)


async def _head(connection: AsyncConnection[Any]) -> int:
    cursor = await connection.execute(_HEAD)
    ((position,),) = await cursor.fetchall()
    return position or 0
