"""Runs that pings start and finish: which belong together, and what the watch makes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.pings import MAX_OPEN_STARTS, OpenStart, PingKind, pair
from tests.domain.heartbeat_story import HEARTBEAT, at, created, found, missed, ping


class TestRuns:
    def test_a_run_that_was_started_in_a_window_holds_it_open_for_the_tolerance_once_more(
        self,
    ) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "01:05"))
        assert given.state.closes_at == at("01:10")
        in_time = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:05"), ping("success", "01:10")
        )
        assert found(in_time, "01:59") == ()

    def test_a_run_that_was_started_before_the_window_does_not_hold_it_open(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "00:54"))
        assert found(given, "01:06") == (missed("01:00", "01:05"),)

    def test_a_run_without_a_finish_is_missed_once_with_its_window(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "01:02"))
        assert found(given, "01:10", later=timedelta()) == ()
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_first_ping_that_starts_a_run_is_watched_for_its_finish(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:02"))
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_first_ping_that_starts_a_run_arms_the_watch_like_any_other(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:20"))
        assert found(given, "23:59") == (
            missed("02:00", "02:05"),
            missed("02:00", "02:10", started="01:20", number=1),
        )

    def test_a_run_that_was_started_outside_all_windows_is_for_the_next_one(self) -> None:
        given = HEARTBEAT.given(created(), ping("start", "01:20"), ping("beat", "02:00"))
        assert found(given, "02:11") == (missed("02:00", "02:10", started="01:20"),)

    def test_a_beat_satisfies_the_window_but_does_not_end_the_run(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping("beat", "01:03")
        )
        assert found(given, "01:11") == (missed("01:00", "01:10", started="01:02"),)

    @pytest.mark.parametrize("kind", ["success", "fail"])
    def test_a_finish_ends_the_run(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping(kind, "01:09")
        )
        assert given.state.open_starts == ()
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_run_that_is_missed_begins_an_outage_that_its_window_is_part_of(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("start", "01:02"), ping("beat", "01:03")
        )
        assert found(given, "23:59") == (missed("01:00", "01:10", started="01:02"),)

    def test_a_run_in_an_outage_ends_as_missed_too(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping("start", "02:58")
        )
        assert found(given, "23:59") == (missed("03:00", "03:10", started="02:58"),)

    def test_a_delayed_run_is_for_the_oldest_window_that_still_waits(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("start", "00:08"))
        assert found(given, "23:59") == (missed("00:05", "00:15", started="00:08"),)

    def test_a_run_at_the_very_end_of_the_oldest_window_is_still_for_that(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("start", "00:10"))
        assert found(given, "23:59") == (missed("00:05", "00:15", started="00:10"),)

    def test_a_second_run_is_for_the_oldest_window_that_it_was_started_in(self) -> None:
        job = created(schedule="* * * * *")
        given = HEARTBEAT.given(
            job, ping("beat", "00:00"), ping("start", "00:01"), ping("start", "00:06:30")
        )
        assert [start.tick for start in given.state.open_starts] == [at("00:01"), at("00:02")]

    @pytest.mark.parametrize(
        ("clock", "tick"),
        [
            ("02:04:59", "02:00"),
            ("02:05", "02:10"),
            ("02:07", "02:10"),
            ("02:27", "02:20"),
            ("02:30", "02:40"),
            ("02:45", "02:40"),
            ("02:47", "02:40"),
            ("02:48", "03:00"),
        ],
    )
    def test_in_an_outage_a_run_is_for_the_last_window_that_is_open_or_else_the_next(
        self, clock: str, tick: str
    ) -> None:
        job = created(schedule="0,10,20,40 * * * *", heartbeat_tolerance=7)
        outage = missed("00:20", "00:27")
        given = HEARTBEAT.given(job, ping("beat", "00:11"), outage, ping("start", clock))
        assert [start.tick for start in given.state.open_starts] == [at(tick)]

    def test_a_run_in_a_satisfied_window_is_for_the_last_one_that_is_open(self) -> None:
        job = created(schedule="*/5 * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:08"), ping("start", "00:08:30"))
        assert given.state.closes_at == at("00:20")
        assert given.state.open_starts[0].tick == at("00:10")

    def test_a_window_that_holds_no_run_closes_although_an_older_one_is_held_open(self) -> None:
        job = created(schedule="* * * * *")
        given = HEARTBEAT.given(job, ping("beat", "00:00"), ping("start", "00:01"))
        assert found(given, "00:08") == (missed("00:02", "00:07"),)

    def test_a_missed_run_is_not_found_again_once_it_is_recorded(self) -> None:
        given = HEARTBEAT.given(
            created(),
            ping("beat", "00:30"),
            ping("start", "01:02"),
            missed("01:00", "01:10", started="01:02"),
        )
        assert given.state.open_starts == ()
        assert found(given, "23:59") == ()


class TestPairing:
    def starts(self, *runs: str | None) -> tuple[OpenStart, ...]:
        return tuple(
            OpenStart(ping_id=f"p{number}", started_at=at("01:00"), run_id=run)
            for number, run in enumerate(runs)
        )

    def test_a_finish_without_a_run_id_closes_the_latest_open_start(self) -> None:
        first, second = self.starts("a", None)
        pairing = pair((first, second), ping("success", "01:01"))
        assert (pairing.finished, pairing.still_open) == (second, (first,))

    def test_it_closes_one_with_a_run_id_too(self) -> None:
        first, second = self.starts(None, "a")
        pairing = pair((first, second), ping("fail", "01:01"))
        assert (pairing.finished, pairing.still_open) == (second, (first,))

    def test_a_finish_with_a_run_id_closes_the_start_of_the_same(self) -> None:
        first, second, third = self.starts("a", "b", None)
        pairing = pair((first, second, third), ping("success", "01:01", run="a"))
        assert (pairing.finished, pairing.still_open) == (first, (second, third))

    def test_a_finish_of_an_unknown_run_closes_none(self) -> None:
        starts = self.starts("a", None)
        pairing = pair(starts, ping("success", "01:01", run="c"))
        assert (pairing.finished, pairing.still_open) == (None, starts)

    def test_a_finish_without_any_open_start_closes_none(self) -> None:
        pairing = pair((), ping("success", "01:01"))
        assert (pairing.finished, pairing.still_open) == (None, ())

    def test_a_beat_closes_none(self) -> None:
        starts = self.starts(None)
        pairing = pair(starts, ping("beat", "01:01"))
        assert (pairing.finished, pairing.still_open) == (None, starts)

    def test_a_start_is_open_until_its_finish(self) -> None:
        (opened,) = pair((), ping("start", "01:01", run="a")).still_open
        assert (opened.ping_id, opened.started_at, opened.run_id) == (
            "start 01:01",
            at("01:01"),
            "a",
        )

    def test_the_oldest_start_is_given_up_when_there_are_too_many(self) -> None:
        starts = self.starts(*[None] * (MAX_OPEN_STARTS - 1))
        full = pair(starts, ping("start", "01:01"))
        assert full.given_up is None
        over = pair(full.still_open, ping("start", "01:02"))
        assert over.given_up == starts[0]
        assert len(over.still_open) == MAX_OPEN_STARTS
        assert over.still_open[0] == starts[1]
