"""The command line: ``cronpulse serve`` and everything that an operator does beside it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import click

from api.bootstrap import VERSION, Core, open_core
from api.commands import api_keys as key_commands
from api.data_directory import DataDirectoryError, only_here
from api.logs import configure_logging
from api.rest.openapi import document
from api.serve import serve as serve_until_stopped
from api.service import Caller
from api.settings import InvalidSettings, load_settings
from domain.api_key import DEFAULT_ACCOUNT, PERMISSIONS
from domain.errors import DomainError
from eventstore.schema import SchemaOutOfDate
from eventstore.store import StoreUnavailable
from projections import api_keys
from projections.rebuild import check, rebuild

_REFUSALS: Final = (
    DataDirectoryError,
    DomainError,
    InvalidSettings,
    SchemaOutOfDate,
    StoreUnavailable,
)
"""What ends a command with one line that says what to do, and exit code 1."""

_DIFFERENCES_SHOWN: Final = 50


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except _REFUSALS as refused:
        for line in str(refused).splitlines():
            click.echo(f"cronpulse: {line}", err=True)
        sys.exit(1)


@contextmanager
def _opened() -> Iterator[Core]:
    with _one_line_errors():
        settings = load_settings()
        configure_logging("text", "warning")
        with open_core(settings) as core:
            yield core


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="cronpulse")
def main() -> None:
    """CronPulse calls your URLs on their cron schedules and listens for your jobs' heartbeats.

    Settings are environment variables (CRONPULSE_DATA_DIR, CRONPULSE_PORT, ...), also read from a
    .env file in the working directory; docs/settings.md lists them.
    """


def _flag(name: str, meaning: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(f"--{name}", metavar=name.replace("-", "_").upper(), help=meaning)


@main.command()
@_flag("data-dir", "Where the database and the secret key are kept (./data).")
@_flag("database-url", "The database (sqlite:///<data-dir>/cronpulse.db).")
@_flag("host", "The address to listen on (127.0.0.1).")
@_flag("port", "The port to listen on (8000); 0 picks a free one.")
@_flag("allowed-networks", "Private networks that checks may reach, e.g. 10.0.0.0/8,fd00::/8.")
@_flag("public-url", "The URL under which users reach the service.")
@_flag("log-format", "text or json (text).")
@_flag("log-level", "debug, info, warning or error (info).")
def serve(**flags: str | None) -> None:
    """Run the whole service in this process: API, scheduler and workers.

    On the first start it makes its database and prints an API key, once. It stops on Ctrl-C or
    SIGTERM.

    \b
    Examples:
      cronpulse serve
      cronpulse serve --port 0 --allowed-networks 192.168.0.0/16
    """
    with _one_line_errors():
        settings = load_settings(**flags)
        configure_logging(settings.log_format, settings.log_level)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve_until_stopped(settings, show=click.echo))


@main.command()
def migrate() -> None:
    """Bring the database's schema up to date. No service may be running on it."""
    with _one_line_errors():
        settings = load_settings()
        with (
            only_here(settings.data_dir, settings.sqlite_path.parent),
            open_core(settings, migrate=True),
        ):
            click.echo(f"{settings.database_url} is up to date")


@main.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--permission",
    "permissions",
    required=True,
    multiple=True,
    metavar="PERMISSION",
    help=f"One of {', '.join(PERMISSIONS)}; several with commas, or by giving this several times.",
)
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, help="Whose key it is.")
def create_key(name: str, permissions: Sequence[str], account: str) -> None:
    """Make a key, and print it: it can't be shown again.

    \b
    Example:
      cronpulse keys create --name ci --permission read:jobs --permission write:jobs
    """
    wanted = [each for given in permissions for each in given.split(",")]
    with _opened() as core:
        made = _run(
            key_commands.create(core.service, _caller(core, account), name=name, permissions=wanted)
        )
        click.echo(f"{made.key_id}  made; the key is shown only this once:", err=True)
        click.echo(made.key)


@keys.command("list")
@click.option("--account", default=None, help="Only the keys of this account.")
def list_keys(account: str | None) -> None:
    """List the keys: id, account, name, permissions, when made, last used and revoked."""
    with _opened() as core:
        found = core.database.read_now(lambda c: api_keys.every(c, account=account))
        for key in found:
            state = f"revoked {_minute(key.revoked_at)}" if key.revoked_at else "active"
            used = _minute(key.last_used_at) if key.last_used_at else "never"
            permissions = ",".join(sorted(key.permissions))
            click.echo(
                f"{key.id}  {key.account}  {key.name!r}  {permissions}"
                f"  made {_minute(key.created_at)}  used {used}  {state}"
            )


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Revoke a key by its id. It opens nothing from now on."""
    with _opened() as core:
        known = core.database.read_now(api_keys.every)
        account = next((key.account for key in known if key.id == key_id), DEFAULT_ACCOUNT)
        _run(key_commands.revoke(core.service, _caller(core, account), key_id))
        click.echo(f"{key_id} is revoked")


@main.group()
def audit() -> None:
    """Hold the read models against the log."""


@audit.command("check")
def check_read_models() -> None:
    """Rebuild the read models from the log in memory, and name every row that differs.

    Exit code 0 if none does, 1 otherwise. The service may be running.
    """
    with _opened() as core:
        differences = check(core.database, core.store, core.read_models)
        for difference in differences[:_DIFFERENCES_SHOWN]:
            click.echo(f"{difference.table} {difference.key}: {difference.told()}")
        click.echo(f"{len(differences)} rows differ from the log")
    sys.exit(1 if differences else 0)


@audit.command("rebuild")
def rebuild_read_models() -> None:
    """Replace the read models by what the log says. A running service waits meanwhile."""
    with _opened() as core:
        position = rebuild(core.database, core.store, core.read_models)
        click.echo(f"the read models are rebuilt, up to position {position}")


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    click.echo(document(), nl=False)


def _caller(core: Core, account: str) -> Caller:
    return Caller(account=account, actor="cli", correlation_id=core.service.new_id())


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"


def _run(command: Any) -> Any:  # noqa: ANN401  (whatever the command returns)
    return asyncio.run(command)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  (not there on every platform)
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
