"""The fields of what is sent and shown, with their limits as the domain has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from domain import job_fields as rules
from domain.fields import NAME_MAX_LENGTH, URL_MAX_LENGTH
from domain.headers import MASK, MAX_BYTES, MAX_COUNT

LastStatus = Literal["success", "failed", "missed"]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Mode = Literal["active", "passive"]
Reason = Literal[
    "status", "timeout", "dns", "connect", "tls", "blocked", "protocol", "too_large", "abandoned"
]
Status = Literal["queued", "running", "success", "failed", "missed", "skipped"]
Trigger = Literal["schedule", "manual", "ping", "heartbeat"]

ID_PATTERN: Final = "^[a-z0-9]{1,64}$"
_NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
_HEADER_NAME_PATTERN: Final = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$"
_HEADER_VALUE_PATTERN: Final = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$"
_NO_NUL_PATTERN: Final = r"^[^\x00]*$"
_TIME_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$"

Id = Annotated[str, Field(json_schema_extra={"pattern": ID_PATTERN})]
ProjectId = Annotated[
    str,
    Field(
        min_length=1, max_length=64, description="A project of the account. It can't be changed."
    ),
]
Name = Annotated[
    str,
    Field(min_length=1, max_length=NAME_MAX_LENGTH, json_schema_extra={"pattern": _NAME_PATTERN}),
]
Url = Annotated[
    str,
    Field(
        max_length=URL_MAX_LENGTH,
        description="An absolute http or https URL (RFC 3986), without a user:password part.",
        json_schema_extra={"format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
    ),
]
Schedule = Annotated[
    str,
    Field(
        min_length=1,
        max_length=rules.SCHEDULE_MAX_LENGTH,
        description=(
            "A cron expression of five fields, or of six with seconds first, or a nickname such as "
            "`@hourly`. It must have a next tick."
        ),
        json_schema_extra={"format": "cron"},
    ),
]
Timezone = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        description="The IANA name of the time zone that the schedule is in.",
        json_schema_extra={"format": "iana-time-zone"},
    ),
]
Heartbeat = Annotated[bool, Field(description="Whether pings are expected at every tick.")]
Tolerance = Annotated[
    int,
    Field(
        ge=rules.TOLERANCE_RANGE[0],
        le=rules.TOLERANCE_RANGE[1],
        description="Minutes by which a ping may be early or late.",
    ),
]
Timeout = Annotated[
    int,
    Field(
        ge=rules.TIMEOUT_RANGE[0],
        le=rules.TIMEOUT_RANGE[1],
        description="Seconds for the whole exchange.",
    ),
]
StatusCode = Annotated[
    int,
    Field(
        ge=rules.STATUS_CODE_RANGE[0],
        le=rules.STATUS_CODE_RANGE[1],
        description="The status that makes a check a success.",
    ),
]
Headers = Annotated[
    dict[str, Annotated[str, Field(json_schema_extra={"pattern": _HEADER_VALUE_PATTERN})]],
    Field(
        max_length=MAX_COUNT,
        description=(
            f"Sent with every check; at most {MAX_BYTES:,} bytes together. Values of secret "
            "headers (`Authorization`, `Proxy-Authorization`, `Cookie`, and names that contain "
            f"`token`, `secret`, `password` or `key`) read back as `{MASK}`, which, sent again, "
            "keeps the stored value."
        ),
        json_schema_extra={"propertyNames": {"pattern": _HEADER_NAME_PATTERN}},
    ),
]
Body = Annotated[
    Annotated[
        str,
        Field(max_length=rules.BODY_MAX_BYTES, json_schema_extra={"pattern": _NO_NUL_PATTERN}),
    ]
    | None,
    Field(description=f"Sent with every check; at most {rules.BODY_MAX_BYTES:,} bytes in UTF-8."),
]
ModeField = Annotated[
    Mode,
    Field(
        description=(
            "`active`: the service calls the URL at every tick. `passive`: it never does, and only "
            "listens for pings."
        )
    ),
]
Paused = Annotated[bool, Field(description="No ticks and no heartbeat watch.")]
Time = Annotated[
    datetime,
    Field(
        description="RFC 3339 in UTC; a fraction of six digits where it isn't zero.",
        json_schema_extra={"pattern": _TIME_PATTERN},
    ),
]
