"""Who is asking: the key in ``X-API-Key``, and what it may do.

What can't be a key is turned away by its spelling alone. Any other one costs a look-up by its keyed
hash, which is what the database has an index on; so a key is compared nowhere byte by byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from api.errors import PermissionMissing, Unauthenticated
from api.key_format import is_well_formed
from api.service import Caller, Service
from projections import api_keys
from projections.api_keys import ApiKeyView

HEADER: Final = b"x-api-key"

MISSING: Final = "missing API key: send one in the X-API-Key header"
INVALID: Final = "invalid API key"
"""The same for an unknown, a revoked and a malformed key: which of them it is is nobody's business."""

NOTED_EVERY: Final = timedelta(minutes=1)
"""How exactly it is known when a key was last used."""


class KeyUsage:
    """When each key was last used: remembered here, and written down once a minute."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._used_at: dict[str, datetime] = {}
        self._written_at: datetime | None = None

    def note(self, key_id: str, at: datetime) -> None:
        """Remember that the key is being used."""
        self._used_at[key_id] = at

    async def flush(self, *, at_once: bool = False) -> None:
        """Write down what was remembered, unless that was done within the last minute.

        ``at_once`` is for the end, when nobody will remember. What could not be written is
        remembered on. Raises :class:`~eventstore.store.StoreUnavailable`.
        """
        now = self._service.now()
        waits = self._written_at is not None and now - self._written_at < NOTED_EVERY
        if not self._used_at or (waits and not at_once):
            return
        used_at, self._used_at = self._used_at, {}
        try:
            await asyncio.to_thread(self._write, used_at)
        except BaseException:
            self._used_at = used_at | self._used_at
            raise
        self._written_at = now

    def _write(self, used_at: dict[str, datetime]) -> None:
        with self._service.log.database.transaction() as connection:
            api_keys.note_usage(connection, used_at)


class Authenticator:
    """Turns what a request carries into the key that it is."""

    def __init__(self, service: Service, usage: KeyUsage) -> None:
        self._service = service
        self._usage = usage

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> ApiKeyView:
        """The key of a request with these headers (their names in lower case).

        Raises :class:`~api.errors.Unauthenticated`.
        """
        sent = [value for name, value in headers if name == HEADER]
        if not sent:
            raise Unauthenticated(MISSING)
        spelt = sent[0].decode("latin-1")
        if len(sent) > 1 or not is_well_formed(spelt):
            raise Unauthenticated(INVALID)
        key = await self._find(spelt)
        if key is None or key.revoked_at is not None:
            raise Unauthenticated(INVALID)
        self._usage.note(key.id, self._service.now())
        return key

    async def _find(self, spelt: str) -> ApiKeyView | None:
        """Look it up under each secret key that there is: after a rotation there are several."""
        for key_hash in self._service.secrets.api_key_hashes(spelt):
            found = await self._service.log.database.read(
                partial(api_keys.by_hash, key_hash=key_hash)
            )
            if found is not None:
                return found
        return None


def require(key: ApiKeyView, permission: str) -> None:
    """Raise :class:`~api.errors.PermissionMissing` unless the key has the permission."""
    if not key.permits(permission):
        raise PermissionMissing(permission)


def caller(key: ApiKeyView, *, request_id: str) -> Caller:
    """On whose behalf a request with the key is served."""
    return Caller(account=key.account, actor=f"key:{key.id}", correlation_id=request_id)
