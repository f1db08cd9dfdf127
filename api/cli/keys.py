"""``cronpulse keys``: make, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from api.cli.shared import caller, opened, run
from api.commands import api_keys as key_commands
from domain.api_key import DEFAULT_ACCOUNT, PERMISSIONS
from projections import api_keys


@click.group()
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
    with opened() as core:
        made = run(
            key_commands.create(core.service, caller(core, account), name=name, permissions=wanted)
        )
        click.echo(f"{made.key_id}  made; the key is shown only this once:", err=True)
        click.echo(made.key)


@keys.command("list")
@click.option("--account", default=None, help="Only the keys of this account.")
def list_keys(account: str | None) -> None:
    """List the keys: id, account, name, permissions, when made, last used and revoked."""
    with opened() as core:
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
    with opened() as core:
        known = core.database.read_now(api_keys.every)
        account = next((key.account for key in known if key.id == key_id), DEFAULT_ACCOUNT)
        run(key_commands.revoke(core.service, caller(core, account), key_id))
        click.echo(f"{key_id} is revoked")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
