"""Growth: a log of millions of events against a small one, so that a year is as fast as a day.

Both databases run side by side and take turns, so that what else the machine does hits both alike. A
share of 100% says that the long history costs nothing. ``--ids chance`` gives the ids no time, as
they once were.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from random import Random
from typing import Any, Final

from sqlalchemy import text

from api.bootstrap import Core
from benchmarks.everyday import (
    END,
    PAGE,
    SPAN,
    Side,
    expire,
    read_everything,
    record_checks,
    record_pings,
)
from benchmarks.made_up_history import Check, ids_by_chance, ids_by_time, load, make_jobs
from benchmarks.places import SHAPES, Place, Servers, Shape
from benchmarks.rows import Effort, Row

EVENTS: Final = 6_000_000
JOBS: Final = 500
PAGES: Final = 2
"""Of each job in the short history."""

ROUNDS: Final = 40
READS: Final = 200
WARM_UP: Final = 5
AIMED: Final = (
    "recording a check",
    "recording a ping",
    "finding 500 due jobs",
    "feed of the dispatcher",
    "a page of a job's history",
)


@contextmanager
def a_past(place: Place, *, checks: int, jobs_made: int, by_time: bool) -> Iterator[Side]:
    """The database with so many checks in the past year, evenly over time and jobs."""
    random = Random(1)
    make_id = (ids_by_time if by_time else ids_by_chance)(random)
    began = END - SPAN
    with place.core() as core:
        job_ids = make_jobs(core, jobs_made, make_id, at=began)
        head = core.store.head().position
    past = (
        Check(job_id=job_id, execution_id=make_id("e", tick), tick=tick)
        for number, job_id in enumerate(islice(cycle(job_ids), checks))
        for tick in (began + SPAN * (number / checks),)
    )
    load(place.settings, past, make_id, after=head, random=random)
    with place.core() as core:
        yield Side(core=core, make_id=make_id, job_ids=job_ids, random=random)


@contextmanager
def two_pasts(
    servers: Servers, shape: Shape, *, events: int, jobs_made: int = JOBS, by_time: bool = True
) -> Iterator[tuple[Side, Side]]:
    """A short history and one of so many events, in databases of their own."""
    with ExitStack() as stack:
        short, long = (
            stack.enter_context(
                a_past(
                    stack.enter_context(servers.place(shape)),
                    checks=checks,
                    jobs_made=jobs_made,
                    by_time=by_time,
                )
            )
            for checks in (PAGES * PAGE * jobs_made, events // 3)
        )
        yield short, long


def compare(short: Side, long: Side, *, scale: float = 1.0) -> None:
    """Have both do everything, in turns; the first turns are to warm up."""
    for act, times in (
        (record_checks, ROUNDS),
        (record_pings, ROUNDS),
        (read_everything, READS),
        (expire, 5),
    ):
        for turn in range(WARM_UP + max(WARM_UP, round(times * scale))):
            for side in (short, long):
                side.counts = turn >= WARM_UP
                act(side)


def measure(servers: Servers, shape: Shape, effort: Effort) -> list[Row]:
    """What must not depend on the length of the history."""
    events = effort.of(EVENTS)
    with two_pasts(servers, shape, events=events) as (short, long):
        compare(short, long, scale=effort.scale)
    before = 3 * PAGES * PAGE * JOBS
    return [
        Row(
            path=f"{what}, with {events / 1e6:.2g} million events",
            shape=shape,
            unit="/s",
            ours=_rates(long.taken[what], effort.rounds),
            limits={f"with {before:,}": _rates(short.taken[what], effort.rounds)},
            aim=0.9,
        )
        for what in AIMED
    ]


def _rates(taken: list[float], rounds: int) -> list[float]:
    return [1 / statistics.median(taken[number::rounds]) for number in range(rounds)]


def size_of(core: Core) -> dict[str, int]:
    """Bytes on disk of the log and of the history, with their indexes."""
    sql = (
        "SELECT m.tbl_name, SUM(s.pageno) * (SELECT page_size FROM pragma_page_size)"
        " FROM dbstat s JOIN sqlite_master m ON m.name = s.name"
        " WHERE s.aggregate = TRUE GROUP BY m.tbl_name"
        if core.alone
        else "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
    )
    rows: list[Any] = core.database.read_now(lambda c: list(c.execute(text(sql))))
    return {name: int(size) for name, size in rows if name in {"events", "executions"}}


def report(short: Side, long: Side, *, checks: int) -> None:
    """Print everything that was measured."""
    for what, times in long.taken.items():
        turns = list(zip(short.taken[what], times, strict=True))
        before, after = (statistics.median(side) for side in zip(*turns, strict=True))
        share = statistics.median(first / then for first, then in turns)
        print(f"{what:30} {before * 1e6:9,.0f} us {after * 1e6:9,.0f} us   {share:5.0%}")
    before, after = (statistics.mean(side.written) for side in (short, long))
    print(f"{'writing for a check':30} {before:9,.0f} B  {after:9,.0f} B    {before / after:5.0%}")
    for table, size in size_of(long.core).items():
        print(f"{table:30} {size / 1e6:9,.0f} MB {size / checks:9,.0f} B  for a check")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--ids", choices=["time", "chance"], default="time")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    given = parser.parse_args()
    with Servers() as servers:
        for shape in given.shape or SHAPES:
            began = time.perf_counter()
            with two_pasts(
                servers,
                shape,
                events=given.events,
                jobs_made=given.jobs,
                by_time=given.ids == "time",
            ) as (short, long):
                took = time.perf_counter() - began
                print(
                    f"{shape}, ids by {given.ids}: {3 * PAGES * PAGE * given.jobs:,} against"
                    f" {given.events:,} events of {given.jobs:,} jobs, loaded in {took:.0f} s"
                )
                compare(short, long)
                report(short, long, checks=given.events // 3)


if __name__ == "__main__":
    main()
