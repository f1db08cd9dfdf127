"""What gets into Redis: every command that it is sent is read along, and what it holds is looked at.

Allowed is a list of messages, each with the ids of executions and nothing else, under one key.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import redis

CANARY: Final = "canary"
"""Every secret and every payload of a run has this word in it."""

KEY: Final = "cronpulse:checks"

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ID = re.compile(r"[a-z][a-z0-9]{23,63}")
_MESSAGE_FIELDS: Final = {
    "queue_name",
    "actor_name",
    "args",
    "kwargs",
    "options",
    "message_id",
    "message_timestamp",
}
_RECONNECT_AFTER: Final = 0.05


class RedisWitness:
    """Reads along until closed; says what should not have been there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read_along, daemon=True)
        self.faults: Counter[str] = Counter()
        self.commands = 0
        self.messages = 0
        self.looks = 0

    def __enter__(self) -> RedisWitness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(5)

    def look(self) -> None:
        """Look at everything that Redis holds; nothing while it is away."""
        with suppress(redis.RedisError), redis.Redis.from_url(self._url) as client:
            held = {key: client.dump(key) for key in client.scan_iter()}
            messages = client.lrange(KEY, 0, -1)
            with self._lock:
                self.looks += 1
                for key, value in held.items():
                    if key.decode() != KEY:
                        self.faults[f"there is a key {key.decode()!r}"] += 1
                    if CANARY.encode() in key + (value or b""):
                        self.faults[f"a secret or a payload is in {key.decode()!r}"] += 1
                for message in messages:
                    self._note(message.decode())

    def note_command(self, line: str) -> None:
        """Take note of one line of what MONITOR shows."""
        arguments = [_unescaped(quoted) for quoted in _QUOTED.findall(line)]
        with self._lock:
            self.commands += 1
            if any(CANARY in argument for argument in arguments):
                self.faults["a secret or a payload was sent"] += 1
            for argument in arguments:
                if "queue_name" in argument and arguments[0].lower() in {"rpush", "lpush"}:
                    self.messages += 1
                    self._note(argument)

    def _note(self, message: str) -> None:
        fault = fault_of_message(message)
        if fault is not None:
            self.faults[fault] += 1

    def _read_along(self) -> None:
        while not self._ending.is_set():
            with suppress(OSError):
                for line in self._lines():
                    self.note_command(line)
            self._ending.wait(_RECONNECT_AFTER)

    def _lines(self) -> Iterator[str]:
        place = urlsplit(self._url)
        with socket.create_connection((place.hostname, place.port), timeout=1) as connection:
            connection.sendall(b"MONITOR\r\n")
            rest = b""
            while not self._ending.is_set():
                try:
                    portion = connection.recv(1 << 16)
                except TimeoutError:
                    continue
                if not portion:
                    return
                *lines, rest = (rest + portion).split(b"\r\n")
                yield from (line.decode() for line in lines)


def fault_of_message(text: str) -> str | None:
    """What a message holds beyond the ids of executions; None if it is as it should be."""
    try:
        message: dict[str, Any] = json.loads(text)
    except ValueError:
        return "a message is no JSON"
    if more := message.keys() - _MESSAGE_FIELDS:
        return f"a message has more fields: {sorted(more)}"
    if message["kwargs"] or message["options"]:
        return "a message has options, or arguments with names"
    (ids,) = message["args"]
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in ids):
        return "a message holds more than ids"
    return None


def _unescaped(quoted: str) -> str:
    return quoted.encode().decode("unicode_escape")
