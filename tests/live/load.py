"""People who use the service while it is being killed, and remember what they were promised.

Each is a thread with connections of its own. A request whose answer got lost proves nothing; one
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
    """Where a process of the service is at present: after each start it has another port.

    ``may_be_unavailable``: 503 is an answer to be expected, for the database is not always there.
    """

    key: str
    url: str = ""
    may_be_unavailable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Fields of a job that were sent, and that it has now; their ``name`` was never sent before."""

    job_id: str
    fields: Mapping[str, Any]


@dataclass
class Promises:
    """What was answered. ``refused`` counts the answers that nobody should have got.

    ``pings`` has the marks of pings, each with the ``rid`` that was sent; ``reports`` the jobs that
    were told of an end, each time with when it was sent and answered, in seconds since the epoch.
    """

    pings: dict[str, str | None] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    written: list[Written] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    reports: list[tuple[str, float, float]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    unavailable: int = 0

    def add(self, other: Promises) -> None:
        """Count in what somebody else was promised."""
        self.pings |= other.pings
        self.runs |= other.runs
        self.written += other.written
        self.deleted |= other.deleted
        self.reports += other.reports
        self.refused += other.refused
        self.unanswered += other.unanswered
        self.unavailable += other.unavailable

    def __len__(self) -> int:
        """How many writes were answered."""
        return len(self.pings) + len(self.runs) + len(self.written) + len(self.deleted)


class Line:
    """A connection to a target, made anew when it is somewhere else."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection: http.client.HTTPConnection | None = None
        self._connected_to = ""

    def ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and content of the answer. Raises what a broken connection raises."""
        if self._connection is None or self._connected_to != self.target.url:
            self.hang_up()
            self._connected_to = self.target.url
            place = urlsplit(self._connected_to)
            self._connection = http.client.HTTPConnection(
                place.hostname or "", place.port, timeout=PATIENCE
            )
        headers = {"X-API-Key": self.target.key, "Content-Type": "application/json"}
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class User(threading.Thread, ABC):
    """Sends requests one after the other until told to stop.

    It speaks with the first target until an answer gets lost, then with the next.
    """

    def __init__(self, *targets: Target, pause: float = PAUSE) -> None:
        super().__init__(daemon=True)
        self._lines = [Line(target) for target in targets]
        self._pause = pause
        self._stopping = threading.Event()
        self.promises = Promises()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.act()
                self._stopping.wait(self._pause)
        except BaseException as fault:
            self.fault = fault
            raise
        finally:
            for line in self._lines:
                line.hang_up()

    @abstractmethod
    def act(self) -> None:
        """Do one thing."""

    def tell_to_stop(self) -> None:
        self._stopping.set()

    def stop(self) -> Promises:
        self.tell_to_stop()
        self.join(2 * PATIENCE)
        assert not self.is_alive(), "a user waits for an answer that does not come"
        assert self.fault is None, f"a user failed: {self.fault!r}"
        return self.promises

    def send(self, method: str, path: str, fields: object = None, *, expected: int) -> Any:
        """The answer's content (True for an empty one); None if it got lost or was another one."""
        body = None if fields is None else json.dumps(fields).encode()
        line = self._lines[0]
        try:
            status, content = line.ask(method, path, body)
        except TimeoutError:
            self.promises.refused[f"{method} {_kind(path)}: no answer for {PATIENCE:.0f} s"] += 1
            self._give_up(line)
            return None
        except (OSError, http.client.HTTPException):
            self.promises.unanswered += 1
            self._give_up(line)
            return None
        if status == expected:
            return json.loads(content) if content else True
        if status == http.HTTPStatus.SERVICE_UNAVAILABLE and line.target.may_be_unavailable:
            self.promises.unavailable += 1
            self._stopping.wait(AFTER_NO_ANSWER)
        else:
            self.promises.refused[f"{method} {_kind(path)}: {status} {content.decode()}"] += 1
        return None

    def change_line(self) -> None:
        """Speak with another process from now on, if there is one."""
        self._lines.append(self._lines.pop(0))

    def _give_up(self, line: Line) -> None:
        line.hang_up()
        self.change_line()
        self._stopping.wait(AFTER_NO_ANSWER)


class Pinger(User):
    """Pings one job after the other, in every way, each time with a mark of its own."""

    def __init__(
        self, *targets: Target, name: str, job_ids: Sequence[str], pause: float = PAUSE
    ) -> None:
        super().__init__(*targets, pause=pause)
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
            self.promises.pings[mark] = None


class Asker(User):
    """Asks for runs outside the schedule, not too many of them."""

    def __init__(self, *targets: Target, job_ids: Sequence[str], pause: float = 0.2) -> None:
        super().__init__(*targets, pause=pause)
        self._job_ids = itertools.cycle(job_ids)

    def act(self) -> None:
        queued = self.send("POST", f"/api/v1/jobs/{next(self._job_ids)}/run", expected=202)
        if queued is not None:
            self.promises.runs.add(queued["id"])


class Deleter(User):
    """Creates jobs, pings them and deletes them for good, each step through the next process."""

    def __init__(self, *targets: Target, job: Mapping[str, object], pause: float = 0.1) -> None:
        super().__init__(*targets, pause=pause)
        self._job = job

    def act(self) -> None:
        created = self.send("POST", "/api/v1/jobs", self._job, expected=201)
        if created is None:
            return
        for _ in range(5):
            self.change_line()
            self.send("POST", f"/api/ping/{created['id']}", expected=200)
        if self.send("DELETE", f"/api/v1/jobs/{created['id']}", expected=204):
            self.promises.deleted.add(created["id"])


def gathered(users: Sequence[User]) -> Promises:
    """Stop them all, and put together what they were promised."""
    every = Promises()
    for user in users:
        user.tell_to_stop()
    for user in users:
        every.add(user.stop())
    return every


def _kind(path: str) -> str:
    return path.split("/")[2] if path.startswith("/api/ping") else path.split("/")[3]
