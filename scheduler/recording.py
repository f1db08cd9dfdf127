"""Recording what a part of the scheduler decided, against the version that it saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from eventstore.store import Append, AppendRefused, StreamWrite
from eventstore.transact import Context, EventLog


async def record(
    log: EventLog,
    stream: str,
    events: Sequence[object],
    *,
    expected_version: int,
    subject: str,
    context: Context,
    guard: StreamWrite | None = None,
    seals: tuple[str, ...] = (),
) -> bool:
    """Append the events; False if somebody else was first or the subject is gone."""
    write = StreamWrite(
        stream=stream,
        expected_version=expected_version,
        events=tuple(log.new_event(event, subject=subject, context=context) for event in events),
    )
    try:
        writes = (write,) if guard is None else (write, guard)
        await log.append(Append(writes=writes, seals=seals))
    except AppendRefused:
        return False
    return True


def system_context(
    part: str,
    *,
    account: str,
    at: datetime,
    new_id: Callable[[], str],
    correlation_id: str | None = None,
    causation_id: str | None = None,
) -> Context:
    """Who acts where nobody asked: a part of the system, in reaction to an event or to time alone."""
    return Context(
        account=account,
        actor=f"system:{part}",
        at=at,
        correlation_id=correlation_id or new_id(),
        causation_id=causation_id,
        new_id=new_id,
    )
