"""Those who look on during a chaos run notice what should not be there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.live.chaos_evidence import complaints
from tests.live.chaos_redis import RedisWitness, fault_of_message
from tests.live.chaos_watch import Rest


def test_what_rests_is_counted_from_when_it_was_first_seen_so() -> None:
    rest = Rest()
    row: dict[str, Any] = {"execution_id": "e", "version": 1, "status": "queued", "timeout": 10}
    rest.seen([row], 100)
    rest.seen([row], 170)
    assert (rest.longest, rest.who) == (60, "e, queued at version 1")
    rest.seen([row | {"version": 2}], 175)
    rest.seen([row | {"version": 2}], 250)
    assert rest.longest == 65
    rest.seen([], 300)
    rest.seen([row | {"version": 2}], 400)
    assert rest.longest == 65


MESSAGE = {
    "queue_name": "checks",
    "actor_name": "run_checks",
    "args": [["e" + "0" * 33]],
    "kwargs": {},
    "options": {},
    "message_id": "1",
    "message_timestamp": 1,
}


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (MESSAGE, None),
        (MESSAGE | {"args": [["e" + "0" * 33, "http://example.com"]]}, "more than ids"),
        (MESSAGE | {"args": [[{"id": "e" + "0" * 33}]]}, "more than ids"),
        (MESSAGE | {"kwargs": {"url": "x"}}, "arguments with names"),
        (MESSAGE | {"options": {"delay": 1}}, "options"),
        (MESSAGE | {"headers": {}}, "more fields: ['headers']"),
    ],
)
def test_a_message_with_more_than_ids_is_noticed(
    message: dict[str, Any], fault: str | None
) -> None:
    found = fault_of_message(json.dumps(message))
    assert found is None if fault is None else fault in (found or "")


def test_what_is_sent_to_redis_is_read_along() -> None:
    witness = RedisWitness("redis://127.0.0.1")
    escaped = json.dumps(MESSAGE).replace('"', '\\"')
    witness.note_command(f'+1.5 [0 lua] "RPUSH" "cronpulse:checks" "{escaped}"')
    witness.note_command('+1.5 [0 127.0.0.1:1] "EVALSHA" "1" "cronpulse:checks" "10"')
    assert (witness.commands, witness.messages, witness.faults) == (2, 1, {})
    witness.note_command('+1.5 [0 127.0.0.1:1] "SET" "x" "canary-token-1"')
    escaped = json.dumps(MESSAGE | {"kwargs": {"a": 1}}).replace('"', '\\"')
    witness.note_command(f'+1.5 [0 lua] "LPUSH" "cronpulse:checks" "{escaped}"')
    assert list(witness.faults) == [
        "a secret or a payload was sent",
        "a message has options, or arguments with names",
    ]


def entry(level: str, message: str, **more: str) -> str:
    return json.dumps({"level": level, "message": message, **more})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (entry("warning", "execution e1 is left to be found again: the database is away"), None),
        (entry("warning", "the database can't be listened to; trying again"), None),
        (entry("warning", "3 checks have to wait: it is away", exception="E: x"), "E: x"),
        (entry("warning", "something else"), "something else"),
        (entry("error", "a step of the scheduler failed", exception="a\nE: y"), "E: y"),
        (entry("warning", "execution canary is left to be found again: x"), "a secret"),
        ("Traceback (most recent call last):", "Traceback"),
        ("cronpulse: the database server can't be reached", None),
        ("cronpulse: the database is damaged", "damaged"),
    ],
)
def test_only_outages_may_be_warned_of(line: str, told: str | None) -> None:
    found = list(complaints([("worker-1", line)]))
    assert bool(found) == (told is not None)
    assert all(told is not None and told in each and "worker-1" in each for each in found)
