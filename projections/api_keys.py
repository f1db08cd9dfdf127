"""Who may do what: the API keys, found by the keyed hash of what a client sent.

When a key was last used is not history: it is noted beside the read model, now and then, and is no
part of what a rebuild restores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    exists,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from domain.api_key import FULL_ACCESS, ApiKeyCreated, ApiKeyRevoked
from eventstore.tables import UtcMicroseconds
from projections.projection import DecodedEvent, Projection, metadata
from projections.rows import Rows

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("key_hash", String, nullable=False, unique=True),
    Column("created_at", UtcMicroseconds, nullable=False),
    Column("revoked_at", UtcMicroseconds),
    Index("api_keys_of_account", "account", "position"),
)

notes = MetaData()
"""Tables beside the read models, which no event tells of."""

api_key_usage = Table(
    "api_key_usage",
    notes,
    Column("key_id", String, primary_key=True),
    Column("last_used_at", UtcMicroseconds, nullable=False),
)


def apply(connection: Connection, events: Sequence[DecodedEvent]) -> None:
    """Bring the table up to date with the events."""
    rows = Rows(connection, api_keys)
    rows.load(event.subject for event in events)
    for event in events:
        match event.content:
            case ApiKeyCreated() as created:
                rows.put(
                    {
                        "id": created.key_id,
                        "account": event.envelope.account,
                        "position": event.envelope.position,
                        "name": created.name,
                        "permissions": msgspec.json.encode(created.permissions).decode(),
                        "key_hash": created.key_hash,
                        "created_at": created.created_at,
                        "revoked_at": None,
                    }
                )
            case ApiKeyRevoked() as revoked:
                rows.change(event.subject, revoked_at=revoked.revoked_at)
    rows.write()


PROJECTION = Projection(
    name="api_keys", tables=(api_keys,), handles=(ApiKeyCreated, ApiKeyRevoked), apply=apply
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyView:
    """A key, without anything that opens a door."""

    id: str
    account: str
    name: str
    permissions: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    def permits(self, permission: str) -> bool:
        """Whether the key has the permission, or full access."""
        return permission in self.permissions or FULL_ACCESS in self.permissions


_VIEW = select(api_keys, api_key_usage.c.last_used_at).outerjoin(
    api_key_usage, api_key_usage.c.key_id == api_keys.c.id
)
_BY_HASH = _VIEW.where(api_keys.c.key_hash == bindparam("key_hash"))
_ALL = _VIEW.order_by(api_keys.c.position)
_OF_ACCOUNT = _ALL.where(api_keys.c.account == bindparam("account"))
_ANY = select(exists().select_from(api_keys))

_noted = insert(api_key_usage)  # PostgreSQL's words, which are SQLite's as well
_NOTE = _noted.on_conflict_do_update(
    index_elements=[api_key_usage.c.key_id],
    set_={"last_used_at": _noted.excluded.last_used_at},
    where=api_key_usage.c.last_used_at < _noted.excluded.last_used_at,
)


def by_hash(connection: Connection, key_hash: str) -> ApiKeyView | None:
    """The key with this hash, revoked or not; None if there never was one."""
    found = connection.execute(_BY_HASH, {"key_hash": key_hash}).first()
    return None if found is None else _view(found)


def every(connection: Connection, *, account: str | None = None) -> list[ApiKeyView]:
    """The keys of an account, or of all accounts, oldest first."""
    if account is None:
        return [_view(row) for row in connection.execute(_ALL)]
    return [_view(row) for row in connection.execute(_OF_ACCOUNT, {"account": account})]


def any_exists(connection: Connection) -> bool:
    """Whether a key was ever made here."""
    return bool(connection.execute(_ANY).scalar())


def note_usage(connection: Connection, used_at: Mapping[str, datetime]) -> None:
    """Note when keys were last used, as far as no later use is noted; other processes do the same."""
    in_one_order = sorted(used_at.items())  # so that no two processes wait for each other's rows
    if in_one_order:
        rows = [{"key_id": key_id, "last_used_at": moment} for key_id, moment in in_one_order]
        connection.execute(_NOTE, rows)


def _view(row: Any) -> ApiKeyView:  # noqa: ANN401  (a row of any shape)
    return ApiKeyView(
        id=row.id,
        account=row.account,
        name=row.name,
        permissions=frozenset(msgspec.json.decode(row.permissions, type=tuple[str, ...])),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
