"""A chaos run: the scaled shape under load and under faults, and everything that is left of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from tests.live import chaos_load
from tests.live.chaos_cluster import Cluster, cluster
from tests.live.chaos_evidence import ChaosEvidence, SeenFromOutside, SeenInRedis, complaints
from tests.live.chaos_faults import Fault, Faults
from tests.live.chaos_jobs import Population, populate
from tests.live.chaos_plan import Planned
from tests.live.chaos_receiver import ReceiverProcess
from tests.live.chaos_redis import RedisWitness
from tests.live.chaos_watch import Watch
from tests.live.load import Promises, User, gathered
from tests.live.logged import LeftDatabase, read_log
from tests.live.service import PATIENCE, eventually
from tests.live.tick_accounts import NEVER

SETTLES_WITHIN: Final = 300.0
"""Seconds after which what is still unfinished counts as never to be finished."""

AUDIT_WITHIN: Final = 1800.0
"""Seconds that the rebuilding of all read models may take."""

LISTED: Final = 40
"""Jobs whose history is listed through the API."""

AT_ONCE: Final = 64
CLOCKS_APART: Final = timedelta(seconds=0.5)

_OVERDUE: Final = (
    "SELECT job_id FROM due_ticks WHERE tick <= :now"
    " UNION ALL SELECT job_id FROM heartbeats WHERE closes_at <= :now - 2000000"
)
"""Ticks that wait for their record, and misses (a second longer: a ping may be on its way)."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of a run: ``calm`` seconds without faults before and after them; ``limit``: seconds after which
    something counts as stuck."""

    jobs: int
    seed: int
    plan: Sequence[Planned]
    calm: float
    limit: float


def chaos(
    directory: Path, options: Options, *, say: Say, keep_database: bool = False
) -> ChaosEvidence:
    """Run it all in ``directory``; nothing of it goes on afterwards.

    ``keep_database`` puts the database there as well: PostgreSQL, which may have to run as another
    user, must be able to get to it.
    """
    with ExitStack() as stack:
        receiver = stack.enter_context(ReceiverProcess(directory / "calls.jsonl"))
        say("starting PostgreSQL, Valkey and eight processes")
        kept = directory / "postgres" if keep_database else None
        running = stack.enter_context(cluster(directory, kept))
        redis = stack.enter_context(RedisWitness(running.valkey.url()))
        say(f"creating {options.jobs} jobs")
        population = populate(
            running.targets, jobs=options.jobs, seed=options.seed, receiver_url=receiver.url
        )
        now = datetime.now(UTC)
        run = _Run(
            cluster=running,
            receiver=receiver,
            redis=redis,
            population=population,
            options=options,
            say=say,
            began=now,
            settled=now,
            client=stack.enter_context(httpx.Client(timeout=PATIENCE, trust_env=False)),
        )
        with Watch(running.database()) as watch:
            promises, faults = run.suffer()
            run.settle()
        return run.gather(promises, faults, watch)


@dataclass(kw_only=True)
class _Run:
    """One run, in its order: suffer, settle, gather."""

    cluster: Cluster
    receiver: ReceiverProcess
    redis: RedisWitness
    population: Population
    options: Options
    say: Say
    began: datetime
    settled: datetime
    client: httpx.Client

    def suffer(self) -> tuple[Promises, list[Fault]]:
        """Let people use it, first in peace and then not."""
        users = chaos_load.users(
            self.cluster.targets,
            self.population,
            seed=self.options.seed,
            receiver_url=self.receiver.url,
        )
        with _using(users):
            self.say(f"{self.options.calm:.0f} s of calm")
            time.sleep(self.options.calm)
            self.say(f"{len(self.options.plan)} faults")
            faults = Faults(self.cluster, self.redis.look).carry_out(self.options.plan)
            self.cluster.wait_until_ready()
            self.say(f"{self.options.calm:.0f} s of calm")
            time.sleep(self.options.calm)
            promises = gathered(users)
        promises.written += self.population.written()
        return promises, faults

    def settle(self) -> None:
        """Let no more ticks come, and wait until everything has come to its end."""
        self.say("ending the ticks")
        active = [job["id"] for job in self._listed(0) if job["mode"] == "active"]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in threads.map(self._end_ticks, itertools.count(), active):
                pass
        self.say("waiting until nothing is unfinished")
        left = self.cluster.database()
        given_up = time.monotonic() + SETTLES_WITHIN
        while not _is_at_rest(left) and time.monotonic() < given_up:
            time.sleep(1)
        self.settled = datetime.now(UTC)
        self.redis.look()

    def gather(self, promises: Promises, faults: list[Fault], watch: Watch) -> ChaosEvidence:
        """Stop it, and collect what is left."""
        assert watch.fault is None, f"looking on failed: {watch.fault!r}"
        self.say("asking the API")
        listed, also_listed = self._listed(0), self._listed(1)
        histories = {job_id: self._history(job_id) for job_id in self._looked_at(listed)}
        found_again = [
            f"{job_id} is still answered for"
            for job_id in sorted(promises.deleted)
            if self._ask(0, "GET", f"jobs/{job_id}").status_code != 404
        ]
        self.say("stopping the service")
        ended = list(self._end_processes())
        self.say("rebuilding the read models to compare them")
        audit = self.cluster.command("audit", "check", patience=AUDIT_WITHIN)
        self.say("reading the log")
        left = self.cluster.database()
        lines = list(self.cluster.logs())
        return ChaosEvidence(
            log=read_log(left.events()),
            calls=self.receiver.calls(),
            promises=promises,
            histories=histories,
            listed=listed,
            left=[*found_again, *left.left_of(promises.deleted)],
            unfinished=left.unfinished(),
            corrupt=[] if listed == also_listed else ["two API processes list different jobs"],
            audit=audit,
            complaints=list(complaints(lines)),
            lines_logged=len(lines),
            clocks_apart=CLOCKS_APART,
            fields=self.population.fields,
            pinged=self.population.pinged(),
            silent=self.population.silent(),
            faults=faults,
            redis=SeenInRedis(
                commands=self.redis.commands,
                messages=self.redis.messages,
                looks=self.redis.looks,
                faults=dict(self.redis.faults),
            ),
            outside=SeenFromOutside(
                looks=watch.looks,
                without_a_look=watch.longest_without_a_look,
                at_rest=watch.rest.longest,
                who_rested=watch.rest.who,
                overdue=watch.longest_overdue,
            ),
            ended=ended,
            starts=sum(place.starts - place.started_in_vain for place in self.cluster.places),
            started_in_vain=sum(place.started_in_vain for place in self.cluster.places),
            limit=self.options.limit,
            began=self.began,
            settled=self.settled,
        )

    def _end_ticks(self, number: int, job_id: str) -> None:
        def end() -> bool:
            return self._ask(number, "PUT", f"jobs/{job_id}", {"schedule": NEVER}).is_success

        eventually("every job has been changed", end)

    def _looked_at(self, listed: Sequence[dict[str, Any]]) -> list[str]:
        """Some of the jobs, spread over all of them; those that changed among them."""
        active = [job["id"] for job in listed if job["mode"] == "active"]
        return active[:: max(1, len(active) // LISTED)]

    def _history(self, job_id: str) -> list[dict[str, Any]]:
        executions: list[dict[str, Any]] = self._ask(1, "GET", f"jobs/{job_id}/executions").json()
        return executions[::-1]

    def _listed(self, number: int) -> list[dict[str, Any]]:
        answer = self._ask(number, "GET", "jobs")
        assert answer.is_success, f"the jobs can't be listed: {answer.status_code} {answer.text}"
        jobs: list[dict[str, Any]] = answer.json()
        return jobs

    def _ask(self, number: int, method: str, path: str, fields: object = None) -> httpx.Response:
        """Through the API process of this number."""
        target = self.cluster.targets[number % len(self.cluster.targets)]
        return self.client.request(
            method,
            f"{target.url}/api/v1/{path}",
            json=fields,
            headers={"X-API-Key": target.key},
        )

    def _end_processes(self) -> Iterator[str]:
        for place in self.cluster.places:
            code = place.end()
            yield from place.ended_by_itself
            if code != 0:
                yield f"{place.name} was asked to stop, and ended with code {code}"


@contextmanager
def _using(users: Sequence[User]) -> Iterator[None]:
    for user in users:
        user.start()
    try:
        yield
    finally:
        for user in users:
            user.tell_to_stop()


def _is_at_rest(left: LeftDatabase) -> bool:
    now = round(time.time() * 1e6)
    return not left.rows(_OVERDUE, now=now) and not left.unfinished()
