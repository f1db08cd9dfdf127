"""The checker of chaos runs finds every kind of violation: each is planted into a run without any."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.live.chaos import Options
from tests.live.chaos_evidence import ChaosEvidence
from tests.live.chaos_numbers import numbers
from tests.live.chaos_planted import PLANTED, Planted
from tests.live.chaos_run import as_json, judged, report
from tests.live.chaos_sample import POST, a_call, a_check, a_run_without_fault, second

OPTIONS = Options(jobs=4, seed=7, plan=[], calm=0, limit=60)


def broken(evidence: ChaosEvidence) -> dict[str, list[str]]:
    return {each.promise: list(each.broken) for each in judged(evidence) if each.broken}


def test_a_run_without_fault_keeps_every_promise() -> None:
    assert broken(a_run_without_fault()) == {}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(planted: Planted) -> None:
    run = a_run_without_fault()
    found = broken(planted.doctor(run) or run)
    (promise,) = [each for each in found if planted.promise in each]
    assert any(planted.words in each for each in found[promise]), found
    assert not planted.alone or len(found) == 1, found


def test_every_promise_can_be_broken() -> None:
    promises = [each.promise for each in judged(a_run_without_fault())]
    assert len(set(promises)) == len(promises)
    never = [p for p in promises if not any(each.promise in p for each in PLANTED.values())]
    assert never == []


def test_the_report_and_the_exit_say_what_was_found() -> None:
    run = a_run_without_fault()
    text = report(run, judged(run), options=OPTIONS)
    assert text.endswith(f"all {len(judged(run))} kept")
    assert "seed 7, 4 jobs" in text
    assert "1 x database crash, 1 x redis flush" in text
    assert as_json(run, judged(run), options=OPTIONS)["kept"] is True

    run = replace(run, ended=["api-1 ended"])
    text = report(run, judged(run), options=OPTIONS)
    assert text.endswith("1 broken")
    assert "BROKEN  no process ends" in text
    content = as_json(run, judged(run), options=OPTIONS)
    assert content["kept"] is False
    json.dumps(content, default=str)


def test_lateness_is_told_apart_by_whether_a_fault_is_nearby() -> None:
    run = a_run_without_fault()
    late = a_check(POST, 40)
    run.log.checks[late.execution_id] = late
    arrived = replace(a_call(late, method="POST", number=0), arrived_at=second(43))
    measured = numbers(replace(run, calls=[*run.calls, arrived]))
    assert (measured.late_in_calm.count, measured.late_in_calm.most) == (1, 3.0)
    assert (measured.late_in_chaos.count, measured.late_in_chaos.most) == (4, 1.5)
    assert measured.longest_silence == pytest.approx(43 - 9.5)
    assert measured.redis_again.most == pytest.approx(6.5 - 3)  # the tick of second 5
    assert (measured.database_away.most, measured.database_again.most) == (2.0, 2.5)
