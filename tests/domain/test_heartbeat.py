"""The watch on a job's pings: when it is armed, what satisfies a window, what an outage is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.heartbeat import stream
from domain.pings import PingKind
from tests.domain.heartbeat_story import (
    HEARTBEAT,
    at,
    created,
    found,
    missed,
    ping,
    resumed,
    updated,
)


class TestArming:
    def test_a_job_that_never_pinged_is_never_missed(self) -> None:
        assert found(HEARTBEAT.given(created()), "23:59") == ()

    def test_a_job_that_never_pinged_awaits_nothing(self) -> None:
        assert HEARTBEAT.given(created()).state.closes_at is None

    @pytest.mark.parametrize("kind", ["beat", "success", "fail"])
    def test_the_first_ping_arms_the_watch_for_the_windows_that_open_after_it(
        self, kind: PingKind
    ) -> None:
        given = HEARTBEAT.given(created(), ping(kind, "00:30"))
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_first_ping_within_a_window_satisfies_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:55"))
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_job_without_a_heartbeat_is_never_missed(self) -> None:
        given = HEARTBEAT.given(created(heartbeat=False), ping("beat", "00:30"))
        assert found(given, "23:59") == ()

    def test_a_ping_of_a_paused_job_arms_nothing(self) -> None:
        given = HEARTBEAT.given(created(paused=True), ping("beat", "00:30"), resumed("00:40"))
        assert found(given, "23:59") == ()

    def test_a_watch_that_is_asked_for_after_the_first_ping_begins_with_the_next_tick(self) -> None:
        given = HEARTBEAT.given(
            created(heartbeat=False), ping("beat", "00:30"), updated("02:03", heartbeat=True)
        )
        assert found(given, "23:59") == (missed("03:00", "03:05"),)

    def test_a_passive_job_is_watched_as_an_active_one_is(self) -> None:
        given = HEARTBEAT.given(created(mode="passive"), ping("beat", "00:30"))
        assert found(given, "01:05") == (missed("01:00", "01:05"),)


class TestWindows:
    @pytest.mark.parametrize("kind", ["beat", "success", "fail"])
    @pytest.mark.parametrize("clock", ["00:55", "01:00", "01:05"])
    def test_a_report_from_end_to_end_of_the_window_satisfies_it(
        self, kind: PingKind, clock: str
    ) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping(kind, clock))
        assert found(given, "23:59") == (missed("02:00", "02:05"),)

    def test_a_report_before_the_window_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "00:54:59"))
        assert found(given, "23:59") == (missed("01:00", "01:05"),)

    def test_a_report_after_the_window_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "01:05:01"))
        assert found(given, "01:06") == (missed("01:00", "01:05"),)

    def test_a_start_alone_does_not_satisfy_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("start", "00:56"))
        assert found(given, "23:59") == (missed("01:00", "01:10", started="00:56"),)

    def test_a_window_is_open_up_to_its_end_and_missed_after_it(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"))
        assert given.state.closes_at == at("01:05")
        assert found(given, "01:05", later=timedelta()) == ()
        assert found(given, "01:05") == (missed("01:00", "01:05"),)

    def test_a_miss_bears_the_end_of_its_window_however_late_it_is_noticed(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"))
        assert found(given, "17:23") == (missed("01:00", "01:05"),)

    def test_a_window_opens_half_an_interval_early_where_the_tolerance_is_longer(self) -> None:
        job = created(schedule="*/10 * * * *", heartbeat_tolerance=7)
        early = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:04:59"))
        in_time = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:05"))
        assert found(early, "23:59") == (missed("00:10", "00:17"),)
        assert found(in_time, "23:59") == (missed("00:20", "00:27"),)

    def test_the_interval_that_counts_is_the_one_before_the_tick(self) -> None:
        job = created(schedule="0,10 * * * *", heartbeat_tolerance=20)
        given = HEARTBEAT.given(job, ping("beat", "00:06"), ping("beat", "00:40"))
        assert found(given, "23:59") == (missed("01:10", "01:30"),)
        too_early = HEARTBEAT.given(job, ping("beat", "00:06"), ping("beat", "00:39:59"))
        assert found(too_early, "23:59") == (missed("01:00", "01:20"),)

    def test_a_report_satisfies_every_window_that_is_open(self) -> None:
        job = created(schedule="*/10 * * * *", heartbeat_tolerance=25)
        given = HEARTBEAT.given(job, ping("beat", "00:01"), ping("beat", "00:30"))
        assert found(given, "23:59") == (missed("00:40", "01:05"),)

    def test_without_a_tolerance_only_a_report_at_the_very_tick_is_in_time(self) -> None:
        job = created(heartbeat_tolerance=0)
        given = HEARTBEAT.given(job, ping("beat", "00:30"), ping("beat", "01:00"))
        assert found(given, "23:59") == (missed("02:00", "02:00"),)
        late = HEARTBEAT.given(job, ping("beat", "00:30"), ping("beat", "01:00:01"))
        assert found(late, "01:59") == (missed("01:00", "01:00"),)

    def test_windows_follow_the_time_zone_of_the_job(self) -> None:
        job = created(schedule="0 9 * * *", timezone="Asia/Kolkata")
        given = HEARTBEAT.given(job, ping("beat", "00:30"))
        assert found(given, "23:59") == (missed("03:30", "03:35"),)


class TestOutages:
    def test_an_outage_is_recorded_once(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), missed("01:00", "01:05"))
        assert found(given, "23:59") == ()
        assert given.state.closes_at is None

    @pytest.mark.parametrize("kind", ["beat", "success"])
    def test_a_beat_or_success_ends_an_outage(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping(kind, "03:20")
        )
        assert found(given, "23:59") == (missed("04:00", "04:05"),)

    @pytest.mark.parametrize("kind", ["start", "fail"])
    def test_neither_a_fail_nor_a_start_ends_an_outage(self, kind: PingKind) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), missed("01:00", "01:05"), ping(kind, "03:20")
        )
        assert given.state.outage
        assert found(given, "04:05") == ()

    def test_an_outage_that_a_ping_brought_to_light_is_recorded_all_the_same(self) -> None:
        given = HEARTBEAT.given(created(), ping("beat", "00:30"), ping("beat", "03:20"))
        assert given.state.closes_at == at("01:05")
        assert found(given, "03:21") == (missed("01:00", "01:05"),)

    def test_outages_that_pings_brought_to_light_are_all_recorded_oldest_first(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("beat", "03:20"), ping("beat", "05:20")
        )
        assert found(given, "06:06") == (
            missed("01:00", "01:05"),
            missed("04:00", "04:05", number=1),
            missed("06:00", "06:05", number=2),
        )

    def test_what_a_ping_brought_to_light_does_not_undo_that_ping_when_it_is_recorded(self) -> None:
        given = HEARTBEAT.given(
            created(), ping("beat", "00:30"), ping("beat", "03:20"), missed("01:00", "01:05")
        )
        assert not given.state.outage
        assert found(given, "04:05") == (missed("04:00", "04:05"),)


def test_the_stream_of_pings_is_named_after_the_job() -> None:
    assert stream("j1") == "pings-j1"
