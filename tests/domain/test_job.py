"""A job, from its creation to its deletion."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import InvalidField, NotFound
from domain.headers import NO_HEADERS, HeaderMark, HeaderSet
from domain.job import (
    INITIAL,
    Job,
    JobCreated,
    JobDeleted,
    JobEvent,
    JobPaused,
    JobResumed,
    JobUpdated,
    create,
    delete,
    evolve,
    pause,
    require_existing,
    resume,
    stream,
    update,
)
from domain.job_fields import JobSettings, check_changes, check_new
from tests.domain.decider import Answer, Decider, Given

JOB: Decider[Job, JobEvent] = Decider(INITIAL, evolve)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ONE = datetime(2026, 3, 10, 13, tzinfo=UTC)
HALF_PAST = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
SETTINGS = JobSettings(
    name="Health", url="https://example.com/", method="GET", schedule="0 * * * *"
)
CREATED = JobCreated(
    job_id="j1",
    project_id="p1",
    settings=SETTINGS,
    paused=False,
    created_at=NOON,
    next_tick=ONE,
)
PAUSED = JobPaused(paused_at=NOON)
RESUMED = JobResumed(resumed_at=NOON, next_tick=ONE)
DELETED = JobDeleted()
MARKED = HeaderSet(marks=(HeaderMark(name="X-Key", fingerprint="f1"),), secret_id="s1")


def create_with(**sent: Any) -> Answer[Job, JobEvent]:
    given = {
        "name": "Health",
        "projectId": "p1",
        "url": "https://example.com/",
        "method": "GET",
        "schedule": "0 * * * *",
    }
    checked = check_new(given | sent)
    return JOB.given().when(
        create, job_id="j1", project_id="p1", sent=checked, headers=NO_HEADERS, at=NOON
    )


def update_of(
    given: Given[Job, JobEvent], *, headers: HeaderSet = NO_HEADERS, **sent: Any
) -> Answer[Job, JobEvent]:
    return given.when(update, sent=check_changes(sent), headers=headers, at=NOON)


def updated(*changed: str, next_tick: datetime | None = None, **settings: Any) -> JobUpdated:
    return JobUpdated(
        settings=replace(SETTINGS, **settings),
        changed=changed,
        updated_at=NOON,
        next_tick=next_tick,
    )


class TestCreation:
    def test_a_job_is_created_with_its_first_tick(self) -> None:
        assert create_with().then(CREATED).state == Job(
            job_id="j1", project_id="p1", settings=SETTINGS, paused=False, exists=True
        )

    def test_its_first_tick_is_after_its_creation_and_in_its_zone(self) -> None:
        (event,) = create_with(schedule="0 12 * * *", timezone="Asia/Kolkata").events
        assert isinstance(event, JobCreated)
        assert event.next_tick == datetime(2026, 3, 11, 6, 30, tzinfo=UTC)

    def test_a_job_that_is_created_paused_has_no_tick(self) -> None:
        given = create_with(paused=True).then(replace(CREATED, paused=True, next_tick=None))
        assert given.state.paused

    def test_a_passive_job_has_ticks_too(self) -> None:
        passive = replace(SETTINGS, mode="passive")
        create_with(mode="passive").then(replace(CREATED, settings=passive))

    def test_a_schedule_that_never_comes_is_refused(self) -> None:
        create_with(schedule="0 0 30 2 *").then_refused(InvalidField, "schedule: ")

    def test_creating_it_again_changes_nothing(self) -> None:
        sent = check_new(
            {
                "name": "Other",
                "projectId": "p2",
                "url": "https://other.example",
                "method": "PUT",
                "schedule": "@daily",
            }
        )
        JOB.given(CREATED).when(
            create, job_id="j1", project_id="p2", sent=sent, headers=NO_HEADERS, at=NOON
        ).then_nothing()


class TestChanges:
    def test_a_change_states_all_settings_and_names_what_is_new(self) -> None:
        answer = update_of(JOB.given(CREATED), name="Pulse", timeout=60)
        after = answer.then(updated("name", "timeout", name="Pulse", timeout=60))
        assert after.state.settings == replace(SETTINGS, name="Pulse", timeout=60)

    @pytest.mark.parametrize("sent", [{}, {"name": "Health"}, {"timeout": 30, "body": None}])
    def test_a_change_to_what_it_already_is_changes_nothing(self, sent: dict[str, Any]) -> None:
        update_of(JOB.given(CREATED), **sent).then_nothing()

    def test_a_new_schedule_has_a_first_tick_after_the_change(self) -> None:
        update_of(JOB.given(CREATED), schedule="30 * * * *").then(
            updated("schedule", schedule="30 * * * *", next_tick=HALF_PAST)
        )

    def test_a_new_zone_moves_the_ticks(self) -> None:
        update_of(JOB.given(CREATED), timezone="Asia/Kolkata").then(
            updated("timezone", timezone="Asia/Kolkata", next_tick=HALF_PAST)
        )

    def test_a_new_mode_states_the_next_tick(self) -> None:
        update_of(JOB.given(CREATED), mode="passive").then(
            updated("mode", mode="passive", next_tick=ONE)
        )

    @pytest.mark.parametrize(
        ("changed", "reschedules"),
        [
            (("schedule",), True),
            (("name", "timezone"), True),
            (("mode",), True),
            (("name", "url", "heartbeat", "heartbeat_tolerance", "timeout"), False),
            ((), False),
        ],
    )
    def test_ticks_are_others_only_with_another_schedule_zone_or_mode(
        self, changed: tuple[str, ...], reschedules: bool
    ) -> None:
        assert updated(*changed).reschedules is reschedules

    def test_a_new_schedule_of_a_paused_job_has_no_tick_yet(self) -> None:
        after = update_of(JOB.given(CREATED, PAUSED), schedule="30 * * * *").then(
            updated("schedule", schedule="30 * * * *")
        )
        assert after.state.paused
        after.when(resume, at=NOON).then(JobResumed(resumed_at=NOON, next_tick=HALF_PAST))

    def test_a_change_of_headers_shows_without_their_values(self) -> None:
        marked = updated("headers", headers=MARKED)
        after = update_of(JOB.given(CREATED), headers=MARKED).then(marked)
        update_of(after, headers=MARKED).then_nothing()
        again = HeaderSet(marks=(HeaderMark(name="X-Key", fingerprint="f2"),), secret_id="s2")
        update_of(after, headers=again).then(updated("headers", headers=again))

    def test_a_change_may_pause_a_job(self) -> None:
        update_of(JOB.given(CREATED), paused=True, timeout=60).then(
            updated("timeout", timeout=60), PAUSED
        )

    def test_a_change_may_resume_a_job_on_its_new_schedule(self) -> None:
        update_of(JOB.given(CREATED, PAUSED), paused=False, schedule="30 * * * *").then(
            updated("schedule", schedule="30 * * * *"),
            JobResumed(resumed_at=NOON, next_tick=HALF_PAST),
        )

    @pytest.mark.parametrize(("past", "paused"), [((CREATED,), False), ((CREATED, PAUSED), True)])
    def test_saying_that_it_is_as_it_is_changes_nothing(
        self, past: tuple[JobEvent, ...], paused: bool
    ) -> None:
        update_of(JOB.given(*past), paused=paused).then_nothing()

    def test_a_schedule_that_never_comes_is_refused(self) -> None:
        update_of(JOB.given(CREATED), schedule="0 0 31 4 *").then_refused(
            InvalidField, "schedule: "
        )


class TestPauses:
    def test_a_job_is_paused_once(self) -> None:
        given = JOB.given(CREATED).when(pause, at=NOON).then(PAUSED)
        assert given.state.paused
        given.when(pause, at=ONE).then_nothing()

    def test_a_job_is_resumed_once_with_its_next_tick(self) -> None:
        given = JOB.given(CREATED, PAUSED).when(resume, at=NOON).then(RESUMED)
        assert not given.state.paused
        given.when(resume, at=ONE).then_nothing()


class TestDeletion:
    def test_a_job_is_deleted_once(self) -> None:
        given = JOB.given(CREATED).when(delete).then(DELETED)
        assert not given.state.exists
        given.when(delete).then_refused(NotFound, "job not found")

    def test_what_does_not_exist_takes_no_command(self) -> None:
        for given in (JOB.given(), JOB.given(CREATED, DELETED)):
            update_of(given, name="Pulse").then_refused(NotFound, "job not found")
            given.when(pause, at=NOON).then_refused(NotFound, "job not found")
            given.when(resume, at=NOON).then_refused(NotFound, "job not found")
            given.when(delete).then_refused(NotFound, "job not found")
            with pytest.raises(NotFound):
                require_existing(given.state)


def test_the_stream_is_named_after_the_job() -> None:
    assert stream("j1") == "job-j1"
