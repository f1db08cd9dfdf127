"""The published document, read back: what it says there is, tests hold the service to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from api.rest.openapi import document

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the document."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec["operationId"])

    @property
    def permission(self) -> str | None:
        """What it asks of a key; None if it asks for no key."""
        if self.spec["security"] == []:
            return None
        ((permission,),) = (requirement["ApiKey"] for requirement in self.spec["security"])
        return str(permission)

    @property
    def example(self) -> Any:
        """A body as the document shows one; None if it asks for none."""
        body = self.spec.get("requestBody", {}).get("content", {}).get("application/json")
        return None if body is None else resolved(body["schema"])["examples"][0]

    def url(self, **ids: str) -> str:
        """Its path, with ids in their places."""
        return self.path.format(**ids)


@cache
def published() -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(document())
    return spec


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(
        Operation(method.upper(), path, spec)
        for path, item in published()["paths"].items()
        for method, spec in item.items()
        if method in METHODS
    )


def resolved(spec: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; anything else is returned as it is."""
    found: Any = spec
    while "$ref" in found:
        names = found["$ref"].removeprefix("#/").split("/")
        found = published()
        for name in names:
            found = found[name]
    return dict(found)
