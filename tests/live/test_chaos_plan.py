"""What a chaos run does is drawn from its seed, and even a short one has everything in it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

from tests.live.chaos_jobs import drawn, drawn_schedule
from tests.live.chaos_plan import EVERY, ROLES, names, plan, summary
from tests.live.chaos_receiver import conduct
from tests.live.receiver import Call
from tests.live.tick_accounts import seconds_of

RECEIVER = "http://127.0.0.1:1"


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert plan(seconds=600, seed=5) == plan(seconds=600, seed=5)
    assert plan(seconds=600, seed=5) != plan(seconds=600, seed=6)


def test_something_happens_every_two_seconds_and_to_the_database_every_minute() -> None:
    faults = plan(seconds=600, seed=1)
    to_the_database = [each for each in faults if each.kind.startswith("database")]
    others = [each for each in faults if each not in to_the_database]
    assert [each.at for each in others] == [number * EVERY for number in range(300)]
    assert [each.at for each in to_the_database] == [30 + 60 * number for number in range(10)]
    assert Counter(each.kind for each in to_the_database) == {
        "database restart": 5,
        "database crash": 5,
    }
    assert faults == sorted(faults, key=lambda each: each.at)


def test_a_short_run_has_every_kind_of_fault_for_every_role() -> None:
    for seed in range(20):
        faults = plan(seconds=16, seed=seed, database_every=8)
        kinds = {(each.kind, each.target.partition("-")[0]) for each in faults}
        assert kinds == {
            *((kind, role) for kind in ("kill", "stop") for role in ROLES),
            ("redis restart", ""),
            ("redis flush", ""),
            ("database restart", ""),
            ("database crash", ""),
        }


def test_a_long_run_gets_round_to_every_process() -> None:
    done = {(each.kind, each.target) for each in plan(seconds=600, seed=1) if each.target}
    every = {name for role in ROLES for name in names(role)}
    assert done == {(kind, name) for kind in ("kill", "stop") for name in every}


def test_a_plan_can_be_read() -> None:
    faults = plan(seconds=2, seed=1)
    assert str(faults[0]).startswith("  0.0 s  ")
    assert summary(faults) == "1 x stop"


def test_jobs_are_of_every_kind_and_always_the_same_for_a_seed() -> None:
    jobs = [drawn(n, seed=1, receiver_url=RECEIVER, project_id="p") for n in range(500)]
    assert jobs == [drawn(n, seed=1, receiver_url=RECEIVER, project_id="p") for n in range(500)]
    assert {job["method"] for job in jobs} == {
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    }
    conducts = Counter(job["url"].split("/")[3] for job in jobs)
    assert conducts.keys() == {"quick", "slow", "failing", "broken", "hanging"}
    assert all(job["timeout"] == 1 for job in jobs if "/hanging/" in job["url"])
    assert any("headers" in job for job in jobs)
    assert any("body" in job for job in jobs)


def test_schedules_are_every_one_to_ten_seconds_from_any_second_on() -> None:
    chance = random.Random(1)
    ticks = [sorted(seconds_of(drawn_schedule(chance))) for _ in range(500)]
    assert {later - earlier for earlier, later, *_ in ticks} == set(range(1, 11))
    assert {first for first, *_ in ticks} == set(range(10))


def test_the_receiver_answers_as_the_path_says() -> None:
    def answer(path: str) -> tuple[int | None, bool] | None:
        call = Call(
            arrived_at=datetime(2026, 3, 2, tzinfo=UTC),
            method="GET",
            path=path,
            idempotency_key=None,
        )
        found = conduct(call, random.Random(1))
        return None if found is None else (found.status, found.after >= 0.2)

    assert answer("/quick/1") == (200, False)
    assert answer("/slow/1") == (200, True)
    assert answer("/failing/1") in {(500, False), (404, False), (302, False)}
    assert answer("/broken/1") == (None, False)
    assert answer("/hanging/1") is None
