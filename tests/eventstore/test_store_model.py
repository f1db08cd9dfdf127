"""The store against a model of it in a few lists, under whatever Hypothesis thinks of."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eventstore.store import (
    ERASURE_STREAM_PREFIX,
    Append,
    Appended,
    AppendRefused,
    EventIdReused,
    NewEvent,
    SubjectSealed,
    VersionConflict,
)
from tests.eventstore.building import Applied, event, write
from tests.eventstore.contract_reading import chain_of, positions
from tests.eventstore.places import Place, PostgresPlace, SqlitePlace, store_in
from tests.servers.postgres import Databases

STREAMS = ["a", "b", f"{ERASURE_STREAM_PREFIX}x"]
SUBJECTS = ["x", "y", "z"]
TYPES = ["T", "U"]


@dataclass
class Line:
    """One event as the model keeps it."""

    stream: str
    event: NewEvent
    payload: bytes | None


@dataclass
class Model:
    """What a log is, without any of the machinery."""

    lines: list[Line] = field(default_factory=list)
    seals: dict[str, int] = field(default_factory=dict)

    def version(self, stream: str) -> int:
        return sum(line.stream == stream for line in self.lines)

    def ids(self) -> dict[str, str]:
        return {line.event.event_id: line.stream for line in self.lines}

    def append(self, wanted: Append) -> type[AppendRefused] | list[str]:
        """The refusal, or the ids that the answer holds."""
        pairs = [(each.stream, new) for each in wanted.writes for new in each.events]
        ids = [new.event_id for _, new in pairs]
        if self.is_retry(pairs):
            order = [line.event.event_id for line in self.lines]
            return sorted(ids, key=order.index)
        refusal = self.refusal(wanted, pairs)
        if refusal is not None:
            return refusal
        self.lines += [Line(stream, new, new.payload) for stream, new in pairs]
        self.seals |= dict.fromkeys(wanted.seals, len(self.lines))
        return ids

    def is_retry(self, pairs: list[tuple[str, NewEvent]]) -> bool:
        known = self.ids()
        distinct = len({new.event_id for _, new in pairs}) == len(pairs)
        return (
            bool(pairs)
            and distinct
            and all(known.get(new.event_id) == stream for stream, new in pairs)
        )

    def refusal(
        self, wanted: Append, pairs: list[tuple[str, NewEvent]]
    ) -> type[AppendRefused] | None:
        ids = [new.event_id for _, new in pairs]
        if len(set(ids)) < len(ids) or set(ids) & set(self.ids()):
            return EventIdReused
        if any(
            each.expected_version not in {None, self.version(each.stream)} for each in wanted.writes
        ):
            return VersionConflict
        subjects = {
            new.subject for stream, new in pairs if not stream.startswith(ERASURE_STREAM_PREFIX)
        }
        if (subjects | set(wanted.seals)) & set(self.seals):
            return SubjectSealed
        return None

    def erase(self, subject: str, limit: int) -> int:
        left = [
            line
            for line in self.lines[: self.seals[subject]]
            if line.event.subject == subject and line.payload is not None
        ]
        for line in left[:limit]:
            line.payload = None
        return len(left[:limit])


events = st.builds(
    lambda subject, kind, payload: event(subject, type=kind, payload=payload),
    st.sampled_from(SUBJECTS),
    st.sampled_from(TYPES),
    st.binary(max_size=4),
)


class Log(RuleBasedStateMachine):
    """Does the same to both, and compares what can be seen."""

    fresh: ClassVar[Callable[[], AbstractContextManager[Place]]]

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.database = self.resources.enter_context(type(self).fresh()).open()
        self.resources.callback(self.database.close)
        self.applied = Applied()
        self.store = store_in(self.database, self.applied)
        self.model = Model()

    def teardown(self) -> None:
        self.resources.close()

    def some_event(self, data: st.DataObject) -> NewEvent:
        recorded = [line.event for line in self.model.lines]
        return data.draw(
            st.one_of(events, events, st.sampled_from(recorded)) if recorded else events
        )

    def some_append(self, data: st.DataObject) -> Append:
        writes = []
        for stream in data.draw(st.lists(st.sampled_from(STREAMS), min_size=1, max_size=2)):
            present = self.model.version(stream)
            expected = data.draw(st.sampled_from([None, present, present, present + 1, 0]))
            new = [self.some_event(data) for _ in range(data.draw(st.integers(0, 3)))]
            writes.append(write(stream, expected, *new))
        seals = data.draw(st.sampled_from([(), (), (), ("x",), ("y",), ("x", "y")]))
        return Append(writes=tuple(writes), seals=seals)

    @rule(data=st.data(), size=st.integers(1, 4))
    def append_a_batch(self, data: st.DataObject, size: int) -> None:
        batch = [self.some_append(data) for _ in range(size)]
        before = len(self.model.lines)

        answers = self.store.append(batch)

        for wanted, answer in zip(batch, answers, strict=True):
            expected = self.model.append(wanted)
            if isinstance(expected, list):
                assert isinstance(answer, Appended), answer
                assert [each.event_id for each in answer.events] == expected
            else:
                assert type(answer) is expected
        if len(self.model.lines) > before:
            assert [e.position for e in self.applied.batches[-1]] == list(
                range(before + 1, len(self.model.lines) + 1)
            )

    @precondition(lambda self: self.model.seals)
    @rule(data=st.data(), limit=st.integers(1, 3))
    def erase(self, data: st.DataObject, limit: int) -> None:
        subject = data.draw(st.sampled_from(sorted(self.model.seals)))
        assert self.store.erase(subject, limit=limit) == self.model.erase(subject, limit)

    @rule(
        after=st.integers(0, 20),
        span=st.integers(0, 20),
        limit=st.integers(1, 8),
        subject=st.sampled_from([None, *SUBJECTS]),
        types=st.sampled_from([None, frozenset("T"), frozenset("TU"), frozenset()]),
    )
    def read(
        self,
        after: int,
        span: int,
        limit: int,
        subject: str | None,
        types: frozenset[str] | None,
    ) -> None:
        matching = [
            position
            for position, line in enumerate(self.model.lines, 1)
            if (subject is None or line.event.subject == subject)
            and (types is None or line.event.type in types)
        ]
        forward = self.store.read_all(
            after=after, until=after + span, limit=limit, subject=subject, types=types
        )
        backward = self.store.read_all_backward(
            before=after + 1, limit=limit, subject=subject, types=types
        )
        assert positions(forward) == [p for p in matching if after < p <= after + span][:limit]
        assert positions(backward) == [p for p in matching if p <= after][::-1][:limit]

    @invariant()
    def the_log_is_what_the_model_says(self) -> None:
        found = self.store.read_all(limit=10_000)
        assert [(e.position, e.stream, e.event_id, e.payload) for e in found] == [
            (position, line.stream, line.event.event_id, line.payload)
            for position, line in enumerate(self.model.lines, 1)
        ]
        assert chain_of(found) == self.store.head().chain_hash
        assert self.store.head().position == len(found)
        for stream in STREAMS:
            versions = [e.version for e in self.store.read_stream(stream)]
            assert versions == list(range(1, self.model.version(stream) + 1))
        assert {e.subject: e.sealed_position for e in self.store.unfinished_erasures()} == (
            self.model.seals
        )


@contextmanager
def fresh_file(template: Path) -> Iterator[SqlitePlace]:
    with tempfile.TemporaryDirectory() as folder:
        yield SqlitePlace(Path(shutil.copy(template, Path(folder) / "log.db")))


@contextmanager
def fresh_database(databases: Databases) -> Iterator[PostgresPlace]:
    with databases.fresh_database() as url:
        yield PostgresPlace(url)


def run(fresh: Callable[[], AbstractContextManager[Place]]) -> None:
    Log.fresh = staticmethod(fresh)
    run_state_machine_as_test(
        Log, settings=settings(max_examples=40, stateful_step_count=20, deadline=None)
    )


def test_the_store_in_sqlite_does_what_its_model_does(migrated_file: Path) -> None:
    run(partial(fresh_file, migrated_file))


def test_the_store_in_postgres_does_what_its_model_does(postgres: Databases) -> None:
    run(partial(fresh_database, postgres))
