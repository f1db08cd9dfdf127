"""Who does what now, where several schedulers work on one log: turns to take, without a leader.

The rows of ``claims`` never change. A process that takes a turn locks a row of it for as long as a
transaction of its own is open (:meth:`~eventstore.database.Database.claim`), and passes over those that
others have locked. The lock goes with the transaction, and so with a process that dies; the database
takes it from one that is stopped. A turn only spares others the same work: what two do at once is
still decided by the versions of streams.

On SQLite one process works on the log, and every turn is its own.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    func,
    literal_column,
    select,
)

from eventstore.tables import UtcMicroseconds, metadata, name_type

BUCKETS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
"""Work about jobs is divided by the last character of their ids, which is random."""

TICKS: Final = "ticks"
HEARTBEATS: Final = "heartbeats"
DISPATCH: Final = "dispatch"

BUCKETS_A_TURN: Final = 6
"""Few enough that several schedulers find some, many enough for a good batch."""

claims = Table(
    "claims",
    metadata,
    Column("part", name_type, primary_key=True),
    Column("bucket", name_type, primary_key=True),
)

_TURN: Final = (
    select(claims.c.bucket)
    .where(claims.c.part == bindparam("of_part"))
    .with_for_update(skip_locked=True)
)


def bucket_of(job_id: Column[str]) -> ColumnElement[str]:
    """The bucket of a job, on PostgreSQL; indexes on it make a bucket's work quick to find.

    Spelt out: with a parameter in it, a plan that is kept could not use them.
    """
    return func.right(job_id, literal_column("1"))


def take_turn(connection: Connection, part: str) -> bool:
    """Claim a part that one process does at a time; False where another is at it."""
    return connection.execute(_TURN, {"of_part": part}).first() is not None


def take_buckets(
    connection: Connection,
    part: str,
    *,
    job_id: Column[str],
    due: Column[datetime],
    moment: datetime,
) -> list[str]:
    """Claim buckets in which something is due by the moment, the longest due first; on PostgreSQL."""
    parameters = {"of_part": part, "moment": moment, "at_most": BUCKETS_A_TURN}
    return list(connection.scalars(_buckets_with_work(job_id, due), parameters))


@cache
def _buckets_with_work(job_id: Column[str], due: Column[datetime]) -> Select[Any]:
    earliest = (
        select(func.min(due))
        .where(bucket_of(job_id) == claims.c.bucket)
        .correlate(claims)
        .scalar_subquery()
    )
    return (
        select(claims.c.bucket)
        .where(
            claims.c.part == bindparam("of_part"),
            earliest <= bindparam("moment", type_=UtcMicroseconds),
        )
        .order_by(earliest)
        .limit(bindparam("at_most"))
        .with_for_update(of=claims, skip_locked=True)
    )
