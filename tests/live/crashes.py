"""Kill the service again and again while it is being used, and gather what is left in the end."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.live.evidence import Evidence
from tests.live.load import Asker, Deleter, Pinger, Target, User, gathered
from tests.live.logged import LeftDatabase, read_log
from tests.live.receiver import Call, Delay, Receiver
from tests.live.service import LiveService, cronpulse, eventually
from tests.live.tick_accounts import NEVER

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
        self._watched: list[str] = []
        self._users: list[User] = []
        self._start_took = 1.0
        self.kills_before_ready = 0
        self.stops = 0

    def set_up(self) -> None:
        """Start for the first time, create the jobs, and let the users in."""
        with self._started() as service:
            service.ready()
            project_id = service.a_project()
            self._watched = _watched_jobs(service, self._receiver, project_id)
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
            *(Pinger(self._target, name=f"p{n}", job_ids=pinged) for n in range(PINGERS)),
            Asker(self._target, job_ids=self._watched),
            Deleter(self._target, job=_doomed_job(self._receiver, project_id)),
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
            for job_id in self._watched:
                service.told("PUT", f"/api/v1/jobs/{job_id}", {"schedule": NEVER})
            for job in service.told("GET", "/api/v1/jobs"):
                if job["mode"] == "active" and job["id"] not in self._watched:
                    service.told("DELETE", f"/api/v1/jobs/{job['id']}")
                    promises.deleted.add(job["id"])
            left = self._database
            eventually("nothing is unfinished", lambda: not left.unfinished())
            histories = {job_id: service.executions(job_id) for job_id in self._watched}
            listed = service.told("GET", "/api/v1/jobs")
            found_again = [
                f"{job_id} is still answered for"
                for job_id in sorted(promises.deleted)
                if service.ask("GET", f"/api/v1/jobs/{job_id}").status_code != 404
            ]
            assert service.stop() == 0
        audit = cronpulse(self._data_dir, "audit", "check")
        complaints = service.errors.read_text().splitlines()
        return Evidence(
            log=read_log(left.events()),
            calls=self._receiver.calls(),
            promises=promises,
            histories=histories,
            listed=listed,
            left=[*found_again, *left.left_of(promises.deleted)],
            unfinished=left.unfinished(),
            corrupt=list(_corruption(left)),
            audit=audit.stdout + audit.stderr,
            complaints=complaints,
            lines_logged=len(complaints),
        )

    @property
    def _database(self) -> LeftDatabase:
        return LeftDatabase(f"sqlite:///{self._data_dir}/cronpulse.db")

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

        for job_id in self._watched:
            eventually(f"{job_id} ticks", partial(has_ticked, job_id))


def _corruption(database: LeftDatabase) -> Iterator[str]:
    for row in database.rows("PRAGMA integrity_check"):
        if row["integrity_check"] != "ok":
            yield row["integrity_check"]


def _delays(seed: int) -> Delay:
    """Some answer at once; some take so long that the next tick is skipped now and then."""
    chance = random.Random(seed)

    def delay(call: Call) -> float:
        return chance.uniform(0, 0.1) if call.path != "/slow" else chance.uniform(0.2, 1.8)

    return delay


def _watched_jobs(service: LiveService, receiver: Receiver, project_id: str) -> list[str]:
    """Jobs whose every tick is accounted for; returns their ids."""
    kinds = itertools.product(("GET", "POST"), (1, 2), ("/quick", "/slow"))
    return [
        service.a_job(
            receiver.url + path,
            "* * * * * *" if every == 1 else f"*/{every} * * * * *",
            projectId=project_id,
            method=method,
            timeout=TIMEOUT,
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
