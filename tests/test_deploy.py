"""What is in ``deploy/``, held against the code: nothing in it can be misspelt or left behind.

There is no container engine where the tests run. So the files are read as their programs read them,
and every setting, command, path, port and metric in them is looked up where it is defined.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.cli import main
from api.health import Readiness, routes
from api.metrics import Metrics
from api.roles.worker import DRAIN
from api.scheduling import WORKER_STOPS_WITHIN
from api.server import REQUEST_GRACE
from api.settings import PREFIX, Settings, load_settings
from tests.test_readme import OPERATIONS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROLES = ("api", "scheduler", "worker")
NEED_REDIS = {"scheduler", "worker"}
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}
FILLED_IN = {
    "CRONPULSE_SECRET_KEY": "s" * 64,
    "POSTGRES_PASSWORD": "p" * 48,
    "CRONPULSE_PUBLIC_URL": "https://cron.example.com",
}
"""What whoever runs it has to put into ``.env``."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read_yaml(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def filled_in(value: Any, env: Mapping[str, str]) -> Any:
    """What Compose makes of ``${NAME:-default}`` and ``${NAME:?complaint}``, in every text."""

    def given(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if kind == "?" and not env.get(name):
            raise KeyError(f"{name}: {rest}")
        return env.get(name) or rest or ""

    if isinstance(value, str):
        return _VARIABLE.sub(given, value)
    if isinstance(value, dict):
        return {name: filled_in(each, env) for name, each in value.items()}
    return [filled_in(each, env) for each in value] if isinstance(value, list) else value


def compose(**env: str) -> dict[str, Any]:
    services: dict[str, Any] = filled_in(read_yaml("compose.yaml")["services"], FILLED_IN | env)
    return services


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "m" else 1)


def settings_of(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def probes() -> set[str]:
    async def unused() -> Readiness:
        raise AssertionError

    return {route.path for route in routes(Metrics(), unused)}


def exposed() -> dict[str, set[str]]:
    """The names of all series, each with the labels that select one."""
    text = Metrics().render()[0].decode()
    found: dict[str, set[str]] = {}
    for kind, name in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        endings = ("_bucket", "_sum", "_count") if name == "histogram" else ("",)
        for ending in endings:
            found.setdefault(kind + ending, set())
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'\w+="[^"]*"', labels))
    return found


# ---- Compose


def test_two_of_each_role_are_run_from_one_image() -> None:
    services = compose()
    of_ours = {
        name: each for name, each in services.items() if each["image"].startswith("cronpulse")
    }
    assert set(of_ours) == {*ROLES, "migrate"}
    version = PYPROJECT["project"]["version"]
    assert {each["image"] for each in of_ours.values()} == {f"cronpulse:{version}"}
    for role in ROLES:
        assert services[role]["command"] == [role]
        assert services[role]["deploy"]["replicas"] == 2
    assert services["migrate"]["command"] == ["migrate"]
    assert {command for each in of_ours.values() for command in each["command"]} <= set(
        main.commands
    )


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_each_container_gets_the_settings_that_it_needs_and_no_others(
    role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = compose()[role]["environment"]
    assert set(environment) <= KNOWN
    settings = settings_of(environment, monkeypatch)
    assert settings.database_shown == "postgresql://postgres:5432/cronpulse"
    assert settings.secret_key is not None
    assert (settings.redis_url is not None) == (role in NEED_REDIS)
    assert (settings.public_url is not None) == (role == "api")
    assert ("CRONPULSE_ALLOWED_NETWORKS" in environment) == (role == "worker")
    assert ("CRONPULSE_EXECUTIONS_KEPT_DAYS" in environment) == (role == "scheduler")
    assert "CRONPULSE_API_KEY" not in environment


@pytest.mark.parametrize("missing", FILLED_IN)
def test_what_must_be_set_is_asked_for(missing: str) -> None:
    with pytest.raises(KeyError, match=f"{missing}: set it in .env, as env.example says"):
        compose(**{missing: ""})


def test_the_example_names_what_compose_asks_for() -> None:
    asked = {name for name, _, _ in _VARIABLE.findall((DEPLOY / "compose.yaml").read_text())}
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert set(given) == asked
    assert given["CRONPULSE_SECRET_KEY"] == given["POSTGRES_PASSWORD"] == ""


def test_every_container_of_ours_waits_for_the_schema() -> None:
    services = compose()
    for role in ROLES:
        assert services[role]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
        assert services[role]["restart"] == "unless-stopped"
    assert services["migrate"]["restart"] == "no"


def test_each_process_has_the_time_that_it_takes_to_stop() -> None:
    services = compose()
    takes = {role: float(REQUEST_GRACE) for role in ROLES}
    takes["worker"] = DRAIN + WORKER_STOPS_WITHIN / 1000
    for role, least in takes.items():
        assert seconds(services[role]["stop_grace_period"]) > least + 5


def test_every_container_is_confined() -> None:
    for name, each in compose().items():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert "cap_add" not in each, name
        assert not each.get("privileged"), name


def test_only_the_proxy_and_prometheus_are_published_and_that_to_this_machine() -> None:
    published = {name: each["ports"] for name, each in compose().items() if "ports" in each}
    assert published == {"proxy": ["127.0.0.1:8000:8000"], "prometheus": ["127.0.0.1:9090:9090"]}
    assert compose(PUBLISHED_AT="443")["proxy"]["ports"] == ["443:8000"]


def test_the_database_and_the_broker_are_out_of_reach_of_all_but_the_roles() -> None:
    networks = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["networks"]
    assert networks["data"] == {"internal": True}
    services = compose()
    inside = {name for name, each in services.items() if "data" in each["networks"]}
    assert inside == {"postgres", "valkey", "migrate", *ROLES}
    assert services["postgres"]["networks"] == services["valkey"]["networks"] == ["data"]


def test_the_healthchecks_ask_paths_that_there_are() -> None:
    services = compose()
    asked = {}
    for role in ROLES:
        (asked[role],) = re.findall(
            r"http://127\.0\.0\.1:8000(/\w+)", " ".join(services[role]["healthcheck"]["test"])
        )
    assert asked == {"api": "/readyz", "scheduler": "/healthz", "worker": "/healthz"}
    assert set(asked.values()) <= probes()


def test_valkey_drops_nothing_and_saves_nothing() -> None:
    command = compose()["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert (options["--save"], options["--appendonly"]) == ("", "no")
    assert all(isinstance(each, str) for each in command)


def test_files_that_are_mounted_exist() -> None:
    for each in compose().values():
        for volume in each.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("."):
                source, _, options = volume.partition(":")
                assert (DEPLOY / source).is_file()
                assert options.endswith(":ro")


def test_the_proxy_reaches_the_api_and_keeps_the_metrics_and_job_ids_to_itself() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert re.search(r"^\s*server api:8000 resolve ", nginx, re.MULTILINE)
    assert re.search(r"location = /metrics \{\s*return 404;\s*\}", nginx)
    assert "/metrics" in probes()
    assert re.findall(r"^\s*(?:access|error)_log .*;$", nginx, re.MULTILINE) == [
        "error_log stderr crit;",
        "    access_log off;",
    ]


# ---- the image


def instructions() -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    for line in filter(None, joined.splitlines()):
        name, _, rest = line.partition(" ")
        yield name, rest


def test_the_image_holds_every_package_and_what_is_copied_exists() -> None:
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert all((ROOT / source).exists() for source in copied)
    packages = {
        each.rstrip("*") for each in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert packages < set(copied)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    assert ignored[1] == "*"


def test_the_image_serves_by_default_as_nobody_in_particular() -> None:
    last = dict(instructions())
    assert last["ENTRYPOINT"] == '["cronpulse"]'
    assert last["CMD"] == '["serve"]'
    assert last["USER"] == "10001:10001"
    assert last["VOLUME"] == last["WORKDIR"] == "/data"
    assert last["STOPSIGNAL"] == "SIGTERM"
    environment = dict(re.findall(r"(CRONPULSE_\w+)=(\S+)", last["ENV"]))
    assert environment == {
        "CRONPULSE_DATA_DIR": "/data",
        "CRONPULSE_HOST": "0.0.0.0",
        "CRONPULSE_PORT": last["EXPOSE"],
    }
    assert set(environment) <= KNOWN


def test_everything_in_the_image_is_pinned_by_its_hash() -> None:
    installs = re.findall(r"pip --python \S+ install (.*)", DOCKERFILE)
    assert len(installs) == 2
    assert installs[0].startswith("--require-hashes --requirement requirements.lock")
    assert installs[1].startswith("--no-deps --no-build-isolation .")


# ---- systemd


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    lines: list[tuple[str, str]]

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.lines if name == key]

    def one(self, key: str) -> str:
        (value,) = self.all(key)
        return value


def unit(name: str) -> Unit:
    text = (DEPLOY / "systemd" / name).read_text(encoding="utf-8")
    RawConfigParser(strict=False, allow_no_value=False).read_string(text)
    lines = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
    return Unit(name, lines)


SERVICES = (
    *(f"cronpulse-{role}@.service" for role in ROLES),
    "cronpulse-migrate.service",
    "cronpulse.service",
)


def test_these_are_all_units() -> None:
    found = {path.name for path in (DEPLOY / "systemd").iterdir()}
    assert found == {*SERVICES, "cronpulse.target"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_unit_runs_a_command_that_there_is_with_settings_that_there_are(name: str) -> None:
    each = unit(name)
    program, command = each.one("ExecStart").split()
    assert program == "/opt/cronpulse/.venv/bin/cronpulse"
    expected = re.sub(r"cronpulse-|@?\.service", "", name)
    assert command == {"cronpulse": "serve"}.get(expected, expected)
    assert command in main.commands
    assert {line.partition("=")[0] for line in each.all("Environment")} <= KNOWN


@pytest.mark.parametrize("role", ROLES)
def test_each_instance_of_a_role_listens_on_the_port_that_it_is_named_after(role: str) -> None:
    each = unit(f"cronpulse-{role}@.service")
    assert each.one("Environment") == "CRONPULSE_PORT=%i"
    assert each.one("PartOf") == each.one("WantedBy") == "cronpulse.target"
    assert each.one("Restart") == "always"
    assert each.one("StartLimitIntervalSec") == "0"
    takes = DRAIN + WORKER_STOPS_WITHIN / 1000 if role == "worker" else REQUEST_GRACE
    assert int(each.one("TimeoutStopSec")) > takes + 5


def test_all_units_are_confined_alike() -> None:
    def confined(each: Unit) -> list[tuple[str, str]]:
        names = [name for name, _ in each.lines]
        start = names.index("CapabilityBoundingSet")
        return each.lines[start : names.index("UMask") + 1]

    (alike,) = {tuple(confined(unit(name))) for name in SERVICES}
    assert dict(alike)["ProtectSystem"] == "strict"
    assert all(unit(name).one("User") == "cronpulse" for name in SERVICES)


# ---- Prometheus


def test_every_role_is_scraped_where_it_answers() -> None:
    read = read_yaml("prometheus.yml")
    services = compose()
    jobs = {job["job_name"]: job for job in read["scrape_configs"]}
    assert set(jobs) == set(ROLES)
    for role, job in jobs.items():
        (lookup,) = job["dns_sd_configs"]
        assert lookup["names"] == [role]
        assert role in services
        assert lookup["port"] == 8000
        assert job.get("metrics_path", "/metrics") in probes()
    assert [DEPLOY / name for name in read["rule_files"]] == [DEPLOY / "alerts.yml"]


def rules() -> list[dict[str, Any]]:
    (group,) = read_yaml("alerts.yml")["groups"]
    return list(group["rules"])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_looks_at_metrics_that_there_are(rule: dict[str, Any]) -> None:
    series = exposed()
    used = re.findall(r"\b(cronpulse_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert used or re.search(r"\bup\{job=", rule["expr"])
    for name, selectors in used:
        assert name in series
        for label in re.findall(r'\w+="[^"]*"', selectors):
            assert label in series[name]
    for job in re.findall(r'job=~?"([^"]*)"', rule["expr"]):
        assert set(job.split("|")) <= set(ROLES)
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in {"page", "warn"}


def test_every_alert_is_documented() -> None:
    told = re.findall(r"^\| `(CronPulse\w+)` \|", OPERATIONS, re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]
