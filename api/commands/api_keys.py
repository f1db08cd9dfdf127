"""Commands about API keys. The key itself leaves here once, when it is made."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.commands.deciders import API_KEY
from api.key_format import new_key
from api.service import Caller, Service
from domain import api_key
from eventstore.transact import transact
from projections import api_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made: its id, and the key itself to be shown once."""

    key_id: str
    key: str = field(repr=False)


async def create(
    service: Service, caller: Caller, *, name: str, permissions: Sequence[str]
) -> NewKey:
    """Make a key for the caller's account."""
    made = NewKey(key_id=service.new_id(), key=new_key(secrets.token_bytes))
    await _install(service, caller, made, name=name, permissions=permissions)
    return made


async def install(service: Service, caller: Caller, *, key: str, name: str) -> bool:
    """Take a key that the operator chose, with full access; False if it is known already."""
    key_hash = service.secrets.hash_api_key(key)
    known = await service.log.database.read(lambda c: api_keys.by_hash(c, key_hash))
    if known is not None:
        return False
    chosen = NewKey(key_id=service.new_id(), key=key)
    await _install(service, caller, chosen, name=name, permissions=(api_key.FULL_ACCESS,))
    return True


async def revoke(service: Service, caller: Caller, key_id: str) -> None:
    """Revoke a key; nothing to do for a revoked one."""
    at = service.now()
    await transact(
        service.log,
        api_key.stream(key_id),
        API_KEY,
        lambda state: api_key.revoke(state, at=at),
        subject=key_id,
        context=service.context(caller, at=at),
    )


async def _install(
    service: Service, caller: Caller, key: NewKey, *, name: str, permissions: Sequence[str]
) -> None:
    at = service.now()
    account = api_key.check_account(caller.account)
    key_hash = service.secrets.hash_api_key(key.key)
    await transact(
        service.log,
        api_key.stream(key.key_id),
        API_KEY,
        lambda state: api_key.create(
            state,
            key_id=key.key_id,
            name=name,
            permissions=permissions,
            key_hash=key_hash,
            at=at,
        ),
        subject=key.key_id,
        context=service.context(
            Caller(account=account, actor=caller.actor, correlation_id=caller.correlation_id), at=at
        ),
    )
