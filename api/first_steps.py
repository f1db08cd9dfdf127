"""What an operator is shown once requests are answered: where, with which key, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from api.bootstrap import VERSION, Core
from api.commands import api_keys as key_commands
from api.service import Caller
from api.settings import Settings
from domain.api_key import DEFAULT_ACCOUNT, FULL_ACCESS
from projections import api_keys

Show = Callable[[str], None]


async def announce(settings: Settings, core: Core, url: str, show: Show) -> None:
    """Say where requests are answered, and what to do next; makes the first key of a new service."""
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


async def install_key(settings: Settings, core: Core) -> None:
    """Make the operator's own key good, where the settings have one."""
    if settings.api_key is not None:
        key = settings.api_key.get_secret_value()
        await key_commands.install(core.service, _caller(core), key=key, name="CRONPULSE_API_KEY")


async def _first_key(settings: Settings, core: Core) -> str | None:
    """Install the operator's key, or make the very first one; None where none was made."""
    await install_key(settings, core)
    if settings.api_key is not None or await core.database.read(api_keys.any_exists):
        return None
    made = await key_commands.create(
        core.service, _caller(core), name="first key", permissions=(FULL_ACCESS,)
    )
    return made.key


def _caller(core: Core) -> Caller:
    return Caller(
        account=DEFAULT_ACCOUNT, actor="system:serve", correlation_id=core.service.new_id()
    )
