"""A long history, made up and loaded in bulk: what years of checks leave in the log and beside it.

Jobs are made as always. Their checks go past everything that decides, straight into the two tables that
grow: three events in the log and a row of executions for each, as wide as real ones but not chained.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Any, Final

import psycopg

from api.bootstrap import Core
from api.settings import Settings
from domain.codec import Codec
from domain.execution import CheckDue, CheckStarted, CheckSucceeded, CheckTimings
from domain.ids import sortable_id
from domain.job import JobCreated
from domain.job_fields import JobSettings
from eventstore.store import Append, NewEvent, StreamWrite
from eventstore.tables import EPOCH, to_microseconds
from eventstore.tables import events as events_table
from projections.execution_rows import executions as executions_table

ACCOUNT: Final = "default"
LOADED_AT_ONCE: Final = 10_000
"""Checks."""

_SETTINGS: Final = JobSettings(
    name="Bench", url="https://example.com/health", method="GET", schedule="* * * * *"
)
_TIMINGS: Final = CheckTimings(
    total_ms=41.4, dns_ms=1.2, connect_ms=9.8, tls_ms=11.7, first_byte_ms=41.1
)
_TOOK: Final = timedelta(milliseconds=50)
_MINUTE: Final = timedelta(minutes=1)
_MILLISECOND: Final = timedelta(milliseconds=1)
_CODEC: Final = Codec()
_EXECUTION_COLUMNS: Final = tuple(column.name for column in executions_table.columns)

MakeId = Callable[[str, datetime], str]
"""Makes an id, from its first letter and its time."""

Loader = Callable[[str, Iterable[Sequence[object]]], None]
"""Loads rows, with all columns in their order, into the table of that name."""


def ids_by_time(random: Random) -> MakeId:
    """Ids that lie like those of the service: by their time, then by chance."""
    return lambda letter, at: f"{_letter_and_time(letter, at)}{random.getrandbits(96):024x}"


def ids_by_chance(random: Random) -> MakeId:
    """Ids of the same length that lie anywhere, as they once did."""
    return lambda letter, _: f"{letter}{random.getrandbits(132):033x}"


@lru_cache(maxsize=8)
def _letter_and_time(letter: str, at: datetime) -> str:
    return sortable_id(letter, (at - EPOCH) // _MILLISECOND, 0)[:10]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check that was due, was made, and succeeded."""

    job_id: str
    execution_id: str
    tick: datetime

    @property
    def stream(self) -> str:
        return f"execution-{self.execution_id}"

    def events(self) -> tuple[tuple[str, object], ...]:
        """What tells of it, and who said so."""
        due = CheckDue(
            execution_id=self.execution_id,
            job_id=self.job_id,
            tick=self.tick,
            next_tick=self.tick + _MINUTE,
        )
        started = CheckStarted(attempt=1, started_at=self.tick, deadline=self.tick + _MINUTE)
        succeeded = CheckSucceeded(finished_at=self.tick + _TOOK, status_code=200, timings=_TIMINGS)
        return ("system:scheduler", due), ("system:worker", started), ("system:worker", succeeded)


def new_event(
    content: object, subject: str, at: datetime, make_id: MakeId, *, actor: str
) -> NewEvent:
    """An event that something caused which nothing caused before."""
    name, schema_version, payload = _CODEC.encode(content)
    return NewEvent(
        event_id=make_id("c", at),
        type=name,
        schema_version=schema_version,
        payload=payload,
        subject=subject,
        account=ACCOUNT,
        actor=actor,
        recorded_at=at,
        correlation_id=make_id("c", at),
    )


def make_jobs(core: Core, count: int, make_id: MakeId, *, at: datetime) -> list[str]:
    """Jobs that are due every minute from then on; returns their ids."""
    job_ids = [make_id("c", at) for _ in range(count)]
    created = iter([_created(job_id, make_id, at) for job_id in job_ids])
    while some := list(islice(created, 200)):
        core.store.append(some)
    return job_ids


def _created(job_id: str, make_id: MakeId, at: datetime) -> Append:
    created = JobCreated(
        job_id=job_id,
        project_id="none",
        settings=_SETTINGS,
        paused=False,
        created_at=at,
        next_tick=at + _MINUTE,
    )
    event = new_event(created, job_id, at, make_id, actor="cli")
    return Append(
        writes=(StreamWrite(stream=f"job-{job_id}", expected_version=0, events=(event,)),)
    )


def load(
    settings: Settings, checks: Iterator[Check], make_id: MakeId, *, after: int, random: Random
) -> None:
    """Load checks behind a position of the log. Nothing else may use the database meanwhile."""
    loading = _into_sqlite if settings.sqlite_path is not None else _into_postgres
    with loading(settings) as load_rows:
        while some := list(islice(checks, LOADED_AT_ONCE)):
            load_rows("executions", [_execution_row(check, after) for check in some])
            load_rows("events", list(_event_rows(some, make_id, after, random)))
            after += 3 * len(some)


def _event_rows(
    checks: Iterable[Check], make_id: MakeId, position: int, random: Random
) -> Iterator[tuple[object, ...]]:
    for check in checks:
        stream, moment = check.stream, to_microseconds(check.tick)
        correlation_id, cause = make_id("c", check.tick), None
        for version, (actor, content) in enumerate(check.events(), 1):
            position += 1
            event_id = make_id("c", check.tick)
            yield (
                position,
                stream,
                version,
                event_id,
                *_CODEC.encode(content),
                random.randbytes(16),
                random.randbytes(32),
                random.randbytes(32),
                check.job_id,
                ACCOUNT,
                actor,
                moment,
                correlation_id,
                cause,
            )
            cause = event_id


def _execution_row(check: Check, position: int) -> tuple[object, ...]:
    tick, ended = to_microseconds(check.tick), to_microseconds(check.tick + _TOOK)
    row: dict[str, Any] = {
        "id": check.execution_id,
        "job_id": check.job_id,
        "account": ACCOUNT,
        "position": position,
        "trigger": "schedule",
        "status": "success",
        "happened_at": tick,
        "scheduled_for": tick,
        "started_at": tick,
        "finished_at": ended,
        "duration_ms": 41,
        "status_code": 200,
        "skipped_ticks": 0,
    }
    return tuple(row.get(name) for name in _EXECUTION_COLUMNS)


@contextmanager
def _into_sqlite(settings: Settings) -> Iterator[Loader]:
    connection = sqlite3.connect(str(settings.sqlite_path), isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000"):
        connection.execute(f"PRAGMA {pragma}").close()

    def load_rows(table: str, rows: Iterable[Sequence[object]]) -> None:
        width = len((events_table if table == "events" else executions_table).columns)
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)
        connection.execute("COMMIT")

    yield load_rows
    connection.execute("PRAGMA journal_mode = WAL").close()
    connection.close()


@contextmanager
def _into_postgres(settings: Settings) -> Iterator[Loader]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")

        def load_rows(table: str, rows: Iterable[Sequence[object]]) -> None:
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

        yield load_rows
        connection.execute("VACUUM (ANALYZE) events, executions")
