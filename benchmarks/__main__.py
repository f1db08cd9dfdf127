"""``make bench``: the rows of the table in ``docs/performance.md``, one after the other.

Beside them, when they are named: ``hundred_thousand``, which takes some 20 minutes, and programs with a
report of their own (each also ``python -m benchmarks.NAME --help``).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from benchmarks import (
    checks,
    creating_jobs,
    durable_pings,
    growth,
    hundred_thousand,
    lateness,
    machine,
    on_time,
    outbound_engine,
    page,
    reading_jobs,
    rebuilding,
    starting,
)
from benchmarks.places import SHAPES, Servers, Shape
from benchmarks.rows import FULL, HEADINGS, QUICK, Effort, Row, table

Measure = Callable[[Servers, Shape, Effort], Sequence[Row]]


def _one(measure: Callable[[Servers, Shape, Effort], Row]) -> Measure:
    return lambda servers, shape, effort: [measure(servers, shape, effort)]


def _hundred_thousand(servers: Servers, shape: Shape, effort: Effort) -> Sequence[Row]:
    outcomes = [
        hundred_thousand.run(servers, scenario)
        for scenario in hundred_thousand.scenarios(shape, scale=effort.scale)
    ]
    _blocks[f"lateness {shape}"] = told = lateness.told(outcomes)
    print(f"\n{told}\n", flush=True)
    return [row for outcome in outcomes for row in outcome.rows()]


_blocks: Final[dict[str, str]] = {}
"""What is to be written beside the rows."""

USUAL: Final[Mapping[str, Measure]] = {
    "durable_pings": _one(durable_pings.measure),
    "reading_jobs": _one(reading_jobs.measure),
    "creating_jobs": _one(creating_jobs.measure),
    "rebuilding": _one(rebuilding.measure),
    "checks": _one(checks.measure),
    "starting": starting.measure,
}
LONG: Final[Mapping[str, Measure]] = {"hundred_thousand": _hundred_thousand}
PROGRAMS: Final[Mapping[str, tuple[Callable[[], None], Sequence[str]]]] = {
    "growth": (growth.main, ("--events=60000", "--jobs=200")),
    "on_time": (on_time.main, ("--seconds=6",)),
    "outbound_engine": (outbound_engine.main, ("--calls=200", "--rounds=1")),
}
"""Those with a report of their own, and what makes it a quick one."""

NAMES: Final = (*USUAL, *LONG, *PROGRAMS)


def main() -> None:
    """Measure what is named, or all that is usual; print the table, and write it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--shape", choices=SHAPES, action="append", help="not for programs")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    parser.add_argument("--write", action="store_true", help=f"put it into {page.NAME}")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if given.quick and given.write:
        parser.error("what --quick finds is not worth writing down")
    names = given.names or list(USUAL)
    sound = _tables(
        [name for name in names if name not in PROGRAMS],
        given.shape or SHAPES,
        QUICK if given.quick else FULL,
        write=given.write,
    )
    for name in names:
        if name in PROGRAMS:
            _run(name, quick=given.quick, write=given.write)
    sys.exit(0 if sound else 1)


def _tables(names: Sequence[str], shapes: Sequence[Shape], effort: Effort, *, write: bool) -> bool:
    """Measure these in each shape, as far as they can be; False if one could not."""
    rows: list[Row] = []
    sound = True
    with Servers() as servers:
        for name in names:
            for shape in shapes:
                _say(f"{name}, {shape} …")
                try:
                    found = {**USUAL, **LONG}[name](servers, shape, effort)
                except Exception:  # noqa: BLE001  (the others can be measured all the same)
                    traceback.print_exc()
                    sound = False
                    continue
                rows += found
                for row in found:
                    _say(f"  {'  '.join(row.cells())}")
                if write:
                    page.put_rows(found)
    if rows:
        _report(rows)
    if write:
        for block, text in _blocks.items():
            page.put(block, text)
    return sound


def _report(rows: Sequence[Row]) -> None:
    print(machine.told(), end="\n\n")
    print(table(HEADINGS, [row.cells() for row in rows]), end="\n\n")
    took = [page.processors_of(row) for row in rows if row.took]
    if took:
        print(table(page.PROCESSOR_HEADINGS, took))


def _run(name: str, *, quick: bool, write: bool) -> None:
    """Run a program; its report is also written, where the page has a place for it."""
    program, quickly = PROGRAMS[name]
    _say(f"{name} …")
    sys.argv[1:] = quickly if quick else []
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        program()
    print(report.getvalue(), end="", flush=True)
    if write and page.has(name):
        page.put(name, f"```text\n{report.getvalue().strip()}\n```")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
