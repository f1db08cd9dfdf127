"""What every edge needs to serve a request: the log, the secrets, a clock, and ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from eventstore.secrets import SecretBox
from eventstore.transact import Context, EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf something is done: the account, the actor, and the request that asks for it."""

    account: str
    actor: str
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The way to commands and queries. Times are aware and in UTC."""

    log: EventLog
    secrets: SecretBox
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def context(self, caller: Caller, *, at: datetime) -> Context:
        """What the events that the caller causes at that time carry with them."""
        return Context(
            account=caller.account,
            actor=caller.actor,
            at=at,
            correlation_id=caller.correlation_id,
            new_id=self.new_id,
        )
