"""The published document: complete, exact, and the same every time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from api.app import routes
from api.errors import STATUS
from api.health import Readiness
from api.metrics import Metrics
from api.rest import components, rendering, schemas
from api.rest.openapi import document
from domain.api_key import FULL_ACCESS, PERMISSIONS
from tests.api.asking import Api, asking
from tests.api.published import Operation, operations, published, resolved
from tests.shapes import Shape

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def pieces(spec: object) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(spec, dict):
        yield spec
        for value in spec.values():
            yield from pieces(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from pieces(value)


class TestTheDocument:
    def test_the_file_in_the_docs_is_this_one(self) -> None:
        assert FILE.read_text(encoding="utf-8") == document(), (
            "run `cronpulse openapi > docs/openapi.json`"
        )

    def test_another_process_makes_the_same_without_a_database(self) -> None:
        code = "from api.rest.openapi import document; print(document(), end='')"
        made = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            check=True,
            cwd=FILE.parents[1],
            env={"PYTHONHASHSEED": "7"},
            text=True,
        )
        assert made.stdout == document()

    async def test_it_is_served(self, api: Api) -> None:
        answer = await api.client.get("/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.text == document()

    async def test_it_names_the_address_that_the_operator_says(self, shape: Shape) -> None:
        async with asking(shape, public_url="https://cron.example.com") as api:
            served = (await api.client.get("/openapi.json")).json()
        assert served == published() | {"servers": [{"url": "https://cron.example.com"}]}
        assert published()["servers"] == [{"url": "/"}]

    def test_it_is_openapi_3_1_with_a_name_and_the_contracts_operations(self) -> None:
        assert published()["openapi"].startswith("3.1.")
        assert published()["info"]["title"] == "CronPulse"
        assert [
            f"{operation.method} {operation.path}"
            for operation in operations()
            if operation.path.startswith("/api/v1")
        ] == [
            "GET /api/v1/projects",
            "POST /api/v1/projects",
            "GET /api/v1/projects/{project_id}",
            "PUT /api/v1/projects/{project_id}",
            "DELETE /api/v1/projects/{project_id}",
            "GET /api/v1/jobs",
            "POST /api/v1/jobs",
            "GET /api/v1/jobs/{job_id}",
            "PUT /api/v1/jobs/{job_id}",
            "DELETE /api/v1/jobs/{job_id}",
            "GET /api/v1/jobs/{job_id}/executions",
            "POST /api/v1/jobs/{job_id}/run",
        ]

    def test_every_route_is_in_it_and_nothing_else(self) -> None:
        async def readiness() -> Readiness:
            return Readiness(checks=())

        served = {
            (method, route.path)
            for route in routes(Metrics(), readiness)
            for method in (route.methods or ())
            if not route.path.startswith(("/docs", "/openapi"))
        }
        documented = {(operation.method, operation.path) for operation in operations()}
        implied = {("HEAD", path) for method, path in documented if method == "GET"}
        assert served | implied == documented | implied

    def test_every_reference_leads_somewhere_and_every_shared_piece_is_referred_to(self) -> None:
        references = {piece["$ref"] for piece in pieces(published()) if "$ref" in piece}
        shared = {
            f"#/components/{kind}/{name}"
            for kind, named in published()["components"].items()
            for name in named
            if kind != "securitySchemes"
        }
        assert references == shared

    def test_names_of_operations_are_unique_and_their_tags_are_told_of(self) -> None:
        names = [operation.name for operation in operations()]
        assert len(names) == len(set(names))
        told = {tag["name"] for tag in published()["tags"]}
        assert {tag for operation in operations() for tag in operation.spec["tags"]} == told

    def test_there_is_no_422_and_nothing_of_fastapis_own_errors(self) -> None:
        text = document()
        for word in ('"422"', "ValidationError", '"detail"'):
            assert word not in text


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
class TestEachOperation:
    def test_it_is_told_in_words(self, operation: Operation) -> None:
        assert operation.spec["summary"]
        if operation.path.startswith("/api"):
            assert operation.spec["description"]

    def test_every_parameter_in_its_path_is_described(self, operation: Operation) -> None:
        parameters = [resolved(each) for each in operation.spec.get("parameters", [])]
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert operation.path.count("{") == len(in_path)
        for name in in_path:
            assert f"{{{name}}}" in operation.path
        assert all(each["description"] and each["schema"] for each in parameters)

    def test_errors_are_told_with_their_shape(self, operation: Operation) -> None:
        errors = {
            int(status): resolved(answer)
            for status, answer in operation.spec["responses"].items()
            if int(status) >= 400
        }
        for answer in errors.values():
            assert answer["content"] == components.json_content("Error")
        assert set(errors) <= {*STATUS.values(), 500}
        assert 500 in errors
        assert ({401, 403} <= set(errors)) == (operation.permission is not None)
        assert ({413, 415} <= set(errors)) == (
            operation.method in {"POST", "PUT"} and guarded(operation)
        )
        if "{" in operation.path:
            assert 404 in errors

    def test_every_answer_carries_the_id_of_its_request(self, operation: Operation) -> None:
        for answer in operation.spec["responses"].values():
            assert "X-Request-Id" in resolved(answer)["headers"]

    def test_the_key_is_told_of_where_one_is_asked_for(self, operation: Operation) -> None:
        assert "security" in operation.spec
        assert operation.permission in {None, *PERMISSIONS} - {FULL_ACCESS}
        assert guarded(operation) == operation.path.startswith("/api/v1/")


def guarded(operation: Operation) -> bool:
    return operation.permission is not None


def test_lists_link_to_their_next_page_and_creations_to_what_was_created() -> None:
    for operation in operations():
        for status, answer in operation.spec["responses"].items():
            headers = set(resolved(answer)["headers"])
            assert ("Link" in headers) == (operation.name.startswith("list") and status == "200")
            assert ("Location" in headers) == (status == "201")


class TestExamples:
    @pytest.mark.parametrize(
        ("model", "shown"),
        [
            (schemas.Project, rendering.Project),
            (schemas.JobSummary, rendering.JobSummary),
            (schemas.Job, rendering.Job),
            (schemas.Execution, rendering.Execution),
        ],
    )
    def test_what_is_shown_has_the_fields_that_are_published_in_their_order(
        self, model: Any, shown: Any
    ) -> None:
        fields = [field.encode_name for field in msgspec.structs.fields(shown)]
        published_fields = published()["components"]["schemas"][model.__name__]["properties"]
        assert list(published_fields) == fields
        required = published()["components"]["schemas"][model.__name__]["required"]
        assert sorted(required) == sorted(fields)

    def test_every_example_is_one_of_its_model(self) -> None:
        every = published()["components"]["schemas"]
        tried = 0
        for name, schema in every.items():
            for example in schema.get("examples", []):
                tried += 1
                if "Changes" in name:
                    assert set(example) <= set(schema["properties"])
                else:
                    TypeAdapter(getattr(schemas, name)).validate_python(example, by_alias=True)
        assert tried >= 7
