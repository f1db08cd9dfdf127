"""``cronpulse worker``: makes the calls; any number of them."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Final

from api.bootstrap import http_checker, open_broker
from api.first_steps import Show
from api.listening import address_of, listening
from api.metrics import Metrics
from api.probes import create_probes
from api.process import counted
from api.readiness import readiness
from api.roles.needs import require_postgres, require_redis, told
from api.scheduler_metrics import CountingObserver, watch_broker
from api.scheduling import working
from api.server import answer
from api.settings import Settings
from scheduler.loops import running

DRAIN: Final = 30.0
"""Seconds that a worker's calls have to end when it is asked to stop."""


async def run(settings: Settings, *, show: Show) -> None:
    """Make the calls."""
    require_postgres(settings, "worker")
    require_redis(settings, "worker")
    metrics = Metrics()
    with (
        listening(settings) as listener,
        counted(settings, metrics) as core,
        open_broker(settings) as broker,
    ):
        app = create_probes(
            metrics=metrics, readiness=partial(readiness, core, broker=broker, in_time=False)
        )
        async with (
            aclosing(http_checker(settings)) as checker,
            running(core.keep_time()),
            working(
                core,
                broker,
                checker,
                observer=CountingObserver(metrics),
                concurrency=settings.checks_concurrency,
                grace=DRAIN,
            ) as work,
            running(watch_broker(broker, metrics)),
        ):
            await answer(
                app,
                listener,
                announce=told(show, "worker", address_of(listener)),
                wind_down=work.wind_down,
            )
