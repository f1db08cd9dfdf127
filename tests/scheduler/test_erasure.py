"""Deleting for good: nothing that was said about a job is left, and the log still holds together."""

from __future__ import annotations

import pytest

from api.commands import jobs, projects
from domain.erasure import ErasureCompleted
from scheduler import erasure
from scheduler.erasure import CLEAR_AGAIN, Eraser
from scheduler.http_check import CheckResult
from scheduler.workbench import Workbench
from tests.jobs import a_job, a_project, ping
from tests.scheduler.playing import TIMINGS, Play, Receiver
from tests.shapes import CALLER, Shape
from tests.stored_bytes import stored_bytes

CANARIES = {
    "name": "canary-name",
    "url": "https://canary-host.example/canary-path",
    "body": "canary-body",
    "headers": {"X-Plain": "canary-plain", "X-Token": "canary-token"},
}
FAILURE = CheckResult(
    reason="status",
    status_code=500,
    message="canary-failure",
    output="canary-answer",
    timings=TIMINGS,
)


async def a_job_with_a_past(shape: Shape, play: Play, **fields: object) -> str:
    job_id = await a_job(shape, **(CANARIES | fields))
    for _ in range(3):
        shape.clock.move(minutes=1)
        await play.step()
        await ping(shape, job_id, "fail", message="canary-message", output="canary-output")
    return job_id


@pytest.fixture
def play(shape: Shape) -> Play:
    return Play(shape, Receiver(answer=lambda _: FAILURE))


def remains(shape: Shape) -> list[str]:
    """Which canaries are found anywhere in the database."""
    words = ["name", "host", "path", "body", "plain", "token", "failure", "answer", "message"]
    contents = stored_bytes(shape.core.database)
    return [word for word in words if f"canary-{word}".encode() in contents]


async def test_no_byte_of_a_deleted_job_is_left_in_the_database(shape: Shape, play: Play) -> None:
    job_id = await a_job_with_a_past(shape, play)
    assert "name" in remains(shape)
    await jobs.delete(shape.service, CALLER, job_id)
    await play.eraser.step()
    assert remains(shape) == []
    assert shape.differences() == []


async def test_deleting_a_project_erases_it_and_its_jobs(shape: Shape, play: Play) -> None:
    project_id = await a_project(shape)
    await a_job_with_a_past(shape, play, projectId=project_id)
    await a_job_with_a_past(shape, play, projectId=project_id)
    kept = await a_job(shape)
    await projects.delete(shape.service, CALLER, project_id)
    await play.eraser.step()
    assert remains(shape) == []
    assert len(shape.events(ErasureCompleted)) == 3
    assert shape.core.store.read_stream(f"job-{kept}")[0].payload is not None


async def test_the_envelopes_stay_and_say_who_did_what_and_when(shape: Shape, play: Play) -> None:
    job_id = await a_job_with_a_past(shape, play)
    before = shape.core.store.read_all(limit=1000, subject=job_id)
    await jobs.delete(shape.service, CALLER, job_id)
    await play.eraser.step()
    after = shape.core.store.read_all(limit=1000, subject=job_id)
    assert [each.type for each in after[-2:]] == ["JobDeleted", "ErasureCompleted"]
    assert after[-1].causation_id == after[-2].event_id
    for was, now in zip(before, after, strict=False):
        assert (was.position, was.type, was.actor, was.recorded_at, was.chain_hash) == (
            now.position,
            now.type,
            now.actor,
            now.recorded_at,
            now.chain_hash,
        )
        assert now.payload is None
        assert now.salt is None


async def test_an_erasure_that_was_interrupted_goes_on_in_the_next_process(
    shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "PORTION", 2)
    job_id = await a_job_with_a_past(shape, play)
    await jobs.delete(shape.service, CALLER, job_id)
    shape.core.store.erase(job_id, limit=2)  # then the process dies
    assert shape.core.store.unfinished_erasures()
    await Play(shape, Receiver()).eraser.step()
    assert remains(shape) == []
    assert shape.core.store.unfinished_erasures() == []
    await Play(shape, Receiver()).eraser.step()
    assert len(shape.events(ErasureCompleted)) == 1


async def test_an_erasure_whose_end_was_recorded_before_a_crash_is_not_recorded_twice(
    shape: Shape, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await a_job_with_a_past(shape, play)
    await jobs.delete(shape.service, CALLER, job_id)

    def die(_: str) -> None:
        raise InterruptedError

    with monkeypatch.context() as dying:
        dying.setattr(shape.core.store, "finish_erasure", die)
        with pytest.raises(InterruptedError):
            await play.eraser.step()
    await play.eraser.step()
    assert len(shape.events(ErasureCompleted)) == 1
    assert shape.core.store.unfinished_erasures() == []


async def test_freed_pages_that_could_not_be_cleared_are_cleared_later(shape: Shape) -> None:
    can_clear = [True, False, False, True]  # the first is that of a new process
    eraser = Eraser(
        Workbench(log=shape.log, now=shape.clock, new_id=shape.new_id),
        clear_freed=lambda: can_clear.pop(0),
    )
    assert await eraser.step() is None
    await jobs.delete(shape.service, CALLER, await a_job(shape))
    for _ in range(2):
        assert await eraser.step() == shape.clock() + CLEAR_AGAIN
        shape.clock.move(seconds=5)
    assert await eraser.step() is None
    assert await eraser.step() is None
    assert can_clear == []
