"""Rebuilding the read models: against reading the log and inserting the rows that come of it.

The limit reads every column of every event, and inserts the finished rows into the emptied tables, in the
way that the database's driver does it fastest. Emptying them is not counted, though ours does that too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, repeat
from typing import Any

from api.bootstrap import Core
from benchmarks import recording
from benchmarks.inserting import Driver, Sqlite, driver_of
from benchmarks.places import Servers, Shape
from benchmarks.processor import Meter
from benchmarks.rows import Effort, Row, in_turns
from domain.job_fields import JobSettings
from projections.rebuild import rebuild
from projections.runner import PROJECTIONS

JOBS = 1_000
PINGS = 20_000
CHECKS = 10_000
PARTS = 20
BEGAN = datetime(2026, 3, 10, 12, tzinfo=UTC)


def measure(servers: Servers, shape: Shape, effort: Effort) -> Row:
    """Of a log with three events a check, and about as many pings."""
    with servers.place(shape) as place, place.core() as core, driver_of(place) as driver:
        record(core, jobs=effort.of(JOBS), pings=effort.of(PINGS), checks=effort.of(CHECKS))
        events = core.store.head().position
        rows = {table: driver.run(f"SELECT * FROM {table}") for table in _tables()}
        others = {} if shape == "embedded" else {"PostgreSQL": servers.postgres.pid}
        meter = Meter(others)
        own: list[float] = []

        def ours() -> float:
            with meter.running():
                began, worked = time.perf_counter(), time.process_time()
                rebuild(core.database, core.store, core.read_models)
                own.append(time.process_time() - worked)
                meter.count(events)
                return events / (time.perf_counter() - began)

        def limit() -> float:
            _empty(driver, rows)
            began = time.perf_counter()
            _, log = driver.run("SELECT * FROM events ORDER BY position")
            assert len(log) == events
            _begin(driver)
            for table, (columns, lines) in rows.items():
                driver.insert(table, columns, lines)
            driver.run("COMMIT")
            return events / (time.perf_counter() - began)

        seen = in_turns(effort.rounds, limit=limit, ours=ours)
    return Row(
        path="rebuild",
        shape=shape,
        unit="events/s",
        ours=seen["ours"],
        limits={"reading the log and inserting the rows": seen["limit"]},
        aim=0.5,
        took={"rebuild": sum(own) / len(own) / events * 1e6, **meter.each()},
    )


def record(core: Core, *, jobs: int, pings: int, checks: int) -> None:
    """A history of so many of each, in the course of some hours."""
    settings = JobSettings(
        name="Bench", url="https://a.example/health", method="GET", schedule="@hourly"
    )
    job_ids = recording.jobs(core, repeat(settings, jobs), at=BEGAN)
    for part in range(PARTS):
        at = BEGAN + timedelta(minutes=part)
        some = list(islice(cycle(job_ids), part, part + pings // PARTS))
        recording.pings(core, some, at=at)
        some = job_ids[part % 2 :: 2][: checks // PARTS]
        recording.made(core, recording.due(core, some, tick=at))


def _tables() -> list[str]:
    return [table.name for projection in PROJECTIONS for table in projection.tables]


def _empty(driver: Driver, tables: Sequence[str] | dict[str, Any]) -> None:
    _begin(driver)
    for table in tables:
        driver.run(f"DELETE FROM {table}")
    driver.run("COMMIT")
    if not isinstance(driver, Sqlite):
        driver.run("VACUUM")


def _begin(driver: Driver) -> None:
    driver.run("BEGIN IMMEDIATE" if isinstance(driver, Sqlite) else "BEGIN")
