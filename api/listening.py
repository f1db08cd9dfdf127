"""The socket that the service listens on, and the address that it has."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from api.settings import InvalidSettings, Settings

BACKLOG: Final = 2_048
"""Connections that may wait to be accepted."""


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket on the address of the settings, before anything else is begun."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidSettings([f"CRONPULSE_HOST: {settings.host}: {error.strerror}"]) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)  # two that start at the same moment may both bind
        except OSError as error:
            raise InvalidSettings([_why_not_bound(settings, error)]) from None
        yield listener


def _why_not_bound(settings: Settings, error: OSError) -> str:
    place = f"{settings.host}, port {settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"CRONPULSE_PORT: {place} is in use; choose another port, or 0 for a free one"
    return f"CRONPULSE_HOST: can't listen on {place}: {error.strerror}"


def address_of(listener: socket.socket) -> str:
    """The URL of what listens there, with the port that it really has."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
