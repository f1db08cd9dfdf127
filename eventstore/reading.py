"""Reading the log on a connection: the same on every database.

The stores' own methods, and whoever reads the log together with read models in one snapshot, come
through here. Limits and ends that are None mean "all".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row

from eventstore import statements
from eventstore.hashing import CHAIN_START
from eventstore.statements import ALL
from eventstore.store import Erasure, Head, RecordedEvent
from eventstore.tables import events as events_table

_FIELDS: Final = tuple(column.name for column in events_table.columns)


def recorded(row: Row[*tuple[Any, ...]]) -> RecordedEvent:
    """A row of the events table, with the columns in the table's order."""
    return RecordedEvent(**dict(zip(_FIELDS, row, strict=True)))


def read_stream(
    connection: Connection, stream: str, *, after_version: int = 0, limit: int | None = None
) -> list[RecordedEvent]:
    """Events of a stream, oldest first, with versions above ``after_version``."""
    rows = connection.execute(
        statements.STREAM_FORWARD,
        {"stream": stream, "after": after_version, "limit": _or_all(limit)},
    )
    return [recorded(row) for row in rows]


def read_stream_backward(
    connection: Connection,
    stream: str,
    *,
    before_version: int | None = None,
    limit: int | None = None,
) -> list[RecordedEvent]:
    """Events of a stream, newest first, with versions below ``before_version``."""
    rows = connection.execute(
        statements.STREAM_BACKWARD,
        {"stream": stream, "before": _or_all(before_version), "limit": _or_all(limit)},
    )
    return [recorded(row) for row in rows]


def read_all(
    connection: Connection,
    *,
    after: int = 0,
    until: int | None = None,
    limit: int,
    subject: str | None = None,
    types: frozenset[str] | None = None,
) -> list[RecordedEvent]:
    """Events in the order of the log, with positions above ``after`` and up to ``until``."""
    return _read_log(
        connection,
        backward=False,
        after=after,
        until=_or_all(until),
        limit=limit,
        subject=subject,
        types=types,
    )


def read_all_backward(
    connection: Connection,
    *,
    before: int | None = None,
    limit: int,
    subject: str | None = None,
    types: frozenset[str] | None = None,
) -> list[RecordedEvent]:
    """Events newest first, with positions below ``before``."""
    return _read_log(
        connection,
        backward=True,
        after=0,
        until=ALL if before is None else before - 1,
        limit=limit,
        subject=subject,
        types=types,
    )


def head(connection: Connection) -> Head:
    """Where the log ends; position 0 while it is empty."""
    last = connection.execute(statements.HEAD).first()
    if last is None:
        return Head(position=0, chain_hash=CHAIN_START)
    return Head(position=last.position, chain_hash=last.chain_hash)


def checkpoint(connection: Connection, name: str) -> int:
    """The position that the subscriber ``name`` has handled; 0 for a new one."""
    position: int | None = connection.scalar(statements.CHECKPOINT, {"who": name})
    return 0 if position is None else position


def unfinished_erasures(connection: Connection) -> list[Erasure]:
    """Sealed subjects whose erasure has not ended, oldest first."""
    rows = connection.execute(statements.UNFINISHED_ERASURES)
    return [Erasure(subject=subject, sealed_position=position) for subject, position in rows]


def _read_log(
    connection: Connection,
    *,
    backward: bool,
    after: int,
    until: int,
    limit: int,
    subject: str | None,
    types: Iterable[str] | None,
) -> list[RecordedEvent]:
    parameters: dict[str, object] = {"after": after, "until": until, "limit": limit}
    if subject is not None:
        parameters["subject"] = subject
    wanted = () if types is None else sorted(types)
    if types is not None and not wanted:
        return []
    parameters.update((f"type_{n}", name) for n, name in enumerate(wanted))
    rows = connection.execute(
        statements.log_between(
            backward=backward,
            of_subject=subject is not None,
            types=len(wanted),
            lateral=connection.dialect.name == "postgresql",
        ),
        parameters,
    )
    return [recorded(row) for row in rows]


def _or_all(number: int | None) -> int:
    return ALL if number is None else number
