"""Two requests at once: each order that the log can give them ends in a state that makes sense."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api import queries
from api.commands import jobs, projects
from domain.errors import NotFound
from domain.job import JobCreated, JobDeleted
from eventstore.store import Append, Appended, SubjectSealed
from projections import header_values
from tests.jobs import a_job, a_project
from tests.scheduler.playing import Play, Receiver
from tests.shapes import CALLER, Shape

JOB = {
    "name": "Late",
    "url": "https://example.com",
    "method": "GET",
    "schedule": "@hourly",
}


@pytest.fixture
def just_before(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Awaitable[object]]], None]:
    """Let something else be recorded just before the next append."""

    def arrange(other: Callable[[], Awaitable[object]]) -> None:
        append, done = shape.log.appender.append, False

        async def other_first(wanted: Append) -> Appended:
            nonlocal done
            if not done:
                done = True
                await other()
            return await append(wanted)

        monkeypatch.setattr(shape.log.appender, "append", other_first)

    return arrange


async def test_a_job_can_not_slip_into_a_project_that_is_being_deleted(
    shape: Shape, just_before: Callable[..., None]
) -> None:
    project_id = await a_project(shape)
    just_before(lambda: projects.delete(shape.service, CALLER, project_id))
    with pytest.raises(NotFound, match="project"):
        await jobs.create(shape.service, CALLER, JOB | {"projectId": project_id})
    assert shape.events(JobCreated) == []


async def test_a_job_that_was_created_meanwhile_is_deleted_with_its_project(
    shape: Shape, just_before: Callable[..., None]
) -> None:
    project_id = await a_project(shape)
    await a_job(shape, project_id=project_id)
    just_before(lambda: jobs.create(shape.service, CALLER, JOB | {"projectId": project_id}))
    await projects.delete(shape.service, CALLER, project_id)
    await Play(shape, Receiver()).eraser.step()
    assert await queries.job_page(shape.service, "default", limit=10) == []
    deleted = shape.core.store.read_all(limit=10, types=shape.log.codec.names_of(JobDeleted))
    assert len(deleted) == 2
    assert shape.core.store.unfinished_erasures() == []
    assert shape.differences() == []


async def test_a_job_that_was_deleted_meanwhile_does_not_stop_the_deletion_of_its_project(
    shape: Shape, just_before: Callable[..., None]
) -> None:
    project_id = await a_project(shape)
    job_id = await a_job(shape, project_id=project_id)
    just_before(lambda: jobs.delete(shape.service, CALLER, job_id))
    await projects.delete(shape.service, CALLER, project_id)
    assert len(shape.events(JobDeleted)) == 1
    with pytest.raises(NotFound):
        await queries.project(shape.service, "default", project_id)


async def test_two_updates_of_different_fields_both_take_effect(
    shape: Shape, just_before: Callable[..., None]
) -> None:
    job_id = await a_job(shape)
    just_before(lambda: jobs.update(shape.service, CALLER, job_id, {"timeout": 7}))
    await jobs.update(shape.service, CALLER, job_id, {"name": "Renamed"})
    settings = (await queries.job(shape.service, "default", job_id)).job.settings
    assert (settings.name, settings.timeout) == ("Renamed", 7)


async def test_two_updates_of_headers_leave_one_whole_set(
    shape: Shape, just_before: Callable[..., None]
) -> None:
    job_id = await a_job(shape, headers={"X-Token": "first"})
    just_before(
        lambda: jobs.update(shape.service, CALLER, job_id, {"headers": {"X-Token": "second"}})
    )
    masked = {"X-Token": "********", "X-New": "1"}
    await jobs.update(shape.service, CALLER, job_id, {"headers": masked})
    view = (await queries.job(shape.service, "default", job_id)).job
    found = await shape.log.database.read(
        lambda c: header_values.find(c, shape.service.secrets, [view.settings.headers])
    )
    assert header_values.of(view.settings.headers, found) == {"X-Token": "second", "X-New": "1"}


async def test_of_two_deletions_one_is_told_that_there_is_nothing(shape: Shape) -> None:
    job_id = await a_job(shape)
    outcomes = await asyncio.gather(
        jobs.delete(shape.service, CALLER, job_id),
        jobs.delete(shape.service, CALLER, job_id),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    (refused,) = (each for each in outcomes if each is not None)
    assert isinstance(refused, NotFound | SubjectSealed)
    assert len(shape.events(JobDeleted)) == 1


async def test_many_jobs_are_created_in_one_project_at_once(shape: Shape) -> None:
    project_id = await a_project(shape)
    made = await asyncio.gather(
        *(jobs.create(shape.service, CALLER, JOB | {"projectId": project_id}) for _ in range(64))
    )
    assert len(set(made)) == 64
    assert shape.differences() == []
