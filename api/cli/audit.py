"""``cronpulse audit``: hold the read models against the log."""

from __future__ import annotations

import sys
from typing import Final

import click

from api.cli.shared import opened
from projections.rebuild import check, rebuild

_DIFFERENCES_SHOWN: Final = 50


@click.group()
def audit() -> None:
    """Hold the read models against the log."""


@audit.command("check")
def check_read_models() -> None:
    """Rebuild the read models from the log in memory, and name every row that differs.

    Exit code 0 if none does, 1 otherwise. The service may be running.
    """
    with opened() as core:
        differences = check(core.database, core.store, core.read_models)
        for difference in differences[:_DIFFERENCES_SHOWN]:
            click.echo(f"{difference.table} {difference.key}: {difference.told()}")
        click.echo(f"{len(differences)} rows differ from the log")
    sys.exit(1 if differences else 0)


@audit.command("rebuild")
def rebuild_read_models() -> None:
    """Replace the read models by what the log says. A running service waits meanwhile."""
    with opened() as core:
        position = rebuild(core.database, core.store, core.read_models)
        click.echo(f"the read models are rebuilt, up to position {position}")
