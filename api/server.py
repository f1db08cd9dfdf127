"""Answering HTTP until a signal says to stop; then what is under way gets a few seconds to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from api.http_protocol import HttpProtocol

REQUEST_GRACE: Final = 2
"""Seconds that requests under way have when the service stops."""

Announce = Callable[[], Awaitable[None]]
WindDown = Callable[[], Awaitable[object]]


async def nothing_more() -> None:
    """For a server beside which nothing has to end."""


async def answer(
    app: ASGIApp,
    listener: socket.socket,
    *,
    announce: Announce,
    wind_down: WindDown = nothing_more,
) -> None:
    """Serve until SIGINT or SIGTERM.

    ``announce`` runs once requests are answered; ``wind_down`` while the last ones end.
    """
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http=HttpProtocol,
            ws="none",
            timeout_graceful_shutdown=REQUEST_GRACE,
        ),
        announce,
        wind_down,
    )
    with _stopped_by_signals(server):
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers and when it stops, and leaves signals to us.

    Its own way with signals ends the process before we have cleaned up.
    """

    def __init__(self, config: uvicorn.Config, announce: Announce, wind_down: WindDown) -> None:
        super().__init__(config)
        self._announce = announce
        self._wind_down = wind_down

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then tell."""
        await super().startup(sockets)
        await self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests and checks end, in the same few seconds."""
        await asyncio.gather(super().shutdown(sockets), self._wind_down())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """The first signal asks to stop, a second one insists."""

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
