"""A list of messages in Redis or Valkey: the commands that touch it, and what goes wrong with them.

A message is in the list until a consumer takes it, and then only in that consumer's memory. There are
no acknowledgements in Redis, nothing to clear away after a process that died, and no key but the list.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from redis import Redis, exceptions

from scheduler.broker import BrokerUnavailable

PUT: Final = """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
"""
"""Appends a message unless the list is full. Arguments: the bound, the message."""

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[2]) then return {now} end
return {now, redis.call('LPOP', KEYS[1], ARGV[1]) or {}}
"""
"""Takes messages off the front, and tells the time (ms). Arguments: how many, and until when.

A server that stood still does what it was sent meanwhile when it goes on, also for a client that has
given up: the messages would go nowhere. So what comes too late takes nothing.
"""

IN_WORDS: Final = {
    exceptions.TimeoutError: "does not answer in time",
    exceptions.BusyLoadingError: "is still loading its data",
    exceptions.AuthenticationError: "refuses the user or the password",
    exceptions.NoPermissionError: "lets this user not do what is needed",
    exceptions.ReadOnlyError: "is read-only",
    exceptions.OutOfMemoryError: "is out of memory",
}

_log = logging.getLogger(__name__)


class RedisList:
    """Messages in the order in which they were put, in the list of one key.

    All methods raise `BrokerUnavailable`, and may be called from any thread.

    :param client: gives up waiting for an answer after ``answer_within`` seconds, and tries only once.
    :param monotonic: seconds since whenever; they only go forward.
    """

    def __init__(
        self, client: Redis, key: str, *, answer_within: float, monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._key = key
        # Half for the way to the server, half for the way back.
        self._arrive_within_ms = answer_within * 1000 / 2
        self._monotonic = monotonic
        self._server_ahead_ms = -math.inf
        self._put = client.register_script(PUT)
        self._take = client.register_script(TAKE)
        self._taking = Outage(f"taking messages from {key}")

    def put(self, message: bytes, *, at_most: int) -> bool:
        """Append a message, unless as many as ``at_most`` are there: then return False."""
        with in_our_words():
            return bool(self._put(keys=[self._key], args=[at_most, message]))

    def take(self, count: int) -> list[bytes]:
        """Take up to ``count`` messages off the front. Where that fails, the log tells it once."""
        with self._taking.watch():
            taken = self._take_in_time(count)
            if taken is None:  # not too slow, but by a clock not yet known, or set meanwhile
                taken = self._take_in_time(count)
        return taken or []

    def give_back(self, messages: Sequence[bytes]) -> None:
        """Put messages to the front, in their order."""
        with in_our_words():
            self._client.lpush(self._key, *reversed(messages))

    def size(self) -> int:
        """Return how many messages there are."""
        with in_our_words():
            return self._client.llen(self._key)

    def first(self) -> bytes | None:
        """Return the message at the front, and leave it there."""
        with in_our_words():
            return cast("bytes | None", self._client.lindex(self._key, 0))

    def clear(self) -> None:
        """Drop all messages."""
        with in_our_words():
            self._client.delete(self._key)

    def _take_in_time(self, count: int) -> list[bytes] | None:
        """Take messages; None if that came too late, by the server's clock."""
        asked = self._monotonic() * 1000
        until = max(0, asked + self._server_ahead_ms + self._arrive_within_ms)
        server_now, *taken = self._take(keys=[self._key], args=[count, round(until)])
        self._server_ahead_ms = server_now - asked
        return taken[0] if taken else None


class Outage:
    """Tells once when something ceases to work, and once when it works again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._changing = threading.Lock()
        self._going_on = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Use Redis in this block, which raises `BrokerUnavailable` for whatever is wrong with it."""
        try:
            with in_our_words():
                yield
        except BrokerUnavailable as unavailable:
            if self._becomes(going_on=True):
                _log.warning("%s does not work: %s", self._what, unavailable)
            raise
        if self._becomes(going_on=False):
            _log.info("%s works again", self._what)

    def _becomes(self, *, going_on: bool) -> bool:
        with self._changing:
            changed, self._going_on = self._going_on != going_on, going_on
        return changed


@contextmanager
def in_our_words() -> Iterator[None]:
    """Use Redis in this block: whatever is wrong with it or the way there is a `BrokerUnavailable`.

    The words tell neither where Redis is nor who asked, so they may be logged and shown.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as fault:
        raise BrokerUnavailable(f"Redis {_what_is_wrong(fault)}") from None


def _what_is_wrong(fault: Exception) -> str:
    for kind, words in IN_WORDS.items():
        if isinstance(fault, kind):
            return words
    if isinstance(fault, exceptions.ResponseError):
        code = re.match(r"[A-Z]+\b", fault.status_code or str(fault))
        return f"refuses: {code[0] if code else 'unknown error'}"
    cause = fault.__context__
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"can't be reached: {reason or 'the connection was lost'}"
