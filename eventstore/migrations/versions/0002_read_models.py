"""The read models, and what is noted beside them.

Creates nine tables. Nothing uses them before this, so it is safe at any time, and waits for no lock.
All but the last are derived from the log and can be rebuilt from it.

``projects``, ``jobs``, ``api_keys``
    What there is, as it is set up.
``job_status``, ``executions``
    How each job fares, and its history.
``due_ticks``, ``checks_in_flight``, ``heartbeats``
    What the scheduler has to look after: the next tick of each job, the checks that have not ended,
    and the pings that are awaited.
``api_key_usage``
    When each key was last used. Not history, so not in the log.

The rows of ``job_status``, ``due_ticks``, ``checks_in_flight`` and ``heartbeats`` change all the
time. On PostgreSQL their pages keep room for that, and they are vacuumed early, and without the locks that
giving room back to the file system takes.

Times are whole microseconds since 1970-01-01T00:00:00Z. Text is sorted by its bytes on every
database.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002_read_models"
down_revision: Final = "0001_event_log"

MOMENT: Final = sa.BigInteger
NAME: Final = sa.String().with_variant(sa.String(collation="C"), "postgresql")
TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BUSY: Final = {
    "fillfactor": 50,
    "autovacuum_vacuum_scale_factor": 0.05,
    "autovacuum_vacuum_cost_delay": 0,
    "vacuum_truncate": "off",
}
OPEN_PINGS: Final = sa.text("status = 'running' AND trigger = 'ping'")


def upgrade() -> None:
    """Create the read models, empty: `cronpulse audit rebuild` fills them from a log that is not."""
    op.create_table(
        "projects",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("account", NAME, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
    )
    op.create_index("projects_of_account", "projects", ["account", "position"])
    op.create_table(
        "jobs",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("account", NAME, nullable=False),
        sa.Column("project_id", NAME, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("method", NAME, nullable=False),
        sa.Column("schedule", TEXT, nullable=False),
        sa.Column("timezone", NAME, nullable=False),
        sa.Column("mode", NAME, nullable=False),
        sa.Column("heartbeat", sa.Boolean, nullable=False),
        sa.Column("heartbeat_tolerance", sa.Integer, nullable=False),
        sa.Column("timeout", sa.Integer, nullable=False),
        sa.Column("expected_status_code", sa.Integer, nullable=False),
        sa.Column("headers", TEXT, nullable=False),
        sa.Column("headers_secret_id", NAME),
        sa.Column("body", TEXT),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("jobs_of_account", "jobs", ["account", "position"])
    op.create_index("jobs_of_project", "jobs", ["project_id", "position"])
    op.create_table(
        "job_status",
        sa.Column("job_id", NAME, primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("last_status", NAME),
        sa.Column("last_status_at", MOMENT),
        sa.Column("last_activity_at", MOMENT),
        postgresql_with=BUSY,
    )
    op.create_table(
        "executions",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("job_id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("trigger", NAME, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("reason", NAME),
        sa.Column("happened_at", MOMENT, nullable=False),
        sa.Column("scheduled_for", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.Column("duration_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.Column("status_code", sa.Integer),
        sa.Column("message", TEXT),
        sa.Column("output", TEXT),
        sa.Column("client", TEXT),
        sa.Column("run_id", TEXT),
        sa.Column("skipped_ticks", sa.BigInteger, nullable=False),
    )
    op.create_index("executions_of_job", "executions", ["job_id", "happened_at", "id"])
    op.create_index(
        "executions_open_pings",
        "executions",
        ["job_id"],
        sqlite_where=OPEN_PINGS,
        postgresql_where=OPEN_PINGS,
    )
    op.create_table(
        "due_ticks",
        sa.Column("job_id", NAME, primary_key=True),
        sa.Column("account", NAME, nullable=False),
        sa.Column("mode", NAME, nullable=False),
        sa.Column("schedule", TEXT, nullable=False),
        sa.Column("timezone", NAME, nullable=False),
        sa.Column("scheduled_since", MOMENT, nullable=False),
        sa.Column("tick", MOMENT),
        sa.Column("job_version", sa.BigInteger, nullable=False),
        postgresql_with=BUSY,
    )
    op.create_index("due_ticks_by_tick", "due_ticks", ["tick"])
    op.create_table(
        "checks_in_flight",
        sa.Column("execution_id", NAME, primary_key=True),
        sa.Column("job_id", NAME, nullable=False),
        sa.Column("account", NAME, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("status", NAME, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("tick", MOMENT),
        sa.Column("deadline", MOMENT),
        sa.Column("cause", NAME, nullable=False),
        sa.Column("correlation_id", NAME, nullable=False),
        postgresql_with=BUSY,
    )
    op.create_index("checks_in_flight_by_age", "checks_in_flight", ["queued_at"])
    op.create_index("checks_in_flight_of_job", "checks_in_flight", ["job_id"])
    op.create_table(
        "heartbeats",
        sa.Column("job_id", NAME, primary_key=True),
        sa.Column("account", NAME, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("closes_at", MOMENT),
        sa.Column("state", TEXT, nullable=False),
        postgresql_with=BUSY,
    )
    op.create_index("heartbeats_by_closing", "heartbeats", ["closes_at"])
    op.create_table(
        "api_keys",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("account", NAME, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("permissions", TEXT, nullable=False),
        sa.Column("key_hash", NAME, nullable=False, unique=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
    )
    op.create_index("api_keys_of_account", "api_keys", ["account", "position"])
    op.create_table(
        "api_key_usage",
        sa.Column("key_id", NAME, primary_key=True),
        sa.Column("last_used_at", MOMENT, nullable=False),
    )
