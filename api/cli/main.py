"""The command line: ``cronpulse serve`` and everything that an operator does beside it."""

from __future__ import annotations

import click

from api.bootstrap import VERSION, open_core
from api.cli import audit, keys, serving
from api.cli.shared import FLAGS, flags, one_line_errors
from api.logs import configure_logging
from api.process import alone_on_its_files
from api.settings import load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="cronpulse")
def main() -> None:
    """CronPulse calls your URLs on their cron schedules and listens for your jobs' heartbeats.

    Settings are environment variables (CRONPULSE_DATA_DIR, CRONPULSE_PORT, ...), also read from a
    .env file in the working directory; docs/settings.md lists them.
    """


@main.command()
@flags("data-dir", "database-url")
def migrate(**given: str | None) -> None:
    """Bring the database's schema up to date. Stop the service first."""
    with one_line_errors():
        settings = load_settings(**given)
        with alone_on_its_files(settings), open_core(settings, migrate=True):
            click.echo(f"{settings.database_shown} is up to date")


@main.command()
@click.option("--to", "target", required=True, metavar="DATABASE_URL", help=FLAGS["database-url"])
@flags("data-dir", "database-url")
def move(target: str, **given: str | None) -> None:
    """Copy everything to another database, which must be empty. Stop the service first.

    From SQLite to PostgreSQL, or back. The old database stays as it is: don't serve from it again.

    \b
    Example:
      cronpulse move --to postgresql://cronpulse@db.example.com/cronpulse
    """
    from api.moving import move as move_to_another  # noqa: PLC0415  (rarely needed, and large)

    with one_line_errors():
        configure_logging("text", "warning")
        move_to_another(load_settings(**given), target, show=click.echo)


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    from api.rest.openapi import document  # noqa: PLC0415  (rarely needed, and large)

    click.echo(document(), nl=False)


for command in (
    serving.serve,
    serving.api,
    serving.scheduler,
    serving.worker,
    keys.keys,
    audit.audit,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
