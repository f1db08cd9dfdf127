"""The event log: what happened, in one order, never rewritten.

Creates five tables. Nothing exists before this, so it is safe at any time, and waits for no lock.

``events``
    One row an event. ``position`` counts through the log and ``version`` through a stream, both
    from 1 and without gaps. ``payload`` and ``salt`` become NULL when their subject is erased; no
    other change to a row, and no deletion of one, is possible: two triggers refuse it.
    On PostgreSQL the events are vacuumed a little at a time, as they come, and not a fifth of them
    at once.
``log_head``
    One row: where the log ends, and the head of its hash chain.
``checkpoints``
    How far each subscriber of the log has come.
``sealed_subjects``
    What was deleted for good: nothing may be recorded about it any more, and its payloads are
    erased up to ``sealed_position``; ``erased_position`` is how far that has come.
``secrets``
    Encrypted values. They are never in events, and go when their subject is erased.

Times are whole microseconds since 1970-01-01T00:00:00Z. Text is sorted by its bytes on every
database.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001_event_log"
down_revision: Final = None

POSITION: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT: Final = sa.String().with_variant(sa.String(collation="C"), "postgresql")

SQLITE_NEVER_DELETED: Final = """
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END
"""

SQLITE_ONLY_ERASED: Final = """
CREATE TRIGGER events_are_only_erased BEFORE UPDATE ON events
WHEN NOT (
    NEW.payload IS NULL AND NEW.salt IS NULL
    AND NEW.position IS OLD.position
    AND NEW.stream IS OLD.stream
    AND NEW.version IS OLD.version
    AND NEW.event_id IS OLD.event_id
    AND NEW.type IS OLD.type
    AND NEW.schema_version IS OLD.schema_version
    AND NEW.payload_hash IS OLD.payload_hash
    AND NEW.chain_hash IS OLD.chain_hash
    AND NEW.subject IS OLD.subject
    AND NEW.account IS OLD.account
    AND NEW.actor IS OLD.actor
    AND NEW.recorded_at IS OLD.recorded_at
    AND NEW.correlation_id IS OLD.correlation_id
    AND NEW.causation_id IS OLD.causation_id
    AND EXISTS (SELECT 1 FROM sealed_subjects WHERE subject = OLD.subject)
)
BEGIN
    SELECT RAISE(ABORT, 'events never change, except that a sealed subject is erased');
END
"""

POSTGRESQL_NEVER_DELETED: Final = """
CREATE FUNCTION refuse_to_delete_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never deleted' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_delete_events();
"""

POSTGRESQL_ONLY_ERASED: Final = """
CREATE FUNCTION refuse_to_change_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erased events%ROWTYPE := OLD;
BEGIN
    erased.payload := NULL;
    erased.salt := NULL;
    IF NEW IS DISTINCT FROM erased
        OR NOT EXISTS (SELECT FROM sealed_subjects WHERE subject = OLD.subject)
    THEN
        RAISE EXCEPTION 'events never change, except that a sealed subject is erased'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER events_are_only_erased BEFORE UPDATE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_events();
"""


def upgrade() -> None:
    """Create the log, empty."""
    op.create_table(
        "events",
        sa.Column("position", POSITION, primary_key=True, autoincrement=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("payload_hash", sa.LargeBinary, nullable=False),
        sa.Column("chain_hash", sa.LargeBinary, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("correlation_id", TEXT, nullable=False),
        sa.Column("causation_id", TEXT),
        sa.UniqueConstraint("stream", "version", name="events_stream_version"),
        sa.UniqueConstraint("event_id", name="events_event_id"),
        postgresql_with={"autovacuum_vacuum_insert_scale_factor": 0.02},
    )
    op.create_index("events_subject", "events", ["subject", "position"])
    op.create_index("events_type", "events", ["type", "position"])

    head = op.create_table(
        "log_head",
        sa.Column("only_row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("chain_hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("only_row = 1", name="log_head_only_row"),
    )
    op.execute(head.insert().values(only_row=1, position=0, chain_hash=bytes(32)))

    op.create_table(
        "checkpoints",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )

    op.create_table(
        "sealed_subjects",
        sa.Column("subject", TEXT, primary_key=True),
        sa.Column("sealed_position", sa.BigInteger, nullable=False),
        sa.Column("erased_position", sa.BigInteger, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
    )
    op.create_index("sealed_subjects_finished", "sealed_subjects", ["finished", "sealed_position"])

    op.create_table(
        "secrets",
        sa.Column("secret_id", TEXT, primary_key=True),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    )
    op.create_index("secrets_subject", "secrets", ["subject"])

    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_NEVER_DELETED)
        op.execute(POSTGRESQL_ONLY_ERASED)
    else:
        op.execute(SQLITE_NEVER_DELETED)
        op.execute(SQLITE_ONLY_ERASED)
