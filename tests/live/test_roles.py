"""``cronpulse api``, ``scheduler`` and ``worker``: processes of their own, on one PostgreSQL and Redis."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.receiver import Receiver
from tests.live.service import PATIENCE, LiveProcess, environment, eventually, run
from tests.servers.postgres import Databases
from tests.servers.valkey import RedisServer, ValkeyServer

KEY = "cpk_" + "k" * 40
SECRET_KEY = "a secret key for live tests, long enough"
YEARLY = "0 0 1 1 *"


class Installation:
    """A migrated database and a Redis, and whatever processes are started on them."""

    def __init__(self, directory: Path, database_url: str, redis_url: str) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self.environment = environment(
            directory / "data",
            database_url=database_url,
            redis_url=redis_url,
            secret_key=SECRET_KEY,
            api_key=KEY,
            allowed_networks="127.0.0.0/8",
            port=0,
        )

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def start(self, role: str, **settings: str) -> LiveProcess:
        given = {f"CRONPULSE_{name.upper()}": value for name, value in settings.items()}
        process = LiveProcess(
            role, errors=self._directory / "stderr", environment=self.environment | given
        )
        return self._stack.enter_context(process)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        given = {f"CRONPULSE_{name.upper()}": value for name, value in settings.items()}
        return run(*arguments, directory=self._directory, environment=self.environment | given)


@pytest.fixture
def installation(
    tmp_path: Path, postgres: Databases, valkey: RedisServer
) -> Iterator[Installation]:
    with postgres.fresh_database() as url, Installation(tmp_path, url, valkey.url()) as each:
        valkey.flush()
        yield each


def told(api: LiveProcess, method: str, path: str, json: object = None) -> Any:
    answer = httpx.request(
        method, api.url + path, json=json, headers={"X-API-Key": KEY}, timeout=PATIENCE
    )
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def a_job(api: LiveProcess, url: str, schedule: str, **fields: object) -> str:
    project = told(api, "POST", "/api/v1/projects", {"name": "Live", "url": "https://example.com"})
    job = {"name": "Live", "projectId": project["id"], "url": url, "method": "GET"}
    return str(told(api, "POST", "/api/v1/jobs", job | {"schedule": schedule} | fields)["id"])


def history(api: LiveProcess, job_id: str) -> list[dict[str, Any]]:
    return list(told(api, "GET", f"/api/v1/jobs/{job_id}/executions"))


def ready(process: LiveProcess, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    answer = httpx.get(process.url + path, timeout=PATIENCE)
    return answer.status_code, answer.json()


def test_what_is_written_through_one_process_is_at_once_read_through_another(
    installation: Installation,
) -> None:
    first, second = installation.start("api").ready(), installation.start("api").ready()
    for number in range(20):
        job_id = a_job(first, "https://example.com", YEARLY, name=f"Job {number}")
        assert told(second, "GET", f"/api/v1/jobs/{job_id}")["name"] == f"Job {number}"
        told(second, "PUT", f"/api/v1/jobs/{job_id}", {"name": "Changed"})
        assert told(first, "GET", f"/api/v1/jobs/{job_id}")["name"] == "Changed"
        told(first, "DELETE", f"/api/v1/jobs/{job_id}")
        gone = httpx.get(f"{second.url}/api/ping/{job_id}", timeout=PATIENCE)
        assert gone.status_code == 404


def test_the_roles_together_call_a_job_at_every_tick_and_once(
    installation: Installation, receiver: Receiver
) -> None:
    api = installation.start("api").ready()
    for role in ("scheduler", "scheduler", "worker", "worker"):
        installation.start(role).ready()
    job_id = a_job(api, f"{receiver.url}/roles", "* * * * * *", method="POST")
    receiver.was_called("/roles", times=3)
    told(api, "PUT", f"/api/v1/jobs/{job_id}", {"paused": True})
    eventually(
        "all has ended",
        lambda: all(each["status"] == "success" for each in history(api, job_id)),
    )
    ticks = [each["scheduledFor"] for each in history(api, job_id)]
    assert len(ticks) == len(set(ticks))
    keys = [call.idempotency_key for call in receiver.calls("/roles")]
    assert len(keys) == len(set(keys)) == len(ticks)


def test_every_role_tells_how_it_is_and_what_it_measures(installation: Installation) -> None:
    processes = [installation.start(role) for role in ("api", "scheduler", "worker")]
    for process in processes:
        process.ready()
        assert ready(process, "/healthz") == (200, {"status": "ok"})
        status, said = ready(process)
        assert (status, said["status"], said["checks"]["database"]) == (200, "ready", "ok")
        metrics = httpx.get(f"{process.url}/metrics", timeout=PATIENCE)
        assert "cronpulse_log_position" in metrics.text
        assert process.stop() == 0


def test_only_the_api_role_answers_the_api(installation: Installation) -> None:
    for role in ("scheduler", "worker"):
        process = installation.start(role).ready()
        answer = httpx.get(f"{process.url}/api/v1/jobs", headers={"X-API-Key": KEY})
        assert (answer.status_code, answer.json()) == (404, {"error": "not found"})


def test_without_redis_the_api_answers_and_the_others_say_that_they_are_not_ready(
    tmp_path: Path, postgres: Databases, receiver: Receiver
) -> None:
    with (
        ValkeyServer() as valkey,
        postgres.fresh_database() as url,
        Installation(tmp_path, url, valkey.url()) as installation,
    ):
        api, scheduler, worker = (
            installation.start(role).ready() for role in ("api", "scheduler", "worker")
        )
        valkey.kill()
        eventually("the scheduler says so", lambda: ready(scheduler)[0] == 503)
        assert "broker: can't be reached" in ready(scheduler)[1]["error"]
        assert ready(worker)[0] == 503
        assert ready(api)[0] == 200
        job_id = a_job(api, f"{receiver.url}/no-redis", YEARLY)
        told(api, "POST", f"/api/v1/jobs/{job_id}/run")
        told(api, "GET", f"/api/ping/{job_id}")
        valkey.start()
        receiver.was_called("/no-redis")
        eventually("the worker is ready again", lambda: ready(worker)[0] == 200)
        assert [process.stop() for process in (worker, scheduler, api)] == [0, 0, 0]


def test_a_worker_that_is_asked_to_stop_lets_its_call_end(
    installation: Installation,
) -> None:
    with Receiver(lambda _: 2) as receiver:
        api = installation.start("api").ready()
        installation.start("scheduler").ready()
        worker = installation.start("worker").ready()
        job_id = a_job(api, f"{receiver.url}/slow", YEARLY, method="POST")
        told(api, "POST", f"/api/v1/jobs/{job_id}/run")
        receiver.was_called("/slow")
        assert worker.stop(signal.SIGTERM) == 0
        (done,) = history(api, job_id)
        assert done["status"] == "success"


@contextmanager
def without(installation: Installation, *names: str) -> Iterator[Installation]:
    kept = dict(installation.environment)
    for name in names:
        del installation.environment[f"CRONPULSE_{name.upper()}"]
    yield installation
    installation.environment = kept


@pytest.mark.parametrize("role", ["api", "scheduler", "worker"])
def test_a_role_without_its_settings_says_which_it_needs(
    installation: Installation, role: str
) -> None:
    with without(installation, "secret_key"):
        refused = installation.run(role)
    assert refused.returncode == 1
    assert refused.stderr.startswith("cronpulse: CRONPULSE_SECRET_KEY: is needed")
    refused = installation.run(role, database_url="sqlite:///some.db")
    assert refused.returncode == 1
    assert refused.stderr.startswith("cronpulse: CRONPULSE_DATABASE_URL: ")
    if role != "api":
        with without(installation, "redis_url"):
            refused = installation.run(role)
        assert refused.returncode == 1
        assert refused.stderr.startswith("cronpulse: CRONPULSE_REDIS_URL: is needed")


def test_a_process_with_another_secret_key_does_not_start(installation: Installation) -> None:
    assert installation.run("migrate").returncode == 0
    refused = installation.run("worker", secret_key="another secret key that is long enough")
    assert refused.returncode == 1
    assert refused.stderr == (
        "cronpulse: CRONPULSE_SECRET_KEY: is not the secret key that this database was set up with\n"
    )


@pytest.mark.parametrize("role", ["api", "scheduler", "worker"])
def test_a_role_refuses_a_database_without_a_schema(
    tmp_path: Path, postgres: Databases, valkey: RedisServer, role: str
) -> None:
    with (
        postgres.fresh_database(migrated=False) as url,
        Installation(tmp_path, url, valkey.url()) as installation,
    ):
        refused = installation.run(role)
        assert refused.returncode == 1
        assert "run `cronpulse migrate`" in refused.stderr
        assert installation.run("migrate").returncode == 0
        assert installation.start(role).ready().stop() == 0


def test_a_database_that_can_not_be_reached_is_one_line_without_its_password(
    installation: Installation,
) -> None:
    refused = installation.run("api", database_url="postgresql://me:pa55word@127.0.0.1:9/nowhere")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "pa55word" not in refused.stderr


def test_everything_runs_in_one_process_on_postgresql_too(
    installation: Installation, receiver: Receiver
) -> None:
    with without(installation, "redis_url"):
        service = installation.start("serve").ready()
    job_id = a_job(service, f"{receiver.url}/in-one", YEARLY)
    told(service, "POST", f"/api/v1/jobs/{job_id}/run")
    receiver.was_called("/in-one")
    eventually("it has ended", lambda: history(service, job_id)[0]["status"] == "success")
    assert service.stop() == 0
