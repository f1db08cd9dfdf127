"""New ids: opaque, unguessable, fit for URLs and for use as a capability."""

from __future__ import annotations

import secrets
from typing import Final

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BITS: Final = 128
_LENGTH: Final = 25
"""36 ** 25 is just above 2 ** 129, so every number of 128 bits has room."""


def new_id() -> str:
    """A ``c`` and 25 lower-case letters and digits, of 128 random bits."""
    number = secrets.randbits(_BITS)
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "c" + "".join(digits)
