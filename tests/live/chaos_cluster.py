"""All of the scaled shape on one machine: PostgreSQL, Valkey, and eight processes of CronPulse.

Whatever process ends is started again at once, as any supervisor of services would.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.live.chaos_plan import ROLES, names
from tests.live.load import Target
from tests.live.logged import LeftDatabase
from tests.live.service import LiveProcess, environment, eventually, run
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

SECRET_KEY: Final = "canary-of-the-secret-key-long-enough"
POSTGRES: Final = {"autovacuum_naptime": "10s", "max_connections": "200", "max_wal_size": "1GB"}
"""What differs from the servers of the other tests: this one works for long, and for many."""

_ROLE_SETTINGS: Final[Mapping[str, Callable[[str], dict[str, str]]]] = {
    "api": lambda _: {},
    "scheduler": lambda redis_url: {"CRONPULSE_REDIS_URL": redis_url},
    "worker": lambda redis_url: {
        "CRONPULSE_REDIS_URL": redis_url,
        "CRONPULSE_ALLOWED_NETWORKS": "127.0.0.0/8",
    },
}
"""What a role needs beside what all need; it is given no more."""

STARTS_WITHIN: Final = 300.0
"""Seconds; eight processes that start at once on a busy machine take their time."""

NO_DATABASE: Final = re.compile(
    r"cronpulse: the database server (?:can't be reached|refuses the connection: .+"
    r"|is stopping or starting)"
)
"""With these words a process may end that finds no database when it starts: it is started again."""

LOOK_EVERY: Final = 0.02
BETWEEN_STARTS: Final = 0.5
"""Seconds before a process that ended by itself is started again."""


@dataclass
class Place:
    """Where a process of CronPulse runs, and the next one when it is gone."""

    name: str
    start: Callable[[], LiveProcess]
    process: LiveProcess
    target: Target | None = None
    starts: int = 1
    started_in_vain: int = 0
    """How often it ended at its start, because there was no database."""
    ended_by_itself: list[str] = field(default_factory=list)
    supervised: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """``kill -9``, and start the next one."""
        with self.lock:
            self.process.kill()
            self._start()

    def stop_for(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later, unless it was killed meanwhile."""
        process = self.process
        process.send(signal.SIGSTOP)
        time.sleep(seconds)
        process.send(signal.SIGCONT)

    def look(self) -> None:
        """Start the next one if this one has ended; tell where it answers."""
        with self.lock:
            if not self.supervised:
                return
            code = self.process.ended
            if code is not None:
                self._note_end(code)
                time.sleep(BETWEEN_STARTS)
                self._start()
            elif self.target is not None and self.process.url:
                self.target.url = self.process.url

    def end(self) -> int:
        """SIGTERM; returns the exit code, and starts nothing more."""
        with self.lock:
            self.supervised = False
        return self.process.stop()

    def _note_end(self, code: int) -> None:
        said = self.process.errors.read_text().splitlines()[-1:]
        if self.process.was_ready:
            self.ended_by_itself.append(f"{self.name} ended by itself with code {code}: {said}")
        elif code == 1 and said and NO_DATABASE.fullmatch(said[0]):
            self.started_in_vain += 1
        else:
            self.ended_by_itself.append(f"{self.name} did not start, code {code}: {said}")

    def _start(self) -> None:
        self.process.__exit__(None, None, None)
        self.process = self.start()
        self.starts += 1


@dataclass(kw_only=True)
class Cluster:
    """The running servers and processes."""

    postgres: PostgresServer
    valkey: ValkeyServer
    url: str
    places: Sequence[Place]
    targets: Sequence[Target]
    directory: Path
    environment: Mapping[str, str]
    """For commands."""

    def place(self, name: str) -> Place:
        (found,) = [each for each in self.places if each.name == name]
        return found

    def wait_until_ready(self) -> None:
        def each_is_ready() -> bool:
            return all(place.process.was_ready for place in self.places)

        eventually("every process is ready", each_is_ready, patience=STARTS_WITHIN)

    def database(self) -> LeftDatabase:
        return LeftDatabase(self.url)

    def command(self, *arguments: str, patience: float) -> str:
        """What a command printed, errors included."""
        done = run(
            *arguments,
            directory=self.directory,
            environment=self.environment,
            patience=patience,
        )
        return done.stdout + done.stderr

    def logs(self) -> Iterator[tuple[str, str]]:
        """Each line that each process has logged."""
        for place in self.places:
            for line in place.process.errors.read_text().splitlines():
                yield place.name, line


@contextmanager
def cluster(directory: Path, database_directory: Path | None = None) -> Iterator[Cluster]:
    """Start everything, and leave nothing of it when the block ends but what is in ``directory``.

    The database is kept in a directory of its own, or goes with the block.
    """
    if database_directory is not None:
        database_directory.mkdir(parents=True)
    with ExitStack() as stack:
        postgres = stack.enter_context(
            PostgresServer(database_directory, durable=True, settings=POSTGRES)
        )
        valkey = stack.enter_context(ValkeyServer())
        url = postgres.create_database("chaos")
        common = environment(
            directory / "data",
            database_url=url,
            secret_key=SECRET_KEY,
            log_format="json",
            log_level="warning",
            host="127.0.0.1",
            port=0,
        )
        _run(directory, common, "migrate")
        key = _run(directory, common, "keys", "create", "--name", "chaos", "--permission", "*")
        targets = [Target(key=key.split()[-1], may_be_unavailable=True) for _ in names("api")]
        places = []
        for role in ROLES:
            for name in names(role):
                settings = common | _ROLE_SETTINGS[role](valkey.url())
                errors = directory / f"{name}.stderr"
                start = partial(LiveProcess, role, errors=errors, environment=settings)
                places.append(Place(name, start, start()))
                stack.callback(_end_for_good, places[-1])
        for place, target in zip(places, targets, strict=False):
            place.target = target
        running = Cluster(
            postgres=postgres,
            valkey=valkey,
            url=url,
            places=places,
            targets=targets,
            directory=directory,
            environment=common,
        )
        stack.enter_context(_supervised(places))
        running.wait_until_ready()
        eventually("the API processes are known", lambda: all(each.url for each in targets))
        yield running


def _run(directory: Path, environment: Mapping[str, str], *arguments: str) -> str:
    done = run(*arguments, directory=directory, environment=environment)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def _end_for_good(place: Place) -> None:
    with place.lock:
        place.supervised = False
        place.process.__exit__(None, None, None)


@contextmanager
def _supervised(places: Sequence[Place]) -> Iterator[None]:
    ending = threading.Event()

    def look_after_them() -> None:
        while not ending.wait(LOOK_EVERY):
            for place in places:
                place.look()

    thread = threading.Thread(target=look_after_them, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        with suppress(RuntimeError):
            thread.join()
