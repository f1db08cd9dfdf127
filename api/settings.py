"""What an operator may set: the only reader of the environment.

A setting comes from a flag of ``serve``, else from an environment variable, else from a ``.env`` file
in the working directory, else from the default here. Each has one function below that says what is
allowed; whatever breaks a rule is reported in one line that names the variable. The values of
secrets are never repeated, and neither are values so long that they may be a secret in the wrong
place. ``docs/settings.md`` is the operator's page.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, get_args
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

from api import key_format
from api.logs import LogFormat, LogLevel

PREFIX: Final = "CRONPULSE_"
Network = IPv4Network | IPv6Network

_SQLITE: Final = "sqlite:///"
_SECRET_KEY_SHORTEST: Final = 32  # characters
_ECHOED: Final = 24  # characters; no secret that CronPulse accepts is as short
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
_ABSOLUTE_URL = re.compile(
    r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?(?:/[^?#\\\s]*)?",
    re.ASCII | re.IGNORECASE,
)
_SERVICE_LINK = re.compile(
    r"cronpulse_(?:\w+_)?"
    r"(?:service_host|service_port(?:_\w+)?|port_\d+_(?:tcp|udp|sctp)(?:_(?:proto|port|addr))?)"
)


class InvalidSettings(Exception):
    """Settings that can't be used: one line for each, which names it and says what is allowed."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def _not(value: object) -> str:
    text = str(value)
    return "" if len(text) > _ECHOED or key_format.PREFIX in text else f", not {text!r}"


def _text(value: object) -> str:
    text = str(value).strip()
    if not text.isprintable():  # also what is no UTF-8 in the environment
        raise ValueError("must be printable characters in UTF-8")
    return text


def _whole_number(lowest: int, highest: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = _text(value)
        if re.fullmatch(r"[0-9]{1,9}", text) and lowest <= int(text) <= highest:
            return int(text)
        raise ValueError(f"must be a whole number from {lowest} to {highest}{_not(value)}")

    return parse


def _word(words: object) -> Callable[[object], str]:
    allowed = get_args(words)

    def parse(value: object) -> str:
        text = _text(value).lower()
        if text in allowed:
            return text
        raise ValueError(f"must be {', '.join(allowed[:-1])} or {allowed[-1]}{_not(value)}")

    return parse


def _directory(value: object) -> Path:
    try:
        return Path(_text(value)).expanduser()
    except RuntimeError:
        raise ValueError("must not begin with ~ and a name that is no user's") from None


def _database_url(value: object) -> str:
    url = _text(value)
    path = url.removeprefix(_SQLITE)
    if path in {url, ""} or path.startswith((":", "file:")) or path.endswith("/") or "?" in path:
        raise ValueError(
            f"this version runs on SQLite: must be {_SQLITE} and the path of a file, without options"
        )
    return url


def _host(value: object) -> str:
    host = _text(value)
    try:
        return str(ip_address(host))
    except ValueError:
        if _HOST_NAME.fullmatch(host):
            return host
    raise ValueError(
        "must be an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::, or a host name,"
        f" without a port{_not(value)}"
    )


def _api_key(value: object) -> SecretStr:
    key = _revealed(value)
    if fault := key_format.fault(key):
        raise ValueError(fault)
    return SecretStr(key)


def _secret_key(value: object) -> SecretStr:
    key = _revealed(value)
    if len(key) < _SECRET_KEY_SHORTEST:
        raise ValueError(f"must have at least {_SECRET_KEY_SHORTEST} characters")
    return SecretStr(key)


def _revealed(value: object) -> str:
    return _text(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _networks(value: object) -> tuple[Network, ...]:
    given = value if isinstance(value, list | tuple) else [value]
    spellings = (part.strip() for entry in given for part in str(entry).split(","))
    return tuple(dict.fromkeys(_network(spelling) for spelling in spellings if spelling))


def _network(spelling: str) -> Network:
    _, slash, prefix = spelling.partition("/")
    hint = ""
    if not slash or re.fullmatch(r"[0-9]{1,3}", prefix):
        with suppress(ValueError):
            return ip_network(spelling)
        with suppress(ValueError):
            hint = f"; the network around that address is {ip_network(spelling, strict=False)}"
    raise ValueError(
        "must be networks such as 10.0.0.0/8 or fd00::/8, with commas between them"
        f"{_not(spelling)}{hint}"
    )


def _public_url(value: object) -> str:
    url = _text(value).rstrip("/")
    with suppress(ValueError):  # a port out of range, a bracket too few
        if _ABSOLUTE_URL.fullmatch(url) and urlsplit(url).port != 0:
            return url
    raise ValueError("must be an absolute http or https URL without user, query and fragment")


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

    data_dir: Annotated[Path, BeforeValidator(_directory)] = Path("./data")
    database_url: Annotated[str, BeforeValidator(_database_url)] = Field(
        default_factory=lambda given: f"{_SQLITE}{given['data_dir']}/cronpulse.db"
    )
    host: Annotated[str, BeforeValidator(_host)] = "127.0.0.1"
    port: Annotated[int, BeforeValidator(_whole_number(0, 65_535))] = 8000
    api_key: Annotated[SecretStr, BeforeValidator(_api_key)] | None = None
    secret_key: Annotated[SecretStr, BeforeValidator(_secret_key)] | None = None
    allowed_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)] = ()
    public_url: Annotated[str, BeforeValidator(_public_url)] | None = None
    log_format: Annotated[LogFormat, BeforeValidator(_word(LogFormat))] = "text"
    log_level: Annotated[LogLevel, BeforeValidator(_word(LogLevel))] = "info"
    checks_concurrency: Annotated[int, BeforeValidator(_whole_number(1, 10_000))] = 500
    checks_per_host: Annotated[int, BeforeValidator(_whole_number(1, 10_000))] = 100

    @property
    def sqlite_path(self) -> Path:
        """The file that ``database_url`` names."""
        return Path(self.database_url.removeprefix(_SQLITE))

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
