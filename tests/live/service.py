"""CronPulse in processes of its own: started, spoken to, stopped and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

COMMAND: Final = str(Path(sys.executable).with_name("cronpulse"))

PATIENCE: Final = 60.0
"""Seconds after which a process that neither got ready nor ended, or a wait, counts as stuck."""

SHOWN: Final = 20_000
"""Characters of standard error that a failed test shows."""

_READY = re.compile(r"is ready at (http://\S+)")
_KEY = re.compile(r"^\s+(cpk_\S+)$", re.MULTILINE)


class NotReady(AssertionError):
    """The process ended before it was ready; the message is what it said on standard error."""


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """The environment with these settings and no others of CronPulse."""
    given = {f"CRONPULSE_{name.upper()}": str(value) for name, value in settings.items()}
    others = {name: v for name, v in os.environ.items() if not name.startswith("CRONPULSE_")}
    return others | {"CRONPULSE_DATA_DIR": str(data_dir)} | given


class LiveProcess:
    """A command of CronPulse's that runs until it is stopped; it is begun at once.

    What it writes to standard error is added to the file ``errors``. It leads a process group of its
    own, so that Ctrl-C reaches it only through whoever started it.
    """

    last_line = _READY

    def __init__(self, *arguments: str, errors: Path, environment: Mapping[str, str]) -> None:
        self.errors = errors
        self._printed = ""
        self._stdout = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        with errors.open("a") as errors_file:
            self._process = subprocess.Popen(
                [COMMAND, *arguments],
                cwd=errors.parent,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=self._stdout,
                stderr=errors_file,
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._printed = self.printed
        self._stdout.close()
        if error is not None:
            self.show_errors()

    @property
    def printed(self) -> str:
        """What it has written to standard output by now."""
        if self._stdout.closed:
            return self._printed
        size = os.fstat(self._stdout.fileno()).st_size
        return os.pread(self._stdout.fileno(), size, 0).decode()  # its place is the child's too

    @property
    def url(self) -> str:
        """Where it answers; empty before it has said so."""
        found = _READY.search(self.printed)
        return "" if found is None else found[1]

    @property
    def was_ready(self) -> bool:
        """Whether it has said so, as far as is known by now."""
        return bool(self.url)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def ready(self) -> Self:
        """Return once it has said that it is ready. Raises :class:`NotReady`."""
        given_up = time.monotonic() + PATIENCE
        while self.last_line.search(self.printed) is None:
            if self.ended is not None or time.monotonic() > given_up:
                self.kill()
                raise NotReady(f"exit code {self.ended}\n{self.errors.read_text()}")
            time.sleep(0.01)
        return self

    def show_errors(self) -> None:
        """Print the end of what it wrote to standard error, for whoever looks into a failed test."""
        print(self.errors.read_text()[-SHOWN:], file=sys.stderr)

    def send(self, what: signal.Signals) -> None:
        """Send it a signal; nothing happens to a process that has ended."""
        self._process.send_signal(what)

    def kill(self) -> None:
        """``kill -9``; nothing happens to a process that has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self, how: signal.Signals = signal.SIGTERM, *, within: float = PATIENCE) -> int:
        """Ask it to stop, and return its exit code.

        Raises ``subprocess.TimeoutExpired`` if it goes on for longer than ``within`` seconds.
        """
        self.send(how)
        return self._process.wait(within)


class LiveService(LiveProcess):
    """A process that serves from ``data_dir``; killed when the block ends.

    ``settings`` are those of ``docs/settings.md``, in lower case. Its ``errors`` are beside the data
    directory.
    """

    last_line = re.compile(r"/docs$", re.MULTILINE)

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self._given_key = settings.get("api_key")
        given = {"port": 0, "allowed_networks": "127.0.0.0/8", **settings}
        super().__init__(
            "serve",
            errors=data_dir.with_name(f"{data_dir.name}.stderr"),
            environment=environment(data_dir, **given),
        )

    @property
    def key(self) -> str:
        """The API key that it was given, or that it printed."""
        if self._given_key is not None:
            return str(self._given_key)
        found = _KEY.search(self.printed)
        assert found is not None, f"no key was printed:\n{self.printed}"
        return found[1]

    def ask(self, method: str, path: str, json: object = None, *, key: str = "") -> httpx.Response:
        """Send one request, with the printed key or another one."""
        return httpx.request(
            method,
            f"{self.url}{path}",
            json=json,
            headers={"X-API-Key": key or self.key},
            timeout=PATIENCE,
            trust_env=False,
        )

    def told(self, method: str, path: str, json: object = None, *, key: str = "") -> Any:
        """Send one request that has to succeed, and return what is in the answer."""
        answer = self.ask(method, path, json, key=key)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def a_project(self) -> str:
        """Create a project; returns its id."""
        fields = {"name": "Live", "url": "https://example.com"}
        return str(self.told("POST", "/api/v1/projects", fields)["id"])

    def a_job(self, url: str, schedule: str, **fields: object) -> str:
        """Create a job, in a project of its own unless one is named; returns its id."""
        project_id = fields.get("projectId") or self.a_project()
        job = {"name": "Live", "projectId": project_id, "url": url, "method": "GET"}
        created = self.told("POST", "/api/v1/jobs", job | {"schedule": schedule} | fields)
        return str(created["id"])

    def executions(self, job_id: str) -> list[dict[str, Any]]:
        """The history of a job, oldest first."""
        return list(reversed(self.told("GET", f"/api/v1/jobs/{job_id}/executions")))


def cronpulse(
    data_dir: Path, *arguments: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return run(*arguments, directory=data_dir.parent, environment=environment(data_dir, **settings))


def run(
    *arguments: str, directory: Path, environment: Mapping[str, str], patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """The same in any environment. Raises ``subprocess.TimeoutExpired`` after ``patience`` seconds."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


def eventually(
    what: str, is_so: Callable[[], bool], *, every: float = 0.05, patience: float = PATIENCE
) -> None:
    """Return once it is so; fail, saying what was waited for, when it never gets so."""
    given_up = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < given_up, f"waited in vain until {what}"
        time.sleep(every)
