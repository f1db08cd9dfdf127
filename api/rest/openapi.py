"""The published document: OpenAPI 3.1, made from the routes, without a database."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.rest import components, executions, jobs, plain_paths, projects
from api.rest.components import Spec
from api.rest.schemas import ALL

ROUTERS: Final[tuple[APIRouter, ...]] = (projects.router, jobs.router, executions.router)

_DESCRIPTION: Final = """\
CronPulse calls your URLs on their schedules, checks the answers, and listens for the heartbeats of
jobs that run elsewhere.

Every answer that is not a success is `{"error": "message"}`. Every path that answers `GET` answers
`HEAD`, too. Unknown fields and query parameters are refused, with their names; only pings take
whatever they are sent.
"""
_TAGS: Final = {
    "Projects": "Places for jobs.",
    "Jobs": "What is called or expected, and when.",
    "Executions": "What became of it.",
    "Pings": "What your own jobs call. No API key; the id of the job is the key.",
    "Health": "For probes and Prometheus. No API key.",
}


def document(server: str = "/") -> str:
    """The document as JSON, indented; the same one every time.

    ``server`` is where callers reach the service; left out, where they fetched the document from.
    """
    return (
        json.dumps({**_spec(), "servers": [{"url": server}]}, indent=2, ensure_ascii=False) + "\n"
    )


@lru_cache(maxsize=1)
def _spec() -> Spec:
    spec: Spec = get_openapi(
        title="CronPulse",
        version=version("cronpulse-server"),
        summary="A cron and heartbeat service.",
        description=_DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        routes=[route for router in ROUTERS for route in router.routes],
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    spec["paths"] = _without_titles(spec["paths"]) | plain_paths.paths()
    spec["components"] = {"schemas": _schemas(), **components.shared()}
    return spec


def _schemas() -> Spec:
    """FastAPI would find those of the answers, but drops every null in them, as in an example."""
    _, spec = models_json_schema(
        [(model, "serialization") for model in ALL], ref_template="#/components/schemas/{model}"
    )
    return {name: _without_titles(schema) for name, schema in sorted(spec["$defs"].items())}


def _without_titles(schema: Spec) -> Spec:
    """Without what pydantic and FastAPI make of names; no field of ours is called title."""
    return {name: _stripped(value) for name, value in schema.items() if name != "title"}


def _stripped(value: object) -> object:
    if isinstance(value, dict):
        return _without_titles(value)
    if isinstance(value, list):
        return [_stripped(each) for each in value]
    return value
