"""Looking on from outside while it happens: how old is what is unfinished, and what is overdue.

Only plain SQL and the machine's own clock are used. A check counts as at rest since it was first seen
in the state that it is in; its own time-out is not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from tests.live.logged import LeftDatabase

EVERY: Final = 1.0
"""Seconds between two looks."""

_IN_FLIGHT: Final = (
    "SELECT f.execution_id, f.version, f.status, j.timeout"
    " FROM checks_in_flight f JOIN jobs j ON j.id = f.job_id"
)
_OVERDUE: Final = "SELECT min(tick) AS tick FROM due_ticks"


class Rest:
    """How long checks were seen without getting on, beyond their own time-outs, in seconds."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], float] = {}
        self.longest = 0.0
        self.who = ""

    def seen(self, rows: Iterable[Mapping[str, Any]], at: float) -> None:
        """Take note of all checks that are unfinished at a moment."""
        since: dict[tuple[str, int], float] = {}
        for row in rows:
            state = (row["execution_id"], row["version"])
            since[state] = self._since.get(state, at)
            rested = at - since[state] - row["timeout"]
            if rested > self.longest:
                self.longest = rested
                self.who = f"{row['execution_id']}, {row['status']} at version {row['version']}"
        self._since = since


class Watch:
    """Looks once a second until closed."""

    def __init__(self, database: LeftDatabase) -> None:
        self._database = database
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.rest = Rest()
        self.longest_overdue = 0.0
        self.looks = 0
        self.longest_without_a_look = 0.0
        """Seconds, because the database was away."""
        self.fault: Exception | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)

    def _watch(self) -> None:
        last = time.monotonic()
        try:
            while not self._ending.wait(EVERY):
                with suppress(SQLAlchemyError):
                    self._look()
                    self.looks += 1
                    now = time.monotonic()
                    self.longest_without_a_look = max(self.longest_without_a_look, now - last)
                    last = now
        except Exception as fault:
            self.fault = fault
            raise

    def _look(self) -> None:
        self.rest.seen(self._database.rows(_IN_FLIGHT), time.monotonic())
        (row,) = self._database.rows(_OVERDUE)
        if row["tick"] is not None:
            self.longest_overdue = max(self.longest_overdue, time.time() - row["tick"] / 1e6)
