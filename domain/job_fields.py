"""The fields of a job: their names on the wire, their rules and their defaults.

This is the table "Fields of a job" of the contract, once, for every edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Final, Literal, cast

from domain import headers
from domain.errors import InvalidField
from domain.fields import Rule, boolean, check, choice, http_url, integer, name, require, text
from domain.headers import NO_HEADERS, HeaderSet
from domain.schedule import parse_schedule

Mode = Literal["active", "passive"]
"""``active``: the service calls the URL at every tick. ``passive``: it only listens for pings."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MODES: Final = ("active", "passive")
SCHEDULE_MAX_LENGTH: Final = 128
BODY_MAX_BYTES: Final = 64 * 1024
TOLERANCE_RANGE: Final = (0, 10_080)
TIMEOUT_RANGE: Final = (1, 300)
STATUS_CODE_RANGE: Final = (100, 599)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """What a job does. Tolerance in minutes, timeout in seconds."""

    name: str
    url: str
    method: str
    schedule: str
    timezone: str = "UTC"
    mode: Mode = "active"
    heartbeat: bool = False
    heartbeat_tolerance: int = 5
    timeout: int = 30
    expected_status_code: int = 200
    headers: HeaderSet = NO_HEADERS
    body: str | None = None


BLANK: Final = JobSettings(name="", url="", method="", schedule="")
"""The defaults, before a job's own required fields are known."""


def _schedule(field: str, value: object) -> str:
    return text(field, value, shortest=1, longest=SCHEDULE_MAX_LENGTH)


def _timezone(field: str, value: object) -> str:
    return text(field, value, shortest=1, longest=64)


def _body(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) > BODY_MAX_BYTES:
        raise InvalidField(
            field, f"must be null or a string of at most {BODY_MAX_BYTES // 1024} KiB in UTF-8"
        )
    return text(field, value, shortest=0, longest=BODY_MAX_BYTES)


def _project_id(field: str, value: object) -> str:
    return text(field, value, shortest=1, longest=64)


RULES: Final[Mapping[str, Rule]] = {
    "name": name,
    "projectId": _project_id,
    "url": http_url,
    "method": partial(choice, among=METHODS),
    "schedule": _schedule,
    "timezone": _timezone,
    "mode": partial(choice, among=MODES),
    "heartbeat": boolean,
    "heartbeatTolerance": partial(integer, low=TOLERANCE_RANGE[0], high=TOLERANCE_RANGE[1]),
    "timeout": partial(integer, low=TIMEOUT_RANGE[0], high=TIMEOUT_RANGE[1]),
    "expectedStatusCode": partial(integer, low=STATUS_CODE_RANGE[0], high=STATUS_CODE_RANGE[1]),
    "headers": headers.check,
    "body": _body,
    "paused": boolean,
}
REQUIRED: Final = ("name", "projectId", "url", "method", "schedule")
FIXED: Final = ("projectId",)
WIRE_NAMES: Final[Mapping[str, str]] = {
    field.name: wire
    for field in fields(JobSettings)
    for wire in RULES
    if wire.lower() == field.name.replace("_", "")
}
"""The wire name of every setting."""

_NOT_SETTINGS: Final = frozenset({"projectId", "paused", "headers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFields:
    """The fields of a request, each proven by its rule; None for what was not sent."""

    values: Mapping[str, object]
    project_id: str | None = None
    paused: bool | None = None
    headers: dict[str, str] | None = None

    def applied_to(self, settings: JobSettings, headers: HeaderSet) -> JobSettings:
        """The settings with what was sent in place. Raises ``InvalidField`` for a bad schedule."""
        by_wire = {wire: attribute for attribute, wire in WIRE_NAMES.items()}
        changes = {by_wire[wire]: value for wire, value in self.values.items()}
        changed = replace(settings, headers=headers, **changes)  # type: ignore[arg-type]
        parse_schedule(changed.schedule, changed.timezone)
        return changed


def check_new(given: Mapping[str, object]) -> CheckedFields:
    """The fields of a request to create a job. Raises ``InvalidField``."""
    checked = _checked(check(given, RULES))
    require(given, REQUIRED)
    return checked


def check_changes(given: Mapping[str, object]) -> CheckedFields:
    """The fields of a request to change a job. Raises ``InvalidField``."""
    return _checked(check(given, RULES, fixed=FIXED))


def first_settings(checked: CheckedFields, headers: HeaderSet) -> JobSettings:
    """The settings of a new job: what was sent, and defaults. Raises ``InvalidField``."""
    return checked.applied_to(BLANK, headers)


def _checked(values: dict[str, object]) -> CheckedFields:
    return CheckedFields(
        values={wire: value for wire, value in values.items() if wire not in _NOT_SETTINGS},
        project_id=cast("str | None", values.get("projectId")),
        paused=cast("bool | None", values.get("paused")),
        headers=cast("dict[str, str] | None", values.get("headers")),
    )
