"""The tables of the log, on every database.

Who owns what: ``events`` holds history and is never rewritten, except that erasing nulls
``payload`` and ``salt``; ``sealed_subjects`` and ``secrets`` make deletion for good possible;
``checkpoints`` remembers how far each subscriber has come.

The migrations create these tables on an operator's database. ``metadata`` says the same in
SQLAlchemy's words, and a test holds the two together.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds from the epoch to an aware ``moment``; raises ``ValueError`` for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"a time needs a time zone: {moment!r} has none")
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The moment in UTC that lies ``microseconds`` after the epoch."""
    return EPOCH + timedelta(microseconds=microseconds)


class UtcMicroseconds(TypeDecorator[datetime]):
    """A moment, stored as whole microseconds since the epoch; comes back in UTC.

    An integer sorts, compares and hashes the same on every database, at the full precision of
    Python's ``datetime``. Naive datetimes are refused with ``ValueError``.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn a moment into what the database stores."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn what the database stores into a moment in UTC."""
        return None if value is None else from_microseconds(value)


metadata = MetaData()

_position = BigInteger().with_variant(Integer(), "sqlite")

name_type = String().with_variant(String(collation="C"), "postgresql")
"""For names and ids: sorted and compared by its bytes, which is what SQLite does, and the quickest way."""

events = Table(
    "events",
    metadata,
    Column("position", _position, primary_key=True, autoincrement=False),
    Column("stream", name_type, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event_id", name_type, nullable=False),
    Column("type", name_type, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("payload", LargeBinary),
    Column("salt", LargeBinary),
    Column("payload_hash", LargeBinary, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    Column("subject", name_type, nullable=False),
    Column("account", name_type, nullable=False),
    Column("actor", name_type, nullable=False),
    Column("recorded_at", UtcMicroseconds, nullable=False),
    Column("correlation_id", name_type, nullable=False),
    Column("causation_id", name_type),
    UniqueConstraint("stream", "version", name="events_stream_version"),
    UniqueConstraint("event_id", name="events_event_id"),
    Index("events_subject", "subject", "position"),
    Index("events_type", "type", "position"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("name", name_type, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

sealed_subjects = Table(
    "sealed_subjects",
    metadata,
    Column("subject", name_type, primary_key=True),
    Column("sealed_position", BigInteger, nullable=False),
    Column("erased_position", BigInteger, nullable=False),
    Column("finished", Boolean, nullable=False),
    Index("sealed_subjects_finished", "finished", "sealed_position"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("secret_id", name_type, primary_key=True),
    Column("subject", name_type, nullable=False),
    Column("key_id", name_type, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Index("secrets_subject", "subject"),
)
