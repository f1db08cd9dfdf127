"""Moving from one shape to the other, and backups of both: the procedures of ``docs/operations.md``."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest

from tests.live.receiver import Receiver
from tests.live.service import (
    PATIENCE,
    LiveProcess,
    LiveService,
    cronpulse,
    environment,
    eventually,
)
from tests.servers import postgres as postgres_server
from tests.servers.postgres import Databases
from tests.servers.valkey import RedisServer

KEY: Final = "cpk_" + "m" * 40
YEARLY: Final = "0 0 1 1 *"

pytestmark = pytest.mark.timeout(240)  # a dozen processes, one after the other


class Everything:
    """A few of all things that a service can have, made through one process and looked at through any."""

    def __init__(self, service: LiveService, receiver: Receiver) -> None:
        self._service = service
        self._receiver = receiver
        self.called = service.a_job(
            f"{receiver.url}/moved", YEARLY, method="POST", headers={"X-Token": "the token"}
        )
        self.pinged = service.a_job("https://example.com", YEARLY, mode="passive", heartbeat=True)
        self.paused = service.a_job("https://example.com", "* * * * * *", paused=True)
        self.deleted = service.a_job(
            "https://example.com", YEARLY, body="a secret of a deleted job"
        )
        service.told("DELETE", f"/api/v1/jobs/{self.deleted}")
        eventually("it is erased", lambda: "erasures_pending 0.0" in self._metrics())
        self.run(service)
        for path in ("start", "success"):
            said = httpx.post(f"{service.url}/api/ping/{self.pinged}/{path}", content="15 € \x00")
            assert said.is_success

    def run(self, process: LiveProcess) -> None:
        """Run the job that is called, and have it succeed, with its secret header."""
        before = len(self._receiver.calls("/moved"))
        told(process, "POST", f"/api/v1/jobs/{self.called}/run")
        self._receiver.was_called("/moved", times=before + 1)
        assert {call.token for call in self._receiver.calls("/moved")} == {"the token"}
        eventually(
            "it has ended", lambda: self.seen_by(process)["history"][0][0]["status"] == "success"
        )

    def seen_by(self, process: LiveProcess) -> dict[str, Any]:
        """All of it, as a client sees it."""
        jobs = (self.called, self.pinged, self.paused)
        gone = ask(process, "GET", f"/api/v1/jobs/{self.deleted}")
        assert gone.status_code == 404
        return {
            "projects": told(process, "GET", "/api/v1/projects"),
            "jobs": [told(process, "GET", f"/api/v1/jobs/{each}") for each in jobs],
            "history": [told(process, "GET", f"/api/v1/jobs/{each}/executions") for each in jobs],
        }

    def _metrics(self) -> str:
        return httpx.get(f"{self._service.url}/metrics").text


def ask(process: LiveProcess, method: str, path: str) -> httpx.Response:
    return httpx.request(
        method, process.url + path, headers={"X-API-Key": KEY}, timeout=PATIENCE, trust_env=False
    )


def told(process: LiveProcess, method: str, path: str) -> Any:
    answer = ask(process, method, path)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json()


def succeeds(data_dir: Path, *arguments: str, **settings: object) -> str:
    """What a command that has to succeed prints."""
    done = cronpulse(data_dir, *arguments, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def secret_key_in(data_dir: Path) -> str:
    return (data_dir / "secret.key").read_text().strip()


@contextmanager
def roles(data_dir: Path, **settings: object) -> Iterator[dict[str, LiveProcess]]:
    """One of each role, ready."""
    given = environment(data_dir, port=0, allowed_networks="127.0.0.0/8", **settings)
    with ExitStack() as stack:
        yield {
            role: stack.enter_context(
                LiveProcess(role, errors=data_dir.with_name("roles.stderr"), environment=given)
            ).ready()
            for role in ("api", "scheduler", "worker")
        }


def test_a_service_moves_from_one_shape_to_the_other_and_back(
    tmp_path: Path, postgres: Databases, valkey: RedisServer, receiver: Receiver
) -> None:
    data_dir = tmp_path / "data"
    with postgres.fresh_database(migrated=False) as url:
        with LiveService(data_dir, api_key=KEY) as service:
            everything = Everything(service.ready(), receiver)
            before = everything.seen_by(service)
            refused = cronpulse(data_dir, "move", "--to", url)
            assert refused.returncode == 1
            assert f"is in use by process {service.pid}" in refused.stderr
            assert service.stop() == 0

        printed = succeeds(data_dir, "move", "--to", url)
        scaled = {"database_url": url, "secret_key": secret_key_in(data_dir)}
        with closing(sqlite3.connect(data_dir / "cronpulse.db")) as old:
            (head,) = old.execute(
                "SELECT hex(chain_hash) FROM events ORDER BY position DESC LIMIT 1"
            )
        assert head[0].lower() in printed
        assert succeeds(data_dir, "audit", "check", **scaled) == "0 rows differ from the log\n"

        valkey.flush()
        with roles(data_dir, redis_url=valkey.url(), **scaled) as running:
            assert everything.seen_by(running["api"]) == before
            everything.run(running["api"])
            moved = everything.seen_by(running["api"])
            assert [process.stop() for process in running.values()] == [0, 0, 0]

        back = tmp_path / "back"
        succeeds(back, "move", "--to", f"sqlite:///{back}/cronpulse.db", **scaled)
    with LiveService(back, secret_key=scaled["secret_key"]) as service:
        assert everything.seen_by(service.ready()) == moved
        everything.run(service)
        assert service.stop() == 0
    assert succeeds(back, "audit", "check", secret_key=scaled["secret_key"]).startswith("0 rows")


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("mysql://somewhere", "--to: must be sqlite:/// and the path of a file, without options"),
        ("postgresql://me:pa55word@127.0.0.1:9/x", "the database server can't be reached"),
        ("sqlite:///{data_dir}/cronpulse.db", "is not empty: its table events has rows"),
    ],
)
def test_a_move_that_can_not_be_made_is_refused_in_one_line(
    tmp_path: Path, target: str, complaint: str
) -> None:
    data_dir = tmp_path / "data"
    assert cronpulse(data_dir, "move", "--to", target).stderr.endswith(
        f"there is no database at {data_dir}/cronpulse.db\n"
    )
    succeeds(data_dir, "migrate")
    assert cronpulse(data_dir, "keys", "create", "--name", "a", "--permission", "*").returncode == 0
    refused = cronpulse(data_dir, "move", "--to", target.format(data_dir=data_dir))
    assert refused.returncode == 1
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "pa55word" not in refused.stderr


def test_nothing_is_moved_into_a_database_with_another_secret_key(
    tmp_path: Path, postgres: Databases
) -> None:
    data_dir = tmp_path / "data"
    succeeds(data_dir, "migrate")
    with postgres.fresh_database() as url:
        succeeds(
            data_dir, "migrate", database_url=url, secret_key="another one, and long enough too"
        )
        refused = cronpulse(data_dir, "move", "--to", url)
        assert refused.returncode == 1
        assert "CRONPULSE_SECRET_KEY: is not the secret key" in refused.stderr


def test_a_backup_of_a_running_embedded_service_can_be_restored(
    tmp_path: Path, receiver: Receiver
) -> None:
    data_dir, restored = tmp_path / "data", tmp_path / "restored"
    with LiveService(data_dir, api_key=KEY) as service:
        everything = Everything(service.ready(), receiver)
        before = everything.seen_by(service)
        busy = service.a_job(f"{receiver.url}/busy", "* * * * * *")
        receiver.was_called("/busy")
        with closing(sqlite3.connect(data_dir / "cronpulse.db")) as database:
            database.execute("VACUUM INTO ?", [str(tmp_path / "backup.db")])
        late = service.a_job("https://example.com", YEARLY)
        service.kill()

    restored.mkdir(mode=0o700)
    (restored / "secret.key").touch(mode=0o600)
    (restored / "secret.key").write_text((data_dir / "secret.key").read_text())
    (restored / "cronpulse.db").write_bytes((tmp_path / "backup.db").read_bytes())
    succeeds(restored, "migrate")
    assert succeeds(restored, "audit", "check") == "0 rows differ from the log\n"
    with LiveService(restored, api_key=KEY) as service:
        assert everything.seen_by(service.ready())["jobs"] == before["jobs"]
        assert ask(service, "GET", f"/api/v1/jobs/{busy}").status_code == 200
        assert ask(service, "GET", f"/api/v1/jobs/{late}").status_code == 404
        everything.run(service)
        assert service.stop() == 0


@pytest.fixture
def postgres_program() -> Callable[..., None]:
    """Runs one of PostgreSQL's own programs, which has to succeed."""
    binaries = postgres_server._binaries()

    def run(name: str, *arguments: str) -> None:
        found = {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [name, *arguments],
            env=os.environ | found,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")

    return run


def test_a_dump_of_a_running_scaled_service_can_be_restored(
    tmp_path: Path,
    postgres: Databases,
    valkey: RedisServer,
    receiver: Receiver,
    postgres_program: Callable[..., None],
) -> None:
    data_dir, dump = tmp_path / "data", str(tmp_path / "backup.dump")
    secret_key = "a secret key for backups, long enough"
    with (
        postgres.fresh_database(migrated=False) as url,
        LiveService(data_dir, api_key=KEY, database_url=url, secret_key=secret_key) as service,
    ):
        everything = Everything(service.ready(), receiver)
        before = everything.seen_by(service)
        busy = service.a_job(f"{receiver.url}/dumped", "* * * * * *")
        receiver.was_called("/dumped")
        postgres_program("pg_dump", "--format=custom", f"--file={dump}", url)
        service.kill()

    with postgres.fresh_database(migrated=False) as url:
        postgres_program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={url}", dump)
        given = {"database_url": url, "secret_key": secret_key}
        assert succeeds(data_dir, "audit", "check", **given) == "0 rows differ from the log\n"
        valkey.flush()
        with roles(data_dir, redis_url=valkey.url(), **given) as running:
            assert everything.seen_by(running["api"])["jobs"] == before["jobs"]
            called = len(receiver.calls("/dumped"))
            receiver.was_called("/dumped", times=called + 1)
            assert ask(running["api"], "GET", f"/api/v1/jobs/{busy}").status_code == 200
            everything.run(running["api"])
            assert [process.stop() for process in running.values()] == [0, 0, 0]
        with (
            psycopg.connect(url) as connection,
            pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="never deleted"),
        ):
            connection.execute("DELETE FROM events")
