"""A project: a named place for jobs. Stream ``project-<id>``.

It is created, updated any number of times, and deleted once, together with its jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from domain import fields
from domain.errors import NotFound

RULES: Final[Mapping[str, fields.Rule]] = {"name": fields.name, "url": fields.http_url}
REQUIRED: Final = ("name", "url")


def stream(project_id: str) -> str:
    """The name of the project's stream."""
    return f"project-{project_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCreated:
    """A project came to be."""

    project_id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUpdated:
    """Its name or URL changed; both are stated as they are now."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDeleted:
    """It is gone for good."""


ProjectEvent = ProjectCreated | ProjectUpdated | ProjectDeleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as its events tell it."""

    project_id: str = ""
    name: str = ""
    url: str = ""
    exists: bool = False


INITIAL: Final = Project()


def evolve(project: Project, event: ProjectEvent) -> Project:
    """The project after the event."""
    match event:
        case ProjectCreated():
            return Project(project_id=event.project_id, name=event.name, url=event.url, exists=True)
        case ProjectUpdated():
            return replace(project, name=event.name, url=event.url)
        case ProjectDeleted():
            return replace(project, exists=False)


def create(
    project: Project, *, project_id: str, given: Mapping[str, object]
) -> tuple[ProjectEvent, ...]:
    """Create a project from the fields of a request. Raises ``InvalidField``."""
    if project.exists:
        return ()
    checked = fields.check(given, RULES)
    fields.require(checked, REQUIRED)
    return (
        ProjectCreated(project_id=project_id, name=str(checked["name"]), url=str(checked["url"])),
    )


def update(project: Project, *, given: Mapping[str, object]) -> tuple[ProjectEvent, ...]:
    """Change the fields that were sent. Raises ``InvalidField``, ``NotFound``."""
    require_existing(project)
    checked = fields.check(given, RULES)
    changed = ProjectUpdated(
        name=str(checked.get("name", project.name)), url=str(checked.get("url", project.url))
    )
    if (changed.name, changed.url) == (project.name, project.url):
        return ()
    return (changed,)


def delete(project: Project) -> tuple[ProjectEvent, ...]:
    """Delete the project; its jobs are deleted with it, by their own events. Raises ``NotFound``."""
    require_existing(project)
    return (ProjectDeleted(),)


def require_existing(project: Project) -> None:
    """Raise ``NotFound`` for a project that was never created or is deleted."""
    if not project.exists:
        raise NotFound("project")
