"""New ids: opaque, unguessable, fit for URLs and for use as a capability."""

from __future__ import annotations

import os
import threading
from typing import Final

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BYTES: Final = 16
_LENGTH: Final = 25
"""36 ** 25 is just above 2 ** 129, so every number of 128 bits has room."""


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


def new_id() -> str:
    """A ``c`` and 25 lower-case letters and digits, of 128 random bits."""
    number = _random_numbers.next()
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "c" + "".join(digits)
