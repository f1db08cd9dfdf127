"""The kinds of streams that commands fold, and how a decision becomes a write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from domain import api_key, job, project
from eventstore.store import StreamWrite
from eventstore.transact import Context, Decider, EventLog

PROJECT: Final[Decider[project.Project, project.ProjectEvent]] = Decider(
    initial=project.INITIAL, evolve=project.evolve
)
JOB: Final[Decider[job.Job, job.JobEvent]] = Decider(initial=job.INITIAL, evolve=job.evolve)
API_KEY: Final[Decider[api_key.ApiKey, api_key.ApiKeyEvent]] = Decider(
    initial=api_key.INITIAL, evolve=api_key.evolve
)


def write(
    log: EventLog,
    stream: str,
    decided: Iterable[Any],
    *,
    expected_version: int | None,
    subject: str,
    context: Context,
) -> StreamWrite:
    """What was decided about a stream, ready to be appended."""
    return StreamWrite(
        stream=stream,
        expected_version=expected_version,
        events=tuple(log.new_event(event, subject=subject, context=context) for event in decided),
    )
