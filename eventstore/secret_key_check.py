"""That every process has the secret key with which the database was set up.

With another one, checks would go out without their headers and no API key would open anything: it is
better not to start. What is kept of the key is its id, which tells nothing about it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Connection, Integer, Table, insert, select
from sqlalchemy.exc import IntegrityError

from eventstore.database import Database
from eventstore.tables import metadata, name_type

secret_key_check = Table(
    "secret_key_check",
    metadata,
    Column("only_row", Integer, primary_key=True, autoincrement=False),
    Column("key_id", name_type, nullable=False),
    CheckConstraint("only_row = 1", name="secret_key_check_only_row"),
)

_FIND: Final = select(secret_key_check.c.key_id)


class WrongSecretKey(Exception):
    """The secret key is not the one that the database was set up with."""


def confirm(database: Database, key_id: str) -> None:
    """Note the key's id in a new database; in any other, hold it against the one that was noted.

    Raises :class:`WrongSecretKey`.
    """
    known = database.read_now(_known)
    if known is None:
        known = _note(database, key_id)
    if known != key_id:
        raise WrongSecretKey("is not the secret key that this database was set up with")


def _known(connection: Connection) -> str | None:
    return connection.scalar(_FIND)


def _note(database: Database, key_id: str) -> str | None:
    try:
        with database.transaction() as connection:
            connection.execute(insert(secret_key_check), {"only_row": 1, "key_id": key_id})
    except IntegrityError:  # another process was first
        return database.read_now(_known)
    return key_id
