"""The jobs of a chaos run: drawn from a seed, of every kind there is, every 1 to 10 seconds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx

from tests.live.chaos_receiver import HANGING_TIMEOUT
from tests.live.chaos_redis import CANARY
from tests.live.load import Target, Written
from tests.live.service import PATIENCE

TIMEOUT: Final = 10
"""Seconds; the receiver needs no more than three where it answers at all."""

PASSIVE_SHARE: Final = 0.05
SILENT_SHARE: Final = 0.2
"""Of the passive jobs: pinged now and then, and missed at the next tick each time."""

CHANGING_SHARE: Final = 0.1
"""Of the active jobs: their schedule, name and pause are changed all along."""

WITH_TOKEN: Final = 0.3
LONGEST_PERIOD: Final = 10
CREATED_AT_ONCE: Final = 8

_METHODS: Final = {
    "GET": 36,
    "POST": 26,
    "HEAD": 8,
    "PUT": 8,
    "PATCH": 8,
    "DELETE": 8,
    "OPTIONS": 6,
}
_CONDUCTS: Final = {"quick": 74, "slow": 10, "failing": 8, "broken": 4, "hanging": 4}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The fields of all jobs, by their numbers, and the ids that they got."""

    fields: Sequence[Mapping[str, Any]]
    ids: Sequence[str]

    def active(self) -> Sequence[str]:
        return self._where(mode="active")

    def pinged(self) -> Sequence[str]:
        return self._where(mode="passive", heartbeatTolerance=1)

    def silent(self) -> Sequence[str]:
        return self._where(mode="passive", heartbeatTolerance=0)

    def changing(self) -> Sequence[str]:
        active = self.active()
        return active[: max(2, round(len(active) * CHANGING_SHARE))]

    def written(self) -> list[Written]:
        pairs = zip(self.ids, self.fields, strict=True)
        return [Written(job_id=job_id, fields=fields) for job_id, fields in pairs]

    def _where(self, **wanted: object) -> Sequence[str]:
        return [
            job_id
            for job_id, fields in zip(self.ids, self.fields, strict=True)
            if all(fields.get(name) == value for name, value in wanted.items())
        ]


def drawn(number: int, *, seed: int, receiver_url: str, project_id: str) -> dict[str, Any]:
    """The fields of the active job of this number."""
    chance = random.Random(f"{seed} {number}")
    (method,) = chance.choices(list(_METHODS), list(_METHODS.values()))
    (conduct,) = chance.choices(list(_CONDUCTS), list(_CONDUCTS.values()))
    job: dict[str, Any] = {
        "name": f"job {number}",
        "projectId": project_id,
        "url": f"{receiver_url}/{conduct}/{number}",
        "method": method,
        "schedule": drawn_schedule(chance),
        "mode": "active",
        "timeout": HANGING_TIMEOUT if conduct == "hanging" else TIMEOUT,
    }
    if chance.random() < WITH_TOKEN:
        job["headers"] = {"X-Token": f"{CANARY}-token-{number}"}
    if method in _WITH_BODY:
        job["body"] = f"{CANARY}-body-{number}"
    return job


def drawn_schedule(chance: random.Random) -> str:
    """Every 1 to 10 seconds, as six fields."""
    period = chance.randint(1, LONGEST_PERIOD)
    first = chance.randrange(period)
    return f"{first}-59/{period} * * * * *" if first else f"*/{period} * * * * *"


def passive(number: int, *, tolerance: int, project_id: str) -> dict[str, Any]:
    """The fields of a job that is only listened to; ``tolerance`` is in minutes."""
    return {
        "name": f"job {number}",
        "projectId": project_id,
        "url": "http://127.0.0.1/never",
        "method": "GET",
        "schedule": "*/10 * * * * *",
        "mode": "passive",
        "heartbeat": True,
        "heartbeatTolerance": tolerance,
    }


def populate(targets: Sequence[Target], *, jobs: int, seed: int, receiver_url: str) -> Population:
    """Create the jobs, in one project, through all targets."""
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        ask = partial(_created, client)
        project_id = ask(targets[0], "projects", {"name": "Chaos", "url": receiver_url})
        quiet = max(2, round(jobs * PASSIVE_SHARE))
        silent = max(1, round(quiet * SILENT_SHARE))
        fields = [
            drawn(number, seed=seed, receiver_url=receiver_url, project_id=project_id)
            for number in range(jobs - quiet)
        ]
        fields += [
            passive(
                number, tolerance=0 if number < jobs - quiet + silent else 1, project_id=project_id
            )
            for number in range(jobs - quiet, jobs)
        ]
        with ThreadPoolExecutor(CREATED_AT_ONCE) as threads:
            ids = list(
                threads.map(
                    lambda numbered: ask(targets[numbered[0] % len(targets)], "jobs", numbered[1]),
                    enumerate(fields),
                )
            )
    return Population(fields=fields, ids=ids)


def _created(client: httpx.Client, target: Target, kind: str, fields: Mapping[str, Any]) -> str:
    answer = client.post(
        f"{target.url}/api/v1/{kind}", json=fields, headers={"X-API-Key": target.key}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
