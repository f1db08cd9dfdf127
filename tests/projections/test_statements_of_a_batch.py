"""A group commit costs a handful of statements, however many events it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event

from domain.codec import Codec
from eventstore.store import RecordedEvent
from projections.runner import PROJECTIONS, Runner
from tests.projections.recording import (
    STARTED,
    SUCCEEDED,
    Recorder,
    created,
    due,
    everything,
    later,
)
from tests.shapes import Shape

HANDFUL = 20
"""For everything at once, in eight tables; what happens every second needs far fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A statement as the driver gets it. ``many``: it is run once for each of a list of rows."""

    text: str
    many: bool


def apply(shape: Shape, events: list[RecordedEvent]) -> list[Issued]:
    """Bring the read models up to date; returns the statements that took."""
    issued = []

    def note(*given: Any) -> None:
        issued.append(Issued(text=given[2], many=given[5]))

    with shape.core.database.log_transaction() as connection:
        event.listen(connection, "before_cursor_execute", note)
        Runner(Codec()).apply(connection, events)
    return issued


def is_postgres(shape: Shape) -> bool:
    return shape.core.database.engine.dialect.name == "postgresql"


def test_five_hundred_events_of_all_kinds_take_the_very_same_statements_as_a_few(
    shape: Shape,
) -> None:
    recorder = Recorder()
    batch = everything(recorder, 12, name="many")
    assert len(batch) >= 500
    few = apply(shape, everything(recorder, 2, name="few"))
    many = apply(shape, batch)
    assert few == many
    assert len(many) <= HANDFUL
    few = apply(shape, later(recorder, 2, name="few"))
    many = apply(shape, later(recorder, 12, name="many"))
    assert few == many
    assert len(many) <= HANDFUL


def test_all_kinds_of_events_are_among_them() -> None:
    told = {type_ for each in PROJECTIONS for type_ in Codec().names_of(*each.handles)}
    met = {each.type for each in everything(Recorder(), 1, name="a")}
    assert told - met <= {"ExecutionsExpired"}  # whose statements are one for each event


def test_on_postgresql_no_statement_is_run_for_each_of_many_rows(shape: Shape) -> None:
    recorder = Recorder()
    issued = apply(shape, everything(recorder, 3, name="a"))
    issued += apply(shape, later(recorder, 3, name="a"))
    repeated = [each.text for each in issued if each.many]
    assert not is_postgres(shape) or repeated == []


def test_a_turn_of_the_scheduler_and_the_workers_takes_a_few_statements(shape: Shape) -> None:
    """A third of the events are ticks, a third starts and a third ends, of different checks."""
    recorder = Recorder()
    jobs = [f"job-{number}" for number in range(30)]
    apply(shape, [recorder.job(job_id, created(job_id)) for job_id in jobs])
    apply(
        shape,
        [recorder.check(job_id, f"a-{job_id}", due(job_id, f"a-{job_id}")) for job_id in jobs[:20]],
    )
    apply(shape, [recorder.check(job_id, f"a-{job_id}", STARTED) for job_id in jobs[:10]])
    turn = [
        *(recorder.check(job_id, f"a-{job_id}", SUCCEEDED) for job_id in jobs[:10]),
        *(recorder.check(job_id, f"a-{job_id}", STARTED) for job_id in jobs[10:20]),
        *(
            recorder.check(job_id, f"b-{job_id}", due(job_id, f"b-{job_id}"))
            for job_id in jobs[20:]
        ),
    ]
    assert len(apply(shape, turn)) <= 9


@pytest.mark.parametrize("number", [1, 10])
def test_pings_take_no_more_than_two_statements_a_table(shape: Shape, number: int) -> None:
    recorder = Recorder()
    jobs = [f"job-{n}" for n in range(number)]
    apply(shape, [recorder.job(job_id, created(job_id)) for job_id in jobs])
    beats = [recorder.ping(job_id, f"p-{job_id}", "beat") for job_id in jobs]
    assert len(apply(shape, beats)) == 6
    starts = [recorder.ping(job_id, f"s-{job_id}", "start") for job_id in jobs]
    assert len(apply(shape, starts)) <= 6
    ends = [recorder.ping(job_id, f"e-{job_id}", "success") for job_id in jobs]
    assert len(apply(shape, ends)) <= 6
