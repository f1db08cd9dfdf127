"""Who uses the service during a chaos run: pings, runs, creations, changes and deletions all along."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.live.chaos_jobs import Population, drawn, drawn_schedule
from tests.live.load import Asker, Deleter, Pinger, Target, User, Written

SILENT_PAUSE: Final = 4.0
"""Seconds between two beats, each of which arms the watch of the next silent job."""


class Founder(User):
    """Creates jobs that stay, and looks at each at once through another process."""

    def __init__(self, *targets: Target, fields: Sequence[Mapping[str, Any]], pause: float) -> None:
        super().__init__(*targets, pause=pause)
        self._fields = iter(fields)

    def act(self) -> None:
        fields = next(self._fields, None)
        if fields is None:
            return
        created = self.send("POST", "/api/v1/jobs", fields, expected=201)
        if created is None:
            return
        self.promises.written.append(Written(job_id=created["id"], fields=fields))
        self.change_line()
        seen = self.send("GET", f"/api/v1/jobs/{created['id']}", expected=200)
        if seen is not None and seen["name"] != fields["name"]:
            self.promises.refused[f"GET jobs: another name than {fields['name']}"] += 1


class Changer(User):
    """Changes schedule and name of jobs that are its alone, pauses them and lets them go on."""

    def __init__(
        self, *targets: Target, name: str, job_ids: Sequence[str], seed: int, pause: float
    ) -> None:
        super().__init__(*targets, pause=pause)
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._numbers = itertools.count()
        self._job_ids = itertools.cycle(job_ids)

    def act(self) -> None:
        job_id, fields = next(self._job_ids), self._fields()
        if self.send("PUT", f"/api/v1/jobs/{job_id}", fields, expected=200):
            self.promises.written.append(Written(job_id=job_id, fields=fields))

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"name": f"{self._name}-{next(self._numbers)}", "paused": False}
        match self._chance.randrange(4):
            case 0:
                fields["paused"] = True
            case 1 | 2:
                fields["schedule"] = drawn_schedule(self._chance)
        return fields


class Client(User):
    """A user's own jobs, as the client libraries report them: a start, and an end with its ``rid``."""

    def __init__(self, *targets: Target, name: str, job_ids: Sequence[str], pause: float) -> None:
        super().__init__(*targets, pause=pause)
        self._name = name
        self._numbers = itertools.count()
        self._job_ids = itertools.cycle(job_ids)

    def act(self) -> None:
        job_id, rid = next(self._job_ids), f"{self._name}-{next(self._numbers)}"
        self._report(f"/api/ping/{job_id}/start", rid, f"{rid}-start")
        sent = time.time()
        if self._report(f"/api/ping/{job_id}/success", rid, f"{rid}-end"):
            self.promises.reports.append((job_id, sent, time.time()))

    def _report(self, path: str, rid: str, mark: str) -> bool:
        answered = self.send("POST", f"{path}?rid={rid}&client={mark}", expected=200)
        if answered:
            self.promises.pings[mark] = rid
        return bool(answered)


class Beater(User):
    """Sends a beat now and then, to one job after the other: each begins a wait that is in vain."""

    def __init__(self, *targets: Target, name: str, job_ids: Sequence[str], pause: float) -> None:
        super().__init__(*targets, pause=pause)
        self._name = name
        self._numbers = itertools.count()
        self._job_ids = itertools.cycle(job_ids)

    def act(self) -> None:
        mark = f"{self._name}-{next(self._numbers)}"
        if self.send("GET", f"/api/ping/{next(self._job_ids)}?client={mark}", expected=200):
            self.promises.pings[mark] = None


def users(
    targets: Sequence[Target], population: Population, *, seed: int, receiver_url: str
) -> list[User]:
    """Everybody, half of them beginning with the one API process and half with the other."""
    there, back = list(targets), list(reversed(targets))
    project_id = population.fields[0]["projectId"]
    pinged = population.pinged()
    changing = population.changing()
    half = len(changing) // 2
    first_new = len(population.fields)
    founded = [
        drawn(number, seed=seed, receiver_url=receiver_url, project_id=project_id)
        for number in range(first_new, 2 * first_new)
    ]
    doomed = drawn(-1, seed=seed, receiver_url=receiver_url, project_id=project_id)
    doomed |= {"method": "GET", "url": f"{receiver_url}/quick/doomed"}
    return [
        Client(*there, name="client-1", job_ids=pinged[::2], pause=0.1),
        Client(*back, name="client-2", job_ids=pinged[1::2] or pinged, pause=0.1),
        Pinger(*there, name="p1", job_ids=population.active(), pause=0.1),
        Pinger(*back, name="p2", job_ids=population.active(), pause=0.1),
        Beater(*there, name="beat", job_ids=population.silent(), pause=SILENT_PAUSE),
        Asker(*back, job_ids=population.active(), pause=0.5),
        Changer(*there, name="c1", job_ids=changing[:half], seed=seed, pause=0.4),
        Changer(*back, name="c2", job_ids=changing[half:], seed=seed, pause=0.4),
        Founder(*there, fields=founded, pause=3.0),
        Deleter(*back, job=doomed, pause=2.0),
    ]
