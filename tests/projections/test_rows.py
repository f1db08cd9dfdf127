"""Rows of a batch: read once, changed in memory and written once, the same on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, delete, event, insert, select

from projections.api_keys import api_keys
from projections.execution_rows import executions
from projections.heartbeats import heartbeats
from projections.job_status import job_status
from projections.jobs import jobs
from projections.projection import metadata
from projections.rows import Rows, bulk_on
from tests.shapes import Shape

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EDGES = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime.max.replace(tzinfo=UTC),
]
TEXTS = [
    "",
    "null",
    "NULL",
    "{}",
    '{"a": [1, null]}',
    "a,b",
    '"',
    "\\",
    "'",
    "%s",
    "é☃😀",
    "\x01\n\t",
]


@pytest.fixture
def connection(shape: Shape) -> Iterator[Connection]:
    with shape.core.database.log_transaction() as connection:
        yield connection


def a_status(key: str, **values: object) -> dict[str, Any]:
    return {
        "job_id": key,
        "paused": False,
        "last_status": None,
        "last_status_at": None,
        "last_activity_at": None,
    } | values


def an_execution(key: str, **values: object) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(executions.columns.keys())
    row |= {
        "id": key,
        "job_id": "job-1",
        "account": "default",
        "position": 1,
        "trigger": "schedule",
        "status": "queued",
        "happened_at": NOON,
        "skipped_ticks": 0,
    }
    return row | values


def stored(connection: Connection, table: Table) -> dict[str, dict[str, Any]]:
    """What a plain SELECT finds, by key."""
    found = connection.execute(select(table)).mappings()
    return {row[next(iter(row))]: dict(row) for row in found}


def statements_of(connection: Connection, act: Callable[[], object]) -> list[str]:
    issued = []

    def note(*given: Any) -> None:
        issued.append(given[2])

    event.listen(connection, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    return issued


def test_a_row_that_was_put_is_there_with_every_value_as_it_was(connection: Connection) -> None:
    rows = Rows(connection, executions)
    put = [
        an_execution(
            f"e{n}",
            message=text,
            output=text,
            client=None,
            position=2**62 + n,
            duration_ms=2**31 - 1,
            finished_at=EDGES[n % len(EDGES)],
        )
        for n, text in enumerate(TEXTS)
    ]
    for row in put:
        rows.put(dict(row))
    rows.write()
    assert stored(connection, executions) == {row["id"]: row for row in put}


def test_what_is_read_is_what_a_plain_select_finds(connection: Connection) -> None:
    written = [
        a_status("a", paused=True, last_status="failed", last_status_at=EDGES[1]),
        a_status("b", last_activity_at=EDGES[2]),
    ]
    connection.execute(insert(job_status), written)
    rows = Rows(connection, job_status)
    rows.load(["a", "nobody", "b", "a"])
    assert [rows.get("a"), rows.get("b"), rows.get("nobody")] == [*written, None]
    assert rows.get("a")["paused"] is True  # type: ignore[index]


def test_every_kind_of_row_can_be_written_and_changed_to_null_and_back(
    connection: Connection,
) -> None:
    for full in (
        a_status("j", paused=True, last_status="success", last_status_at=NOON),
        an_execution("e", message="m", finished_at=NOON, duration_ms=1, run_id="r"),
        {"job_id": "h", "account": "a", "version": 7, "closes_at": NOON, "state": '{"x":null}'},
        {
            "id": "k",
            "account": "a",
            "position": 1,
            "name": "n",
            "permissions": '["*"]',
            "key_hash": "x",
            "created_at": NOON,
            "revoked_at": NOON,
        },
    ):
        key = str(next(iter(full.values())))
        (table,) = (
            each
            for each in (job_status, executions, heartbeats, api_keys)
            if each.columns.keys() == list(full)
        )
        bare = {
            name: None if table.columns[name].nullable else value for name, value in full.items()
        }
        for before, after in ((full, bare), (bare, full)):
            Rows(connection, table).write()
            connection.execute(delete(table))
            connection.execute(insert(table), [before])
            for read in (True, False):
                rows = Rows(connection, table)
                if read:
                    rows.load([key])
                rows.change(key, **after)
                rows.write()
                assert stored(connection, table) == {key: after}


def test_only_the_named_columns_of_an_unread_row_change(connection: Connection) -> None:
    connection.execute(insert(executions), [an_execution("e1", client="c"), an_execution("e2")])
    rows = Rows(connection, executions)
    rows.change("e1", status="running", started_at=NOON)
    rows.change("e1", finished_at=NOON)
    rows.change("nobody", status="running")
    rows.write()
    assert stored(connection, executions) == {
        "e1": an_execution("e1", client="c", status="running", started_at=NOON, finished_at=NOON),
        "e2": an_execution("e2"),
    }


def test_a_row_that_is_read_after_it_was_changed_unread_has_the_change(
    connection: Connection,
) -> None:
    connection.execute(insert(executions), [an_execution("e1", client="c")])
    rows = Rows(connection, executions)
    rows.change("e1", status="running")
    rows.load(["e1"])
    assert rows.get("e1") == an_execution("e1", client="c", status="running")
    rows.write()
    assert stored(connection, executions)["e1"]["status"] == "running"


def test_rows_that_were_found_otherwise_count_as_read(connection: Connection) -> None:
    connection.execute(insert(executions), [an_execution("e1"), an_execution("e2")])
    rows = Rows(connection, executions)
    rows.remove("e2")
    rows.change("e1", client="c")
    rows.take([an_execution("e1"), an_execution("e2")])
    assert rows.get("e1") == an_execution("e1", client="c")
    assert rows.get("e2") is None


def test_a_new_row_is_written_once_as_it_is_in_the_end(connection: Connection) -> None:
    rows = Rows(connection, executions)
    rows.put(an_execution("e1"))
    rows.change("e1", status="running")
    rows.change("e1", status="success", finished_at=NOON)
    issued = statements_of(connection, rows.write)
    assert [statement.split()[0] for statement in issued] == ["INSERT"]
    assert stored(connection, executions) == {
        "e1": an_execution("e1", status="success", finished_at=NOON)
    }


def test_a_row_that_comes_and_goes_in_one_batch_is_never_written(connection: Connection) -> None:
    rows = Rows(connection, executions)
    rows.put(an_execution("e1"))
    rows.remove("e1")
    assert statements_of(connection, rows.write) == []
    assert stored(connection, executions) == {}


def test_a_row_that_does_not_change_is_not_written(connection: Connection) -> None:
    connection.execute(insert(job_status), [a_status("a", last_status="failed")])
    rows = Rows(connection, job_status)
    rows.load(["a"])
    rows.change("a", last_status="failed", paused=False)
    assert statements_of(connection, rows.write) == []


def test_a_removed_row_may_be_put_again(connection: Connection) -> None:
    connection.execute(insert(job_status), [a_status("a", last_status="failed"), a_status("b")])
    for read in (True, False):
        rows = Rows(connection, job_status)
        if read:
            rows.load(["a", "b"])
        for key in ("a", "b"):
            rows.remove(key)
        rows.put(a_status("a", paused=True))
        rows.change("a", last_status="missed")
        rows.write()
        assert stored(connection, job_status) == {
            "a": a_status("a", paused=True, last_status="missed")
        }
        connection.execute(insert(job_status), [a_status("b")])


def test_writing_twice_writes_nothing_the_second_time(connection: Connection) -> None:
    connection.execute(insert(job_status), [a_status("a"), a_status("b"), a_status("c")])
    rows = Rows(connection, job_status)
    rows.load(["a"])
    rows.change("a", paused=True)
    rows.change("b", paused=True)
    rows.remove("c")
    rows.put(a_status("d"))
    rows.write()
    assert statements_of(connection, rows.write) == []


def test_rows_with_some_value_are_deleted_and_no_others(connection: Connection) -> None:
    connection.execute(
        insert(executions),
        [an_execution(f"e{n}", job_id=f"job-{n % 4}") for n in range(12)],
    )
    bulk_on(connection).delete(connection, executions.c.job_id, ["job-1", "job-2", "job-9"])
    left = {row["job_id"] for row in stored(connection, executions).values()}
    assert left == {"job-0", "job-3"}


def test_portions_are_deleted_of_each_value_and_no_more(connection: Connection) -> None:
    connection.execute(
        insert(executions),
        [an_execution(f"e{n}", job_id=f"job-{n % 4}") for n in range(16)],
    )
    portions = {"job-0": 1, "job-1": 3, "job-2": 100, "job-9": 5}
    bulk_on(connection).delete_portions(connection, executions.c.job_id, portions)
    left = [row["job_id"] for row in stored(connection, executions).values()]
    assert {job_id: left.count(job_id) for job_id in left} == {"job-0": 3, "job-1": 1, "job-3": 4}


KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "paused": st.booleans(),
        "last_status": st.sampled_from([None, "success", "failed"]),
        "last_activity_at": st.sampled_from([None, *EDGES]),
    },
)
STEPS: st.SearchStrategy[tuple[str, str, dict[str, object]]] = st.one_of(
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("change"), KEYS, VALUES),
    st.tuples(st.just("remove"), KEYS, st.just({})),
    st.tuples(st.just("load"), KEYS, st.just({})),
    st.tuples(st.just("write"), KEYS, st.just({})),
)


@given(before=st.sets(KEYS), steps=st.lists(STEPS, max_size=12))
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_order_of_steps_ends_as_if_each_had_been_written_at_once(
    connection: Connection, before: set[str], steps: list[tuple[str, str, dict[str, object]]]
) -> None:
    """Putting asks that the row be read before, unless there is none: that is the caller's part."""
    connection.execute(delete(job_status))
    expected = {key: a_status(key) for key in sorted(before)}
    if expected:
        connection.execute(insert(job_status), list(expected.values()))
    rows = Rows(connection, job_status)
    for step, key, values in steps:
        match step:
            case "put":
                rows.load([key])
                rows.put(a_status(key, **values))
                expected[key] = a_status(key, **values)
            case "change":
                rows.change(key, **values)
                if key in expected:
                    expected[key] = expected[key] | values
            case "remove":
                rows.remove(key)
                expected.pop(key, None)
            case "load":
                rows.load([key])
                assert rows.get(key) == expected.get(key)
            case _:
                rows.write()
    rows.write()
    assert stored(connection, job_status) == expected


def test_every_table_of_a_read_model_has_one_column_as_its_key() -> None:
    for table in metadata.tables.values():
        assert len(table.primary_key.columns) == 1
    assert jobs.name in metadata.tables
