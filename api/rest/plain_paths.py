"""What is published about the paths that are no REST operations: pings and probes.

They are served without FastAPI (:mod:`api.ping`, :mod:`api.health`), so they are described by hand;
tests hold these words and what is served together.
"""

from __future__ import annotations

from typing import Final

from api.rest import components
from api.rest.components import Spec

_PING: Final = (
    "Needs no API key: the id of the job is the key. Nothing that is sent beside it is refused; "
    "what is too long is cut. The answer comes once the ping is durable."
)
_OLDER: Final = f"What older clients call. {_PING}"
_ENDED: Final = (
    "Without `rid` it ends the latest run that was started and has not ended; if there is none, it "
    "is an execution of its own."
)

_PINGS: Final = {
    "/api/ping/{job_id}": ("beat", "Report that a job is alive, and succeeded", _PING, ()),
    "/api/ping/{job_id}/start": ("start", "Report that a run has started", _PING, ("RunId",)),
    "/api/ping/{job_id}/success": (
        "success",
        "Report that a run succeeded",
        f"{_PING} {_ENDED}",
        ("RunId",),
    ),
    "/api/ping/{job_id}/fail": (
        "fail",
        "Report that a run failed",
        f"{_PING} {_ENDED}",
        ("RunId", "ErrorMessage"),
    ),
    "/api/run/{job_id}": ("olderStart", "Report that a run has started", _OLDER, ("RunId",)),
    "/api/complete/{job_id}": (
        "olderComplete",
        "Report that a run has ended, well or not",
        f"{_OLDER} {_ENDED}",
        ("RunId", "Failed", "ErrorMessage"),
    ),
}
_OUTPUT: Final = {
    "description": "What the run has to say, in any format. Its first 10,000 bytes are kept.",
    "content": {"*/*": {"schema": {}}},
}


def paths() -> Spec:
    """Their path items."""
    return {
        **{
            path: {
                method: _ping(method, name, summary, description, parameters)
                for method in ("get", "head", "post")
            }
            for path, (name, summary, description, parameters) in _PINGS.items()
        },
        "/healthz": {
            "get": _probe("getHealth", "Is the process alive?", "It is.", _json("Alive"), ())
        },
        "/readyz": {
            "get": _probe(
                "getReadiness",
                "Is everything well that requests depend on?",
                "It is: the database, its schema, the broker and the scheduler.",
                _json("Ready"),
                (503,),
            )
        },
        "/metrics": {
            "get": _probe(
                "getMetrics",
                "What is measured, for Prometheus",
                "All metrics in the text format.",
                {"text/plain": {"schema": {"type": "string"}}},
                (),
            )
        },
    }


def _ping(
    method: str, name: str, summary: str, description: str, parameters: tuple[str, ...]
) -> Spec:
    operation_id = f"{name}Ping" if method == "get" else f"{name}PingBy{method.capitalize()}"
    names = ("JobId", "Client", *parameters)
    operation: Spec = {
        "tags": ["Pings"],
        "summary": summary,
        "description": description,
        "operationId": operation_id,
        "parameters": [components.reference("parameters", each) for each in names],
        "responses": {
            "200": {
                "description": "The ping is recorded, durably.",
                "headers": components.headers("RequestId"),
                "content": components.json_content("Recorded"),
            },
            **components.errors((404, 500, 503)),
        },
        "security": [],
    }
    if method == "post":
        operation["requestBody"] = _OUTPUT
    return operation


def _probe(
    operation_id: str, summary: str, description: str, content: Spec, statuses: tuple[int, ...]
) -> Spec:
    return {
        "tags": ["Health"],
        "summary": summary,
        "operationId": operation_id,
        "responses": {
            "200": {
                "description": description,
                "headers": components.headers("RequestId"),
                "content": content,
            },
            **components.errors((*statuses, 500)),
        },
        "security": [],
    }


def _json(model: str) -> Spec:
    return components.json_content(model)
