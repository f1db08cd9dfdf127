"""One log, many writers and readers: threads, and other processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from eventstore import reading, statements
from eventstore.database import Database
from eventstore.store import ANY_VERSION, Append, Appended, EventStore, VersionConflict
from tests.eventstore.building import append, event
from tests.eventstore.contract_reading import chain_of

WRITERS = 4
EACH = 40


def append_one_by_one(store: EventStore, writer: int) -> int:
    """What each concurrent writer does; returns how many it recorded."""
    recorded = 0
    for n in range(EACH):
        mine = append(f"own-{writer}", n, event(event_id=f"{writer}-{n}"))
        ours = Append(
            writes=append("shared", ANY_VERSION, event(event_id=f"s-{writer}-{n}")).writes
        )
        recorded += sum(isinstance(answer, Appended) for answer in store.append([mine, ours]))
    return recorded


def race_for_versions(store: EventStore, writer: int) -> int:
    """Take each of a stream's versions, or lose it to somebody else; returns how many were won."""
    won = 0
    for version in range(EACH):
        [answer] = store.append([append("raced", version, event(event_id=f"r-{writer}-{version}"))])
        assert isinstance(answer, Appended | VersionConflict)
        won += isinstance(answer, Appended)
    return won


class SharingContract:
    def test_positions_have_no_gaps_under_concurrent_threads(
        self, store: EventStore, beside: Callable[[], EventStore]
    ) -> None:
        stores = [store, store, beside(), beside()]

        with ThreadPoolExecutor(WRITERS) as pool:
            counts = list(pool.map(append_one_by_one, stores, range(WRITERS)))

        assert counts == [2 * EACH] * WRITERS
        events = store.read_all(limit=10_000)
        assert [e.position for e in events] == list(range(1, 2 * EACH * WRITERS + 1))
        assert [e.version for e in store.read_stream("shared")] == list(
            range(1, EACH * WRITERS + 1)
        )
        assert chain_of(events) == store.head().chain_hash

    def test_each_version_has_one_winner(
        self, store: EventStore, beside: Callable[[], EventStore]
    ) -> None:
        stores = [store, beside(), beside(), beside()]

        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(race_for_versions, stores, range(WRITERS)))

        assert sum(won) == EACH
        assert [e.version for e in store.read_stream("raced")] == list(range(1, EACH + 1))

    def test_positions_have_no_gaps_under_concurrent_processes(
        self, store: EventStore, writer_processes: Callable[[int], list[int]]
    ) -> None:
        counts = writer_processes(2)

        assert counts == [2 * EACH] * 2
        events = store.read_all(limit=10_000)
        assert [e.position for e in events] == list(range(1, 4 * EACH + 1))
        assert chain_of(events) == store.head().chain_hash

    def test_a_reader_sees_a_commit_of_another_process_at_once(
        self, store: EventStore, beside: Callable[[], EventStore]
    ) -> None:
        other = beside()
        assert store.head().position == 0

        other.append([append("a", 0)])

        assert store.head().position == 1
        assert len(store.read_stream("a")) == 1

    def test_a_snapshot_stays_at_its_moment(self, store: EventStore, database: Database) -> None:
        store.append([append("a", 0)])
        with database.snapshot() as moment:
            assert reading.head(moment).position == 1

            store.append([append("a", 1)])

            assert reading.head(moment).position == 1
            assert len(reading.read_all(moment, limit=10)) == 1
        assert store.head().position == 2

    def test_nobody_sees_an_append_before_it_is_committed(
        self, store: EventStore, beside: Callable[[], EventStore], database: Database
    ) -> None:
        other = beside()
        store.append([append("a", 0)])
        with database.log_transaction() as connection:
            [last] = reading.read_all(connection, limit=1)
            values = {name: getattr(last, name) for name in type(last).__slots__}
            uncommitted = values | {"position": 2, "version": 2, "event_id": "uncommitted"}
            connection.execute(statements.INSERT_EVENTS, uncommitted)
            assert other.head().position == 1
            assert len(other.read_all(limit=10)) == 1
        assert other.head().position == 2
