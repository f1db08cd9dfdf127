"""The table of executions: what checks and pings alike leave there.

``position`` is that of the event an execution began with: its place in the order of the log, which is
not always the order of the times.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    literal_column,
)

from eventstore.tables import UtcMicroseconds
from projections.projection import DecodedEvent, metadata

executions = Table(
    "executions",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_id", String, nullable=False),
    Column("account", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("trigger", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("happened_at", UtcMicroseconds, nullable=False),
    Column("scheduled_for", UtcMicroseconds),
    Column("started_at", UtcMicroseconds),
    Column("finished_at", UtcMicroseconds),
    Column("duration_ms", BigInteger().with_variant(Integer(), "sqlite")),  # 25 days are too many
    Column("status_code", Integer),
    Column("message", Text),
    Column("output", Text),
    Column("client", Text),
    Column("run_id", Text),
    Column("skipped_ticks", BigInteger, nullable=False),
    Index("executions_of_job", "job_id", "happened_at", "id"),
)
OPEN_PINGS = (executions.c.status == literal_column("'running'")) & (
    executions.c.trigger == literal_column("'ping'")
)
Index(
    "executions_open_pings",
    executions.c.job_id,
    sqlite_where=OPEN_PINGS,
    postgresql_where=OPEN_PINGS,
)

ENDED = executions.c.status.not_in(
    [literal_column("'queued'", String), literal_column("'running'", String)]
)
"""Spelt out: with parameters in their place a database may not see that the index fits."""

Index(
    "executions_by_age",
    executions.c.happened_at,
    executions.c.id,
    sqlite_where=ENDED,
    postgresql_where=ENDED,
)


def new_row(event: DecodedEvent, key: str, **values: object) -> dict[str, Any]:
    """A row of an execution that begins with the event; columns that are not given are null."""
    row: dict[str, Any] = dict.fromkeys(column.name for column in executions.columns)
    row |= {
        "id": key,
        "job_id": event.subject,
        "account": event.envelope.account,
        "position": event.envelope.position,
        "skipped_ticks": 0,
    }
    return row | values
