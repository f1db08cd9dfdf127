"""Rules for single values that come from outside.

Each takes the field's name on the wire and a value as JSON gave it, and returns the value in its
proper type or raises :class:`~domain.errors.InvalidField` with what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv6Address
from typing import Final

from domain.errors import InvalidField

URL_MAX_LENGTH: Final = 2_048
NAME_MAX_LENGTH: Final = 200

Rule = Callable[[str, object], object]

_PATH_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_QUERY_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})"
_URL = re.compile(  # RFC 3986, appendix A
    rf"https?://([^/?#]*)(?:/{_PATH_CHARACTER}*)?(?:\?{_QUERY_CHARACTER}*)?(?:#{_QUERY_CHARACTER}*)?",
    re.ASCII | re.IGNORECASE,
)
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@]+))(?::([0-9]{0,5}))?")
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
_HOST_NAME_MAX_LENGTH = 253
_PORT_MAX = 65_535


def text(field: str, value: object, *, shortest: int, longest: int) -> str:
    """A string of ``shortest`` to ``longest`` characters that can be stored and sent everywhere."""
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise InvalidField(field, f"must be a string of {shortest} to {longest:,} characters")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidField(field, "must not contain NUL or unpaired surrogate characters")
    return value


def name(field: str, value: object) -> str:
    """A name that people read: 1 to 200 characters, none of them a control character."""
    checked = text(field, value, shortest=1, longest=NAME_MAX_LENGTH)
    if any(character < " " or character == "\x7f" for character in checked):
        raise InvalidField(field, "must not contain control characters")
    if not checked.strip():
        raise InvalidField(field, "must contain something else than spaces")
    return checked


def http_url(field: str, value: object) -> str:
    """An absolute http or https URL without a user:password part, in ASCII (RFC 3986)."""
    allowed = f"must be an absolute http or https URL of at most {URL_MAX_LENGTH:,} characters"
    if not isinstance(value, str) or not 0 < len(value) <= URL_MAX_LENGTH:
        raise InvalidField(field, allowed)
    if any(character.isspace() or not character.isprintable() for character in value):
        raise InvalidField(field, f"{allowed}, without spaces and control characters")
    if not value.isascii():
        raise InvalidField(
            field,
            f"{allowed}, in ASCII: other characters percent-encoded, host names in their xn-- form",
        )
    matched = _URL.fullmatch(value)
    if matched is None:
        raise InvalidField(field, allowed)
    authority = matched[1]
    if "@" in authority:
        raise InvalidField(field, f"{allowed}, without a user:password part")
    try:
        _require_host(authority)
    except ValueError:
        raise InvalidField(field, allowed) from None
    return value


def _require_host(authority: str) -> None:
    """Raise ``ValueError`` unless it is a host that can be connected to, with or without a port."""
    matched = _HOST_AND_PORT.fullmatch(authority)
    if matched is None:
        raise ValueError("neither a name nor an address")
    ipv6, name, port = matched.groups()
    if port and not 1 <= int(port) <= _PORT_MAX:
        raise ValueError("no such port")
    if ipv6 is not None:
        IPv6Address(ipv6)
    elif len(name) > _HOST_NAME_MAX_LENGTH or not _HOST_NAME.fullmatch(name):
        raise ValueError("not a host name")


def integer(field: str, value: object, *, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``; a float with a whole value is one (JSON has no other)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidField(field, f"must be a whole number from {low:,} to {high:,}")
    return value


def boolean(field: str, value: object) -> bool:
    """True or false, and nothing that only looks like it."""
    if not isinstance(value, bool):
        raise InvalidField(field, "must be true or false")
    return value


def choice(field: str, value: object, *, among: Collection[str]) -> str:
    """One of a few words, exactly as written."""
    if not isinstance(value, str) or value not in among:
        raise InvalidField(field, f"must be one of {', '.join(among)}")
    return value


def require(fields: Mapping[str, object], required: Iterable[str]) -> None:
    """Refuse a set of fields that lacks one of the required ones."""
    for wanted in required:
        if wanted not in fields:
            raise InvalidField(wanted, "is required")


def check(
    fields: Mapping[str, object],
    rules: Mapping[str, Rule],
    *,
    fixed: Collection[str] = (),
) -> dict[str, object]:
    """Every field put through its rule; one that has none is refused, as is one that can't change."""
    checked: dict[str, object] = {}
    for field, value in fields.items():
        if field in fixed:
            raise InvalidField(field, "can't be changed")
        rule = rules.get(field)
        if rule is None:
            raise InvalidField(_shown(field), f"unknown field; allowed are {', '.join(rules)}")
        checked[field] = rule(field, value)
    return checked


def _shown(unknown: str) -> str:
    """A name of somebody else's making, so that it can stand in an answer."""
    return unknown[:NAME_MAX_LENGTH].encode("ascii", "backslashreplace").decode("ascii")
