"""How an API key is spelt, so that what can't be one is turned away without a look-up.

A key that CronPulse makes is ``cpk_``, 33 random characters of base62 (196 bits), and six more that
spell the CRC-32 of those. Whatever is mistyped or cut short is noticed at once, by us and by secret
scanners, and no look-up is spent on it. A key that an operator makes up has no checksum; it is told
by having another length.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Final

PREFIX: Final = "cpk_"
SHORTEST: Final = 32
LONGEST: Final = 200
"""How many characters may follow the prefix."""

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH: Final = 33
_CHECKSUM_LENGTH: Final = 6  # 62**6 > 2**32: every CRC-32 has a spelling of its own
GENERATED: Final = _RANDOM_LENGTH + _CHECKSUM_LENGTH
"""How many characters follow the prefix of a key that CronPulse made, and of no other."""

_SHAPE = re.compile(f"{PREFIX}[A-Za-z0-9_-]{{{SHORTEST},{LONGEST}}}")
_SHAPE_RULE: Final = (
    f"must be {PREFIX} and {SHORTEST} to {LONGEST} more characters of A-Z, a-z, 0-9, _ and -"
)
_CHECKSUM_RULE: Final = (
    f"has {GENERATED} characters after {PREFIX}, as keys that CronPulse made have, but a wrong"
    " checksum: it is mistyped; a key of your own needs another length"
)


def new_key(random: Callable[[int], bytes]) -> str:
    """A new key. ``random`` gives that many bytes fit for a secret, as ``secrets.token_bytes`` does.

    It is asked for 256 bits, so that taking the remainder favours no key by more than 2**-59.
    """
    number = int.from_bytes(random(32))
    body = _base62(number % 62**_RANDOM_LENGTH, _RANDOM_LENGTH)
    return f"{PREFIX}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Whether ``key`` may be a key at all. False needs no look-up; true says nothing about access."""
    return fault(key) is None


def fault(key: str) -> str | None:
    """Why ``key`` can't be a key, as the rule that it breaks; None for one that is well formed.

    A CRC-32 differs after any change within 32 neighbouring bits, so in a key that CronPulse made
    every wrong character and every two swapped neighbours are noticed.
    """
    if _SHAPE.fullmatch(key) is None:
        return _SHAPE_RULE
    given = key.removeprefix(PREFIX)
    body, checksum = given[:_RANDOM_LENGTH], given[_RANDOM_LENGTH:]
    if len(given) == GENERATED and checksum != _checksum(body):
        return _CHECKSUM_RULE
    return None


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
