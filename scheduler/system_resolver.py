"""Name lookups by the operating system's resolver, which knows no time limit and can't be broken off.

Each has a thread of its own, and that is a daemon: a thread pool's threads are waited for when the
process ends, and a name server that never answers would hold up every stop of the service.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Final

LOOKUPS_AT_ONCE: Final = 32
"""Slow name servers, which anybody can set up, hold up other lookups at worst and nothing else.

A place is taken until the lookup has ended, also when nobody waits for it any more.
"""


def system_resolver() -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """What turns host name and port into addresses; raises ``OSError`` where there are none.

    It belongs to the event loop that it is first used on.
    """
    places = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def resolve(host: str, port: int) -> Sequence[str]:
        name = host.encode("ascii")
        await places.acquire()
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Sequence[str]] = loop.create_future()

        def tell(answer: Sequence[str] | Exception) -> None:
            places.release()
            if told.done():
                return
            if isinstance(answer, Exception):
                told.set_exception(answer)
            else:
                told.set_result(answer)

        def look_up() -> None:
            answer = _looked_up(name, port)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, answer)

        try:
            Thread(target=look_up, name="cronpulse-dns", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            places.release()
            raise
        return await told

    return resolve


def _looked_up(name: bytes, port: int) -> Sequence[str] | Exception:
    try:
        found = socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001  (it is raised where the lookup was asked for)
        return error
    return [str(address[0]) for *_, address in found]
