"""What the commands share: settings as flags, errors of one line, and an open core."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from api.bootstrap import Core, open_core
from api.data_directory import DataDirectoryError
from api.logs import configure_logging
from api.service import Caller
from api.settings import InvalidSettings, load_settings
from domain.errors import DomainError
from eventstore.copying import NotCopied
from eventstore.schema import SchemaOutOfDate
from eventstore.store import StoreUnavailable

T = TypeVar("T")

_REFUSALS: Final = (
    DataDirectoryError,
    DomainError,
    InvalidSettings,
    NotCopied,
    SchemaOutOfDate,
    StoreUnavailable,
)
"""What ends a command with one line that says what to do, and exit code 1."""

FLAGS: Final = {
    "data-dir": "Where a SQLite database and the secret key are kept (./data).",
    "database-url": "sqlite:///<file> (<data-dir>/cronpulse.db), or postgresql://user:password@host/name.",
    "redis-url": "What wakes the workers: redis://host:port/number.",
    "host": "The address to listen on (127.0.0.1).",
    "port": "The port to listen on (8000); 0 picks a free one.",
    "allowed-networks": "Private networks that checks may reach, e.g. 10.0.0.0/8,fd00::/8.",
    "public-url": "The URL under which users reach the service.",
    "log-format": "text or json (text).",
    "log-level": "debug, info, warning or error (info).",
}
"""Settings that are flags too, and what they mean."""

PROCESS: Final = ("database-url", "host", "port", "log-format", "log-level")

Command = Callable[..., None]


def flags(*names: str) -> Callable[[Command], Command]:
    """Make options of these settings."""

    def add(command: Command) -> Command:
        for name in sorted(names, key=list(FLAGS).index, reverse=True):
            variable = name.replace("-", "_").upper()
            command = click.option(f"--{name}", metavar=variable, help=FLAGS[name])(command)
        return command

    return add


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with exit code 1 and a line for each mistake, where something is refused."""
    try:
        yield
    except _REFUSALS as refused:
        for line in str(refused).splitlines():
            click.echo(f"cronpulse: {line}", err=True)
        sys.exit(1)


@contextmanager
def opened() -> Iterator[Core]:
    """The core of the settings, for a command that looks or changes something and ends."""
    with one_line_errors():
        settings = load_settings()
        configure_logging("text", "warning")
        with open_core(settings) as core:
            yield core


def caller(core: Core, account: str) -> Caller:
    """Who acts: whoever sits at the command line."""
    return Caller(account=account, actor="cli", correlation_id=core.service.new_id())


def run(command: Coroutine[Any, Any, T]) -> T:
    """Run a command of the service to its end."""
    return asyncio.run(command)
