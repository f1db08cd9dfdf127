"""Stored events: what was ever written is read for ever, and what is written now is pinned."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.codec import EVENT_TYPES, Codec, EventType, UnknownEventType
from domain.execution import CheckTimings
from domain.headers import HeaderMark, HeaderSet
from domain.job import JobCreated, JobDeleted
from domain.job_fields import JobSettings
from domain.project import ProjectDeleted


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it was once written."""

    type: str
    version: int
    payload: str


STORED = [
    StoredEvent(**stored)
    for stored in json.loads(Path(__file__).with_name("stored_events.json").read_text("utf-8"))
]
"""Samples of everything that was ever written. Add to it; never change or remove one."""

CODEC = Codec()
EVENT_CLASSES = [known.event_class for known in EVENT_TYPES.values()]


class TestWhatIsStored:
    @pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.type)
    def test_it_can_be_read_for_ever(self, stored: StoredEvent) -> None:
        event = CODEC.decode(stored.type, stored.version, stored.payload.encode())
        assert type(event) is EVENT_TYPES[stored.type].event_class

    @pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.type)
    def test_nothing_of_it_is_lost_or_renamed(self, stored: StoredEvent) -> None:
        event = CODEC.decode(stored.type, stored.version, stored.payload.encode())
        name, version, payload = CODEC.encode(event)
        assert (name, version) == (stored.type, EVENT_TYPES[stored.type].version)
        if stored.version == version:
            assert payload.decode() == stored.payload

    def test_every_version_of_every_type_has_a_sample(self) -> None:
        known = {
            (name, version)
            for name, event_type in EVENT_TYPES.items()
            for version in range(1, event_type.version + 1)
        }
        assert {(stored.type, stored.version) for stored in STORED} == known

    def test_every_field_of_every_type_has_a_sample_with_a_value(self) -> None:
        for name, event_type in EVENT_TYPES.items():
            samples = [
                json.loads(stored.payload)
                for stored in STORED
                if (stored.type, stored.version) == (name, event_type.version)
            ]
            for field in fields(event_type.event_class):
                assert any(sample[field.name] not in (None, []) for sample in samples), field

    def test_times_are_in_utc_to_the_microsecond(self) -> None:
        stored = next(stored for stored in STORED if stored.type == "PingReceived")
        assert json.loads(stored.payload)["received_at"] == "2026-03-10T12:00:00.123456Z"
        ping = CODEC.decode(stored.type, stored.version, stored.payload.encode())
        assert ping.received_at == datetime(2026, 3, 10, 12, 0, 0, 123_456, tzinfo=UTC)
        assert ping.received_at.tzinfo is UTC

    def test_no_class_is_stored_under_two_names(self) -> None:
        assert len(set(EVENT_CLASSES)) == len(EVENT_CLASSES)

    def test_names_can_be_asked_for(self) -> None:
        assert CODEC.names_of(JobCreated, ProjectDeleted) == {"JobCreated", "ProjectDeleted"}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that an event's field may have."""
    match get_origin(hint):
        case None if isinstance(hint, type) and is_dataclass(hint):
            return st.builds(hint, **{name: values_of(of) for name, of in hints_of(hint).items()})
        case None:
            return LEAVES[hint]
        case origin if origin is Literal:
            return st.sampled_from(get_args(hint))
        case origin if origin is tuple:
            return st.lists(values_of(get_args(hint)[0]), max_size=3).map(tuple)
    return st.one_of([values_of(each) for each in get_args(hint)])


LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    types.NoneType: st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def hints_of(of: Any) -> dict[str, Any]:
    return get_type_hints(of)


@pytest.mark.parametrize("event_class", EVENT_CLASSES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_is_written_reads_back_as_it_was(event_class: type, data: st.DataObject) -> None:
    event = data.draw(values_of(event_class))
    assert CODEC.decode(*CODEC.encode(event)) == event


class TestOldVersions:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Waited:
        """Today's shape: the third."""

        milliseconds: int
        since: datetime
        why: str

    @staticmethod
    def in_milliseconds(first: dict[str, Any]) -> dict[str, Any]:
        return {"milliseconds": first["seconds"] * 1000, "since": first["since"]}

    @staticmethod
    def with_a_reason(second: dict[str, Any]) -> dict[str, Any]:
        return second | {"why": f"no reason given in {len(second)} fields"}

    SINCE = datetime(2026, 3, 10, 12, tzinfo=UTC)

    @property
    def codec(self) -> Codec:
        steps = (self.in_milliseconds, self.with_a_reason)
        return Codec({"Waited": EventType(self.Waited, upcasters=steps)})

    def test_the_first_version_goes_through_every_step(self) -> None:
        old = b'{"seconds": 90, "since": "2026-03-10T12:00:00Z"}'
        assert self.codec.decode("Waited", 1, old) == self.Waited(
            milliseconds=90_000, since=self.SINCE, why="no reason given in 2 fields"
        )

    def test_a_later_version_goes_through_the_steps_that_are_left(self) -> None:
        old = b'{"milliseconds": 5, "since": "2026-03-10T12:00:00Z"}'
        assert self.codec.decode("Waited", 2, old) == self.Waited(
            milliseconds=5, since=self.SINCE, why="no reason given in 2 fields"
        )

    def test_what_is_written_has_the_latest_version(self) -> None:
        event = self.Waited(milliseconds=5, since=self.SINCE, why="rain")
        name, version, payload = self.codec.encode(event)
        assert (name, version) == ("Waited", 3)
        assert self.codec.decode(name, version, payload) == event

    @pytest.mark.parametrize("version", [-1, 0, 4, 1_000])
    def test_any_other_version_is_refused_by_name(self, version: int) -> None:
        with pytest.raises(UnknownEventType, match=f"Waited version {version} "):
            self.codec.decode("Waited", version, b"{}")


class TestUnknownEvents:
    @pytest.mark.parametrize("name", ["", "jobCreated", "JobRenamed", "domain.job.JobCreated"])
    def test_an_unknown_type_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(UnknownEventType, match=f"{name} version 1 "):
            CODEC.decode(name, 1, b"{}")

    @pytest.mark.parametrize("name", list(EVENT_TYPES))
    def test_a_version_from_the_future_is_refused(self, name: str) -> None:
        newer = EVENT_TYPES[name].version + 1
        with pytest.raises(UnknownEventType, match=f"{name} version {newer} "):
            CODEC.decode(name, newer, b"{}")


class TestSecrets:
    """The value of a header has no place in any event."""

    def parts_of(self, hint: Any) -> Iterator[Any]:
        """Every type that a value of a type is made of."""
        yield hint
        inner = hints_of(hint).values() if is_dataclass(hint) else get_args(hint)
        for part in inner if get_origin(hint) is not Literal else ():
            yield from self.parts_of(part)

    @pytest.mark.parametrize("event_class", EVENT_CLASSES)
    def test_an_event_is_made_of_nothing_that_could_hold_one(self, event_class: type) -> None:
        known = {str, int, float, bool, datetime, types.NoneType, Ellipsis, event_class}
        known |= {HeaderSet, HeaderMark, JobSettings, CheckTimings}
        for part in self.parts_of(event_class):
            origin = get_origin(part)
            assert part in known or origin in {tuple, Union, types.UnionType, Literal}, part

    def test_a_header_is_told_by_its_name_and_a_fingerprint_only(self) -> None:
        assert hints_of(HeaderMark) == {"name": str, "fingerprint": str}
        assert hints_of(HeaderSet) == {
            "marks": tuple[HeaderMark, ...],
            "secret_id": str | None,
        }

    def test_only_the_settings_of_a_job_speak_of_headers(self) -> None:
        speaking = {
            part
            for event_class in EVENT_CLASSES
            for part in self.parts_of(event_class)
            if is_dataclass(part) and any("header" in name for name in hints_of(part))
        }
        assert speaking == {JobSettings}
        assert hints_of(JobSettings)["headers"] is HeaderSet

    def test_deletions_say_nothing_at_all(self) -> None:
        assert fields(JobDeleted) == fields(ProjectDeleted) == ()
