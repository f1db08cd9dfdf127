"""The form of ids: a letter, a time, and chance.

After the letter come nine digits of time and twenty-four of chance, in base 36 (``0-9a-z``). So ids
sort by their time, and an index over them grows at its end, however long the history is. Every digit
of chance is as likely as any other; work is divided by the last one. The chance alone makes an id
unique and unguessable. Nobody reads anything out of an id: older ones have another form.
"""

from __future__ import annotations

from typing import Final

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TRIPLES: Final = [a + b + c for a in _DIGITS for b in _DIGITS for c in _DIGITS]
"""Three digits at a time halve the cost of an id."""

_BASE: Final = len(_TRIPLES)
_TIME: Final = 3
_CHANCE: Final = 8
"""How many times three digits each has."""

_END_OF_TIME: Final = _BASE**_TIME - 1
"""In the year 5188."""


def sortable_id(letter: str, milliseconds: int, chance: int) -> str:
    """An id of 34 characters.

    ``milliseconds`` are those since 1970-01-01T00:00:00Z; a time out of reach is taken for the nearest
    within it. ``chance`` is a number of 128 bits that is as random as the id has to be; it keeps 124.
    """
    if not 0 <= milliseconds <= _END_OF_TIME:
        milliseconds = 0 if milliseconds < 0 else _END_OF_TIME
    return letter + _last_digits(milliseconds, _TIME) + _last_digits(chance, _CHANCE)


def _last_digits(number: int, triples: int) -> str:
    digits = ""
    for _ in range(triples):
        number, triple = divmod(number, _BASE)
        digits = _TRIPLES[triple] + digits
    return digits
