"""What goes on every day, on a database with a past: recording, reading and expiring, each timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from sqlalchemy import Connection, text

from api.bootstrap import Core
from benchmarks.made_up_history import ACCOUNT, Check, MakeId, new_event
from domain import heartbeat, retention
from domain.codec import Codec
from domain.execution import CheckDue, RunRequested
from domain.pings import PingReceived
from domain.retention import BEGINNING, ExecutionsExpired
from eventstore import reading
from eventstore.store import Append, StreamWrite
from projections import due_ticks, executions, expired_executions, jobs

END: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
"""Where the past ends."""

SPAN: Final = timedelta(days=365)
HOUR: Final = timedelta(hours=1)
TOGETHER: Final = 64
"""Appends to a durable transaction."""

PAGE: Final = 50
"""Rows of a list."""

FEED: Final = Codec().names_of(CheckDue, RunRequested)


@dataclass(kw_only=True)
class Side:
    """A database with a history, and what was measured on it: seconds for one of each thing."""

    core: Core
    make_id: MakeId
    job_ids: list[str]
    random: Random
    now: datetime = END
    taken: dict[str, list[float]] = field(default_factory=dict)
    written: list[float] = field(default_factory=list)
    """Bytes for a check."""

    counts: bool = True
    """Whether what is done now is noted."""

    def time(self, what: str, run: Callable[[], object], *, things: int = 1) -> None:
        """Run it, and note how long each of the things took."""
        began = time.perf_counter()
        run()
        took = time.perf_counter() - began
        if self.counts:
            self.taken.setdefault(what, []).append(took / things)

    def read(self, what: str, query: Callable[[Connection], object]) -> None:
        """The same for a query."""
        self.time(what, partial(self.core.database.read_now, query))


def written(core: Core) -> int:
    """Bytes written so far: by this process, or by the server to its write-ahead log."""
    if core.alone:
        told = Path("/proc/self/io").read_text(encoding="ascii")
        return int(told.partition("wchar: ")[2].split()[0])
    sql = text("SELECT pg_current_wal_insert_lsn() - '0/0'")
    return int(core.database.read_now(lambda connection: connection.execute(sql).scalar_one()))


def record_checks(side: Side) -> None:
    """As many checks as go together, in three transactions: due, begun, ended."""
    side.now += timedelta(seconds=1)
    checks = [
        Check(job_id=job_id, execution_id=side.make_id("e", side.now), tick=side.now)
        for job_id in side.random.sample(side.job_ids, TOGETHER)
    ]
    batches = [[_append(side, check, version) for check in checks] for version in range(3)]

    def record() -> None:
        for batch in batches:
            side.core.store.append(batch)

    before = written(side.core)
    side.time("recording a check", record, things=TOGETHER)
    if side.counts:
        side.written.append((written(side.core) - before) / TOGETHER)


def _append(side: Side, check: Check, version: int) -> Append:
    actor, content = check.events()[version]
    event = new_event(content, check.job_id, check.tick, side.make_id, actor=actor)
    return Append(
        writes=(StreamWrite(stream=check.stream, expected_version=version, events=(event,)),)
    )


def record_pings(side: Side) -> None:
    """As many pings as go together, of different jobs."""
    side.now += timedelta(seconds=1)
    batch = []
    for job_id in side.random.sample(side.job_ids, TOGETHER):
        ping = PingReceived(ping_id=side.make_id("c", side.now), kind="beat", received_at=side.now)
        event = new_event(ping, job_id, side.now, side.make_id, actor="ping")
        stream = heartbeat.stream(job_id)
        batch.append(
            Append(writes=(StreamWrite(stream=stream, expected_version=None, events=(event,)),))
        )
    side.time("recording a ping", lambda: side.core.store.append(batch), things=TOGETHER)


def read_everything(side: Side) -> None:
    """Each query that the service and its users wait for, once."""
    head = side.core.store.head().position
    job_id = side.random.choice(side.job_ids)
    middle = (END - SPAN / 2, "")
    newest = partial(executions.page, job_id=job_id, limit=PAGE)
    side.read("finding 500 due jobs", partial(due_ticks.due, moment=side.now + HOUR, limit=500))
    side.read(
        "feed of the dispatcher",
        partial(reading.read_all, after=head - 3 * PAGE, limit=PAGE, types=FEED),
    )
    side.read(
        "what happened to a job",
        partial(reading.read_all_backward, limit=PAGE, subject=job_id),
    )
    side.read("a page of jobs", partial(jobs.page, account=ACCOUNT, limit=PAGE))
    side.read("a job", partial(jobs.find, account=ACCOUNT, job_id=job_id))
    side.read("a page of a job's history", newest)
    side.read("a page from its middle", partial(newest, before=middle))
    side.read(
        "finding what is old",
        partial(expired_executions.portion, since=BEGINNING, size=retention.PORTION),
    )


def expire(side: Side) -> None:
    """A portion of the oldest executions; undone, because the short history has few."""
    oldest, beyond = side.core.database.read_now(
        partial(expired_executions.portion, since=BEGINNING, size=retention.PORTION)
    )
    assert oldest is not None
    assert beyond is not None
    expired = ExecutionsExpired(
        since=oldest[0], since_id=oldest[1], before=beyond[0], before_id=beyond[1]
    )
    with side.core.database.log_transaction() as connection:
        undone = connection.begin_nested()
        side.time("removing an execution", partial(_expire, connection, expired), things=1_000)
        undone.rollback()


def _expire(connection: Connection, expired: ExecutionsExpired) -> None:
    expired_executions.expire(connection, expired)
