"""The commands that run until they are stopped: ``serve``, and one role each in the scaled shape.

What each needs is imported when it runs: a worker has no use for the API, and starts sooner without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import click

from api.cli.shared import PROCESS, flags, one_line_errors
from api.logs import configure_logging
from api.settings import load_settings

Role = Callable[..., Coroutine[object, object, None]]


@click.command()
@flags(*PROCESS, "data-dir", "redis-url", "allowed-networks", "public-url")
def serve(**given: str | None) -> None:
    """Run the whole service in this process: API, scheduler and workers.

    On the first start it makes its database and prints an API key, once. It stops on Ctrl-C or
    SIGTERM.

    \b
    Examples:
      cronpulse serve
      cronpulse serve --port 0 --allowed-networks 192.168.0.0/16
    """
    from api.roles.serve import run  # noqa: PLC0415  (see above)

    _run(run, given)


@click.command()
@flags(*PROCESS, "public-url")
def api(**given: str | None) -> None:
    """Answer requests and pings, beside any number of other processes on a PostgreSQL database.

    It needs CRONPULSE_DATABASE_URL and CRONPULSE_SECRET_KEY, and no Redis.

    \b
    Example:
      cronpulse migrate && cronpulse api --host 0.0.0.0
    """
    from api.roles.api import run  # noqa: PLC0415  (see above)

    _run(run, given)


@click.command()
@flags(*PROCESS, "redis-url")
def scheduler(**given: str | None) -> None:
    """Record what is due and hand it to workers, beside any number of other schedulers.

    It needs CRONPULSE_DATABASE_URL, CRONPULSE_REDIS_URL and CRONPULSE_SECRET_KEY, and answers
    /healthz, /readyz and /metrics.
    """
    from api.roles.scheduler import run  # noqa: PLC0415  (see above)

    _run(run, given)


@click.command()
@flags(*PROCESS, "redis-url", "allowed-networks")
def worker(**given: str | None) -> None:
    """Make the calls, beside any number of other workers.

    It needs CRONPULSE_DATABASE_URL, CRONPULSE_REDIS_URL and CRONPULSE_SECRET_KEY, and answers
    /healthz, /readyz and /metrics. On SIGTERM it takes no more checks and lets those that run end.
    """
    from api.roles.worker import run  # noqa: PLC0415  (see above)

    _run(run, given)


def _run(run: Role, given: dict[str, str | None]) -> None:
    with one_line_errors():
        settings = load_settings(**given)
        configure_logging(settings.log_format, settings.log_level)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings, show=click.echo))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (not there on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop
