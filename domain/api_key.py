"""An API key: who may do what in which account. Stream ``apikey-<id>``.

The key itself is shown once and never stored; its event carries a keyed hash of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from domain import fields
from domain.errors import InvalidField, NotFound

FULL_ACCESS: Final = "*"
PERMISSIONS: Final = ("read:projects", "write:projects", "read:jobs", "write:jobs", FULL_ACCESS)
"""Every permission there is. Write does not include read."""

DEFAULT_ACCOUNT: Final = "default"
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def stream(key_id: str) -> str:
    """The name of the key's stream."""
    return f"apikey-{key_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCreated:
    """A key came to be."""

    key_id: str
    name: str
    permissions: tuple[str, ...]
    key_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked:
    """It opens nothing any more."""

    revoked_at: datetime


ApiKeyEvent = ApiKeyCreated | ApiKeyRevoked


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as its events tell it."""

    key_id: str = ""
    name: str = ""
    permissions: tuple[str, ...] = ()
    exists: bool = False
    revoked: bool = False


INITIAL: Final = ApiKey()


def evolve(key: ApiKey, event: ApiKeyEvent) -> ApiKey:
    """The key after the event."""
    match event:
        case ApiKeyCreated():
            return ApiKey(
                key_id=event.key_id, name=event.name, permissions=event.permissions, exists=True
            )
        case ApiKeyRevoked():
            return replace(key, revoked=True)


def create(
    key: ApiKey,
    *,
    key_id: str,
    name: str,
    permissions: Iterable[str],
    key_hash: str,
    at: datetime,
) -> tuple[ApiKeyEvent, ...]:
    """Create a key with the given permissions. Raises ``InvalidField``."""
    if key.exists:
        return ()
    granted = tuple(
        dict.fromkeys(
            fields.choice("permissions", permission, among=PERMISSIONS)
            for permission in permissions
        )
    )
    if not granted:
        raise InvalidField("permissions", f"must name at least one of {', '.join(PERMISSIONS)}")
    return (
        ApiKeyCreated(
            key_id=key_id,
            name=fields.name("name", name),
            permissions=granted,
            key_hash=key_hash,
            created_at=at,
        ),
    )


def revoke(key: ApiKey, *, at: datetime) -> tuple[ApiKeyEvent, ...]:
    """Revoke the key; nothing to do for a revoked one. Raises ``NotFound``."""
    if not key.exists:
        raise NotFound("API key")
    return () if key.revoked else (ApiKeyRevoked(revoked_at=at),)


def check_account(account: str) -> str:
    """The name of an account, or ``InvalidField``."""
    if not _ACCOUNT.fullmatch(account):
        raise InvalidField(
            "account",
            "must be 1 to 64 lower-case letters, digits, dots, hyphens and underscores,"
            " with a letter or digit at both ends",
        )
    return account
