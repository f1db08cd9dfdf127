"""What is sent and shown, for the published document.

Nothing is validated by these. Requests are checked by the rules of :mod:`domain`, answers are made by
:mod:`api.rest.rendering`; tests hold all three together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.rest.field_schemas import (
    Body,
    Headers,
    Heartbeat,
    Id,
    LastStatus,
    Method,
    ModeField,
    Name,
    Paused,
    ProjectId,
    Reason,
    Schedule,
    Status,
    StatusCode,
    Time,
    Timeout,
    Timezone,
    Tolerance,
    Trigger,
    Url,
)
from domain import job_fields as rules


def _example(**fields: object) -> dict[str, Any]:
    return {"examples": [fields]}


def _nothing_required(**example: object) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        schema.pop("required", None)
        schema |= _example(**example)

    return change


class _Shown(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, json_schema_serialization_defaults_required=True
    )


class _Sent(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class Error(_Shown):
    """What every answer is that is not a success."""

    model_config = ConfigDict(json_schema_extra=_example(error="Error message"))

    error: Annotated[str, Field(description="What is wrong, in words.")]


class JobSummary(_Shown):
    """A job as its project lists it."""

    id: Id
    name: Name
    last_status: LastStatus | None


class Project(_Shown):
    """A project with its jobs, oldest first."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            id="c2x7kq0v5r9m3t8w1y6z4b0n7h",
            name="My Project",
            url="https://example.com",
            jobs=[
                {
                    "id": "c9f3d1s7a5g2h8j4k6l0q3w5e1",
                    "name": "Daily Backup",
                    "lastStatus": "success",
                }
            ],
        )
    )

    id: Id
    name: Name
    url: Url
    jobs: list[JobSummary]


class NewProject(_Sent):
    """A project to be created."""

    model_config = ConfigDict(
        json_schema_extra=_example(name="New Project", url="https://example.com")
    )

    name: Name
    url: Url


class ProjectChanges(_Sent):
    """What is to change about a project; what is not sent stays as it is."""

    model_config = ConfigDict(json_schema_extra=_nothing_required(name="Updated Project Name"))

    name: Name
    url: Url


class Job(_Shown):
    """A job: how it is set up, how it fared last, and when it runs next."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            id="c9f3d1s7a5g2h8j4k6l0q3w5e1",
            name="Health Check",
            projectId="c2x7kq0v5r9m3t8w1y6z4b0n7h",
            url="https://example.com/health",
            method="GET",
            schedule="*/5 * * * *",
            heartbeat=True,
            heartbeatTolerance=5,
            timeout=30,
            expectedStatusCode=200,
            headers={},
            body=None,
            lastStatus="success",
            lastActivityAt="2024-01-30T12:00:00Z",
            nextRunAt="2024-01-30T12:05:00Z",
            timezone="UTC",
            mode="active",
            paused=False,
        )
    )

    id: Id
    name: Name
    project_id: Id
    url: Url
    method: Method
    schedule: Schedule
    heartbeat: Heartbeat
    heartbeat_tolerance: Tolerance
    timeout: Timeout
    expected_status_code: StatusCode
    headers: Headers
    body: Body
    last_status: Annotated[
        LastStatus | None,
        Field(description="How the last finished execution or heartbeat window ended."),
    ]
    last_activity_at: Annotated[
        Time | None, Field(description="When the last check finished or the last ping came.")
    ]
    next_run_at: Annotated[Time | None, Field(description="The next tick; null while paused.")]
    timezone: Timezone
    mode: ModeField
    paused: Paused


class NewJob(_Sent):
    """A job to be created."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            name="Health Check",
            projectId="c2x7kq0v5r9m3t8w1y6z4b0n7h",
            url="https://example.com/health",
            method="GET",
            schedule="*/5 * * * *",
            heartbeat=True,
            heartbeatTolerance=5,
            timeout=30,
            expectedStatusCode=200,
            headers={"Authorization": "Bearer token"},
        )
    )

    name: Name
    project_id: ProjectId
    url: Url
    method: Method
    schedule: Schedule
    timezone: Timezone = rules.BLANK.timezone
    mode: ModeField = rules.BLANK.mode
    heartbeat: Heartbeat = rules.BLANK.heartbeat
    heartbeat_tolerance: Tolerance = rules.BLANK.heartbeat_tolerance
    timeout: Timeout = rules.BLANK.timeout
    expected_status_code: StatusCode = rules.BLANK.expected_status_code
    headers: Headers = {}
    body: Body = rules.BLANK.body
    paused: Paused = False


class JobChanges(_Sent):
    """What is to change about a job; what is not sent stays as it is."""

    model_config = ConfigDict(
        json_schema_extra=_nothing_required(
            name="Updated Job Name",
            url="https://example.com/new-endpoint",
            schedule="0 * * * *",
            heartbeat=False,
            timeout=60,
        )
    )

    name: Name
    url: Url
    method: Method
    schedule: Schedule
    timezone: Timezone
    mode: ModeField
    heartbeat: Heartbeat
    heartbeat_tolerance: Tolerance
    timeout: Timeout
    expected_status_code: StatusCode
    headers: Headers
    body: Body
    paused: Paused


class Execution(_Shown):
    """One check of a job, one run that its pings told of, or one heartbeat that was missed."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            id="e4b8n2v6c0x5z9m3q7w1r5t9y2",
            jobId="c9f3d1s7a5g2h8j4k6l0q3w5e1",
            trigger="schedule",
            status="failed",
            reason="status",
            scheduledFor="2024-01-30T12:00:00Z",
            startedAt="2024-01-30T12:00:00.041872Z",
            finishedAt="2024-01-30T12:00:00.183405Z",
            durationMs=141,
            statusCode=503,
            message="expected status 200, got 503",
            output="Service Unavailable",
            client=None,
            skippedTicks=0,
        )
    )

    id: Id
    job_id: Id
    trigger: Annotated[Trigger, Field(description="What brought it about.")]
    status: Status
    reason: Annotated[Reason | None, Field(description="Why it failed, in a word.")]
    scheduled_for: Annotated[
        Time | None, Field(description="The tick; null for pings and manual runs.")
    ]
    started_at: Time | None
    finished_at: Time | None
    duration_ms: Annotated[int | None, Field(ge=0, description="Milliseconds.")]
    status_code: Annotated[int | None, Field(description="The status of the answer to a check.")]
    message: Annotated[
        str | None,
        Field(description="What a failed ping said, or what went wrong in a check, in words."),
    ]
    output: Annotated[
        str | None, Field(description="The beginning of the body: of an answer, or of a ping.")
    ]
    client: Annotated[str | None, Field(description="What sent the ping, as it says itself.")]
    skipped_ticks: Annotated[
        int, Field(ge=0, description="How many ticks a downtime swallowed before this one.")
    ]


class Recorded(_Shown):
    """The ping is recorded, durably."""

    status: Literal["ok"]


class Alive(_Shown):
    """The process answers."""

    status: Literal["ok"]


class Ready(_Shown):
    """Everything is well that requests depend on."""

    model_config = ConfigDict(
        json_schema_extra=_example(status="ready", checks={"database": "ok", "broker": "ok"})
    )

    status: Literal["ready"]
    checks: dict[str, Literal["ok"]]


ALL: Final = (
    *(Project, NewProject, ProjectChanges),
    *(Job, NewJob, JobChanges),
    *(Execution, Error, Recorded, Alive, Ready),
)
"""Every model, but for those that are parts of others."""
