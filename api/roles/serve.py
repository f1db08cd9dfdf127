"""``cronpulse serve``: the whole service in one process, from the first line to the last."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Final

from api.app import create_app
from api.auth import KeyUsage
from api.bootstrap import http_checker, open_broker
from api.first_steps import Show, announce
from api.listening import address_of, listening
from api.metrics import Metrics
from api.process import alone_on_its_files, counted, usage_noted
from api.readiness import readiness
from api.scheduler_metrics import CountingObserver, watch_broker, watch_lag
from api.scheduling import lag, scheduling, working
from api.server import answer
from api.settings import Settings
from scheduler.loops import running

STOP_GRACE: Final = 2.0
"""Seconds that running checks have to end when the service stops."""


async def run(settings: Settings, *, show: Show) -> None:
    """Serve until SIGINT or SIGTERM; ``show`` prints what the operator should read.

    Raises what :func:`~api.bootstrap.open_core` raises, ``DataDirectoryInUse`` for a directory that
    is served already, and ``InvalidSettings`` for an address that can't be listened on.
    """
    metrics = Metrics()
    with (
        alone_on_its_files(settings),
        listening(settings) as listener,
        counted(settings, metrics, migrate=True) as core,
        open_broker(settings) as broker,
    ):
        observer = CountingObserver(metrics)
        usage = KeyUsage(core.service)
        app = create_app(
            core.service,
            metrics=metrics,
            readiness=partial(readiness, core, broker=broker),
            usage=usage,
            public_url=settings.public_url,
        )
        async with (
            aclosing(http_checker(settings)) as checker,
            running(core.keep_time()),
            working(
                core,
                broker,
                checker,
                observer=observer,
                concurrency=settings.checks_concurrency,
                grace=STOP_GRACE,
            ) as work,
            scheduling(core, broker, observer=observer, keep_executions=settings.keep_executions),
            running(watch_broker(broker, metrics), watch_lag(partial(lag, core), metrics)),
            usage_noted(usage),
        ):
            url = address_of(listener)
            await answer(
                app,
                listener,
                announce=partial(announce, settings, core, url, show),
                wind_down=work.wind_down,
            )
