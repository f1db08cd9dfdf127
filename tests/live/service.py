"""``cronpulse serve`` in a process of its own: started, spoken to, stopped and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx

COMMAND: Final = str(Path(sys.executable).with_name("cronpulse"))

PATIENCE: Final = 60.0
"""Seconds after which a process that neither got ready nor ended, or a wait, counts as stuck."""

SHOWN: Final = 20_000
"""Characters of standard error that a failed test shows."""

_READY = re.compile(r"is ready at (http://\S+)")
_KEY = re.compile(r"^\s+(cpk_\S+)$", re.MULTILINE)
_LAST_LINE: Final = "/docs"


class NotReady(AssertionError):
    """The process ended before it was ready; the message is what it said on standard error."""


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """The environment with these settings and no others of CronPulse."""
    given = {f"CRONPULSE_{name.upper()}": str(value) for name, value in settings.items()}
    others = {name: v for name, v in os.environ.items() if not name.startswith("CRONPULSE_")}
    return others | {"CRONPULSE_DATA_DIR": str(data_dir)} | given


class LiveService:
    """A process that serves from ``data_dir``; it is begun at once, and killed when the block ends.

    ``settings`` are those of ``docs/settings.md``, in lower case. What it writes to standard error
    is added to ``errors``, a file beside the data directory.
    """

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.errors = data_dir.with_name(f"{data_dir.name}.stderr")
        self.printed = ""
        self.url = ""
        self._given_key = settings.get("api_key")
        given = {"port": 0, "allowed_networks": "127.0.0.0/8", **settings}
        with self.errors.open("a") as errors:
            self._process = subprocess.Popen(
                [COMMAND, "serve"],
                cwd=data_dir.parent,
                env=environment(data_dir, **given),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> LiveService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None:
            self.show_errors()

    @property
    def was_ready(self) -> bool:
        """Whether it has said so, as far as is known by now."""
        return _READY.search(self.printed) is not None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def key(self) -> str:
        """The API key that it was given, or that it printed."""
        if self._given_key is not None:
            return str(self._given_key)
        found = _KEY.search(self.printed)
        assert found is not None, f"no key was printed:\n{self.printed}"
        return found[1]

    def ready(self) -> LiveService:
        """Return once it has said that it is ready. Raises :class:`NotReady`."""
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                self.printed += line
                if line.rstrip().endswith(_LAST_LINE):
                    break
        finally:
            watchdog.cancel()
        found = _READY.search(self.printed)
        if found is None:
            self._process.wait()
            raise NotReady(f"exit code {self._process.returncode}\n{self.errors.read_text()}")
        self.url = found[1]
        return self

    def show_errors(self) -> None:
        """Print the end of what it wrote to standard error, for whoever looks into a failed test."""
        print(self.errors.read_text()[-SHOWN:], file=sys.stderr)

    def kill(self) -> None:
        """``kill -9``; nothing happens to a process that has ended."""
        self._process.kill()
        self._end(None)

    def stop(self, how: signal.Signals = signal.SIGTERM, *, within: float = PATIENCE) -> int:
        """Ask it to stop, and return its exit code.

        Raises ``subprocess.TimeoutExpired`` if it goes on for longer than ``within`` seconds.
        """
        self._process.send_signal(how)
        return self._end(within)

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

    def _end(self, within: float | None) -> int:
        code = self._process.wait(within)
        if self._process.stdout is not None and not self._process.stdout.closed:
            self.printed += self._process.stdout.read()
            self._process.stdout.close()
        return code


def cronpulse(
    data_dir: Path, *arguments: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=data_dir.parent,
        env=environment(data_dir, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def eventually(what: str, is_so: Callable[[], bool], *, every: float = 0.05) -> None:
    """Return once it is so; fail, saying what was waited for, when it never gets so."""
    given_up = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < given_up, f"waited in vain until {what}"
        time.sleep(every)
