"""The published document held against the running service, by whatever it allows and forbids.

schemathesis makes requests from the document: some that follow it, and some that break it in a way
that it knows. Every answer has to be one that the document tells of, in status, type, headers and
shape; what follows the document has to be taken, and what breaks it refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from tests.api.asking import Api
from tests.api.published import Operation, operations, published
from tests.api.serving import Served

EXAMPLES = 25
"""Requests for each operation, of each kind: always the same ones."""

CRON = ("*/5 * * * *", "0 0 * * 1-5", "30 5 * * * *", "@hourly", "0 3 1 JAN *", "0 0 L * *")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")

schemathesis.openapi.format("cron", st.sampled_from(CRON))
schemathesis.openapi.format("iana-time-zone", st.sampled_from(ZONES))

SCHEMA = schemathesis.openapi.from_dict(published())


@dataclass(frozen=True, slots=True)
class Known:
    """A service with something in it."""

    url: str
    key: str
    ids: dict[str, str]


@pytest.fixture
async def known(api: Api, served: Served) -> Known:
    project_id = await api.me.a_project()
    job_id = await api.me.a_job(project_id)
    return Known(served.url, str(api.me.key), {"project_id": project_id, "job_id": job_id})


def try_out(operation: Operation, known: Known, mode: GenerationMode) -> None:
    target = SCHEMA[operation.path][operation.method]
    names = {name for name in known.ids if f"{{{name}}}" in operation.path}
    follows = mode is GenerationMode.POSITIVE
    known_ids = follows or len(inputs(operation)) > len(names)
    fixed = {name: known.ids[name] for name in names} if known_ids else None
    headers = {} if operation.permission is None else {"X-API-Key": known.key}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=target.as_strategy(mode, path_parameters=fixed))
    def send(case: Case[Any]) -> None:
        if follows:
            only_what_can_be_known(case, known)
        case.call_and_validate(known.url, session=session, headers=headers)

    with requests.Session() as session:
        send()


def inputs(operation: Operation) -> list[object]:
    """What there is to send: parameters and a body."""
    body = operation.spec.get("requestBody", {}).get("content", {}).get("application/json")
    return [*operation.spec.get("parameters", []), *([body] if body else [])]


def only_what_can_be_known(case: Case[Any], known: Known) -> None:
    """Put in what follows from no schema: which project there is, and cursors."""
    case.query.pop("after", None)
    if isinstance(case.body, dict) and "projectId" in case.body:
        case.body["projectId"] = known.ids["project_id"]
    if "projectId" in case.query:
        case.query["projectId"] = known.ids["project_id"]


def named(operation: Operation) -> str:
    return operation.name


@pytest.mark.parametrize("operation", operations(), ids=named)
def test_what_follows_the_document_is_taken(operation: Operation, known: Known) -> None:
    try_out(operation, known, GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", [each for each in operations() if inputs(each)], ids=named)
def test_what_breaks_it_is_refused(operation: Operation, known: Known) -> None:
    try_out(operation, known, GenerationMode.NEGATIVE)
