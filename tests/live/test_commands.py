"""What an operator does beside the running service, on the same data directory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from api.cli import main
from tests.live.service import LiveService, environment

Cli = Callable[..., Result]


@pytest.fixture
def cli_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Cli]:
    """Runs commands on a data directory, in this process: the service has one of its own."""
    monkeypatch.setattr(
        "api.cli.shared.configure_logging", lambda *_: None
    )  # it would outlive the test
    monkeypatch.chdir(tmp_path)

    def on(data_dir: Path) -> Cli:
        env: dict[str, str | None] = {**environment(data_dir)}
        return lambda *arguments: CliRunner(env=env).invoke(main, arguments)

    return on


@pytest.fixture
def cli(service: LiveService, cli_on: Callable[[Path], Cli]) -> Cli:
    return cli_on(service.data_dir)


def created(cli: Cli, *arguments: str) -> tuple[str, str]:
    """The id and the key of a new key."""
    made = cli("keys", "create", *arguments)
    assert made.exit_code == 0, made.output
    return made.stderr.split()[0], made.stdout.strip()


def assert_refused(result: Result, *told: str) -> None:
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    for each in told:
        assert each in line


def test_a_new_key_opens_the_running_service_at_once_and_a_revoked_one_opens_nothing(
    cli: Cli, service: LiveService
) -> None:
    key_id, key = created(cli, "--name", "ci", "--permission", "read:projects")
    assert service.ask("GET", "/api/v1/projects", key=key).status_code == 200
    assert service.ask("GET", "/api/v1/jobs", key=key).status_code == 403
    assert cli("keys", "revoke", key_id).output == f"{key_id} is revoked\n"
    assert service.ask("GET", "/api/v1/projects", key=key).status_code == 401


def test_a_key_of_another_account_sees_that_account_alone(cli: Cli, service: LiveService) -> None:
    project_id = service.a_project()
    _, key = created(cli, "--name", "b", "--permission", "*", "--account", "other")
    assert service.told("GET", "/api/v1/projects", key=key) == []
    assert service.ask("GET", f"/api/v1/projects/{project_id}", key=key).status_code == 404


def test_the_list_of_keys_tells_all_about_them_but_the_keys(cli: Cli) -> None:
    read, write = "read:jobs", "write:jobs"
    named = ("--name", "night shift", "--account", "listed")
    key_id, key = created(cli, *named, "--permission", read, "--permission", write)
    cli("keys", "revoke", key_id)
    other_id, _ = created(cli, "--name", "x", "--permission", "*")

    listed = cli("keys", "list", "--account", "listed").output
    (line,) = listed.splitlines()
    for told in (key_id, "listed", "'night shift'", f"{read},{write}", "used never", "revoked 2"):
        assert told in line
    assert key not in listed

    everything = cli("keys", "list").output
    assert key_id in everything
    assert other_id in everything
    assert "'first key'" in everything


def test_what_a_key_can_not_be_is_refused_in_one_line(cli: Cli) -> None:
    assert_refused(cli("keys", "create", "--name", "x", "--permission", "fly"), "permissions", "*")
    assert_refused(cli("keys", "create", "--name", "", "--permission", "*"), "name")
    assert_refused(cli("keys", "revoke", "cnobody"), "not found")


def test_a_database_that_is_not_up_to_date_is_refused_until_it_is_migrated(
    tmp_path: Path, cli_on: Callable[[Path], Cli]
) -> None:
    cli = cli_on(tmp_path / "data")
    assert_refused(cli("keys", "list"), "cronpulse migrate")
    for _ in range(2):
        migrated = cli("migrate")
        assert migrated.exit_code == 0
        assert migrated.output == f"sqlite:///{tmp_path}/data/cronpulse.db is up to date\n"
    assert cli("keys", "list").output == ""


def test_the_database_of_a_running_service_is_not_migrated(cli: Cli, service: LiveService) -> None:
    assert_refused(cli("migrate"), f"in use by process {service.pid}")


def test_a_wrong_setting_ends_every_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONPULSE_SECRET_KEY", "a secret too short")
    for arguments in (("serve",), ("migrate",), ("keys", "list"), ("audit", "check")):
        refused = cli(*arguments)
        assert_refused(refused, "CRONPULSE_SECRET_KEY", "at least 32 characters")
        assert "too short" not in refused.output


def test_the_audit_finds_a_changed_row_of_the_running_service_and_a_rebuild_mends_it(
    cli: Cli, service: LiveService
) -> None:
    job_id = service.a_job("https://example.com", "0 0 1 1 *", name="Backup")
    assert cli("audit", "check").output == "0 rows differ from the log\n"

    with closing(sqlite3.connect(service.data_dir / "cronpulse.db")) as connection, connection:
        connection.execute("UPDATE jobs SET name = 'Forged' WHERE id = ?", (job_id,))
    assert service.told("GET", f"/api/v1/jobs/{job_id}")["name"] == "Forged"
    checked = cli("audit", "check")
    assert checked.exit_code == 1
    assert checked.output == f"jobs {job_id}: differs in name\n1 rows differ from the log\n"

    assert cli("audit", "rebuild").output.startswith("the read models are rebuilt, up to position ")
    assert service.told("GET", f"/api/v1/jobs/{job_id}")["name"] == "Backup"
    checked = cli("audit", "check")
    assert (checked.exit_code, checked.output) == (0, "0 rows differ from the log\n")


def test_the_printed_openapi_document_is_the_one_that_is_served(
    cli: Cli, service: LiveService
) -> None:
    printed = cli("openapi")
    assert printed.exit_code == 0
    assert printed.output == service.ask("GET", "/openapi.json").text
    assert "/api/v1/jobs/{job_id}" in json.loads(printed.output)["paths"]


def test_every_command_explains_itself_and_its_options(cli: Cli) -> None:
    for words, command in every_command(main):
        shown = cli(*words, "--help")
        assert shown.exit_code == 0
        assert command.help is not None
        assert command.help.split("\n")[0] in shown.output.replace("\n  ", " ")
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert all(option.help for option in options), words
    assert cli("--version").output.startswith("cronpulse, version ")


def every_command(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, (*words, name))
