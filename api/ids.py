"""New ids: opaque, unguessable, fit for URLs and for use as a capability."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import time_ns
from typing import Final

from domain.ids import sortable_id

_BYTES: Final = 16
_MILLISECOND: Final = 1_000_000
"""In nanoseconds."""


class _RandomNumbers:
    """Random numbers of 128 bits from the operating system, fetched many at a time.

    A ping needs several, and asking the system for each would cost more than all else about ids.
    """

    def __init__(self, fetched_at_once: int = 256) -> None:
        self._size = fetched_at_once * _BYTES
        self._lock = threading.Lock()
        self._bytes = b""

    def next(self) -> int:
        with self._lock:
            if not self._bytes:
                self._bytes = os.urandom(self._size)
            taken, self._bytes = self._bytes[:_BYTES], self._bytes[_BYTES:]
        return int.from_bytes(taken)


_random_numbers = _RandomNumbers()


def new_id(nanoseconds: Callable[[], int] = time_ns) -> str:
    """A ``c`` and 33 lower-case letters and digits: nine of the time, 24 of chance (124 bits).

    The time is the machine's, not the service's: it decides nothing but where an id comes to lie
    in an index. A clock that is wrong or goes back makes some appends slower, and nothing else.
    """
    return sortable_id("c", nanoseconds() // _MILLISECOND, _random_numbers.next())
