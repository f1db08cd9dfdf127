"""Load, fold, decide, append, and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import pytest

from eventstore.appender import Appender
from eventstore.changes import LogChanges
from eventstore.database import Database
from eventstore.store import (
    NO_STREAM,
    Append,
    EventStore,
    StreamWrite,
    SubjectSealed,
    VersionConflict,
)
from eventstore.transact import Context, Decider, EventLog, Transacted, retrying, transact
from tests.eventstore.building import append, event, secret, write

AT = datetime(2026, 11, 1, tzinfo=UTC)


class Numbers:
    """A codec whose events are numbers."""

    def encode(self, event: int) -> tuple[str, int, bytes]:
        return ("Added", 2, str(event).encode())

    def decode(self, type: str, schema_version: int, payload: bytes) -> int:  # noqa: A002
        assert (type, schema_version) == ("Added", 2)
        return int(payload)


SUM: Decider[int, int] = Decider(initial=0, evolve=lambda state, number: state + number)


@pytest.fixture
def log(database: Database, store: EventStore) -> Iterator[EventLog]:
    with Appender(store) as appender:
        yield EventLog(
            database=database,
            store=store,
            appender=appender,
            codec=Numbers(),
            changes=LogChanges(),
        )


@pytest.fixture
def context() -> Context:
    ids = iter(f"id-{n}" for n in range(1000))
    return Context(
        account="account-1",
        actor="key:1",
        at=AT,
        correlation_id="request-1",
        causation_id="cause-1",
        new_id=ids.__next__,
    )


@pytest.fixture
def add(log: EventLog, context: Context) -> Callable[[int], object]:
    async def add(number: int, stream: str = "sum") -> Transacted[int]:
        return await transact(log, stream, SUM, lambda _: [number], subject="s", context=context)

    return add


async def test_a_stream_that_is_not_there_is_the_initial_state(log: EventLog) -> None:
    loaded = await log.load("sum", SUM)
    assert (loaded.state, loaded.version) == (0, 0)


async def test_a_command_is_decided_on_the_folded_state(log: EventLog, context: Context) -> None:
    seen = []

    def double(state: int) -> Sequence[int]:
        seen.append(state)
        return [state, 1]

    await transact(log, "sum", SUM, lambda _: [3, 4], subject="s", context=context)
    done = await transact(log, "sum", SUM, double, subject="s", context=context)

    assert seen == [7]
    assert (done.state, done.version) == (15, 4)
    assert [e.version for e in done.events] == [3, 4]
    loaded = await log.load("sum", SUM)
    assert (loaded.state, loaded.version) == (15, 4)


async def test_events_carry_who_when_and_why(log: EventLog, context: Context) -> None:
    done = await transact(log, "sum", SUM, lambda _: [3], subject="job-1", context=context)

    [recorded] = done.events
    assert (recorded.event_id, recorded.type, recorded.schema_version) == ("id-0", "Added", 2)
    assert (recorded.payload, recorded.subject) == (b"3", "job-1")
    assert (recorded.account, recorded.actor, recorded.recorded_at) == ("account-1", "key:1", AT)
    assert (recorded.correlation_id, recorded.causation_id) == ("request-1", "cause-1")


async def test_nothing_decided_is_nothing_recorded(
    log: EventLog, store: EventStore, context: Context
) -> None:
    done = await transact(
        log,
        "sum",
        SUM,
        lambda _: [],
        subject="s",
        context=context,
        guards=[write("missing", 9)],
        seals=["s"],
    )

    assert (done.state, done.version, done.events) == (0, 0, ())
    assert store.head().position == 0
    assert store.unfinished_erasures() == []


async def test_what_the_command_raises_is_the_callers(log: EventLog, context: Context) -> None:
    def refuse(_state: int) -> Sequence[int]:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await transact(log, "sum", SUM, refuse, subject="s", context=context)


def deciding_while_others_write(
    store: EventStore, stream: str, times: int
) -> Callable[[int], Sequence[int]]:
    """Decides 100; the first ``times`` times, somebody else writes first."""
    left = iter(range(times))

    def decide(state: int) -> Sequence[int]:
        if next(left, None) is not None:
            other = event(type="Added", schema_version=2, payload=b"1")
            store.append([append(stream, None, other)])
        return [100 - state]

    return decide


async def test_a_command_that_was_overtaken_reads_again(
    log: EventLog, store: EventStore, context: Context
) -> None:
    decide = deciding_while_others_write(store, "sum", 3)
    done = await transact(log, "sum", SUM, decide, subject="s", context=context)

    assert (done.state, done.version) == (100, 4)
    assert [e.payload for e in store.read_stream("sum")] == [b"1", b"1", b"1", b"97"]


async def test_a_command_that_is_overtaken_too_often_gives_up(
    log: EventLog, store: EventStore, context: Context
) -> None:
    decide = deciding_while_others_write(store, "sum", 3)
    with pytest.raises(VersionConflict):
        await transact(log, "sum", SUM, decide, subject="s", context=context, attempts=3)
    assert len(store.read_stream("sum")) == 3


async def test_a_guard_that_fails_is_not_tried_again(
    log: EventLog, store: EventStore, context: Context
) -> None:
    decided = []

    def decide(state: int) -> Sequence[int]:
        decided.append(state)
        return [1]

    with pytest.raises(VersionConflict, match="project"):
        await transact(
            log, "sum", SUM, decide, subject="s", context=context, guards=[write("project", 1)]
        )
    assert decided == [0]
    assert store.head().position == 0


async def test_guards_secrets_and_seals_go_with_the_events(
    log: EventLog, store: EventStore, context: Context
) -> None:
    store.append([append("project", NO_STREAM)])
    await transact(
        log,
        "sum",
        SUM,
        lambda _: [1],
        subject="s",
        context=context,
        guards=[write("project", 1)],
        secrets=[secret("secret-1", "s")],
        seals=["s"],
    )

    assert set(store.read_secrets(["secret-1"])) == {"secret-1"}
    assert [e.subject for e in store.unfinished_erasures()] == ["s"]


async def test_an_erased_stream_says_that_its_subject_is_gone(
    log: EventLog, store: EventStore, context: Context
) -> None:
    await transact(log, "sum", SUM, lambda _: [1], subject="s", context=context, seals=["s"])
    store.erase("s", limit=10)

    with pytest.raises(SubjectSealed) as gone:
        await log.load("sum", SUM)
    assert gone.value.subject == "s"


async def test_a_command_over_several_streams_starts_over_as_a_whole(
    log: EventLog, store: EventStore, context: Context
) -> None:
    streams = ["project", "job-1", "job-2"]
    await transact(log, "job-1", SUM, lambda _: [5], subject="s", context=context)
    decide = deciding_while_others_write(store, "job-2", 2)

    async def attempt() -> int:
        loaded = {stream: await log.load(stream, SUM) for stream in streams}
        writes = tuple(
            StreamWrite(
                stream=stream,
                expected_version=each.version,
                events=tuple(
                    log.new_event(number, subject="s", context=context)
                    for number in decide(each.state)
                ),
            )
            for stream, each in loaded.items()
        )
        return len((await log.append(Append(writes=writes))).events)

    assert await retrying(attempt) == 3
    assert [(await log.load(stream, SUM)).state for stream in streams] == [100, 100, 100]


async def test_retrying_gives_up_after_its_attempts() -> None:
    attempts = []

    async def attempt() -> None:
        attempts.append(1)
        raise VersionConflict("a", 1, 2)

    with pytest.raises(VersionConflict):
        await retrying(attempt, attempts=5)
    assert len(attempts) == 5
