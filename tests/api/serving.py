"""The application on a real server: for what only shows on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from api.http_protocol import HttpProtocol


@dataclass(frozen=True, slots=True)
class Served:
    """Where the application is to be found."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def connected(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection((self.host, self.port), timeout=30)

    def exchange(self, request: bytes) -> bytes:
        """Send bytes as they are, and return everything that comes back until the server hangs up."""
        with self.connected() as connection:
            connection.sendall(request)
            received = b""
            while part := connection.recv(65_536):
                received += part
            return received


class _Server(uvicorn.Server):
    """Tells when it listens, so that nobody has to look again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def serving(app: ASGIApp) -> Iterator[Served]:
    """Serve on a free port of the loopback interface, by a thread of its own."""
    config = uvicorn.Config(
        app, http=HttpProtocol, ws="none", lifespan="on", log_config=None, access_log=False
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            assert server.listening.wait(timeout=30), "the server did not start"
            host, port = listener.getsockname()
            yield Served(host, port)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive(), "the server did not stop"
