"""People who use the service while it is being killed, and remember what they were promised.

Each is a thread with a connection of its own. A request whose answer got lost proves nothing; one
that was answered is a promise, and is kept for :mod:`tests.live.evidence` to hold the log against.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.live.service import PATIENCE

PAUSE: Final = 0.005
"""Seconds between a thread's requests."""

AFTER_NO_ANSWER: Final = 0.05


@dataclass
class Target:
    """Where the service is at present: after each start it has another port."""

    key: str
    url: str = ""


@dataclass
class Promises:
    """What was answered. ``refused`` counts the answers that nobody should have got."""

    pings: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0


class User(threading.Thread, ABC):
    """Sends requests one after the other until told to stop."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._connected_to = ""
        self.promises = Promises()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.act()
                self._stopping.wait(PAUSE)
        except BaseException as fault:
            self.fault = fault
            raise
        finally:
            self._hang_up()

    @abstractmethod
    def act(self) -> None:
        """Do one thing."""

    def stop(self) -> Promises:
        self._stopping.set()
        self.join(PATIENCE)
        assert not self.is_alive(), "a user waits for an answer that does not come"
        assert self.fault is None, f"a user failed: {self.fault!r}"
        return self.promises

    def send(self, method: str, path: str, fields: object = None, *, expected: int) -> Any:
        """The answer's content (True for an empty one); None if it got lost or was another one."""
        body = None if fields is None else json.dumps(fields).encode()
        headers = {"X-API-Key": self._target.key, "Content-Type": "application/json"}
        try:
            connection = self._connect()
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.promises.unanswered += 1
            self._hang_up()
            self._stopping.wait(AFTER_NO_ANSWER)
            return None
        if answer.status != expected:
            kind = path.split("/")[2]
            self.promises.refused[f"{method} {kind}: {answer.status} {content.decode()}"] += 1
            return None
        return json.loads(content) if content else True

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None or self._connected_to != self._target.url:
            self._hang_up()
            self._connected_to = self._target.url
            place = urlsplit(self._connected_to)
            self._connection = http.client.HTTPConnection(
                place.hostname or "", place.port, timeout=PATIENCE
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Pinger(User):
    """Pings one job after the other, in every way, each time with a mark of its own."""

    def __init__(self, target: Target, name: str, job_ids: Sequence[str]) -> None:
        super().__init__(target)
        self._name = name
        self._numbers = itertools.count()
        self._job_ids = itertools.cycle(job_ids)
        self._ways = itertools.cycle(
            (method, end)
            for end in ("", "/start", "/success", "/fail")
            for method in ("GET", "POST")
        )

    def act(self) -> None:
        mark = f"{self._name}-{next(self._numbers)}"
        method, end = next(self._ways)
        path = f"/api/ping/{next(self._job_ids)}{end}?client={mark}"
        if self.send(method, path, expected=200):
            self.promises.pings.add(mark)


class Asker(User):
    """Asks for runs outside the schedule, not too many of them."""

    def __init__(self, target: Target, job_ids: Sequence[str]) -> None:
        super().__init__(target)
        self._job_ids = itertools.cycle(job_ids)

    def act(self) -> None:
        self._stopping.wait(0.2)
        queued = self.send("POST", f"/api/v1/jobs/{next(self._job_ids)}/run", expected=202)
        if queued is not None:
            self.promises.runs.add(queued["id"])


class Deleter(User):
    """Creates jobs, pings them and deletes them for good."""

    def __init__(self, target: Target, job: Mapping[str, object]) -> None:
        super().__init__(target)
        self._job = job

    def act(self) -> None:
        self._stopping.wait(0.1)
        created = self.send("POST", "/api/v1/jobs", self._job, expected=201)
        if created is None:
            return
        for _ in range(5):
            self.send("POST", f"/api/ping/{created['id']}", expected=200)
        if self.send("DELETE", f"/api/v1/jobs/{created['id']}", expected=204):
            self.promises.deleted.add(created["id"])


def gathered(users: Sequence[User]) -> Promises:
    """Stop them all, and put together what they were promised."""
    every = Promises()
    for promises in [user.stop() for user in users]:
        every.pings |= promises.pings
        every.runs |= promises.runs
        every.deleted |= promises.deleted
        every.refused += promises.refused
        every.unanswered += promises.unanswered
    return every
