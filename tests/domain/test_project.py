"""A project, from its creation to its deletion."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import InvalidField, NotFound
from domain.project import (
    INITIAL,
    Project,
    ProjectCreated,
    ProjectDeleted,
    ProjectEvent,
    ProjectUpdated,
    create,
    delete,
    evolve,
    require_existing,
    stream,
    update,
)
from tests.domain.decider import Decider

PROJECT: Decider[Project, ProjectEvent] = Decider(INITIAL, evolve)
FIELDS = {"name": "Shop", "url": "https://shop.example"}
CREATED = ProjectCreated(project_id="p1", name="Shop", url="https://shop.example")
DELETED = ProjectDeleted()


def test_a_project_is_created_with_its_name_and_url() -> None:
    PROJECT.given().when(create, project_id="p1", given=FIELDS).then(CREATED)


def test_a_created_project_is_what_was_asked_for() -> None:
    assert PROJECT.given(CREATED).state == Project(
        project_id="p1", name="Shop", url="https://shop.example", exists=True
    )


def test_creating_it_again_changes_nothing() -> None:
    other = {"name": "Other", "url": "https://other.example"}
    PROJECT.given(CREATED).when(create, project_id="p1", given=other).then_nothing()


@pytest.mark.parametrize("field", ["name", "url"])
def test_name_and_url_are_required(field: str) -> None:
    given = {name: value for name, value in FIELDS.items() if name != field}
    PROJECT.given().when(create, project_id="p1", given=given).then_refused(
        InvalidField, f"{field}: is required"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "n" * 201),
        ("name", None),
        ("name", 7),
        ("url", "shop.example"),
        ("url", None),
        ("url", "https://u:p@shop.example"),
        ("id", "p2"),
        ("jobs", []),
    ],
)
def test_a_bad_or_unknown_field_is_refused_by_name(field: str, value: Any) -> None:
    given = FIELDS | {field: value}
    PROJECT.given().when(create, project_id="p1", given=given).then_refused(
        InvalidField, f"{field}: "
    )
    PROJECT.given(CREATED).when(update, given={field: value}).then_refused(
        InvalidField, f"{field}: "
    )


def test_an_update_changes_only_what_was_sent() -> None:
    renamed = ProjectUpdated(name="Store", url="https://shop.example")
    given = PROJECT.given(CREATED).when(update, given={"name": "Store"}).then(renamed)
    moved = ProjectUpdated(name="Store", url="https://store.example")
    given = given.when(update, given={"url": "https://store.example"}).then(moved)
    assert given.state == Project(
        project_id="p1", name="Store", url="https://store.example", exists=True
    )


@pytest.mark.parametrize("given", [{}, {"name": "Shop"}, FIELDS])
def test_an_update_to_what_it_already_is_changes_nothing(given: dict[str, str]) -> None:
    PROJECT.given(CREATED).when(update, given=given).then_nothing()


def test_a_project_is_deleted_once() -> None:
    deleted = PROJECT.given(CREATED).when(delete).then(DELETED)
    assert not deleted.state.exists
    deleted.when(delete).then_refused(NotFound, "project not found")


def test_what_does_not_exist_can_be_neither_changed_nor_deleted() -> None:
    for given in (PROJECT.given(), PROJECT.given(CREATED, DELETED)):
        given.when(update, given={"name": "Store"}).then_refused(NotFound, "project not found")
        given.when(delete).then_refused(NotFound, "project not found")
        with pytest.raises(NotFound):
            require_existing(given.state)


def test_a_project_that_exists_is_taken_for_one() -> None:
    require_existing(PROJECT.given(CREATED).state)


def test_the_stream_is_named_after_the_project() -> None:
    assert stream("p1") == "project-p1"
