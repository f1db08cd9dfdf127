"""``cronpulse serve``: the whole service in one process, from the first line to the last."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.auth import KeyUsage
from api.bootstrap import VERSION, Core, http_checker, open_core
from api.commands import api_keys as key_commands
from api.data_directory import only_here
from api.health import Check, Readiness
from api.http_protocol import HttpProtocol
from api.listening import address_of, listening
from api.metrics import Metrics
from api.scheduler_metrics import CountingObserver, count_commit
from api.scheduling import Scheduling, scheduling
from api.service import Caller
from api.settings import Settings
from domain.api_key import DEFAULT_ACCOUNT, FULL_ACCESS
from eventstore import schema
from eventstore.schema import SchemaOutOfDate
from eventstore.store import StoreUnavailable
from projections import api_keys
from scheduler.loops import keep_alive

REQUEST_GRACE: Final = 2
"""Seconds that requests under way have when the service stops."""

USAGE_FLUSHED_EVERY: Final = 15.0
"""Seconds between the times when it is noted which keys were used."""

LAG_ALLOWED: Final = timedelta(seconds=30)
"""How long a tick may have been due before the service calls itself not ready."""

Show = Callable[[str], None]


async def serve(settings: Settings, *, show: Show) -> None:
    """Serve until SIGINT or SIGTERM; ``show`` prints what the operator should read.

    Raises what :func:`~api.bootstrap.open_core` raises, ``DataDirectoryInUse`` for a directory that
    is served already, and ``InvalidSettings`` for an address that can't be listened on.
    """
    metrics = Metrics()
    with (
        only_here(settings.data_dir, settings.sqlite_path.parent),
        listening(settings) as listener,
        open_core(
            settings,
            migrate=True,
            on_commit=partial(count_commit, metrics),
            on_transaction=metrics.append_seconds.observe,
        ) as core,
    ):
        metrics.log_position.set(core.store.head().position)
        observer = CountingObserver(metrics)
        checker = http_checker(settings)
        try:
            async with scheduling(
                core, checker, observer=observer, concurrency=settings.checks_concurrency
            ) as scheduler:
                metrics.dispatch_queue_depth.set_function(scheduler.queue_depth)
                usage = KeyUsage(core.service)
                app = create_app(
                    core.service,
                    metrics=metrics,
                    readiness=partial(readiness, core, scheduler),
                    usage=usage,
                    public_url=settings.public_url,
                )
                url = address_of(listener)
                announce = partial(_announce, settings, core, url, show)
                await _answer(
                    app, usage, listener, announce=announce, wind_down=scheduler.wind_down
                )
        finally:
            await checker.aclose()


async def _answer(
    app: ASGIApp,
    usage: KeyUsage,
    listener: socket.socket,
    *,
    announce: Callable[[], Awaitable[None]],
    wind_down: Callable[[], Awaitable[None]],
) -> None:
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http=HttpProtocol,
            ws="none",
            timeout_graceful_shutdown=REQUEST_GRACE,
        ),
        announce,
        wind_down,
    )
    flushing = asyncio.create_task(keep_alive(partial(_flush_usage, usage)))
    try:
        with _stopped_by_signals(server):
            await server.serve(sockets=[listener])
    finally:
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        await usage.flush(at_once=True)


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers and when it stops, and leaves signals to us.

    Its own way with signals ends the process before we have cleaned up.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        announce: Callable[[], Awaitable[None]],
        wind_down: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._wind_down = wind_down

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then tell."""
        await super().startup(sockets)
        await self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests and checks end, in the same few seconds."""
        await asyncio.gather(super().shutdown(sockets), self._wind_down())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """The first signal asks to stop, a second one insists."""

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


async def _flush_usage(usage: KeyUsage) -> None:
    while True:
        await asyncio.sleep(USAGE_FLUSHED_EVERY)
        await usage.flush()


async def readiness(core: Core, scheduler: Scheduling) -> Readiness:
    """Whether requests can be served and checks are being made in time."""
    try:
        core.database.read_now(schema.check)
        lag = await scheduler.lag()
    except StoreUnavailable:
        return Readiness(checks=(Check(name="database", problem="can't be reached"),))
    except SchemaOutOfDate:
        return Readiness(checks=(Check(name="schema", problem="is not the expected one"),))
    late = lag > LAG_ALLOWED
    return Readiness(
        checks=(
            Check(name="database"),
            Check(name="schema"),
            Check(name="broker"),
            Check(name="scheduler", problem="ticks are overdue" if late else None),
        )
    )


async def _announce(settings: Settings, core: Core, url: str, show: Show) -> None:
    """Say where requests are answered, and what to do next."""
    key = await _first_key(settings, core)
    show(f"\nCronPulse {VERSION} is ready at {url}\n")
    if key is not None:
        show(f"  Your API key, shown only this once:\n\n    {key}\n")
    shown_key = key or "$CRONPULSE_API_KEY"
    show("  A first project:\n")
    show(f"    curl -X POST {url}/api/v1/projects \\")
    show(f'      -H "X-API-Key: {shown_key}" \\')
    show('      -H "Content-Type: application/json" \\')
    show('      -d \'{"name": "My project", "url": "https://example.com"}\'\n')
    if key is None:
        show("  A new key, if yours is lost: cronpulse keys create --name me --permission '*'")
    show(f"  The API, to read and to try: {url}/docs\n")


async def _first_key(settings: Settings, core: Core) -> str | None:
    """Install the operator's key, or make the very first one; None where none was made."""
    caller = Caller(
        account=DEFAULT_ACCOUNT, actor="system:serve", correlation_id=core.service.new_id()
    )
    if settings.api_key is not None:
        key = settings.api_key.get_secret_value()
        await key_commands.install(core.service, caller, key=key, name="CRONPULSE_API_KEY")
        return None
    if await core.database.read(api_keys.any_exists):
        return None
    made = await key_commands.create(
        core.service, caller, name="first key", permissions=(FULL_ACCESS,)
    )
    return made.key
