"""The query parameters of a request: each known, given once, and read by its rule."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from domain.errors import InvalidField

LIMIT_RANGE: Final = (1, 1_000)

_RFC_3339 = re.compile(
    # A plus sign that nobody escaped arrives as a space.
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(?:[Zz]|([+ -])(\d\d:\d\d))",
    re.ASCII,
)
_CURSOR_LONGEST: Final = 200


def read_query(query_string: bytes, allowed: tuple[str, ...]) -> Mapping[str, str]:
    """The parameters by name. Raises ``InvalidField`` for an unknown or repeated one."""
    if not query_string:
        return {}
    given: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("utf-8", "replace"), keep_blank_values=True):
        if name not in allowed:
            rule = f"allowed are {', '.join(allowed)}" if allowed else "none are allowed here"
            raise InvalidField(name, f"unknown query parameter; {rule}")
        if name in given:
            raise InvalidField(name, "stands there twice")
        given[name] = value
    return given


def limit_of(query: Mapping[str, str]) -> int | None:
    """How many items a page may have; None for a complete list. Raises ``InvalidField``."""
    given = query.get("limit")
    if given is None:
        return None
    low, high = LIMIT_RANGE
    if not re.fullmatch("[0-9]{1,4}", given) or not low <= int(given) <= high:
        raise InvalidField("limit", f"must be a whole number from {low:,} to {high:,}")
    return int(given)


def time_of(query: Mapping[str, str], name: str) -> datetime | None:
    """A moment as RFC 3339 (section 5.6) spells it, in UTC. Raises ``InvalidField``."""
    given = query.get(name)
    if given is None:
        return None
    try:
        return _moment(given)
    except (ValueError, OverflowError):  # OverflowError: before the year 1 or after 9999 in UTC
        allowed = "must be a time as in RFC 3339, such as 2024-01-30T12:00:00Z"
        raise InvalidField(name, allowed) from None


def _moment(spelt: str) -> datetime:
    parts = _RFC_3339.fullmatch(spelt)
    if parts is None:
        raise ValueError(spelt)
    day, time, fraction, sign, offset = parts.groups()
    zone = "+00:00" if offset is None else f"{'-' if sign == '-' else '+'}{offset}"
    moment = datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(UTC)
    return moment.replace(microsecond=int((fraction or "0").ljust(6, "0")))


def cursor(kind: str, *place: int | str) -> str:
    """An opaque word for a place in a list of that kind."""
    spelt = " ".join((kind, *map(str, place)))
    return urlsafe_b64encode(spelt.encode()).decode().rstrip("=")


def place_of(query: Mapping[str, str], kind: str, shape: str) -> tuple[str, ...] | None:
    """The parts of the place that ``after`` stands for; ``shape`` is their regular expression.

    Raises ``InvalidField`` for anything but a cursor of this kind of list.
    """
    given = query.get("after")
    if given is None:
        return None
    spelt = _decoded(given) if len(given) <= _CURSOR_LONGEST else ""
    place = re.fullmatch(f"{kind} {shape}", spelt)
    if place is None:
        allowed = "must be a cursor from the Link header of the page before, of the same list"
        raise InvalidField("after", allowed)
    return place.groups()


def _decoded(word: str) -> str:
    try:
        return urlsafe_b64decode(f"{word}{'=' * (-len(word) % 4)}".encode()).decode()
    except ValueError:
        return ""
