"""What an operator may set: the only reader of the environment.

A setting comes from a flag of ``serve``, else from an environment variable, else from a ``.env`` file
in the working directory, else from the default here. Each has a rule in :mod:`api.setting_rules` that
says what is allowed; whatever breaks one is reported in one line that names the variable.
``docs/settings.md`` is the operator's page.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from api import setting_rules as rules
from api.logs import LogFormat, LogLevel

PREFIX: Final = "CRONPULSE_"

_SERVICE_LINK = re.compile(
    r"cronpulse_(?:\w+_)?"
    r"(?:service_host|service_port(?:_\w+)?|port_\d+_(?:tcp|udp|sctp)(?:_(?:proto|port|addr))?)"
)


class InvalidSettings(Exception):
    """Settings that can't be used: one line for each, which names it and says what is allowed."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class Settings(BaseSettings):
    """Every setting, checked. :func:`load_settings` makes one."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # what "${NAME:-}" in a compose file leaves is not given
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    data_dir: Annotated[Path, BeforeValidator(rules.directory)] = Path("./data")
    database_url: Annotated[str, BeforeValidator(rules.database_url)] = Field(
        default_factory=lambda given: f"{rules.SQLITE}{given['data_dir']}/cronpulse.db", repr=False
    )
    redis_url: Annotated[str, BeforeValidator(rules.redis_url)] | None = Field(
        default=None, repr=False
    )
    host: Annotated[str, BeforeValidator(rules.host)] = "127.0.0.1"
    port: Annotated[int, BeforeValidator(rules.whole_number(0, 65_535))] = 8000
    api_key: Annotated[SecretStr, BeforeValidator(rules.api_key)] | None = None
    secret_key: Annotated[SecretStr, BeforeValidator(rules.secret_key)] | None = None
    allowed_networks: Annotated[
        tuple[rules.Network, ...], NoDecode, BeforeValidator(rules.networks)
    ] = ()
    public_url: Annotated[str, BeforeValidator(rules.public_url)] | None = None
    log_format: Annotated[LogFormat, BeforeValidator(rules.word(LogFormat))] = "text"
    log_level: Annotated[LogLevel, BeforeValidator(rules.word(LogLevel))] = "info"
    checks_concurrency: Annotated[int, BeforeValidator(rules.whole_number(1, 10_000))] = 500
    checks_per_host: Annotated[int, BeforeValidator(rules.whole_number(1, 10_000))] = 100
    executions_kept_days: Annotated[int, BeforeValidator(rules.whole_number(1, 36_500))] | None = (
        None
    )

    @property
    def sqlite_path(self) -> Path | None:
        """The file that ``database_url`` names; None for PostgreSQL."""
        path = self.database_url.removeprefix(rules.SQLITE)
        return None if path == self.database_url else Path(path)

    @property
    def keep_executions(self) -> timedelta | None:
        """How long executions are kept; None: for ever."""
        days = self.executions_kept_days
        return None if days is None else timedelta(days=days)

    @property
    def database_shown(self) -> str:
        """The database in a form that may be shown: without user, password and options."""
        if self.sqlite_path is not None:
            return self.database_url
        parts = urlsplit(self.database_url)
        place = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{place}{parts.path}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then ``.env``."""
        return init_settings, _Environment(settings_cls), _DotEnvFile(settings_cls)


def load_settings(**overrides: object) -> Settings:
    """The settings, with ``overrides`` (by field name; None: not given) above all others.

    Raises :class:`InvalidSettings`, with a line for each wrong one.
    """
    if unknown := overrides.keys() - Settings.model_fields.keys():
        raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
    given: dict[str, Any] = {name: each for name, each in overrides.items() if each is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
    # Raised out here, so that no chain of exceptions leads to the values, secrets among them.
    # A default that was not made is no mistake of its own: what it is made from is wrong.
    raise InvalidSettings(
        [_line(each) for each in mistakes if each["type"] != "default_factory_not_called"]
    )


def _line(mistake: Mapping[str, Any]) -> str:
    name = str(mistake["loc"][0]).upper()
    if mistake["type"] == "extra_forbidden":
        return _unknown(name)
    return f"{PREFIX}{name}: {mistake.get('ctx', {}).get('error', mistake['msg'])}"


def _unknown(variable: str) -> str:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    near = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
    hint = f"the nearest is {near[0]}" if near else "docs/settings.md lists them all"
    return f"{variable}: is not a setting of CronPulse; {hint}"


class _Environment(EnvSettingsSource):
    """The environment's variables with our prefix, unknown ones included so that they are noticed."""

    def __call__(self) -> dict[str, Any]:
        fields = {PREFIX.lower() + name for name in self.settings_cls.model_fields}
        return super().__call__() | {
            name: value
            for name, value in self.env_vars.items()
            if name.startswith(PREFIX.lower()) and name not in fields
        }

    def _load_env_vars(self) -> Mapping[str, str | None]:
        variables = super()._load_env_vars()
        return {name: each for name, each in variables.items() if not _is_service_link(name, each)}


class _DotEnvFile(_Environment):
    """The same in ``.env``. A line that can't be read stops us: it might have been a secret key."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        try:
            content = Path(".env").read_text(encoding="utf-8")
        except (FileNotFoundError, IsADirectoryError):  # some call a virtual environment so
            return {}
        except (OSError, UnicodeDecodeError) as error:
            why = "it is not UTF-8" if isinstance(error, ValueError) else error.strerror
            raise InvalidSettings([f".env: can't be read: {why}"]) from None
        _refuse_unreadable_lines(content)
        given = dotenv_values(stream=StringIO(content))
        return {name.lower(): value for name, value in given.items() if value}


def _refuse_unreadable_lines(content: str) -> None:
    lines = []
    for binding in parse_stream(StringIO(content)):
        if binding.error or (binding.key is not None and binding.value is None):
            line, text = binding.original.line, binding.original.string
            line += text[: len(text) - len(text.lstrip())].count("\n")
            lines.append(f".env: line {line}: must be NAME=value")
    if lines:
        raise InvalidSettings(lines)


def _is_service_link(name: str, value: str | None) -> bool:
    """Whether Kubernetes set the variable because a Service is called ``cronpulse`` (or begins so).

    It then gives every pod ``CRONPULSE_SERVICE_HOST``, ``CRONPULSE_PORT=tcp://…`` and more
    (Kubernetes documentation, "Accessing the Service: environment variables").
    """
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_port") and (value or "").startswith(("tcp://", "udp://", "sctp://"))
