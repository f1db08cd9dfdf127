"""Work about jobs that lies in buckets (:mod:`eventstore.claims`), on PostgreSQL.

The indexes that tell what is next are one for each bucket in effect: by bucket, and in it by time. So
whatever asks for the earliest of all asks each bucket for its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Select,
    String,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
    tuple_,
)

from eventstore import claims
from eventstore.tables import UtcMicroseconds

_BUCKETS: Final = (
    func.unnest(bindparam("buckets", type_=ARRAY(String)))
    .table_valued(column("bucket", String))
    .render_derived(name="buckets")
)
ALL: Final = list(claims.BUCKETS)


def earliest(job_id: Column[str], due: Column[datetime]) -> Select[Any]:
    """The earliest time of all ``buckets`` (a parameter)."""
    first = _in_order_of_buckets(select(due), job_id, due).limit(1)
    return select(func.min(first.correlate(_BUCKETS).scalar_subquery())).select_from(_BUCKETS)


def of_each(work: Select[Any], job_id: Column[str], due: Column[datetime]) -> Select[Any]:
    """The rows of ``work``, up to its limit for each of the ``buckets``, of the longest due first.

    The parameters are those of the work, ``moment`` among them, up to which all of it is due.
    """
    until = tuple_(_BUCKETS.c.bucket, bindparam("moment", type_=UtcMicroseconds))
    work = work.where(tuple_(_bucket_of(job_id), due) <= until)
    of_bucket = _in_order_of_buckets(work, job_id, due).correlate(_BUCKETS).lateral("of_bucket")
    return select(of_bucket).select_from(_BUCKETS).join(of_bucket, true())


def _in_order_of_buckets(
    work: Select[Any], job_id: Column[str], due: Column[datetime]
) -> Select[Any]:
    """Those of one bucket, told as the stretch that they are of the index by bucket and time.

    If they were told by their bucket alone, an index by time would be in order as well, and might be
    read in its place, with the work of all other buckets.
    """
    bucket = _bucket_of(job_id)
    return (
        work.where(
            tuple_(bucket, due) >= tuple_(_BUCKETS.c.bucket, literal_column("0")),
            bucket <= _BUCKETS.c.bucket,
        )
        .order_by(None)
        .order_by(bucket, due)
    )


def _bucket_of(job_id: Column[str]) -> ColumnElement[str]:
    """The 1 is spelt out as it is in the indexes: with a parameter in its place none would fit."""
    return func.right(job_id, literal_column("1"))
