"""What has to be well for a process to be ready, whatever its role."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from api.bootstrap import Core
from api.health import Check, Readiness
from api.scheduling import lag
from eventstore import schema
from eventstore.schema import SchemaOutOfDate
from eventstore.store import StoreUnavailable
from scheduler import actors
from scheduler.broker import BrokerUnavailable, CheckBroker

LAG_ALLOWED: Final = timedelta(seconds=30)
"""How long a tick may have been due before the scheduler counts as late."""


async def readiness(
    core: Core, *, broker: CheckBroker | None = None, in_time: bool = True
) -> Readiness:
    """Ask the database, the broker where the process uses one, and whether ticks are recorded in time.

    With ``in_time`` late ticks make the process unready; without, they are only told: a process that
    answers requests is not to be taken out because others are late.
    """
    checks = []
    try:
        await core.database.read(schema.check)
        late = await lag(core) > LAG_ALLOWED
    except StoreUnavailable:
        checks.append(Check(name="database", problem="can't be reached"))
    except SchemaOutOfDate:
        checks.append(Check(name="schema", problem="is not the expected one"))
    else:
        checks += (
            Check(name="database"),
            Check(name="schema"),
            Check(name="scheduler", problem="ticks are overdue" if late else None, needed=in_time),
        )
    if broker is not None:
        checks.append(await _broker(broker))
    return Readiness(checks=tuple(checks))


async def _broker(broker: CheckBroker) -> Check:
    try:
        await asyncio.to_thread(broker.size, actors.QUEUE)
    except BrokerUnavailable:
        return Check(name="broker", problem="can't be reached")
    return Check(name="broker")
