"""Reading: forward and backward, a stream, a subject, some types, everything; and the chain."""

from __future__ import annotations

from hashlib import sha256

import pytest

from eventstore import hashing
from eventstore.store import ANY_VERSION, Append, EventStore, RecordedEvent
from eventstore.tables import to_microseconds
from tests.eventstore.building import append, event, write


def positions(events: list[RecordedEvent]) -> list[int]:
    return [each.position for each in events]


def chain_of(events: list[RecordedEvent]) -> bytes:
    """The chain's head, from what the events say of themselves."""
    head = hashing.CHAIN_START
    for each in events:
        envelope = hashing.envelope(
            position=each.position,
            stream=each.stream,
            version=each.version,
            event_id=each.event_id,
            type=each.type,
            schema_version=each.schema_version,
            subject=each.subject,
            account=each.account,
            actor=each.actor,
            recorded_at=to_microseconds(each.recorded_at),
            correlation_id=each.correlation_id,
            causation_id=each.causation_id,
        )
        head = hashing.link(head, hashing.leaf(envelope, each.payload_hash))
        assert head == each.chain_hash
    return head


class ReadingContract:
    @pytest.fixture
    def log(self, store: EventStore) -> EventStore:
        """Twelve events: streams a, b, c in turn; subjects s0 and s1 by halves; types T0 to T3."""
        store.append(
            [
                append(
                    "abc"[n % 3],
                    ANY_VERSION,
                    event(f"s{n // 6}", type=f"T{n % 4}", payload=b"%d" % n),
                )
                for n in range(12)
            ]
        )
        return store

    def test_a_stream_reads_forward_from_a_version(self, log: EventStore) -> None:
        assert positions(log.read_stream("b")) == [2, 5, 8, 11]
        assert positions(log.read_stream("b", after_version=1, limit=2)) == [5, 8]
        assert log.read_stream("b", after_version=4) == []
        assert log.read_stream("nothing") == []

    def test_a_stream_reads_backward_from_a_version(self, log: EventStore) -> None:
        assert positions(log.read_stream_backward("b")) == [11, 8, 5, 2]
        assert positions(log.read_stream_backward("b", before_version=4, limit=2)) == [8, 5]
        assert log.read_stream_backward("b", before_version=1) == []

    def test_the_log_reads_forward_between_positions(self, log: EventStore) -> None:
        assert positions(log.read_all(limit=100)) == list(range(1, 13))
        assert positions(log.read_all(after=3, until=7, limit=100)) == [4, 5, 6, 7]
        assert positions(log.read_all(after=3, until=7, limit=2)) == [4, 5]
        assert log.read_all(after=12, limit=5) == []

    def test_the_log_reads_backward_before_a_position(self, log: EventStore) -> None:
        assert positions(log.read_all_backward(limit=3)) == [12, 11, 10]
        assert positions(log.read_all_backward(before=4, limit=100)) == [3, 2, 1]
        assert log.read_all_backward(before=1, limit=100) == []

    def test_a_subject_reads_both_ways(self, log: EventStore) -> None:
        assert positions(log.read_all(subject="s0", after=1, until=5, limit=3)) == [2, 3, 4]
        assert positions(log.read_all_backward(subject="s0", limit=2)) == [6, 5]
        assert log.read_all(subject="s9", limit=2) == []

    @pytest.mark.parametrize(
        ("types", "found"),
        [
            ({"T1"}, [2, 6, 10]),
            ({"T1", "T3"}, [2, 4, 6, 8, 10, 12]),
            ({"T1", "unheard of"}, [2, 6, 10]),
            ({"unheard of"}, []),
            (set(), []),
        ],
    )
    def test_types_read_both_ways(self, log: EventStore, types: set[str], found: list[int]) -> None:
        wanted = frozenset(types)
        assert positions(log.read_all(types=wanted, limit=100)) == found
        assert positions(log.read_all_backward(types=wanted, limit=100)) == found[::-1]
        assert positions(log.read_all(types=wanted, limit=2)) == found[:2]
        assert positions(log.read_all(types=wanted, after=2, until=10, limit=100)) == [
            position for position in found if 2 < position <= 10
        ]

    def test_types_of_a_subject_read_both_ways(self, log: EventStore) -> None:
        wanted = frozenset({"T0", "T1"})
        assert positions(log.read_all(subject="s1", types=wanted, limit=9)) == [9, 10]
        assert positions(log.read_all_backward(subject="s0", types=wanted, limit=2)) == [6, 5]

    def test_the_chain_recomputes_to_the_head(self, log: EventStore) -> None:
        log.append([Append(writes=(write("a", ANY_VERSION, event(causation_id="cause")),))])

        events = log.read_all(limit=100)

        assert chain_of(events) == log.head().chain_hash
        for each in events:
            assert each.salt is not None
            assert each.payload is not None
            assert each.payload_hash == sha256(each.salt + each.payload).digest()

    def test_each_event_has_a_salt_of_its_own(self, log: EventStore) -> None:
        assert len({each.salt for each in log.read_all(limit=100)}) == 12

    def test_a_new_subscriber_has_handled_nothing(self, store: EventStore) -> None:
        assert store.checkpoint("dispatcher") == 0

    def test_a_checkpoint_is_remembered_by_name(self, store: EventStore) -> None:
        store.save_checkpoint("dispatcher", 5)
        store.save_checkpoint("mailer", 7)
        store.save_checkpoint("dispatcher", 6)

        assert store.checkpoint("dispatcher") == 6
        assert store.checkpoint("mailer") == 7
