"""Whose pings are awaited, and until when: the watch on each job's heartbeat.

A row holds the fold of the job's heartbeat (:mod:`domain.heartbeat`), so that neither a ping nor the
closing of a window needs to read the job's past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    String,
    Table,
    Text,
    bindparam,
    func,
    select,
)

from domain.heartbeat import INITIAL, Heartbeat, HeartbeatMissed, PingReceived, evolve
from domain.job import JobCreated, JobDeleted, JobPaused, JobResumed, JobUpdated
from eventstore import claims
from eventstore.tables import UtcMicroseconds
from projections import buckets
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("closes_at", UtcMicroseconds),
    Column("state", Text, nullable=False),
    Index("heartbeats_by_closing", "closes_at").ddl_if(dialect="sqlite"),
)

_STATE: Final = msgspec.json.Decoder(Heartbeat)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, heartbeats)
    rows.load(event.subject for event in events)
    watches: dict[str, Heartbeat] = {}
    for event in events:
        job_id = event.subject
        match event.content:
            case JobCreated():
                rows.put(
                    {
                        "job_id": job_id,
                        "account": event.envelope.account,
                        "version": 0,
                        "closes_at": None,
                        "state": "",
                    }
                )
                watches[job_id] = evolve(INITIAL, event.content)
                continue
            case JobDeleted() | None:
                rows.remove(job_id)
                watches.pop(job_id, None)
                continue
            case PingReceived() | HeartbeatMissed():
                rows.change(job_id, version=event.envelope.version)
        row = rows.get(job_id)
        if row is not None:
            watch = watches.get(job_id) or _STATE.decode(row["state"])
            watches[job_id] = evolve(watch, event.content)
    for job_id, watch in watches.items():
        state = msgspec.json.encode(watch).decode()
        rows.change(job_id, closes_at=watch.closes_at, state=state)
    rows.write()


PROJECTION = Projection(
    name="heartbeats",
    tables=(heartbeats,),
    handles=(
        JobCreated,
        JobUpdated,
        JobPaused,
        JobResumed,
        JobDeleted,
        PingReceived,
        HeartbeatMissed,
    ),
    apply=apply,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedJob:
    """The watch on a job's pings, at ``version`` of the stream of its pings."""

    job_id: str
    account: str
    version: int
    heartbeat: Heartbeat


CLOSING = (
    select(heartbeats)
    .where(heartbeats.c.closes_at < bindparam("moment"))
    .order_by(heartbeats.c.closes_at)
    .limit(bindparam("row_limit"))
)
CLOSING_IN_BUCKETS = buckets.of_each(CLOSING, heartbeats.c.job_id, heartbeats.c.closes_at)
NEXT = select(func.min(heartbeats.c.closes_at))
NEXT_OF_BUCKETS = buckets.earliest(heartbeats.c.job_id, heartbeats.c.closes_at)


def closing(connection: Connection, moment: datetime, *, limit: int) -> list[WatchedJob]:
    """Up to ``limit`` jobs that have missed something by the moment, the longest ago first."""
    found = connection.execute(CLOSING, {"moment": moment, "row_limit": limit})
    return [_watched_job(row) for row in found]


def claim(connection: Connection, moment: datetime, *, limit: int) -> list[WatchedJob]:
    """The same, of jobs that nobody else has claimed; they are ours until the transaction ends.

    Empty where nothing closes, or others are at all of it.
    """
    if connection.dialect.name == "sqlite":
        return closing(connection, moment, limit=limit)
    mine = claims.take_buckets(
        connection,
        claims.HEARTBEATS,
        job_id=heartbeats.c.job_id,
        due=heartbeats.c.closes_at,
        moment=moment,
    )
    if not mine:
        return []
    parameters = {"moment": moment, "buckets": mine, "row_limit": limit // len(mine)}
    return [_watched_job(row) for row in connection.execute(CLOSING_IN_BUCKETS, parameters)]


def next_closing(connection: Connection) -> datetime | None:
    """When the next window closes, in the past or to come."""
    if connection.dialect.name == "sqlite":
        return connection.execute(NEXT).scalar()
    return connection.execute(NEXT_OF_BUCKETS, {"buckets": buckets.ALL}).scalar()


def _watched_job(row: Any) -> WatchedJob:  # noqa: ANN401  (a row of any shape)
    return WatchedJob(
        job_id=row.job_id,
        account=row.account,
        version=row.version,
        heartbeat=_STATE.decode(row.state),
    )
