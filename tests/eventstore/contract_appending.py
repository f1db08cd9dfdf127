"""Appending: versions, atomicity, retries, and neighbours in a batch."""

from __future__ import annotations

import pytest

from eventstore.store import (
    ANY_VERSION,
    NO_STREAM,
    Append,
    Appended,
    AppendRefused,
    EventIdReused,
    EventStore,
    SecretIdReused,
    VersionConflict,
)
from tests.eventstore.building import Applied, append, event, secret, write


def recorded(answer: Appended | AppendRefused) -> Appended:
    assert isinstance(answer, Appended), answer
    return answer


class AppendingContract:
    def test_an_empty_log_ends_at_position_zero_with_a_chain_of_zero_bytes(
        self, store: EventStore
    ) -> None:
        assert store.head().position == 0
        assert store.head().chain_hash == bytes(32)

    def test_what_was_recorded_comes_back_as_it_went_in(self, store: EventStore) -> None:
        new = event(
            "job-9",
            type="Odd",
            schema_version=3,
            payload=b"\x00\xff",
            account="account-9",
            actor="cli",
            correlation_id="request-9",
            causation_id="cause-9",
        )

        [answer] = store.append([append("stream", NO_STREAM, new)])

        [back] = store.read_stream("stream")
        assert recorded(answer).events == (back,)
        assert not recorded(answer).repeated
        for name in type(new).__slots__:
            assert getattr(back, name) == getattr(new, name)
        assert (back.stream, back.version, back.position) == ("stream", 1, 1)
        assert back.recorded_at.utcoffset() is not None

    def test_versions_count_within_a_stream_and_positions_through_the_log(
        self, store: EventStore
    ) -> None:
        store.append([append("a", NO_STREAM, event(), event()), append("b", NO_STREAM)])
        store.append([append("a", 2), append("b", ANY_VERSION)])

        places = [(e.position, e.stream, e.version) for e in store.read_all(limit=10)]
        assert places == [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3), (5, "b", 2)]
        assert store.head().position == 5

    @pytest.mark.parametrize("expected", [NO_STREAM, 1, 3])
    def test_a_wrong_expected_version_is_a_conflict_that_names_both_versions(
        self, store: EventStore, expected: int
    ) -> None:
        store.append([append("a", NO_STREAM, event(), event())])

        [answer] = store.append([append("a", expected)])

        assert isinstance(answer, VersionConflict)
        assert (answer.stream, answer.expected, answer.actual) == ("a", expected, 2)
        assert len(store.read_stream("a")) == 2

    def test_a_missing_stream_is_a_conflict_for_who_expected_one(self, store: EventStore) -> None:
        [answer] = store.append([append("a", 1)])

        assert isinstance(answer, VersionConflict)
        assert answer.actual == 0

    def test_a_conflict_leaves_its_neighbours_in_the_batch_alone(
        self, store: EventStore, applied: Applied
    ) -> None:
        answers = store.append(
            [append("a", NO_STREAM), append("a", NO_STREAM), append("a", 1), append("b", 7)]
        )

        assert [type(answer) for answer in answers] == [
            Appended,
            VersionConflict,
            Appended,
            VersionConflict,
        ]
        assert [e.position for e in store.read_all(limit=10)] == [1, 2]
        assert [e.position for e in applied.batches[0]] == [1, 2]

    def test_an_append_over_several_streams_happens_whole(self, store: EventStore) -> None:
        both = Append(writes=(write("a", NO_STREAM, event()), write("b", NO_STREAM, event())))

        [answer] = store.append([both])

        assert [e.stream for e in recorded(answer).events] == ["a", "b"]

    def test_an_append_over_several_streams_happens_not_at_all_when_one_conflicts(
        self, store: EventStore
    ) -> None:
        both = Append(
            writes=(write("a", NO_STREAM, event()), write("b", 4, event())),
            secrets=(secret("s", "job-1"),),
            seals=("job-2",),
        )

        [answer] = store.append([both])

        assert isinstance(answer, VersionConflict)
        assert store.head().position == 0
        assert store.read_secrets(["s"]) == {}
        assert store.unfinished_erasures() == []

    def test_a_guard_refuses_without_writing(self, store: EventStore) -> None:
        store.append([append("project", NO_STREAM)])
        guarded = [
            Append(writes=(write("job", NO_STREAM, event()), write("project", expected)))
            for expected in (0, 1)
        ]

        refused, fine = store.append(guarded)

        assert isinstance(refused, VersionConflict)
        assert refused.stream == "project"
        assert [e.stream for e in recorded(fine).events] == ["job"]
        assert len(store.read_stream("project")) == 1

    def test_a_guard_speaks_of_the_version_before_the_append(self, store: EventStore) -> None:
        [answer] = store.append(
            [Append(writes=(write("a", NO_STREAM, event()), write("a", NO_STREAM, event())))]
        )

        assert [e.version for e in recorded(answer).events] == [1, 2]

    def test_an_append_without_events_records_nothing(
        self, store: EventStore, applied: Applied
    ) -> None:
        [answer] = store.append([Append(writes=(write("a", NO_STREAM),))])

        assert recorded(answer).events == ()
        assert store.head().position == 0
        assert applied.batches == []

    def test_no_appends_are_answered_with_nothing(self, store: EventStore) -> None:
        assert store.append([]) == []

    def test_a_retry_is_answered_with_what_was_recorded(
        self, store: EventStore, applied: Applied
    ) -> None:
        both = Append(writes=(write("b", NO_STREAM, event()), write("a", NO_STREAM, event())))
        [first] = store.append([both])

        [again] = store.append([both])

        assert recorded(again).repeated
        assert recorded(again).events == recorded(first).events
        assert store.head().position == 2
        assert len(applied.batches) == 1

    def test_a_retry_in_another_order_is_answered_in_the_order_of_the_log(
        self, store: EventStore
    ) -> None:
        writes = (write("a", NO_STREAM, event()), write("b", NO_STREAM, event()))
        store.append([Append(writes=writes)])

        [again] = store.append([Append(writes=writes[::-1])])

        assert [e.position for e in recorded(again).events] == [1, 2]

    def test_a_retry_in_the_same_batch_is_recognised_too(self, store: EventStore) -> None:
        same = append("a", NO_STREAM)

        first, again = store.append([same, same])

        assert not recorded(first).repeated
        assert recorded(again).repeated
        assert recorded(again).events == recorded(first).events

    def test_a_retry_is_recognised_after_the_stream_has_moved_on(self, store: EventStore) -> None:
        first = append("a", NO_STREAM)
        store.append([first, append("a", 1)])

        [again] = store.append([first])

        assert [e.version for e in recorded(again).events] == [1]

    def test_ids_of_which_some_are_new_are_refused(self, store: EventStore) -> None:
        old, new = event(), event()
        store.append([append("a", NO_STREAM, old)])

        [answer] = store.append([append("a", 1, old, new)])

        assert isinstance(answer, EventIdReused)
        assert answer.event_id == old.event_id
        assert store.head().position == 1

    def test_ids_recorded_in_another_stream_are_refused(self, store: EventStore) -> None:
        old = event()
        store.append([append("a", NO_STREAM, old)])

        [answer] = store.append([append("b", NO_STREAM, old)])

        assert isinstance(answer, EventIdReused)
        assert store.read_stream("b") == []

    def test_an_id_twice_in_one_append_is_refused_and_harms_no_neighbour(
        self, store: EventStore
    ) -> None:
        same = event()

        refused, fine = store.append([append("a", NO_STREAM, same, same), append("b", NO_STREAM)])

        assert isinstance(refused, EventIdReused)
        assert refused.event_id == same.event_id
        assert recorded(fine).events[0].position == 1

    def test_secrets_come_with_the_append_that_refers_to_them(self, store: EventStore) -> None:
        mine = secret("s-1", "job-1", b"\x00cipher")

        store.append([append("a", NO_STREAM, secrets=[mine])])

        assert store.read_secrets(["s-1", "s-2"]) == {"s-1": mine}
        assert store.read_secrets([]) == {}

    def test_a_taken_secret_id_is_refused(self, store: EventStore) -> None:
        store.append([append("a", NO_STREAM, secrets=[secret("s-1", "job-1", b"old")])])

        answers = store.append(
            [
                append("a", 1, secrets=[secret("s-1", "job-1", b"new")]),
                append("a", 1, secrets=[secret("s-2", "job-1"), secret("s-2", "job-1")]),
                append("a", 1, secrets=[secret("s-3", "job-1")]),
                append("a", 2, secrets=[secret("s-3", "job-1")]),
            ]
        )

        assert [type(answer) for answer in answers] == [
            SecretIdReused,
            SecretIdReused,
            Appended,
            SecretIdReused,
        ]
        assert store.read_secrets(["s-1"])["s-1"].ciphertext == b"old"

    def test_read_models_are_brought_up_to_date_once_for_a_batch(
        self, store: EventStore, applied: Applied
    ) -> None:
        store.append([append("a", NO_STREAM), append("b", NO_STREAM, event(), event())])

        assert applied.batches == [store.read_all(limit=10)]

    def test_nothing_is_recorded_when_a_read_model_fails(
        self, store: EventStore, applied: Applied
    ) -> None:
        applied.fail_on = "Poison"

        with pytest.raises(RuntimeError, match="can't apply Poison"):
            store.append([append("a", NO_STREAM), append("b", NO_STREAM, event(type="Poison"))])

        assert store.head().position == 0
        assert store.read_all(limit=10) == []
        [answer] = store.append([append("a", NO_STREAM)])
        assert recorded(answer).events[0].position == 1

    def test_hundreds_of_appends_are_decided_in_one_batch(
        self, store: EventStore, applied: Applied
    ) -> None:
        wrong = {n for n in range(700) if n % 7 == 3}

        answers = store.append(
            [append(f"stream-{n}", 1 if n in wrong else NO_STREAM) for n in range(700)]
        )

        assert {n for n, answer in enumerate(answers) if not isinstance(answer, Appended)} == wrong
        assert store.head().position == 600
        assert len(applied.batches) == 1
