"""What every part of the scheduler works with, and how it records what it decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from eventstore.store import Append, AppendRefused, StreamWrite
from eventstore.transact import Context, EventLog
from scheduler.observer import SILENT, Observer

OTHERS_AT_IT: Final = timedelta(milliseconds=100)
"""How long to leave alone what is due and was not ours to take: another scheduler is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The log, a clock, ids, and who is told of what happens. Times are aware and in UTC."""

    log: EventLog
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    observer: Observer = SILENT

    def when_to_look(self, due: datetime) -> datetime:
        """When to look again, where all that was ours is done and the next thing is due then."""
        now = self.now()
        return due if due > now else now + OTHERS_AT_IT

    def context(
        self,
        part: str,
        *,
        account: str,
        at: datetime,
        correlation_id: str | None = None,
        causation_id: str | None = None,
    ) -> Context:
        """Who acts where nobody asked: a part of the system, because of an event or time alone."""
        return Context(
            account=account,
            actor=f"system:{part}",
            at=at,
            correlation_id=correlation_id or self.new_id(),
            causation_id=causation_id,
            new_id=self.new_id,
        )

    async def record(
        self,
        stream: str,
        events: Sequence[object],
        *,
        expected_version: int,
        subject: str,
        context: Context,
        guard: StreamWrite | None = None,
        seals: tuple[str, ...] = (),
    ) -> bool:
        """Append the events against the version that their decision was made on.

        False if somebody else was first or the subject is gone.
        """
        write = self.log.write(
            stream, events, expected_version=expected_version, subject=subject, context=context
        )
        writes = (write,) if guard is None else (write, guard)
        try:
            await self.log.append(Append(writes=writes, seals=seals))
        except AppendRefused:
            return False
        return True
