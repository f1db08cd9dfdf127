"""``cronpulse api``: answers requests and pings; any number of them, and without Redis."""

from __future__ import annotations

from functools import partial

from api.app import create_app
from api.auth import KeyUsage
from api.first_steps import Show, install_key
from api.listening import address_of, listening
from api.metrics import Metrics
from api.process import counted, usage_noted
from api.readiness import readiness
from api.roles.needs import require_postgres, told
from api.server import answer
from api.settings import Settings
from scheduler.loops import running


async def run(settings: Settings, *, show: Show) -> None:
    """Answer REST requests and pings. Needs no Redis."""
    require_postgres(settings, "api")
    metrics = Metrics()
    with listening(settings) as listener, counted(settings, metrics) as core:
        usage = KeyUsage(core.service)
        app = create_app(
            core.service,
            metrics=metrics,
            readiness=partial(readiness, core, in_time=False),
            usage=usage,
            public_url=settings.public_url,
        )
        async with running(core.keep_time()), usage_noted(usage):
            await install_key(settings, core)
            await answer(app, listener, announce=told(show, "api", address_of(listener)))
