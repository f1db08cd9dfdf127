"""The hash chain, held to values computed by a program that shares no code with it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from eventstore import hashing

FIELDS: dict[str, Any] = {
    "position": 12,
    "stream": "job-abc",
    "version": 3,
    "event_id": "e-1",
    "type": "JobCreated",
    "schema_version": 1,
    "subject": "abc",
    "account": "acc",
    "actor": "key:1",
    "recorded_at": 1774747800123456,
    "correlation_id": "réq",
    "causation_id": None,
}


def a_strangers_chain(previous: bytes, fields: list[object], salt: bytes, payload: bytes) -> bytes:
    """The docstring of the module, followed to the letter in another way."""
    text = b"17:cronpulse-event-1,"
    for field in fields:
        if field is None:
            text += b"-,"
        else:
            data = str(field).encode("utf-8")
            text += str(len(data)).encode("ascii") + b":" + data + b","
    kept = hashlib.new("sha256", salt + payload).digest()
    leaf = hashlib.new("sha256", text + kept).digest()
    return hashlib.new("sha256", previous + leaf).digest()


def chained(*, payload: bytes = b"{}", **changed: Any) -> bytes:
    envelope = hashing.envelope(**(FIELDS | changed))
    digest = hashing.payload_hash(b"s" * 16, payload)
    return hashing.link(hashing.CHAIN_START, hashing.leaf(envelope, digest))


def test_the_envelope_is_exactly_the_documented_bytes() -> None:
    assert hashing.envelope(**FIELDS) == (
        b"17:cronpulse-event-1,2:12,7:job-abc,1:3,3:e-1,10:JobCreated,1:1,3:abc,3:acc,5:key:1,"
        b"16:1774747800123456,4:r\xc3\xa9q,-,"
    )


def test_the_chain_has_its_golden_value() -> None:
    assert chained().hex() == ("9ad851369e6a311520aa23ff9de03327bab404e2ae1108460052c8b69c916c50")


def test_a_stranger_computes_the_same_chain() -> None:
    assert chained() == a_strangers_chain(bytes(32), list(FIELDS.values()), b"s" * 16, b"{}")


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_the_envelope_counts(name: str) -> None:
    value = FIELDS[name]
    other = "x" if value is None else value + 1 if isinstance(value, int) else f"{value}x"
    changed: dict[str, Any] = {name: other}
    assert chained(**changed) != chained()


def test_the_payload_counts() -> None:
    assert chained(payload=b"{ }") != chained()


def test_an_absent_cause_is_not_an_empty_one() -> None:
    assert chained(causation_id="") != chained(causation_id=None)


def test_bytes_that_move_from_one_field_to_the_next_are_noticed() -> None:
    assert chained(subject="ab", account="cacc") != chained(subject="abc", account="acc")


def test_the_salt_counts() -> None:
    assert hashing.payload_hash(b"a" * 16, b"x") != hashing.payload_hash(b"b" * 16, b"x")
