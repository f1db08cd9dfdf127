"""API keys: which are let in, what a refusal says, and what they cost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from api.auth import INVALID, MISSING, NOTED_EVERY, Authenticator, KeyUsage
from api.commands import api_keys as key_commands
from api.errors import CHALLENGE, Unauthenticated
from eventstore.secrets import SecretBox
from eventstore.store import StoreUnavailable
from projections import api_keys
from projections.api_keys import ApiKeyView
from tests.api.asking import PROJECT, Api, Asked, make_key
from tests.clock import START
from tests.shapes import CALLER, SECRET_KEY, Shape


@dataclass
class LookUps:
    """Counts look-ups of keys, and the hashes that were looked for."""

    hashes: list[str] = field(default_factory=list)


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> LookUps:
    counted = LookUps()
    by_hash = api_keys.by_hash

    def count(connection: Connection, key_hash: str) -> ApiKeyView | None:
        counted.hashes.append(key_hash)
        return by_hash(connection, key_hash)

    monkeypatch.setattr(api_keys, "by_hash", count)
    return counted


def changed_at(key: str, place: int) -> str:
    return f"{key[:place]}{'x' if key[place] != 'x' else 'y'}{key[place + 1 :]}"


class TestRefused:
    async def test_no_key(self, api: Api, look_ups: LookUps) -> None:
        answer = await api.anonymous.get("/projects")
        assert (answer.status_code, answer.json()) == (401, {"error": MISSING})
        assert answer.headers["www-authenticate"] == CHALLENGE
        assert look_ups.hashes == []

    @pytest.mark.parametrize(
        "sent",
        [
            "",
            "cpk_",
            "hello",
            "cpk_short",
            f"cpk_{'a' * 201}",
            f"CPK_{'a' * 40}",
            "cpk_" + "é" * 40,
        ],
    )
    async def test_what_can_not_be_a_key_is_refused_without_a_look_up(
        self, api: Api, look_ups: LookUps, sent: str
    ) -> None:
        headers = {b"X-API-Key": sent.encode("latin-1")}
        answer = await api.client.get("/api/v1/projects", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": INVALID})
        assert answer.headers["www-authenticate"] == CHALLENGE
        assert look_ups.hashes == []

    async def test_a_mistyped_key_is_refused_without_a_look_up(
        self, api: Api, look_ups: LookUps
    ) -> None:
        assert api.me.key is not None
        answer = await Asked(api.client, changed_at(api.me.key, 10)).get("/projects")
        assert (answer.status_code, answer.json()) == (401, {"error": INVALID})
        assert look_ups.hashes == []

    async def test_an_unknown_key(self, api: Api, look_ups: LookUps) -> None:
        answer = await Asked(api.client, f"cpk_{'a' * 40}").get("/projects")
        assert (answer.status_code, answer.json()) == (401, {"error": INVALID})
        assert len(look_ups.hashes) == 1

    async def test_a_revoked_key(self, api: Api) -> None:
        made = await key_commands.create(
            api.shape.service, CALLER, name="short-lived", permissions=("*",)
        )
        who = Asked(api.client, made.key)
        assert (await who.get("/projects")).status_code == 200
        await key_commands.revoke(api.shape.service, CALLER, made.key_id)
        answer = await who.get("/projects")
        assert (answer.status_code, answer.json()) == (401, {"error": INVALID})

    async def test_two_keys_at_once(self, api: Api) -> None:
        assert api.me.key is not None
        headers = [("X-API-Key", api.me.key), ("X-API-Key", api.me.key)]
        answer = await api.client.get("/api/v1/projects", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": INVALID})

    async def test_a_key_in_another_place_is_no_key(self, api: Api) -> None:
        assert api.me.key is not None
        for answer in (
            await api.anonymous.get(f"/projects?X-API-Key={api.me.key}"),
            await api.anonymous.get("/projects", headers={"Authorization": f"Bearer {api.me.key}"}),
        ):
            assert (answer.status_code, answer.json()) == (401, {"error": MISSING})


class TestAccepted:
    async def test_a_request_costs_one_look_up(self, api: Api, look_ups: LookUps) -> None:
        assert (await api.me.get("/projects")).status_code == 200
        assert len(look_ups.hashes) == 1

    async def test_what_is_looked_for_is_a_keyed_hash(self, api: Api, look_ups: LookUps) -> None:
        assert api.me.key is not None
        await api.me.get("/projects")
        assert look_ups.hashes == [SecretBox(SECRET_KEY).hash_api_key(api.me.key)]

    async def test_what_is_done_is_recorded_as_done_by_the_key_in_the_request(
        self, api: Api
    ) -> None:
        made = await key_commands.create(api.shape.service, CALLER, name="mine", permissions=("*",))
        who = Asked(api.client, made.key)
        await who.post("/projects", PROJECT, headers={"X-Request-Id": "request-77"})
        (event,) = api.shape.core.store.read_all_backward(limit=1)
        assert (event.account, event.actor) == ("default", f"key:{made.key_id}")
        assert event.correlation_id == "request-77"

    async def test_a_key_made_under_an_older_secret_key_is_still_good(self, shape: Shape) -> None:
        key = await make_key(shape)
        rotated = replace(shape.service, secrets=SecretBox("a newer secret key", SECRET_KEY))
        authenticator = Authenticator(rotated, KeyUsage(rotated))
        headers = [(b"x-api-key", key.encode())]
        assert (await authenticator.authenticate(headers)).permits("read:jobs")
        forgotten = replace(shape.service, secrets=SecretBox("a newer secret key"))
        with pytest.raises(Unauthenticated):
            await Authenticator(forgotten, KeyUsage(forgotten)).authenticate(headers)


class TestUsage:
    @pytest.fixture
    def usage(self, shape: Shape) -> KeyUsage:
        return KeyUsage(shape.service)

    def last_used(self, shape: Shape) -> dict[str, datetime]:
        keys = shape.core.database.read_now(api_keys.every)
        return {key.id: key.last_used_at for key in keys if key.last_used_at is not None}

    async def test_a_request_is_noted_once_it_is_flushed(self, api: Api) -> None:
        (key,) = api.shape.core.database.read_now(api_keys.every)
        api.shape.clock.move(hours=2)
        await api.me.get("/projects")
        assert self.last_used(api.shape) == {}
        await api.usage.flush()
        assert self.last_used(api.shape) == {key.id: START + timedelta(hours=2)}

    async def test_a_refused_request_uses_no_key(self, api: Api) -> None:
        await Asked(api.client, f"cpk_{'a' * 40}").get("/projects")
        await api.usage.flush()
        assert self.last_used(api.shape) == {}

    async def test_it_is_written_at_most_once_a_minute(self, shape: Shape, usage: KeyUsage) -> None:
        usage.note("key-1", START)
        await usage.flush()
        usage.note("key-1", shape.clock.move(seconds=59))
        await usage.flush()
        assert self.noted(shape) == {"key-1": START}
        shape.clock.move(seconds=1)
        await usage.flush()
        assert self.noted(shape) == {"key-1": START + timedelta(seconds=59)}
        assert timedelta(minutes=1) == NOTED_EVERY

    async def test_at_the_end_it_is_written_at_once(self, shape: Shape, usage: KeyUsage) -> None:
        usage.note("key-1", START)
        await usage.flush()
        usage.note("key-2", shape.clock.move(seconds=1))
        await usage.flush(at_once=True)
        assert self.noted(shape) == {"key-1": START, "key-2": START + timedelta(seconds=1)}

    async def test_nothing_is_written_where_nothing_was_used(
        self, shape: Shape, usage: KeyUsage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage.note("key-1", START)
        await usage.flush()
        monkeypatch.setattr(usage, "_write", lambda _: pytest.fail("there is nothing to write"))
        shape.clock.move(minutes=5)
        await usage.flush(at_once=True)

    async def test_it_is_written_by_a_thread_and_not_by_the_event_loops(
        self, usage: KeyUsage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads = []
        monkeypatch.setattr(usage, "_write", lambda _: threads.append(threading.get_ident()))
        usage.note("key-1", START)
        await usage.flush()
        assert len(threads) == 1
        assert threads != [threading.get_ident()]

    async def test_what_could_not_be_written_is_remembered_with_what_came_meanwhile(
        self, shape: Shape, usage: KeyUsage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = START + timedelta(seconds=5)

        def fail(_: object) -> None:
            usage.note("key-1", later)
            raise StoreUnavailable("the disk is full")

        usage.note("key-1", START)
        usage.note("key-2", START)
        with monkeypatch.context() as broken:
            broken.setattr(usage, "_write", fail)
            with pytest.raises(StoreUnavailable):
                await usage.flush()
        await usage.flush()
        assert self.noted(shape) == {"key-1": later, "key-2": START}

    def noted(self, shape: Shape) -> dict[str, datetime]:
        rows = shape.core.database.read_now(
            lambda connection: connection.execute(api_keys.api_key_usage.select()).all()
        )
        return {row.key_id: row.last_used_at for row in rows}
