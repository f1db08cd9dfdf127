"""The log is read from the database as it is, and what is wrong with it is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.commands import jobs
from tests.jobs import a_job, a_project, ping
from tests.live.logged import LeftDatabase, read_log
from tests.live.tick_accounts import expected_ticks, faults_of_ticks
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape

Rows = list[dict[str, Any]]


def left_by(shape: Shape) -> LeftDatabase:
    return LeftDatabase(str(shape.core.database.engine.url))


async def play(shape: Shape) -> str:
    """A job ticks three times, every second, is changed, pinged, paused and resumed; returns its id."""
    job_id = await a_job(shape, schedule="* * * * * *", method="POST")
    play = Play(shape, Receiver())
    for _ in range(3):
        shape.clock.move(seconds=1)
        await play.step()
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "*/5 * * * * *", "name": "New"})
    await ping(shape, job_id, client="mark")
    shape.clock.move(seconds=3)
    await play.step()
    await jobs.update(shape.service, CALLER, job_id, {"paused": True})
    shape.clock.move(seconds=20)
    await jobs.update(shape.service, CALLER, job_id, {"paused": False})
    shape.clock.move(seconds=20)
    await play.step()
    await jobs.update(shape.service, CALLER, job_id, {"schedule": "0 0 0 1 1 *"})
    return job_id


async def test_what_became_of_each_check_is_read_with_the_terms_of_its_job(shape: Shape) -> None:
    job_id = await play(shape)
    log = read_log(left_by(shape).events())
    assert log.faults == []
    assert log.events == shape.core.store.head().position
    job = log.jobs[job_id]
    assert [settings.name for settings in job.settings] == ["Health check", "New", "New"]
    recorded = [check.recorded() for check in job.checks]
    assert [(each.tick.second, each.skipped_ticks) for each in recorded] == [
        *((1, 0), (2, 0), (3, 0)),
        *((5, 0), (45, 3)),
    ]
    assert faults_of_ticks(expected_ticks(job.terms, recorded).ticks, recorded) == []
    first = job.checks[0]
    assert (first.status, first.status_code, len(first.began), len(first.moved)) == (
        *("success", 200),
        *(1, 3),
    )
    ((subject, said),) = log.pings
    assert (subject, said.client) == (job_id, "mark")


async def test_a_deleted_job_is_known_as_deleted_and_its_calls_are_still_counted(
    shape: Shape,
) -> None:
    project_id = await a_project(shape)
    job_id = await a_job(shape, project_id=project_id, schedule="* * * * * *")
    play = Play(shape, Receiver())
    shape.clock.move(seconds=1)
    await play.step()
    await jobs.delete(shape.service, CALLER, job_id)
    left = left_by(shape)
    assert left.unfinished() == [job_id]
    assert left.left_of({job_id}) != []
    await play.eraser.step()
    assert left.unfinished() == []
    assert left.left_of({job_id}) == []
    log = read_log(left.events())
    assert (log.faults, log.deleted, log.jobs) == ([], {job_id}, {})
    (check,) = log.checks.values()
    assert (check.erased, check.tick, len(check.began)) == (True, None, 1)


def drop(rows: Rows) -> None:
    del rows[5]


def swap(rows: Rows) -> None:
    rows[5], rows[6] = rows[6], rows[5]


def repeat(rows: Rows) -> None:
    rows.insert(5, rows[4])


def another_payload(rows: Rows) -> None:
    rows[5]["payload"] = rows[5]["payload"].replace(b"00:0", b"00:1")


def another_actor(rows: Rows) -> None:
    rows[5]["actor"] = "key:forger"


def a_gap_in_a_stream(rows: Rows) -> None:
    rows[5]["version"] += 1


@pytest.mark.parametrize(
    ("doctor", "fault"),
    [
        (drop, "position 7 is out of place"),
        (swap, "position 7 is out of place"),
        (repeat, "position 5 is out of place"),
        (another_payload, "position 6 has another payload than its hash says"),
        (another_actor, "position 6 breaks the chain"),
        (a_gap_in_a_stream, "position 6 is out of place"),
    ],
)
async def test_a_log_that_was_tampered_with_is_noticed(
    shape: Shape, doctor: Callable[[Rows], None], fault: str
) -> None:
    await play(shape)
    rows = [dict(row) for row in left_by(shape).events()]
    doctor(rows)
    assert fault in read_log(rows).faults
