"""Where CronPulse works while it is measured: a fresh database in one of the shapes, and processes.

PostgreSQL and Valkey are real servers that keep to what they promise (``fsync`` is on), started once
for all benchmarks that need them.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx

from api.bootstrap import Core, open_core
from api.settings import Settings
from tests.live.service import LiveProcess, environment
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

Shape = Literal["embedded", "scaled"]
SHAPES: Final[tuple[Shape, ...]] = ("embedded", "scaled")

CRONPULSE: Final = "cronpulse"
"""What CronPulse's connections are called in PostgreSQL."""

KEY: Final = "cpk_benchmarkbenchmarkbenchmarkbenchmark"
SECRET_KEY: Final = "a secret key for benchmarks, long enough"
POSTGRES: Final = {
    "autovacuum_naptime": "15s",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "max_wal_size": "8GB",
    "shared_buffers": "1GB",
}
"""As an operator would set it on a machine with some memory. All else is as it comes."""


class Api:
    """A process that answers requests: ``serve``, or ``api`` of the scaled shape."""

    def __init__(self, url: str, processes: Mapping[str, int]) -> None:
        self.url = url
        self.processes = processes
        """What has to work for an answer, by name: process ids."""
        self._client = httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False)

    def post(self, path: str, fields: Mapping[str, object]) -> Any:  # noqa: ANN401
        """What a successful request is answered."""
        answer = self._client.post(path, json=fields)
        answer.raise_for_status()
        return answer.json()

    def project(self) -> str:
        """Create a project; returns its id."""
        return str(
            self.post("/api/v1/projects", {"name": "Bench", "url": "https://a.example"})["id"]
        )

    def jobs(self, count: int, **fields: object) -> list[str]:
        """Create jobs with these fields; returns their ids."""
        job = new_job(self.project()) | fields
        return [str(self.post("/api/v1/jobs", job)["id"]) for _ in range(count)]


def new_job(project_id: str) -> dict[str, object]:
    """The fields of a job that is due once an hour."""
    return {
        "name": "Bench",
        "projectId": project_id,
        "url": "https://a.example/health",
        "method": "GET",
        "schedule": "@hourly",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database of its own, with what else the processes on it need."""

    shape: Shape
    directory: Path
    settings: Settings
    servers: Servers

    @contextmanager
    def core(self, name: str = "benchmark") -> Iterator[Core]:
        """The log with its read models, in this process, which PostgreSQL knows by that name."""
        settings = self.settings
        if self.shape == "scaled":
            url = f"{settings.database_url}?application_name={name}"
            settings = settings.model_copy(update={"database_url": url})
        with open_core(settings) as core:
            yield core

    def begin(self, *arguments: str, **settings: object) -> LiveProcess:
        """Begin a command of CronPulse's on this database."""
        given = {
            "database_url": self.settings.database_url,
            "secret_key": SECRET_KEY,
            "allowed_networks": "127.0.0.0/8",
            "log_level": "warning",
            "port": 0,
            **({} if self.shape == "embedded" else {"redis_url": self.servers.valkey.url()}),
            **settings,
        }
        return LiveProcess(
            *arguments,
            errors=self.directory / f"{arguments[0]}.stderr",
            environment=environment(self.directory / "data", **given),
        )

    @contextmanager
    def api(self, **settings: object) -> Iterator[Api]:
        """One process that answers requests. It logs as it does by default: a line a request."""
        role = "serve" if self.shape == "embedded" else "api"
        given = {"api_key": KEY, "log_level": "info", **settings}
        with self.begin(role, **given) as process:
            processes = {role: process.ready().pid}
            if self.shape == "scaled":
                processes["PostgreSQL"] = self.servers.postgres.pid
            yield Api(process.url, processes)


class Servers:
    """Servers and scratch space for all places; ended when the block ends.

    ``settings`` are PostgreSQL's, beside the usual ones.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        self._stack = ExitStack()
        self._settings = POSTGRES | dict(settings or {})
        self._numbers = itertools.count(1)
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None

    def __enter__(self) -> Self:
        scratch = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cronpulse-bench-"))
        self._scratch = Path(scratch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def postgres(self) -> PostgresServer:
        """PostgreSQL, started by whoever is the first to need it."""
        if self._postgres is None:
            server = PostgresServer(durable=True, settings=self._settings)
            self._postgres = self._stack.enter_context(server)
        return self._postgres

    @property
    def valkey(self) -> ValkeyServer:
        """Valkey, likewise."""
        if self._valkey is None:
            self._valkey = self._stack.enter_context(ValkeyServer())
        return self._valkey

    @contextmanager
    def place(self, shape: Shape) -> Iterator[Place]:
        """A fresh database, migrated, for the length of the block."""
        name = f"bench_{next(self._numbers)}"
        directory = self._scratch / name
        directory.mkdir()
        data, key = directory / "data", SECRET_KEY
        try:
            if shape == "embedded":
                settings = Settings(data_dir=data, secret_key=key)  # type: ignore[arg-type]
            else:
                self.valkey.flush()
                settings = Settings(
                    data_dir=data,
                    database_url=self.postgres.create_database(name),
                    redis_url=self.valkey.url(),
                    secret_key=key,  # type: ignore[arg-type]
                )
            with open_core(settings, migrate=True):
                pass
            yield Place(shape=shape, directory=directory, settings=settings, servers=self)
        finally:
            if shape == "scaled":
                self.postgres.drop_database(name)
            shutil.rmtree(directory, ignore_errors=True)
