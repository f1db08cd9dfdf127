"""Starting ``cronpulse serve``: what it says, what it refuses, and what it never writes down."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.receiver import Receiver
from tests.live.service import LiveService, cronpulse, eventually

OWN_KEY = "cpk_" + "an_operators_own_key" * 3
YEARLY = "0 0 1 1 *"


def assert_refused(ended: subprocess.CompletedProcess[str], *told: str) -> None:
    """It ended with exit code 1, nothing but one line on standard error, and that says it all."""
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    for each in told:
        assert each in line


def test_port_0_takes_a_free_port_and_prints_it(service: LiveService) -> None:
    assert urlsplit(service.url).port not in {None, 0}
    assert service.told("GET", "/healthz") == {"status": "ok"}


def test_the_printed_key_may_do_everything(service: LiveService) -> None:
    project_id = service.a_project()
    assert service.told("GET", f"/api/v1/projects/{project_id}")["name"] == "Live"


def test_it_is_ready_once_it_says_so(service: LiveService) -> None:
    checks = service.told("GET", "/readyz")["checks"]
    assert checks == dict.fromkeys(("database", "schema", "broker", "scheduler"), "ok")


def test_a_second_service_on_the_same_data_directory_is_refused(service: LiveService) -> None:
    refused = cronpulse(service.data_dir, "serve", "--port", "0")
    assert_refused(refused, str(service.data_dir), f"process {service.pid}", "CRONPULSE_DATA_DIR")
    assert service.told("GET", "/healthz") == {"status": "ok"}


def test_a_port_that_is_taken_is_named(service: LiveService, tmp_path: Path) -> None:
    port = urlsplit(service.url).port
    refused = cronpulse(tmp_path / "data", "serve", "--port", str(port))
    assert_refused(refused, "CRONPULSE_PORT", str(port), "in use")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    refused = cronpulse(tmp_path / "data", "serve", "--log-level", "loud")
    assert_refused(refused, "CRONPULSE_LOG_LEVEL", "debug, info, warning or error")
    assert not (tmp_path / "data").exists()


def test_a_key_of_the_operators_own_is_installed_and_never_shown(tmp_path: Path) -> None:
    with LiveService(tmp_path / "data", api_key=OWN_KEY, log_level="debug") as service:
        service.ready()
        assert service.told("GET", "/api/v1/projects", key=OWN_KEY) == []
        assert service.stop() == 0
        assert OWN_KEY not in service.printed + service.errors.read_text()
        assert "cpk_" not in service.printed


def test_what_is_no_http_is_answered_in_the_one_shape_of_errors(service: LiveService) -> None:
    place = urlsplit(service.url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(b"GET  / nonsense\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize("path", ["/hang/up", "/"])
def test_secrets_never_reach_the_log(service: LiveService, receiver: Receiver, path: str) -> None:
    secrets = {
        "Authorization": "Bearer a-canary-in-a-header",
        "X-Plain": "a-canary-in-a-plain-header",
    }
    job_id = service.a_job(
        receiver.url + path, YEARLY, headers=secrets, expectedStatusCode=204, timeout=1
    )
    service.told("POST", f"/api/v1/jobs/{job_id}/run")
    eventually("the check has failed", lambda: service.executions(job_id)[-1]["status"] == "failed")
    refused = service.ask(
        "GET", "/api/v1/projects", key="cpk_a_canary_in_a_key_that_is_unknown_here"
    )
    assert refused.status_code == 401
    service.ask("POST", "/api/v1/jobs", {"name": 1, "headers": secrets})
    log = service.errors.read_text()
    assert job_id[:6] in log
    for secret in (service.key, "canary"):
        assert secret not in log


def test_each_line_of_a_json_log_is_an_object(service: LiveService) -> None:
    service.told("GET", "/healthz")
    lines = [json.loads(line) for line in service.errors.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {"debug", "info"} <= {line["level"] for line in lines}
    assert any(line.get("path") == "/healthz" for line in lines)
