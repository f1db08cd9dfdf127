"""Bare applications on the server that CronPulse runs on, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from api.server import answer

STARTS_WITHIN = 30.0


async def does_nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that answers what a ping is answered, and has recorded nothing."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"16")]}
    await send(start)
    await send({"type": "http.response.body", "body": b'{"status": "ok"}'})


def bare_route() -> ASGIApp:
    """Makes it."""
    return does_nothing


@contextmanager
def serving(make_app: Callable[..., ASGIApp], *arguments: Any) -> Iterator[str]:  # noqa: ANN401
    """Serve what ``make_app`` makes of the arguments in the other process; gives the URL.

    Both have to be such that they can be pickled.
    """
    ready, tell = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(tell, make_app, arguments), daemon=True
    )
    server.start()
    try:
        if not ready.poll(STARTS_WITHIN):
            raise RuntimeError("the bare application did not start")
        yield f"http://127.0.0.1:{ready.recv()}"
    finally:
        server.kill()
        server.join()


def _serve(tell: Connection, make_app: Callable[..., ASGIApp], arguments: tuple[Any, ...]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    async def announce() -> None:
        tell.send(listener.getsockname()[1])

    uvloop.run(answer(make_app(*arguments), listener, announce=announce))
