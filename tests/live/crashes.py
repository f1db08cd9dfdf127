"""Kill the service again and again while it is being used, and gather what is left in the end."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.live.evidence import Evidence, WatchedJob
from tests.live.load import Asker, Deleter, Pinger, Target, User, gathered
from tests.live.receiver import Call, Delay, Receiver
from tests.live.service import LiveService, cronpulse, eventually

KEY: Final = "cpk_crashes" + "0123456789" * 4
PINGERS: Final = 4
JOBS_A_KIND: Final = 2
TIMEOUT: Final = 10
"""Seconds that a check may take; the receiver needs no more than two."""

LONGEST_UP: Final = 2.5
"""Seconds that the service is left alone, at most, once it is ready."""

LONGEST_DOWN: Final = 3.0
DURING_THE_START: Final = 0.25
"""The share of kills that don't wait until the service is ready."""

STOP_AFTER: Final = 10
"""After so many kills it is stopped once as it should be, just as busy."""

_NEVER: Final = "0 0 0 1 1 *"
_UNFINISHED: Final = (
    "SELECT (SELECT count(*) FROM checks_in_flight)"
    " + (SELECT count(*) FROM sealed_subjects WHERE NOT finished)"
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is left, and how it came about."""

    evidence: Evidence
    kills: int
    kills_before_ready: int
    stops: int
    seconds: float


def crash(directory: Path, *, kills: int, seed: int, say: Say = lambda _: None) -> Aftermath:
    """Serve from ``directory`` under load, and kill the process ``kills`` times; ``say`` follows it."""
    began = time.monotonic()
    with Receiver(_delays(seed)) as receiver:
        play = _Play(directory / "data", receiver, random.Random(seed))
        play.set_up()
        for number in range(kills):
            play.kill()
            if number % STOP_AFTER == STOP_AFTER - 1:
                play.stop()
            say(f"{number + 1} of {kills} kills")
        evidence = play.end()
    return Aftermath(
        evidence=evidence,
        kills=kills,
        kills_before_ready=play.kills_before_ready,
        stops=play.stops,
        seconds=time.monotonic() - began,
    )


class _Play:
    """The service, those who use it, and what has happened so far."""

    def __init__(self, data_dir: Path, receiver: Receiver, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._receiver = receiver
        self._chance = chance
        self._target = Target(key=KEY)
        self._jobs: list[WatchedJob] = []
        self._users: list[User] = []
        self._start_took = 1.0
        self.kills_before_ready = 0
        self.stops = 0

    def set_up(self) -> None:
        """Start for the first time, create the jobs, and let the users in."""
        with self._started() as service:
            service.ready()
            project_id = service.a_project()
            self._jobs = _watched_jobs(service, self._receiver, project_id)
            pinged = [
                service.a_job(
                    self._receiver.url,
                    "* * * * *",
                    projectId=project_id,
                    mode="passive",
                    heartbeat=each == 0,
                )
                for each in range(PINGERS)
            ]
        self._users = [
            *(Pinger(self._target, f"p{number}", pinged) for number in range(PINGERS)),
            Asker(self._target, [job.job_id for job in self._jobs]),
            Deleter(self._target, _doomed_job(self._receiver, project_id)),
        ]
        for user in self._users:
            user.start()

    def kill(self) -> None:
        """Start, and kill at a random moment: while it starts, or some time after."""
        chance = self._chance
        with self._started() as service:
            if chance.random() < DURING_THE_START:
                time.sleep(chance.uniform(0, self._start_took))
            else:
                self._ready(service)
                time.sleep(chance.uniform(0, LONGEST_UP))
        self.kills_before_ready += not service.was_ready
        time.sleep(max(0, chance.uniform(-2 * LONGEST_DOWN, LONGEST_DOWN)))

    def stop(self) -> None:
        """Start, and stop with SIGTERM in the midst of everything."""
        with self._started() as service:
            self._ready(service)
            time.sleep(self._chance.uniform(0, LONGEST_UP))
            assert service.stop() == 0, service.errors.read_text()
        self.stops += 1

    def end(self) -> Evidence:
        """Start for the last time, let everything come to its end, and gather what there is."""
        with self._started() as service:
            self._ready(service)
            self._tick_once_more(service)
            promises = gathered(self._users)
            watched = [job.job_id for job in self._jobs]
            for job_id in watched:
                service.told("PUT", f"/api/v1/jobs/{job_id}", {"schedule": _NEVER})
            for job in service.told("GET", "/api/v1/jobs"):
                if job["mode"] == "active" and job["id"] not in watched:
                    service.told("DELETE", f"/api/v1/jobs/{job['id']}")
                    promises.deleted.add(job["id"])
            eventually("nothing is unfinished", self._nothing_is_unfinished)
            executions = {job_id: service.executions(job_id) for job_id in watched}
            found_again = [
                job_id
                for job_id in sorted(promises.deleted)
                if service.ask("GET", f"/api/v1/jobs/{job_id}").status_code != 404
            ]
            assert service.stop() == 0
        audit = cronpulse(self._data_dir, "audit", "check")
        return Evidence(
            database=self._database,
            jobs=self._jobs,
            executions=executions,
            calls=self._receiver.calls(),
            promises=promises,
            found_again=found_again,
            audit=audit.stdout + audit.stderr,
            logged=service.errors.read_text().splitlines(),
        )

    @property
    def _database(self) -> Path:
        return self._data_dir / "cronpulse.db"

    def _started(self) -> LiveService:
        return LiveService(self._data_dir, api_key=KEY, log_level="warning")

    def _ready(self, service: LiveService) -> None:
        began = time.monotonic()
        self._target.url = service.ready().url
        self._start_took = time.monotonic() - began

    def _tick_once_more(self, service: LiveService) -> None:
        now = datetime.now(UTC)

        def has_ticked(job_id: str) -> bool:
            ticks = [each["scheduledFor"] for each in service.executions(job_id)]
            return any(tick and datetime.fromisoformat(tick) >= now for tick in ticks)

        for job in self._jobs:
            eventually(f"{job.job_id} ticks", partial(has_ticked, job.job_id))

    def _nothing_is_unfinished(self) -> bool:
        with closing(sqlite3.connect(self._database)) as connection:
            ((number,),) = connection.execute(_UNFINISHED)
            return bool(number == 0)


def _delays(seed: int) -> Delay:
    """Some answer at once; some take so long that the next tick is skipped now and then."""
    chance = random.Random(seed)

    def delay(call: Call) -> float:
        return chance.uniform(0, 0.1) if call.path != "/slow" else chance.uniform(0.2, 1.8)

    return delay


def _watched_jobs(service: LiveService, receiver: Receiver, project_id: str) -> list[WatchedJob]:
    kinds = itertools.product(("GET", "POST"), (1, 2), ("/quick", "/slow"))
    return [
        WatchedJob(
            job_id=service.a_job(
                receiver.url + path,
                "* * * * * *" if every == 1 else f"*/{every} * * * * *",
                projectId=project_id,
                method=method,
                timeout=TIMEOUT,
            ),
            method=method,
            every=every,
        )
        for method, every, path in list(kinds) * JOBS_A_KIND
    ]


def _doomed_job(receiver: Receiver, project_id: str) -> dict[str, Any]:
    return {
        "name": "Doomed",
        "projectId": project_id,
        "url": f"{receiver.url}/doomed",
        "method": "GET",
        "schedule": "* * * * * *",
        "headers": {"X-Token": "known to two"},
    }
