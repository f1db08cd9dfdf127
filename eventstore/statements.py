"""The log's statements, on every database. Built once: SQLAlchemy keys its cache by structure.

``ALL`` stands for "no limit" and "no upper end", so that one statement serves with and without.
Lists of names go in as one parameter, whatever their length, so that the statement, and the database's
plan for it, stay the same: each kind of database says how.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    true,
    union_all,
    update,
)

from eventstore.tables import checkpoints, events, sealed_subjects, secrets

ALL: Final = 2**63 - 1
"""A position, version and number of rows that no log reaches."""

# ---- reading events

STREAM_FORWARD: Final = (
    select(events)
    .where(events.c.stream == bindparam("stream"), events.c.version > bindparam("after"))
    .order_by(events.c.version)
    .limit(bindparam("limit"))
)

STREAM_BACKWARD: Final = (
    select(events)
    .where(events.c.stream == bindparam("stream"), events.c.version < bindparam("before"))
    .order_by(events.c.version.desc())
    .limit(bindparam("limit"))
)


@cache
def log_between(
    *, backward: bool, of_subject: bool, types: int, lateral: bool
) -> Select[*tuple[Any, ...]]:
    """Events with positions above ``after`` and up to ``until``, at most ``limit`` of them.

    Parameters: those three, ``subject`` where it is asked for, and ``type_0`` … for ``types``
    types. ``lateral`` says whether the database has LATERAL, and might need it.
    """
    if of_subject:
        wanted: list[ColumnElement[bool]] = [events.c.subject == bindparam("subject")]
        if types:
            wanted.append(events.c.type.in_([bindparam(f"type_{n}") for n in range(types)]))
        return _between(select(events).where(*wanted), backward=backward)
    if types == 0:
        return _between(select(events), backward=backward)
    found = _positions_of_types(types, backward=backward)
    if not lateral:
        listed = select(found.subquery().c.position)
        return _between(select(events).where(events.c.position.in_(listed)), backward=backward)
    first = _in_order(found, found.selected_columns.position, backward=backward).subquery("found")
    event = select(events).where(events.c.position == first.c.position).limit(1).lateral("event")
    place = first.c.position
    return (
        select(event).join_from(first, event, true()).order_by(place.desc() if backward else place)
    )


def _positions_of_types(types: int, *, backward: bool) -> Select[*tuple[Any, ...]]:
    """Where events of some types are: the first ``limit`` of each.

    Each type is looked up on its own by ``(type, position)`` and the results are merged: with
    ``type IN (…)`` a database would either walk the whole log or sort every match. Nor must it walk the
    log and look whether each event is among the found ones, as PostgreSQL thinks fit.
    """
    by_type = [
        _between(
            select(events.c.position).where(events.c.type == bindparam(f"type_{n}")),
            backward=backward,
        )
        for n in range(types)
    ]
    return select(union_all(*(select(each.subquery()) for each in by_type)).subquery())


def _between(query: Select[*tuple[Any, ...]], *, backward: bool) -> Select[*tuple[Any, ...]]:
    between = query.where(
        events.c.position > bindparam("after"), events.c.position <= bindparam("until")
    )
    return _in_order(between, events.c.position, backward=backward)


def _in_order(
    query: Select[*tuple[Any, ...]], position: ColumnElement[int], *, backward: bool
) -> Select[*tuple[Any, ...]]:
    return query.order_by(position.desc() if backward else position).limit(bindparam("limit"))


# ---- what an append has to know

HEAD: Final = (
    select(events.c.position, events.c.chain_hash).order_by(events.c.position.desc()).limit(1)
)


Among = Callable[[ColumnElement[str]], ColumnElement[bool]]
"""Says in a database's way that a text is one of those in the parameter ``names``."""


def recorded_with_ids(among: Among) -> Select[*tuple[Any, ...]]:
    """Events whose ids are listed."""
    return select(events).where(among(events.c.event_id))


def secrets_among(among: Among) -> Select[*tuple[Any, ...]]:
    """The secrets whose ids are listed."""
    return select(secrets).where(among(secrets.c.secret_id))


def sealed_among(among: Among) -> Select[*tuple[Any, ...]]:
    """Which of the listed subjects are sealed."""
    return select(sealed_subjects.c.subject).where(among(sealed_subjects.c.subject))


def present_versions(listed: FromClause) -> Select[*tuple[Any, ...]]:
    """Each listed stream's last version, by one look at its index; null where there is none.

    The streams are the column ``value`` of ``listed``.
    """
    last = (
        select(func.max(events.c.version))
        .where(events.c.stream == listed.c.value)
        .scalar_subquery()
        .correlate(listed)
    )
    return select(listed.c.value, last)


# ---- what an append writes

INSERT_EVENTS: Final = insert(events)
INSERT_SECRETS: Final = insert(secrets)
INSERT_SEALS: Final = insert(sealed_subjects)

# ---- checkpoints

CHECKPOINT: Final = select(checkpoints.c.position).where(checkpoints.c.name == bindparam("who"))
INSERT_CHECKPOINT: Final = insert(checkpoints)
MOVE_CHECKPOINT: Final = (
    update(checkpoints)
    .where(checkpoints.c.name == bindparam("who"))
    .values(position=bindparam("to_position"))
)

# ---- erasure

UNFINISHED_ERASURES: Final = (
    select(sealed_subjects.c.subject, sealed_subjects.c.sealed_position)
    .where(sealed_subjects.c.finished.is_(False))
    .order_by(sealed_subjects.c.sealed_position, sealed_subjects.c.subject)
)

SEAL: Final = select(sealed_subjects).where(sealed_subjects.c.subject == bindparam("of_subject"))

TO_ERASE: Final = (
    select(events)
    .where(
        events.c.subject == bindparam("of_subject"),
        events.c.position > bindparam("after"),
        events.c.position <= bindparam("until"),
        events.c.payload.is_not(None),
    )
    .order_by(events.c.position)
    .limit(bindparam("limit"))
)

ERASE_PAYLOADS: Final = (
    update(events)
    .where(
        events.c.subject == bindparam("of_subject"),
        events.c.position > bindparam("after"),
        events.c.position <= bindparam("until"),
    )
    .values(payload=None, salt=None)
)

ERASED_UP_TO: Final = (
    update(sealed_subjects)
    .where(sealed_subjects.c.subject == bindparam("of_subject"))
    .values(erased_position=bindparam("to_position"))
)

DELETE_SECRETS: Final = delete(secrets).where(secrets.c.subject == bindparam("of_subject"))

FINISH_ERASURE: Final = (
    update(sealed_subjects)
    .where(sealed_subjects.c.subject == bindparam("of_subject"))
    .values(finished=True)
)
