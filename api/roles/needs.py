"""What a role can't do without, and how it tells that it is ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from api.bootstrap import VERSION
from api.first_steps import Show
from api.settings import InvalidSettings, Settings


def told(show: Show, role: str, url: str) -> Callable[[], Awaitable[None]]:
    """What tells the operator where a role answers."""

    async def tell() -> None:
        show(f"CronPulse {VERSION} {role} is ready at {url}")

    return tell


def require_postgres(settings: Settings, role: str) -> None:
    """Raise ``InvalidSettings`` for a database that can't be shared."""
    if settings.sqlite_path is not None:
        line = (
            f"CRONPULSE_DATABASE_URL: `cronpulse {role}` shares its database with other processes:"
            " must be postgresql://user:password@host/database"
            " (`cronpulse serve` does everything in one process, on SQLite)"
        )
        raise InvalidSettings([line])


def require_redis(settings: Settings, role: str) -> None:
    """Raise ``InvalidSettings`` where nothing says how workers are woken."""
    if settings.redis_url is None:
        raise InvalidSettings(
            [f"CRONPULSE_REDIS_URL: is needed by `cronpulse {role}`: redis://host:port/number"]
        )
