"""What several processes on one log need, and room for years of history.

Run it while nothing is running on the database, as `cronpulse serve` and `cronpulse migrate` do. It
reads the table of executions twice.

``log_head``
    Goes: the end of the log is its last event. A row that every append changed would grow a chain of
    dead versions for as long as a backup has a transaction open, and every append would walk it.
``due_ticks``
    Learns the last tick that was recorded, and how many came before a change of the job and were not:
    they count with the next one. The former is taken from the executions.
``claims``
    The turns that schedulers take; its rows never change.
``secret_key_check``
    The id of the secret key that the database was set up with.
``executions_by_age``
    Finds what has been kept for long enough.
``due_ticks_by_bucket``, ``heartbeats_by_bucket``
    On PostgreSQL, where schedulers divide their work by the last character of a job's id. They take the
    place of ``due_ticks_by_tick`` and ``heartbeats_by_closing``.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003_scaled"
down_revision: Final = "0002_read_models"

NAME: Final = sa.String().with_variant(sa.String(collation="C"), "postgresql")
ENDED: Final = sa.text("status NOT IN ('queued', 'running')")
BUCKETS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

LAST_TICKS: Final = """
UPDATE due_ticks SET last_tick = (
    SELECT max(scheduled_for) FROM executions
    WHERE executions.job_id = due_ticks.job_id AND executions.trigger = 'schedule'
)
"""


def upgrade() -> None:
    """Create the tables and indexes, and drop what they take the place of."""
    op.drop_table("log_head")
    claims = op.create_table(
        "claims",
        sa.Column("part", NAME, primary_key=True),
        sa.Column("bucket", NAME, primary_key=True),
    )
    divided = [
        {"part": part, "bucket": each} for part in ("ticks", "heartbeats") for each in BUCKETS
    ]
    op.bulk_insert(claims, [*divided, {"part": "dispatch", "bucket": ""}])
    op.create_table(
        "secret_key_check",
        sa.Column("only_row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_id", NAME, nullable=False),
        sa.CheckConstraint("only_row = 1", name="secret_key_check_only_row"),
    )
    op.add_column("due_ticks", sa.Column("last_tick", sa.BigInteger))
    op.add_column(
        "due_ticks", sa.Column("overdue", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute(LAST_TICKS)
    op.create_index(
        "executions_by_age",
        "executions",
        ["happened_at", "id"],
        sqlite_where=ENDED,
        postgresql_where=ENDED,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("due_ticks_by_tick", "due_ticks")
        op.drop_index("heartbeats_by_closing", "heartbeats")
        op.create_index("due_ticks_by_bucket", "due_ticks", [sa.text("right(job_id, 1)"), "tick"])
        op.create_index(
            "heartbeats_by_bucket", "heartbeats", [sa.text("right(job_id, 1)"), "closes_at"]
        )
