"""Sealing and erasing: what is gone, what stays, and what can't be said any more."""

from __future__ import annotations

import pytest

from eventstore.store import (
    ANY_VERSION,
    ERASURE_STREAM_PREFIX,
    NO_STREAM,
    Append,
    Appended,
    Erasure,
    EventStore,
    SubjectSealed,
    VersionConflict,
)
from tests.eventstore.building import Applied, append, event, secret, write
from tests.eventstore.contract_reading import chain_of


class ErasingContract:
    def test_an_append_may_speak_about_the_subject_that_it_seals(self, store: EventStore) -> None:
        [answer] = store.append([append("job", NO_STREAM, event("job-1"), seals=["job-1"])])

        assert isinstance(answer, Appended)
        assert store.unfinished_erasures() == [Erasure(subject="job-1", sealed_position=1)]

    def test_nothing_can_be_recorded_about_a_sealed_subject(self, store: EventStore) -> None:
        store.append([append("job", NO_STREAM, event("job-1"), seals=["job-1"])])

        answers = store.append(
            [
                append("job", ANY_VERSION, event("job-1")),
                append("elsewhere", ANY_VERSION, event("job-2"), event("job-1")),
                append("elsewhere", NO_STREAM, event("job-2"), secrets=[secret("s", "job-1")]),
                append("elsewhere", NO_STREAM, event("job-2"), seals=["job-1"]),
                append("elsewhere", NO_STREAM, event("job-2")),
            ]
        )

        assert [type(answer) for answer in answers] == [SubjectSealed] * 4 + [Appended]
        assert "job-1" in str(answers[0])
        assert store.read_secrets(["s"]) == {}
        assert store.head().position == 2

    def test_a_seal_holds_for_later_appends_of_the_same_batch(self, store: EventStore) -> None:
        sealing = append("job", NO_STREAM, event("job-1"), seals=["job-1"])

        _, later = store.append([sealing, append("job", 1, event("job-1"))])

        assert isinstance(later, SubjectSealed)

    def test_a_conflict_comes_before_a_seal_so_that_the_writer_reads_again(
        self, store: EventStore
    ) -> None:
        store.append([append("job", NO_STREAM, event("job-1"), seals=["job-1"])])

        [answer] = store.append([append("job", NO_STREAM, event("job-1"))])

        assert isinstance(answer, VersionConflict)

    def test_a_retry_about_a_sealed_subject_is_still_answered(self, store: EventStore) -> None:
        sealing = append("job", NO_STREAM, event("job-1"), seals=["job-1"])
        store.append([sealing])

        [again] = store.append([sealing])

        assert isinstance(again, Appended)
        assert again.repeated

    def test_the_end_of_an_erasure_can_be_recorded_and_is_not_erased_itself(
        self, store: EventStore
    ) -> None:
        stream = f"{ERASURE_STREAM_PREFIX}job-1"
        store.append([append("job", NO_STREAM, event("job-1"), seals=["job-1"])])

        [answer] = store.append([append(stream, NO_STREAM, event("job-1", payload=b"done"))])

        assert isinstance(answer, Appended)
        store.erase("job-1", limit=100)
        [end] = store.read_stream(stream)
        assert end.payload == b"done"

    def test_several_subjects_are_sealed_together(self, store: EventStore) -> None:
        store.append(
            [
                Append(
                    writes=(
                        write("project", NO_STREAM, event("project-1")),
                        write("job", NO_STREAM, event("job-1")),
                    ),
                    seals=("project-1", "job-1"),
                )
            ]
        )

        assert store.erase("project-1", limit=10) == 1
        assert store.erase("job-1", limit=10) == 1

    def test_erasing_takes_payloads_salts_and_secrets_and_leaves_the_rest(
        self, store: EventStore
    ) -> None:
        store.append(
            [
                append("job", NO_STREAM, event("job-1"), secrets=[secret("s-1", "job-1")]),
                append("other", NO_STREAM, event("job-2"), secrets=[secret("s-2", "job-2")]),
                append("run", NO_STREAM, event("job-1")),
                append("job", 1, event("job-1"), seals=["job-1"]),
            ]
        )
        before = store.read_all(limit=10)

        assert store.erase("job-1", limit=10) == 3

        after = store.read_all(limit=10)
        assert [(e.payload is None, e.salt is None) for e in after] == [
            (True, True),
            (False, False),
            (True, True),
            (True, True),
        ]
        assert [e.payload_hash for e in after] == [e.payload_hash for e in before]
        assert set(store.read_secrets(["s-1", "s-2"])) == {"s-2"}
        assert chain_of(after) == store.head().chain_hash

    def test_erasing_goes_in_pieces_until_nothing_is_left(self, store: EventStore) -> None:
        store.append([append("job", ANY_VERSION, event("job-1")) for _ in range(7)])
        store.append([append("job", ANY_VERSION, event("job-1"), seals=["job-1"])])

        pieces = [store.erase("job-1", limit=3) for _ in range(4)]

        assert pieces == [3, 3, 2, 0]
        assert {e.payload for e in store.read_stream("job")} == {None}

    def test_read_models_see_the_events_without_payload(
        self, store: EventStore, applied: Applied
    ) -> None:
        store.append([append("job", NO_STREAM, event("job-1"), event("job-1"), seals=["job-1"])])
        applied.batches.clear()

        store.erase("job-1", limit=10)
        store.erase("job-1", limit=10)

        assert applied.batches == [store.read_stream("job")]
        assert applied.batches[0][0].payload is None

    def test_nothing_is_erased_when_a_read_model_fails(
        self, store: EventStore, applied: Applied
    ) -> None:
        store.append(
            [
                append(
                    "job",
                    NO_STREAM,
                    event("job-1", type="Poison"),
                    secrets=[secret("s", "job-1")],
                    seals=["job-1"],
                )
            ]
        )
        applied.fail_on = "Poison"

        with pytest.raises(RuntimeError):
            store.erase("job-1", limit=10)

        assert store.read_stream("job")[0].payload == b"{}"
        assert set(store.read_secrets(["s"])) == {"s"}
        applied.fail_on = None
        assert store.erase("job-1", limit=10) == 1

    def test_only_a_sealed_subject_can_be_erased(self, store: EventStore) -> None:
        store.append([append("job", NO_STREAM, event("job-1"))])

        with pytest.raises(ValueError, match="job-1 is not sealed"):
            store.erase("job-1", limit=10)

        assert store.read_stream("job")[0].payload == b"{}"

    def test_unfinished_erasures_are_listed_oldest_first_until_finished(
        self, store: EventStore
    ) -> None:
        for subject in ("job-2", "job-1", "job-3"):
            store.append([append(subject, NO_STREAM, event(subject), seals=[subject])])

        store.finish_erasure("job-1")

        assert store.unfinished_erasures() == [
            Erasure(subject="job-2", sealed_position=1),
            Erasure(subject="job-3", sealed_position=3),
        ]
        [answer] = store.append([append("job-1", ANY_VERSION, event("job-1"))])
        assert isinstance(answer, SubjectSealed)
