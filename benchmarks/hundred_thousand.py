"""100,000 jobs that are due every minute: how late their ticks are, and what that takes.

Two scenarios: due all over the minute's seconds, and all at once at second 0. Jobs are recorded in bulk
before their first minute comes; then one or more schedulers and workers have so many minutes, and some
seconds more to end what they are at. What is reported is read from the log afterwards: when each tick was
recorded, and when its call began. The embedded shape does the same with fewer jobs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from api.bootstrap import Core
from benchmarks import processor, recording
from benchmarks.checks import servers_of
from benchmarks.inserting import driver_of
from benchmarks.lateness import Outcome, Scenario, read, told
from benchmarks.places import Place, Servers, Shape
from benchmarks.receiver import Receiver, receiving
from domain.job_fields import JobSettings
from tests.live.service import LiveProcess

JOBS: Final[Mapping[Shape, int]] = {"scaled": 100_000, "embedded": 10_000}
MINUTES: Final = 3
DRAIN: Final = 20.0
"""Seconds after the last minute, for what is late."""

TO_BEGIN: Final = timedelta(seconds=15)
"""How long processes may take to be ready."""

SECONDS_A_JOB: Final = 0.0006
"""That recording it may take."""

A_MINUTE: Final = timedelta(minutes=1)
_SCHEDULES: Final[Mapping[str, Sequence[str]]] = {
    "over the minute": [f"{second} * * * * *" for second in range(60)],
    "at second 0": ["* * * * *"],
}


def run(servers: Servers, scenario: Scenario) -> Outcome:
    """Set it up, let it run, and read the log."""
    with ExitStack() as stack:
        place = stack.enter_context(servers.place(scenario.shape))
        receiver = stack.enter_context(receiving())
        core = stack.enter_context(place.core())
        begins = _next_minute(now() + timedelta(seconds=scenario.set_up) + TO_BEGIN)
        _set_up(place, core, receiver, scenario, begins=begins)
        head = core.store.head().position
        roles = list(_begin(stack, place, scenario))
        groups = {name: process.pid for name, process in roles}
        groups |= {"receiver": receiver.pid} | servers_of(place)
        _wait_until(begins)
        before, calls_before = processor.spent(groups), receiver.calls()
        ends = begins + scenario.minutes * A_MINUTE
        _wait_until(ends)
        busy = processor.since(before, processor.spent(groups))
        received = receiver.calls() - calls_before
        time.sleep(DRAIN)
        for _, process in roles:
            process.kill()
        outcome = Outcome(scenario=scenario, busy=busy, received=received)
        read(core, outcome, after=head, begins=begins, ends=ends)
        return outcome


def _set_up(
    place: Place, core: Core, receiver: Receiver, scenario: Scenario, *, begins: datetime
) -> None:
    began = time.monotonic()
    schedules, urls = _SCHEDULES[scenario.due], receiver.urls
    settings = (
        JobSettings(
            name="Bench",
            url=f"{urls[number % len(urls)]}/health/{number}",
            method="GET",
            schedule=schedules[number % len(schedules)],
        )
        for number in range(scenario.jobs)
    )
    recording.jobs(core, settings, at=begins - timedelta(microseconds=1))
    if scenario.shape == "scaled":
        with driver_of(place) as driver:
            driver.run("VACUUM ANALYZE")
    took = time.monotonic() - began
    _say(f"{scenario.told}: recorded in {took:.0f} s, first due at {begins:%T}")
    if now() + TO_BEGIN > begins:
        raise SystemExit(f"recording the jobs took {took:.0f} s: give more with --set-up")


def _begin(stack: ExitStack, place: Place, scenario: Scenario) -> Iterator[tuple[str, LiveProcess]]:
    roles = (
        ["serve"]
        if scenario.shape == "embedded"
        else ["scheduler"] * scenario.schedulers + ["worker"] * scenario.workers
    )
    for number, role in enumerate(roles):
        process = stack.enter_context(place.begin(role)).ready()
        yield role if role not in roles[:number] else f"{role} {number + 1}", process


def scenarios(shape: Shape, *, scale: float) -> list[Scenario]:
    """The usual ones; less than the full scale takes a minute only."""
    given = _options(argparse.ArgumentParser()).parse_args([f"--shape={shape}"])
    if scale < 1:
        given.jobs, given.minutes = round(JOBS[shape] * scale), 1
    return _chosen(given)


def _chosen(given: argparse.Namespace) -> list[Scenario]:
    found = []
    for shape in given.shape or JOBS:
        jobs = given.jobs or JOBS[shape]
        found += [
            Scenario(
                shape=shape,
                due=due,
                jobs=jobs,
                minutes=given.minutes,
                schedulers=given.schedulers,
                workers=given.workers,
                set_up=given.set_up or 10 + jobs * SECONDS_A_JOB,
            )
            for due in given.due or _SCHEDULES
        ]
    return found


def _options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--shape", choices=list(JOBS), action="append")
    parser.add_argument("--due", choices=list(_SCHEDULES), action="append")
    parser.add_argument("--jobs", type=int, help="100,000; in the embedded shape 10,000")
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--schedulers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set-up", type=float, help="seconds that recording the jobs may take")
    return parser


def _next_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + A_MINUTE


def _wait_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - now()).total_seconds()))


def now() -> datetime:
    return datetime.now(UTC)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> None:
    """Run what is asked for, and print it."""
    given = _options(argparse.ArgumentParser(description=__doc__)).parse_args()
    with Servers() as servers:
        outcomes = [run(servers, scenario) for scenario in _chosen(given)]
    print(told(outcomes))


if __name__ == "__main__":
    main()
