"""``cronpulse scheduler``: records what is due and dispatches it; any number of them, without a leader."""

from __future__ import annotations

from functools import partial

from api.bootstrap import open_broker
from api.first_steps import Show
from api.listening import address_of, listening
from api.metrics import Metrics
from api.probes import create_probes
from api.process import counted
from api.readiness import readiness
from api.roles.needs import require_postgres, require_redis, told
from api.scheduler_metrics import CountingObserver, watch_broker, watch_lag
from api.scheduling import lag, scheduling
from api.server import answer
from api.settings import Settings
from scheduler.loops import running


async def run(settings: Settings, *, show: Show) -> None:
    """Record ticks and missed heartbeats, and dispatch checks to workers."""
    require_postgres(settings, "scheduler")
    require_redis(settings, "scheduler")
    metrics = Metrics()
    with (
        listening(settings) as listener,
        counted(settings, metrics) as core,
        open_broker(settings) as broker,
    ):
        app = create_probes(metrics=metrics, readiness=partial(readiness, core, broker=broker))
        async with (
            running(core.keep_time()),
            scheduling(
                core,
                broker,
                observer=CountingObserver(metrics),
                keep_executions=settings.keep_executions,
            ),
            running(watch_broker(broker, metrics), watch_lag(partial(lag, core), metrics)),
        ):
            await answer(app, listener, announce=told(show, "scheduler", address_of(listener)))
