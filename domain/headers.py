"""The headers that a job's checks send, and which of them are secret.

Header values never enter an event: they are stored encrypted, and an event carries a reference to
them with a keyed fingerprint of each, so that a change can be seen without the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from domain.errors import InvalidField

MASK: Final = "********"
"""What a secret value reads back as, and what keeps the stored value when it is sent."""

MAX_COUNT: Final = 50
MAX_BYTES: Final = 8 * 1024

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_SECRET_NAMES = frozenset({"authorization", "proxy-authorization", "cookie"})
_SECRET_PARTS = ("token", "secret", "password", "key")
_HOP_BY_HOP = frozenset(  # RFC 9110, section 7.6.1
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SET_BY_THE_SERVICE = frozenset({"host", "content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMark:
    """A header as an event may speak of it: its name, and a keyed fingerprint of its value."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSet:
    """The headers of a job: marks in the order given, and where the values are kept (None: none)."""

    marks: tuple[HeaderMark, ...] = ()
    secret_id: str | None = None


NO_HEADERS: Final = HeaderSet()


def is_secret(name: str) -> bool:
    """Whether a header's value is write-only."""
    lowered = name.lower()
    return lowered in _SECRET_NAMES or any(part in lowered for part in _SECRET_PARTS)


def check(field: str, value: object) -> dict[str, str]:
    """Headers as a request gave them, or ``InvalidField``."""
    if not isinstance(value, Mapping) or len(value) > MAX_COUNT:
        raise InvalidField(
            field, f"must be an object of at most {MAX_COUNT} header names to values"
        )
    headers: dict[str, str] = {}
    for name, content in value.items():
        _check_name(field, name, headers)
        headers[name] = _check_value(field, name, content)
    return _check_size(field, headers)


def keep_masked(field: str, given: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """The headers to store: a masked secret value stands for the stored one of the same name.

    Raises ``InvalidField`` if there is none, or if all are too large with it in place.
    """
    stored_by_name = {name.lower(): content for name, content in stored.items()}
    kept: dict[str, str] = {}
    for name, content in given.items():
        if content == MASK and is_secret(name):
            if name.lower() not in stored_by_name:
                raise InvalidField(
                    field,
                    f"{name} is sent as {MASK}, which keeps a stored value, but none is stored",
                )
            kept[name] = stored_by_name[name.lower()]
        else:
            kept[name] = content
    return _check_size(field, kept)


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as they read back."""
    return {name: MASK if is_secret(name) else content for name, content in headers.items()}


def _check_name(field: str, name: object, seen: Mapping[str, str]) -> None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidField(field, "names must be made of letters, digits and !#$%&'*+-.^_`|~")
    lowered = name.lower()
    if lowered in _HOP_BY_HOP or lowered in _SET_BY_THE_SERVICE:
        raise InvalidField(field, f"{name} can't be set: it belongs to the connection")
    if any(lowered == other.lower() for other in seen):
        raise InvalidField(field, f"{name} stands there twice (names differ by more than case)")


def _check_value(field: str, name: str, content: object) -> str:
    if not isinstance(content, str):
        raise InvalidField(field, f"the value of {name} must be a string")
    if any((char < " " and char != "\t") or "\x7f" <= char <= "\x9f" for char in content):
        raise InvalidField(field, f"the value of {name} must not contain CR, LF, NUL or controls")
    if any("\ud800" <= char <= "\udfff" for char in content):
        raise InvalidField(field, f"the value of {name} must not contain unpaired surrogates")
    return content


def _check_size(field: str, headers: dict[str, str]) -> dict[str, str]:
    size = sum(len(name) + len(content.encode()) for name, content in headers.items())
    if size > MAX_BYTES:
        raise InvalidField(field, f"must be at most {MAX_BYTES:,} bytes together")
    return headers
