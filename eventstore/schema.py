"""Which schema this CronPulse expects, which one a database has, and how to get from one to the other.

Alembic does the migrating. It is imported only then: at an ordinary start the revision is compared
with a constant, because loading Alembic takes longer than all the rest of the start-up.

Revisions are named ``0001_event_log``: the number orders them, so that an older schema can be told
from a newer one without the scripts of the newer one.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select
from sqlalchemy.exc import DBAPIError

from eventstore import postgres_faults, postgres_locks, sqlite_faults

EXPECTED_REVISION: Final = "0003_scaled"
"""The newest of ``migrations/versions``; a test holds the two together."""

_TURN: Final = (
    "SET LOCAL lock_timeout = 0",
    f"SELECT pg_advisory_xact_lock({postgres_locks.MIGRATING})",
    "SET LOCAL lock_timeout = '5s'",
)
"""A turn is waited for however long it takes, and then each table for five seconds."""

_revision_table = Table("alembic_version", MetaData(), Column("version_num", String))


class SchemaOutOfDate(Exception):
    """The database's schema is not the one that this CronPulse works with."""

    def __init__(self, found: str | None, expected: str) -> None:
        if found is None:
            words = f"the database has no schema yet (expected {expected}): run `cronpulse migrate`"
        elif found < expected:
            words = (
                f"the database's schema is {found}, older than {expected}: run `cronpulse migrate`"
            )
        else:
            words = (
                f"this database was made by a newer CronPulse (its schema is {found}, "
                f"this version knows {expected}): upgrade CronPulse"
            )
        super().__init__(words)
        self.found = found
        self.expected = expected


def current_revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None for one that has none yet."""
    if not inspect(connection).has_table(_revision_table.name):
        return None
    revision: str | None = connection.scalar(select(_revision_table.c.version_num))
    return revision


def check(connection: Connection) -> None:
    """Raise :class:`SchemaOutOfDate` unless the schema is the expected one."""
    found = current_revision(connection)
    if found != EXPECTED_REVISION:
        raise SchemaOutOfDate(found, EXPECTED_REVISION)


def migrate(engine: Engine) -> None:
    """Bring the schema up to date, in one transaction; does nothing where it is.

    Safe to run in several processes at once: the first one does it, the others wait and find it
    done. Raises :class:`SchemaOutOfDate` for a schema that is newer than this CronPulse, and
    :class:`~eventstore.store.StoreUnavailable` where the database fails, or somebody uses a table
    for too long (see ``migrations/__init__.py``); nothing is changed then.
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                _take_turn(connection)
            _migrate(connection)
    except DBAPIError as error:
        faults = postgres_faults if engine.dialect.name == "postgresql" else sqlite_faults
        faults.raise_fault(error)


def _take_turn(connection: Connection) -> None:
    """Wait for whoever is migrating. On SQLite the transaction itself is a turn already."""
    for statement in _TURN:
        connection.exec_driver_sql(statement)


def _migrate(connection: Connection) -> None:
    found = current_revision(connection)
    if found == EXPECTED_REVISION:
        return
    if found is not None and found > EXPECTED_REVISION:
        raise SchemaOutOfDate(found, EXPECTED_REVISION)
    _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  (slow to load: only where it is needed)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "eventstore:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
