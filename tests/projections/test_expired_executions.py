"""What is old is found by its age and not by looking at everything, on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, event, insert, text

from domain.retention import BEGINNING, ExecutionsExpired
from projections import executions
from projections.execution_rows import executions as table
from projections.expired_executions import BY_AGE, EXPIRE, expire, portion
from tests.clock import START
from tests.shapes import Shape

SINCE = {"since": START, "since_id": "e1"}
BEFORE = {"before": START + timedelta(minutes=1), "before_id": "e2"}


def fill(connection: Connection, *, ended: int, running: int) -> None:
    """A second lies between one execution and the next; those that run are the oldest."""
    row = dict.fromkeys(column.name for column in table.columns)
    row |= {"job_id": "j1", "account": "default", "position": 1, "trigger": "ping"}
    row |= {"skipped_ticks": 0}
    connection.execute(
        insert(table),
        [
            row
            | {
                "id": f"e{number:06d}",
                "status": "running" if number < running else "success",
                "happened_at": START + timedelta(seconds=number),
            }
            for number in range(running + ended)
        ],
    )
    connection.execute(text("ANALYZE executions"))


def plan(connection: Connection, statement: Executable, parameters: dict[str, object]) -> str:
    """Runs it, and tells in the database's own words how it did."""
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    told: list[str] = []

    def explained(_: object, cursor: Any, sql: str, given: Any, *__: object) -> None:
        told.extend(map(str, cursor.connection.cursor().execute(f"{explain} {sql}", given)))

    event.listen(connection, "before_cursor_execute", explained)
    connection.execute(statement, parameters)
    event.remove(connection, "before_cursor_execute", explained)
    return "\n".join(told)


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [(BY_AGE, {**SINCE, "older": 1_000}), (EXPIRE, {**SINCE, **BEFORE})],
    ids=["finding", "removing"],
)
def test_the_index_by_age_is_used_and_nothing_is_sorted(
    shape: Shape, statement: Executable, parameters: dict[str, object]
) -> None:
    with shape.core.database.transaction() as connection:
        fill(connection, ended=20_000, running=100)
        told = plan(connection, statement, parameters)
    assert "executions_by_age" in told
    for word in ("Sort", "Seq Scan", "TEMP B-TREE", "SCAN executions"):
        assert word not in told


def test_what_has_not_ended_does_not_count(shape: Shape) -> None:
    with shape.core.database.transaction() as connection:
        fill(connection, ended=10, running=5)
        oldest, beyond = portion(connection, since=BEGINNING, size=4)
        assert oldest == (START + timedelta(seconds=5), "e000005")
        assert beyond == (START + timedelta(seconds=9), "e000009")
        assert portion(connection, since=beyond, size=6) == (beyond, None)
        assert portion(connection, since=(START + timedelta(days=1), ""), size=6) == (None, None)
        covered = ExecutionsExpired(
            since=oldest[0], since_id=oldest[1], before=beyond[0], before_id=beyond[1]
        )
        expire(connection, covered)
        left = executions.page(connection, job_id="j1", limit=100)
    assert [each.id for each in reversed(left)] == [
        f"e{number:06d}" for number in (*range(5), *range(9, 15))
    ]
