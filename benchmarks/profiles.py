"""Where the microseconds go: ``python -m benchmarks.profiles ping`` (or get, post, check, tick, rebuild).

Puts one kind of work on a process, takes samples of it, and prints how long one piece of work kept the
process's threads busy, and with what; in the scaled shape also what PostgreSQL was asked, from a server
that logs every statement. Sampling and logging slow down what they look at: rates are told elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from benchmarks import checks, page, recording, statements
from benchmarks.hundred_thousand import SECONDS_A_JOB
from benchmarks.load import Clients, request
from benchmarks.places import CRONPULSE, KEY, SHAPES, Place, Servers, Shape, new_job
from benchmarks.processor import since, spent
from benchmarks.rebuilding import record
from benchmarks.receiver import receiving
from benchmarks.rows import table
from benchmarks.samples import Profile, sampled
from projections import due_ticks
from projections.rebuild import rebuild

SHARE_SHOWN: Final = 0.015
JOBS: Final = 64


@dataclass(kw_only=True)
class Looked:
    """What was seen: so many pieces of work, and the seconds that they took."""

    work: str
    shape: Shape
    count: int = 0
    profile: Profile = field(default_factory=Profile)
    took: Mapping[str, float] = field(default_factory=dict)
    asked: Mapping[str, float] = field(default_factory=dict)

    def told(self, *, functions: bool) -> str:
        """Tables in Markdown."""
        each = {who: f"{seconds / self.count * 1e6:,.0f} us" for who, seconds in self.took.items()}
        head = f"One {self.work}, {self.shape}, {checks.now():%Y-%m-%d}: " + ", ".join(
            f"{who} {us}" for who, us in each.items()
        )
        parts = [head, self._table(("thread", "what"), self.profile.by_label())]
        if functions:
            parts.append(self._table(("thread", "function"), self.profile.functions))
        if self.asked:
            single: dict[tuple[str, ...], float] = {
                (statement,): seconds for statement, seconds in self.asked.items()
            }
            parts.append(self._table(("PostgreSQL, on the wall",), single))
        return "\n\n".join(parts)

    def _table(self, headings: tuple[str, ...], seconds: Mapping[tuple[str, ...], float]) -> str:
        total = sum(seconds.values())
        lines = [
            (*names, f"{taken / self.count * 1e6:,.1f}", f"{taken / total:.0%}")
            for names, taken in sorted(seconds.items(), key=lambda each: -each[1])
            if taken / total >= SHARE_SHOWN
        ]
        return table((*headings, "us", "share"), lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How to look: for how long, and with which py-spy."""

    servers: Servers
    shape: Shape
    seconds: float
    py_spy: str | None

    def at(
        self, place: Place, work: str, processes: Mapping[str, int], act: Callable[[], int]
    ) -> Looked:
        """Sample the first of the processes while ``act`` does its work, and returns how much."""
        looked = Looked(work=work, shape=self.shape)
        log = None
        if place.shape == "scaled":
            log = statements.Logged(self.servers.postgres.directory / "log")
        before = spent(processes)
        with sampled(next(iter(processes.values())), py_spy=self.py_spy) as looked.profile:
            looked.count = act()
        looked.took = since(before, spent(processes))
        if os.getpid() in processes.values():  # the servers are its children
            looked.took = {work: sum(looked.profile.functions.values())}
        if log is not None:
            looked.asked = log.seconds()
        return looked


def at_requests(look: Look, work: str) -> Looked:
    """Requests to the API from 64 clients."""
    with (
        look.servers.place(look.shape) as place,
        place.api() as api,
        Clients() as clients,
    ):
        ids = api.jobs(JOBS, mode="passive")
        headers = [f"X-API-Key: {KEY}"]
        job = json.dumps(new_job(api.project())).encode()
        requests, expected = {
            "ping": ([request(api.url, f"/api/ping/{each}") for each in ids], 200),
            "get": ([request(api.url, f"/api/v1/jobs/{i}", headers=headers) for i in ids], 200),
            "post": (
                [request(api.url, "/api/v1/jobs", method="POST", headers=headers, body=job)],
                201,
            ),
        }[work]
        clients.ask(api.url, requests, seconds=1.0, expected=expected)

        def act() -> int:
            return clients.ask(api.url, requests, seconds=look.seconds, expected=expected).count

        return look.at(place, work, api.processes, act)


def at_checks(look: Look, work: str) -> Looked:
    """Checks that are sent to a worker, or that ``serve`` finds in its log."""
    role = "serve" if look.shape == "embedded" else "worker"
    with ExitStack() as stack:
        place = stack.enter_context(look.servers.place(look.shape))
        receiver = stack.enter_context(receiving())
        core = stack.enter_context(place.core())
        settings = checks.settings_of(f"{receiver.url}/health", checks.CHECKS)
        job_ids = recording.jobs(core, settings, at=checks.now())
        process = stack.enter_context(place.begin(role)).ready()
        checks.make_checks(place, core, job_ids[:200])

        def act() -> int:
            made, until = 0, time.monotonic() + look.seconds
            while time.monotonic() < until:
                checks.make_checks(place, core, job_ids)
                made += len(job_ids)
            return made

        return look.at(place, work, {role: process.pid} | checks.servers_of(place), act)


def at_ticks(look: Look, work: str) -> Looked:
    """Ticks of many jobs that are all due, recorded and dispatched; in the embedded shape also called."""
    role = "serve" if look.shape == "embedded" else "scheduler"
    with ExitStack() as stack:
        place = stack.enter_context(look.servers.place(look.shape))
        receiver = stack.enter_context(receiving())
        core = stack.enter_context(place.core())
        count = round(1_000 * look.seconds)
        settings = checks.settings_of(f"{receiver.url}/health", count)
        begins = checks.now().replace(microsecond=0)
        come = begins + timedelta(seconds=5 + count * SECONDS_A_JOB)
        recording.jobs(
            core, [replace(each, schedule=f"{come:%S %M %H} * * *") for each in settings], at=begins
        )
        process = stack.enter_context(place.begin(role)).ready()

        def act() -> int:
            given_up = time.monotonic() + 10 * look.seconds + 60
            while (due := core.database.read_now(due_ticks.next_tick)) and due <= come:
                if time.monotonic() > given_up:
                    raise RuntimeError("ticks are left over")
                time.sleep(0.05)
            return count

        return look.at(place, work, {role: process.pid} | checks.servers_of(place), act)


def at_rebuild(look: Look, work: str) -> Looked:
    """Rebuilding the read models, in this process; a piece of work is an event."""
    with look.servers.place(look.shape) as place, place.core(CRONPULSE) as core:
        record(core, jobs=1_000, pings=20_000, checks=10_000)
        events = core.store.head().position

        def act() -> int:
            done, until = 0, time.monotonic() + look.seconds
            while time.monotonic() < until:
                rebuild(core.database, core.store, core.read_models)
                done += events
            return done

        return look.at(place, "event that is rebuilt", {work: os.getpid()}, act)


KINDS: Final[Mapping[str, Callable[[Look, str], Looked]]] = {
    "ping": at_requests,
    "get": at_requests,
    "post": at_requests,
    "check": at_checks,
    "tick": at_ticks,
    "rebuild": at_rebuild,
}


def main() -> None:
    """Look, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--functions", action="store_true", help="tell of every function, too")
    parser.add_argument("--py-spy", help="where it is, if not on the PATH")
    parser.add_argument("--write", action="store_true", help=f"put it into {page.NAME}")
    given = parser.parse_args()
    for kind in given.kinds or KINDS:
        for shape in given.shape or SHAPES:
            with Servers(settings=statements.SETTINGS) as servers:
                look = Look(
                    servers=servers, shape=shape, seconds=given.seconds, py_spy=given.py_spy
                )
                told = KINDS[kind](look, kind).told(functions=given.functions)
            print(f"\n{told}", flush=True)
            if given.write:
                page.put(f"{kind} {shape}", told)


if __name__ == "__main__":
    main()
