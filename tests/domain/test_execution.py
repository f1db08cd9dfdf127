"""A check, from its tick to its end."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from domain.errors import NotAllowed
from domain.execution import (
    GRACE,
    INITIAL,
    MAX_ATTEMPTS,
    CheckDue,
    CheckFailed,
    CheckSkipped,
    CheckStarted,
    CheckSucceeded,
    CheckTimings,
    Execution,
    ExecutionEvent,
    Outcome,
    RunRequested,
    abandon,
    evolve,
    finish,
    may_repeat,
    scheduled_id,
    start,
    stream,
)
from tests.domain.decider import Decider

EXECUTION: Decider[Execution, ExecutionEvent] = Decider(INITIAL, evolve)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
TIMEOUT = timedelta(seconds=30)
DUE = CheckDue(execution_id="e1", job_id="j1", tick=AT, next_tick=None)
REQUESTED = RunRequested(execution_id="e1", job_id="j1", requested_at=AT)
SKIPPED = CheckSkipped(
    execution_id="e1", job_id="j1", tick=AT, next_tick=None, running_execution_id="e0"
)
SUCCEEDED = CheckSucceeded(finished_at=AT, status_code=200, timings=CheckTimings(total_ms=12.5))
FAILED = CheckFailed(finished_at=AT, reason="dns", message="no such host")


def started(attempt: int = 1) -> CheckStarted:
    return CheckStarted(attempt=attempt, started_at=AT, deadline=AT + timedelta(seconds=45))


class TestIds:
    def test_the_same_job_and_tick_always_have_the_same_execution(self) -> None:
        assert scheduled_id("j1", AT) == "e0mmkk5mo05iouug41glvvm1qgxoe9xhk7"

    def test_a_tick_is_the_same_in_every_zone(self) -> None:
        india = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
        assert scheduled_id("j1", india) == scheduled_id("j1", AT)

    @drawn(st.text(max_size=40), st.datetimes(timezones=st.just(UTC)))
    def test_ids_have_the_form_that_all_ids_have(self, job_id: str, tick: datetime) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9]{23,}", scheduled_id(job_id, tick))

    def test_ids_differ_from_tick_to_tick_and_from_job_to_job(self) -> None:
        ids = {
            scheduled_id(job, AT + timedelta(seconds=second))
            for job in ("j1", "j2")
            for second in range(500)
        }
        assert len(ids) == 1000

    @drawn(st.text(), st.text(), st.integers(0, 10**13), st.integers(1, 10**13))
    def test_ids_sort_by_their_tick_whatever_the_job(
        self, one: str, other: str, earlier: int, between: int
    ) -> None:
        tick = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=earlier)
        later = tick + timedelta(milliseconds=between)
        assert scheduled_id(one, tick) < scheduled_id(other, later)

    def test_work_divided_by_the_last_character_is_divided_evenly(self) -> None:
        last = Counter(scheduled_id(f"j{number}", AT)[-1] for number in range(3_600))
        assert len(last) == 36
        assert 50 < min(last.values()) <= max(last.values()) < 150  # five deviations to each side

    def test_the_stream_is_named_after_the_execution(self) -> None:
        assert stream("e1") == "execution-e1"


class TestStarting:
    @pytest.mark.parametrize("first", [DUE, REQUESTED])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_queued_check_is_started_whatever_its_method(
        self, first: ExecutionEvent, method: str
    ) -> None:
        given = EXECUTION.given(first).when(start, method=method, timeout=TIMEOUT, at=AT)
        assert given.then(started()).state == Execution(
            status="running", attempt=1, deadline=AT + TIMEOUT + GRACE
        )

    def test_the_deadline_leaves_time_to_report_after_the_time_out(self) -> None:
        (event,) = EXECUTION.given(DUE).when(start, method="GET", timeout=TIMEOUT, at=AT).events
        assert isinstance(event, CheckStarted)
        assert event.deadline == AT + TIMEOUT + timedelta(seconds=15)

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_a_repeatable_call_that_nobody_makes_may_be_begun_three_times(
        self, method: str
    ) -> None:
        given = EXECUTION.given(DUE)
        for attempt in (1, 2, 3):
            asked = given.when(start, method=method, timeout=TIMEOUT, at=AT, orphaned=True)
            given = asked.then(started(attempt))
        given.when(start, method=method, timeout=TIMEOUT, at=AT, orphaned=True).then_refused(
            NotAllowed, f"the {method} call may have been made already"
        )
        assert MAX_ATTEMPTS == 3

    def test_a_call_that_somebody_may_be_making_is_not_repeated_before_its_deadline(self) -> None:
        given, deadline = EXECUTION.given(DUE, started()), AT + TIMEOUT + GRACE
        early = deadline - timedelta(microseconds=1)
        given.when(start, method="GET", timeout=TIMEOUT, at=early).then_refused(
            NotAllowed, "the call has until"
        )
        (again,) = given.when(start, method="GET", timeout=TIMEOUT, at=deadline).events
        assert isinstance(again, CheckStarted)
        assert again.attempt == 2

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_any_other_call_is_begun_at_most_once(self, method: str) -> None:
        given = EXECUTION.given(DUE, started())
        assert not may_repeat(given.state, method)
        given.when(start, method=method, timeout=TIMEOUT, at=AT).then_refused(
            NotAllowed, f"the {method} call may have been made already"
        )

    @pytest.mark.parametrize(
        ("past", "status"),
        [
            ((), "none"),
            ((SKIPPED,), "skipped"),
            ((DUE, started(), SUCCEEDED), "success"),
            ((DUE, started(), FAILED), "failed"),
        ],
    )
    def test_what_is_not_open_can_not_be_started(
        self, past: tuple[ExecutionEvent, ...], status: str
    ) -> None:
        given = EXECUTION.given(*past)
        assert given.state.status == status
        assert not given.state.is_open
        given.when(start, method="GET", timeout=TIMEOUT, at=AT).then_refused(NotAllowed, status)


class TestEnding:
    @pytest.mark.parametrize(("outcome", "status"), [(SUCCEEDED, "success"), (FAILED, "failed")])
    def test_a_running_check_ends_as_its_worker_reports(
        self, outcome: Outcome, status: str
    ) -> None:
        given = EXECUTION.given(DUE, started())
        assert given.state.is_open
        ended = given.when(finish, outcome=outcome).then(outcome)
        assert ended.state.status == status

    @pytest.mark.parametrize(
        "past",
        [(), (DUE,), (SKIPPED,), (DUE, started(), SUCCEEDED), (DUE, started(), FAILED)],
    )
    def test_only_a_running_check_can_end(self, past: tuple[ExecutionEvent, ...]) -> None:
        given = EXECUTION.given(*past)
        given.when(finish, outcome=SUCCEEDED).then_refused(NotAllowed, given.state.status)

    @pytest.mark.parametrize("past", [(DUE,), (REQUESTED,), (DUE, started())])
    def test_a_check_of_which_nobody_will_report_is_abandoned(
        self, past: tuple[ExecutionEvent, ...]
    ) -> None:
        given = EXECUTION.given(*past)
        abandoned = CheckFailed(finished_at=AT, reason="abandoned", message="the worker died")
        after = given.when(abandon, message="the worker died", at=AT).then(abandoned)
        assert after.state.status == "failed"

    @pytest.mark.parametrize("past", [(), (SKIPPED,), (DUE, started(), SUCCEEDED)])
    def test_what_is_not_open_is_not_abandoned(self, past: tuple[ExecutionEvent, ...]) -> None:
        EXECUTION.given(*past).when(abandon, message="late", at=AT).then_nothing()

    def test_a_worker_that_comes_back_after_it_was_given_up_changes_nothing(self) -> None:
        given = EXECUTION.given(DUE, started())
        given = given.when(abandon, message="the worker died", at=AT).then(
            CheckFailed(finished_at=AT, reason="abandoned", message="the worker died")
        )
        given.when(finish, outcome=SUCCEEDED).then_refused(NotAllowed, "failed")
