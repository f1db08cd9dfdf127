"""What is published of a field is what the domain holds callers to."""

from __future__ import annotations

from typing import Any

import pytest

from api import ping
from api.rest import field_schemas
from api.rest.query import LIMIT_RANGE, cursor
from domain import execution, job_fields, pings, project
from domain.fields import NAME_MAX_LENGTH, URL_MAX_LENGTH
from domain.headers import MAX_COUNT
from tests.api.published import published, resolved


class TestLimits:
    def sent(self, model: str, field: str) -> dict[str, Any]:
        found: dict[str, Any] = published()["components"]["schemas"][model]["properties"][field]
        return found

    def test_fields_are_those_that_have_a_rule(self) -> None:
        every = published()["components"]["schemas"]
        assert set(every["NewProject"]["properties"]) == set(project.RULES)
        assert set(every["ProjectChanges"]["properties"]) == set(project.RULES)
        assert set(every["NewJob"]["properties"]) == set(job_fields.RULES)
        changeable = set(job_fields.RULES) - set(job_fields.FIXED)
        assert set(every["JobChanges"]["properties"]) == changeable
        assert every["NewProject"]["required"] == list(project.REQUIRED)
        assert set(every["NewJob"]["required"]) == set(job_fields.REQUIRED)
        for name in ("ProjectChanges", "JobChanges"):
            assert "required" not in every[name]
        for name in ("NewProject", "ProjectChanges", "NewJob", "JobChanges"):
            assert every[name]["additionalProperties"] is False

    @pytest.mark.parametrize("model", ["NewJob", "JobChanges"])
    def test_limits_of_a_job(self, model: str) -> None:
        ranges = {
            "heartbeatTolerance": job_fields.TOLERANCE_RANGE,
            "timeout": job_fields.TIMEOUT_RANGE,
            "expectedStatusCode": job_fields.STATUS_CODE_RANGE,
        }
        for field, (low, high) in ranges.items():
            schema = self.sent(model, field)
            assert (schema["minimum"], schema["maximum"]) == (low, high)
        assert self.sent(model, "name")["maxLength"] == NAME_MAX_LENGTH
        assert self.sent(model, "url")["maxLength"] == URL_MAX_LENGTH
        assert self.sent(model, "schedule")["maxLength"] == job_fields.SCHEDULE_MAX_LENGTH
        assert self.sent(model, "method")["enum"] == list(job_fields.METHODS)
        assert self.sent(model, "mode")["enum"] == list(job_fields.MODES)
        assert self.sent(model, "headers")["maxProperties"] == MAX_COUNT
        text, null = self.sent(model, "body")["anyOf"]
        assert (text["maxLength"], null) == (job_fields.BODY_MAX_BYTES, {"type": "null"})

    def test_defaults_of_a_job(self) -> None:
        for attribute, wire in job_fields.WIRE_NAMES.items():
            schema = self.sent("NewJob", wire)
            if wire in job_fields.REQUIRED:
                assert "default" not in schema
            elif wire == "headers":
                assert schema["default"] == {}
            else:
                assert schema["default"] == getattr(job_fields.BLANK, attribute)
            if wire in published()["components"]["schemas"]["JobChanges"]["properties"]:
                assert "default" not in self.sent("JobChanges", wire)

    def test_words_are_those_of_the_domain(self) -> None:
        assert set(field_schemas.Reason.__args__) == set(execution.Reason.__args__)  # type: ignore[attr-defined]
        statuses = set(execution.Status.__args__) - {"none"} | {"missed"}  # type: ignore[attr-defined]
        assert set(field_schemas.Status.__args__) == statuses  # type: ignore[attr-defined]

    def test_limits_of_parameters(self) -> None:
        shared = published()["components"]["parameters"]
        limit = shared["Limit"]["schema"]
        assert (limit["minimum"], limit["maximum"]) == LIMIT_RANGE
        for name, longest in (
            ("Client", pings.CLIENT_MAX_LENGTH),
            ("RunId", pings.RUN_ID_MAX_LENGTH),
            ("ErrorMessage", pings.MESSAGE_MAX_LENGTH),
            ("Failed", pings.MESSAGE_MAX_LENGTH),
        ):
            assert f"Up to {longest:,} characters are kept." in shared[name]["description"]
        assert len(cursor("executions", 10**17, "x" * 64)) <= shared["After"]["schema"]["maxLength"]

    @pytest.mark.parametrize("path", sorted(ping.READERS))
    def test_pings_are_told_with_what_their_path_reads(self, path: str) -> None:
        spec = published()["paths"][path]["get"]
        told = {resolved(each)["name"].encode() for each in spec["parameters"]}
        read: set[bytes] = set()

        class Query(dict[bytes, str]):
            def get(self, name: bytes, default: str | None = None) -> Any:  # type: ignore[override]
                read.add(name)
                return {b"failed": "yes"}.get(name, default)

        ping.READERS[path](Query())
        everybody = {b"job_id", b"client"}
        assert told - everybody - {b"rid"} == read
        assert everybody <= told
