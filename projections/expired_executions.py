"""Executions that leave the history for their age: which are next, and removing them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, String, bindparam, delete, select, tuple_

from domain.retention import ExecutionsExpired, Place
from eventstore.tables import UtcMicroseconds
from projections.execution_rows import ENDED, executions

_place = tuple_(executions.c.happened_at, executions.c.id)
_since = tuple_(bindparam("since", type_=UtcMicroseconds), bindparam("since_id", type_=String))
_before = tuple_(bindparam("before", type_=UtcMicroseconds), bindparam("before_id", type_=String))

BY_AGE: Final = (
    select(executions.c.happened_at, executions.c.id)
    .where(ENDED, _place >= _since)
    .order_by(executions.c.happened_at, executions.c.id)
    .limit(1)
    .offset(bindparam("older"))
)
EXPIRE: Final = delete(executions).where(ENDED, _place >= _since, _place < _before)


def portion(
    connection: Connection, *, since: Place, size: int
) -> tuple[Place | None, Place | None]:
    """Of what has ended, from a place on: the oldest, and the first behind a portion of that size."""
    return _by_age(connection, since, 0), _by_age(connection, since, size)


def expire(connection: Connection, expired: ExecutionsExpired) -> None:
    """Remove what has ended of the stretch; what is queued or running stays, however old it is."""
    connection.execute(
        EXPIRE,
        {
            "since": expired.since,
            "since_id": expired.since_id,
            "before": expired.before,
            "before_id": expired.before_id,
        },
    )


def _by_age(connection: Connection, since: Place, older: int) -> Place | None:
    parameters = {"since": since[0], "since_id": since[1], "older": older}
    found = connection.execute(BY_AGE, parameters).first()
    return None if found is None else (found.happened_at, found.id)
