"""What is left after the crashes: the log, the history that the API shows, and what others saw.

The log is read with plain SQL, so that of the service nothing but its event codec is trusted here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from domain.codec import Codec
from tests.live.load import Promises
from tests.live.receiver import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedJob:
    """A job whose every tick is accounted for; it ticks ``every`` so many seconds."""

    job_id: str
    method: str
    every: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that anybody saw. ``executions`` are as the API listed them, oldest first."""

    database: Path
    jobs: Sequence[WatchedJob]
    executions: Mapping[str, Sequence[dict[str, Any]]]
    calls: Sequence[Call]
    promises: Promises
    found_again: Sequence[str]
    """Ids of deleted jobs that the API still knew."""
    audit: str
    """What ``audit check`` printed."""
    logged: Sequence[str]
    """The lines of the service's own log, in JSON, at level warning and above."""

    @cached_property
    def events(self) -> list[Event]:
        """The log."""
        codec = Codec()
        return [Event(row, codec) for row in self.rows("SELECT * FROM events ORDER BY position")]

    def rows(self, statement: str, *parameters: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self.database)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(statement, parameters).fetchall()

    def history(self) -> list[dict[str, Any]]:
        """The executions of all watched jobs."""
        return [each for executions in self.executions.values() for each in executions]


class Event:
    """A row of the log, with its content (None: erased)."""

    def __init__(self, row: sqlite3.Row, codec: Codec) -> None:
        self.row = row
        payload = row["payload"]
        self.content = (
            None if payload is None else codec.decode(row["type"], row["schema_version"], payload)
        )

    @property
    def execution_id(self) -> str:
        return str(self.row["stream"]).partition("-")[2]
