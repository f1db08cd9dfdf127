"""An API key, from its creation to its revocation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.api_key import (
    INITIAL,
    PERMISSIONS,
    ApiKey,
    ApiKeyCreated,
    ApiKeyEvent,
    ApiKeyRevoked,
    check_account,
    create,
    evolve,
    revoke,
    stream,
)
from domain.errors import InvalidField, NotFound
from tests.domain.decider import Decider

KEY: Decider[ApiKey, ApiKeyEvent] = Decider(INITIAL, evolve)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
CREATED = ApiKeyCreated(
    key_id="k1",
    name="deploy",
    permissions=("read:jobs", "write:jobs"),
    key_hash="hash",
    created_at=AT,
)
REVOKED = ApiKeyRevoked(revoked_at=AT)


def asked(**changes: Any) -> dict[str, Any]:
    usual = {
        "key_id": "k1",
        "name": "deploy",
        "permissions": ["read:jobs", "write:jobs"],
        "key_hash": "hash",
        "at": AT,
    }
    return usual | changes


def test_a_key_is_created_with_its_permissions() -> None:
    given = KEY.given().when(create, **asked()).then(CREATED)
    assert given.state == ApiKey(
        key_id="k1", name="deploy", permissions=("read:jobs", "write:jobs"), exists=True
    )


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_every_permission_can_be_given_alone(permission: str) -> None:
    answer = KEY.given().when(create, **asked(permissions=[permission]))
    assert answer.asked.state == INITIAL
    assert [event.permissions for event in answer.events if isinstance(event, ApiKeyCreated)] == [
        (permission,)
    ]


def test_there_are_the_five_permissions_of_the_contract() -> None:
    assert PERMISSIONS == ("read:projects", "write:projects", "read:jobs", "write:jobs", "*")


def test_a_permission_that_is_named_twice_is_given_once() -> None:
    twice = ["write:jobs", "read:jobs", "write:jobs"]
    (event,) = KEY.given().when(create, **asked(permissions=twice)).events
    assert isinstance(event, ApiKeyCreated)
    assert event.permissions == ("write:jobs", "read:jobs")


@pytest.mark.parametrize(
    "permissions", [[], ["read:everything"], ["read:jobs", ""], ["READ:JOBS"], [None], [["*"]], [1]]
)
def test_other_permissions_are_refused_and_the_allowed_ones_named(permissions: list[Any]) -> None:
    KEY.given().when(create, **asked(permissions=permissions)).then_refused(
        InvalidField, "permissions: ", *PERMISSIONS
    )


@pytest.mark.parametrize("name", ["", " ", "n" * 201, "a\nb", None, 5])
def test_a_bad_name_is_refused(name: Any) -> None:
    KEY.given().when(create, **asked(name=name)).then_refused(InvalidField, "name: ")


def test_creating_it_again_changes_nothing() -> None:
    KEY.given(CREATED).when(create, **asked(name="other")).then_nothing()


def test_a_revoked_key_does_not_come_back_by_creating_it_again() -> None:
    given = KEY.given(CREATED, REVOKED).when(create, **asked()).then_nothing()
    assert given.state.revoked


def test_a_key_is_revoked_once() -> None:
    given = KEY.given(CREATED).when(revoke, at=AT).then(REVOKED)
    assert given.state.revoked
    given.when(revoke, at=AT).then_nothing()


def test_a_key_that_was_never_created_can_not_be_revoked() -> None:
    KEY.given().when(revoke, at=AT).then_refused(NotFound, "API key not found")


@pytest.mark.parametrize(
    "account", ["a", "7", "default", "acme-eu.prod_1", "a" * 64, "a" + "-" * 62 + "b"]
)
def test_an_account_is_named_by_a_short_word(account: str) -> None:
    assert check_account(account) == account


@pytest.mark.parametrize(
    "account",
    ["", "A", "a" * 65, "-a", "a-", ".", "a b", "a/b", "a\n", "ä", "a\x00", "_a"],
)
def test_other_names_of_accounts_are_refused(account: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_account(account)
    assert refused.value.field == "account"


def test_the_stream_is_named_after_the_key() -> None:
    assert stream("k1") == "apikey-k1"
