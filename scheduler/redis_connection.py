"""Connecting to Redis: what the URL may say, and how long an answer may take."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError
from redis.retry import Retry

FORM: Final = (
    "it has the form redis://user:password@host:6379/0 (rediss:// with TLS) or unix:///path?db=0,"
    " with special characters in the user and the password percent-encoded"
)


def connect_to(url: str, *, answer_within: float) -> Redis:
    """Return a client that connects when it is used, and never waits long or tries twice.

    The query of the URL may set what redis-py's connections take, such as ``ssl_ca_certs``; not the
    time-outs, the retries, the protocol and the decoding, which stay as they are here.

    :param answer_within: seconds for a connection, and for each answer.
    :raises ValueError: the URL can't be used. The message doesn't tell what is in it.
    """
    try:
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        _check(url, options)
        pool = ConnectionPool(
            **options
            | {
                "socket_timeout": answer_within,
                "socket_connect_timeout": answer_within,
                "retry": Retry(NoBackoff(), 0),
                "retry_on_error": [],
                "protocol": 2,
                "decode_responses": False,
                "encoding": "utf-8",
                "driver_info": None,
                "health_check_interval": 0,
            }
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, RedisError):
        # What redis-py and Python say may quote the password.
        raise ValueError(f"the URL of Redis can't be used: {FORM}") from None
    return Redis(connection_pool=pool)


def _check(url: str, options: dict[str, Any]) -> None:
    """Refuse what redis-py would pass over, or not find out before it connects."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        if not options.get("path"):
            raise ValueError("no path")
    elif parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ValueError("not the number of a database")
    if parts.hostname:
        parts.hostname.encode("idna")
