"""The kinds of streams that commands fold."""

from __future__ import annotations

from typing import Final

from domain import api_key, job, project
from eventstore.transact import Decider

PROJECT: Final[Decider[project.Project, project.ProjectEvent]] = Decider(
    initial=project.INITIAL, evolve=project.evolve
)
JOB: Final[Decider[job.Job, job.JobEvent]] = Decider(initial=job.INITIAL, evolve=job.evolve)
API_KEY: Final[Decider[api_key.ApiKey, api_key.ApiKeyEvent]] = Decider(
    initial=api_key.INITIAL, evolve=api_key.evolve
)
