"""A year of fifty assorted jobs in three time zones, on a simulated clock, against the oracle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from domain.execution import CheckDue, CheckSkipped, CheckSucceeded
from tests.jobs import a_job, a_project
from tests.scheduler.playing import Play, Receiver
from tests.shapes import Shape, embedded

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
ZONES = ["UTC", "America/New_York", "Australia/Sydney"]
EXPRESSIONS = [
    "0 */8 * * *",
    "30 */12 * * *",
    "0 0 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "15 3 * * 1-5",
    "0 9 1 * *",
    "0 12 15 * 5",
    "0 22 * * 0",
    "59 23 L * *",
    "0 8 * * 1#1",
    "45 4 29 2 *",
    "10 2 * 3,4,10,11 *",
    "0 6,18 * 6-8 sat,sun",
    "0 0 1 1 *",
    "*/30 2-3 * 3,10 0",
    "5 4 */10 * *",
]
JOBS = [(expression, zone) for zone in ZONES for expression in EXPRESSIONS][:50]


def expected_ticks(expression: str, zone: str) -> Iterator[datetime]:
    # 29 February does not come in this year, and the oracle searches on: bounded by the end.
    for moment in CronSim(expression, START.astimezone(ZoneInfo(zone))):
        tick = moment.astimezone(UTC)
        if tick > END:
            return
        yield tick


@pytest.mark.timeout(300)
async def test_a_simulated_year_has_every_tick_once_and_no_other(tmp_path: Path) -> None:
    with embedded(tmp_path, durable=False) as shape:
        shape.clock.moment = START
        project_id = await a_project(shape)
        jobs = {
            await a_job(shape, project_id=project_id, schedule=expression, timezone=zone): (
                expression,
                zone,
            )
            for expression, zone in JOBS
        }
        play = Play(shape, Receiver())
        await play.step_until(END)
        assert_each_tick_was_recorded_and_called_once(shape, play, jobs)


def assert_each_tick_was_recorded_and_called_once(
    shape: Shape, play: Play, jobs: dict[str, tuple[str, str]]
) -> None:
    ticks = defaultdict(list)
    for due in shape.events(CheckDue):
        assert due.skipped_ticks == 0
        ticks[due.job_id].append(due.tick)
    assert shape.events(CheckSkipped) == []
    for job_id, (expression, zone) in jobs.items():
        assert ticks[job_id] == list(expected_ticks(expression, zone)), (expression, zone)
    recorded = sum(map(len, ticks.values()))
    assert recorded > 8_000
    assert len(shape.events(CheckSucceeded)) == recorded
    assert len({call.execution_id for call in play.receiver.calls}) == recorded
    assert len(play.receiver.calls) == recorded
