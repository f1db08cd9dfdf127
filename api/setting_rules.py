"""What each setting may be: a function each, from what the operator wrote to what it means.

They raise ``ValueError`` with what is allowed. The values of secrets are never repeated, and neither are
values so long that they may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from api import key_format

Network = IPv4Network | IPv6Network

SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://")
_REDIS: Final = ("redis://", "rediss://", "unix://")
_SECRET_KEY_SHORTEST: Final = 32  # characters
_ECHOED: Final = 24  # characters; no secret that CronPulse accepts is as short
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_ABSOLUTE_URL = re.compile(
    r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?(?:/[^?#\\\s]*)?",
    re.ASCII | re.IGNORECASE,
)


def _not(value: object) -> str:
    text = str(value)
    return "" if len(text) > _ECHOED or key_format.PREFIX in text else f", not {text!r}"


def printable(value: object) -> str:
    """Printable text, without the space around it."""
    text = str(value).strip()
    if not text.isprintable():  # also what is no UTF-8 in the environment
        raise ValueError("must be printable characters in UTF-8")
    return text


def whole_number(lowest: int, highest: int) -> Callable[[object], int]:
    """What takes a whole number in a range."""

    def parse(value: object) -> int:
        text = printable(value)
        if re.fullmatch(r"[0-9]{1,9}", text) and lowest <= int(text) <= highest:
            return int(text)
        raise ValueError(f"must be a whole number from {lowest} to {highest}{_not(value)}")

    return parse


def word(words: object) -> Callable[[object], str]:
    """What takes one of the words of a ``Literal``."""
    allowed = get_args(words)

    def parse(value: object) -> str:
        text = printable(value).lower()
        if text in allowed:
            return text
        raise ValueError(f"must be {', '.join(allowed[:-1])} or {allowed[-1]}{_not(value)}")

    return parse


def directory(value: object) -> Path:
    """A directory, ``~`` included."""
    try:
        return Path(printable(value)).expanduser()
    except RuntimeError:
        raise ValueError("must not begin with ~ and a name that is no user's") from None


def database_url(value: object) -> str:
    """A URL of either kind; it may hold a password, so no part of it is ever repeated."""
    url = printable(value)
    path = url.removeprefix(SQLITE)
    if path not in {url, ""} and not path.startswith((":", "file:")) and not path.endswith("/"):
        if "?" not in path:
            return url
    elif url.startswith(_POSTGRESQL):
        with suppress(ValueError):  # a port out of range, a bracket too few
            parts = urlsplit(url)
            if len(parts.path) > 1 and parts.port != 0 and not parts.fragment:
                return "postgresql" + url[url.index("://") :]
    raise ValueError(
        f"must be {SQLITE} and the path of a file, without options,"
        " or postgresql://user:password@host/database"
    )


def redis_url(value: object) -> str:
    """A URL of a Redis; it may hold a password, so no part of it is ever repeated."""
    url = printable(value)
    if url.startswith(_REDIS):
        with suppress(ValueError):
            parts = urlsplit(url)
            database = parts.path.removeprefix("/")
            is_number = re.fullmatch(r"[0-9]{0,5}", database) is not None
            if parts.scheme == "unix" or (parts.hostname and parts.port != 0 and is_number):
                return url
    raise ValueError(
        "must be redis://user:password@host:port/number, rediss:// for TLS, or unix:// and a path"
    )


def host(value: object) -> str:
    """An address to listen on, or a host name."""
    host = printable(value)
    try:
        return str(ip_address(host))
    except ValueError:
        if _HOST_NAME.fullmatch(host):
            return host
    raise ValueError(
        "must be an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::, or a host name,"
        f" without a port{_not(value)}"
    )


def api_key(value: object) -> SecretStr:
    """A key that may be installed."""
    key = _revealed(value)
    if fault := key_format.fault(key):
        raise ValueError(fault)
    return SecretStr(key)


def secret_key(value: object) -> SecretStr:
    """A key to encrypt with."""
    key = _revealed(value)
    if len(key) < _SECRET_KEY_SHORTEST:
        raise ValueError(f"must have at least {_SECRET_KEY_SHORTEST} characters")
    return SecretStr(key)


def _revealed(value: object) -> str:
    return printable(value.get_secret_value() if isinstance(value, SecretStr) else value)


def networks(value: object) -> tuple[Network, ...]:
    """Networks in CIDR notation, with commas between them."""
    given = value if isinstance(value, list | tuple) else [value]
    spellings = (part.strip() for entry in given for part in str(entry).split(","))
    return tuple(dict.fromkeys(_network(spelling) for spelling in spellings if spelling))


def _network(spelling: str) -> Network:
    _, slash, prefix = spelling.partition("/")
    hint = ""
    if not slash or re.fullmatch(r"[0-9]{1,3}", prefix):
        with suppress(ValueError):
            return ip_network(spelling)
        with suppress(ValueError):
            hint = f"; the network around that address is {ip_network(spelling, strict=False)}"
    raise ValueError(
        "must be networks such as 10.0.0.0/8 or fd00::/8, with commas between them"
        f"{_not(spelling)}{hint}"
    )


def public_url(value: object) -> str:
    """Where users reach the service."""
    url = printable(value).rstrip("/")
    with suppress(ValueError):  # a port out of range, a bracket too few
        if _ABSOLUTE_URL.fullmatch(url) and urlsplit(url).port != 0:
            return url
    raise ValueError("must be an absolute http or https URL without user, query and fragment")
