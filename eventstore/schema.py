"""Which schema this CronPulse expects, which one a database has, and how to get from one to the other.

Alembic does the migrating. It is imported only then: at an ordinary start the revision is compared
with a constant, because loading Alembic takes longer than all the rest of the start-up.

Revisions are named ``0001_event_log``: the number orders them, so that an older schema can be told
from a newer one without the scripts of the newer one.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select

EXPECTED_REVISION: Final = "0002_read_models"
"""The newest of ``migrations/versions``; a test holds the two together."""

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
    done. Raises :class:`SchemaOutOfDate` for a schema that is newer than this CronPulse.
    """
    with engine.begin() as connection:
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
