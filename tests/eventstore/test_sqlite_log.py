"""What only SQLite's store has to prove: its triggers, its file, its plans."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Executable, insert, text
from sqlalchemy.exc import IntegrityError

from eventstore import sqlite, statements
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import SqliteDatabase
from eventstore.store import NO_STREAM, Appended
from eventstore.tables import events as events_table
from tests.eventstore.building import append, event, secret
from tests.eventstore.contract_reading import chain_of
from tests.eventstore.places import SqlitePlace


@pytest.fixture
def place(path: Path) -> SqlitePlace:
    return SqlitePlace(path)


def run(database: SqliteDatabase, sql: str) -> None:
    with database.transaction() as connection:
        connection.execute(text(sql))


@pytest.fixture
def two_jobs(store: SqliteEventStore) -> SqliteEventStore:
    """One event about each of two jobs; the second is sealed."""
    store.append([append("one", NO_STREAM, event("job-1"))])
    store.append([append("two", NO_STREAM, event("job-2"), seals=["job-2"])])
    return store


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM events WHERE position = 1",
        "DELETE FROM events WHERE position = 2",
        "REPLACE INTO events SELECT * FROM events WHERE position = 1",
    ],
)
def test_the_database_refuses_to_delete_events(
    two_jobs: SqliteEventStore, database: SqliteDatabase, sql: str
) -> None:
    with pytest.raises(IntegrityError, match="never deleted"):
        run(database, sql)
    assert len(two_jobs.read_all(limit=10)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "payload = x'00'",
        "salt = NULL",
        "payload = NULL",
        *(
            f"payload = NULL, salt = NULL, {column.name} = "
            + ("'other'" if column.type.python_type is str else "7")
            for column in events_table.columns
            if column.name not in {"payload", "salt"}
        ),
    ],
)
def test_the_database_refuses_to_change_events(
    two_jobs: SqliteEventStore, database: SqliteDatabase, change: str
) -> None:
    before = two_jobs.read_all(limit=10)
    with pytest.raises(IntegrityError, match="never change"):
        run(database, f"UPDATE events SET {change} WHERE position = 2")
    assert two_jobs.read_all(limit=10) == before


def test_the_database_erases_sealed_subjects_only(
    two_jobs: SqliteEventStore, database: SqliteDatabase
) -> None:
    with pytest.raises(IntegrityError, match="never change"):
        run(database, "UPDATE events SET payload = NULL, salt = NULL WHERE position = 1")
    run(database, "UPDATE events SET payload = NULL, salt = NULL WHERE position = 2")
    assert [e.payload for e in two_jobs.read_all(limit=10)] == [b"{}", None]


def test_what_came_without_payload_is_not_counted_as_erased(
    store: SqliteEventStore, database: SqliteDatabase
) -> None:
    store.append([append("one", 0, *(event("job-1") for _ in range(4)), seals=["job-1"])])
    run(database, "UPDATE events SET payload = NULL, salt = NULL WHERE position < 3")

    assert [store.erase("job-1", limit=1) for _ in range(3)] == [1, 1, 0]


def test_erased_bytes_are_nowhere_in_the_files(
    store: SqliteEventStore, database: SqliteDatabase, path: Path
) -> None:
    canaries = [b"canary-%06d-" % n for n in range(400)]
    sizes = (1, 30, 300, 3000)  # from within a page to over several
    for n, canary in enumerate(canaries):
        payload = canary * sizes[n % 4]
        store.append(
            [
                append(f"gone-{n}", 0, event("job-1", payload=payload)),
                append(f"kept-{n}", 0, event("job-2", payload=b"keeper-%06d" % n)),
            ]
        )
    store.append(
        [
            append("gone", 0, event("job-1"), secrets=[secret("s-1", "job-1", b"canary-secret")]),
            append("gone", 1, event("job-1"), seals=["job-1"]),
        ]
    )
    salts = [e.salt for e in store.read_all(limit=10_000, subject="job-1")]

    while store.erase("job-1", limit=97):
        pass
    assert database.purge_freed()

    left = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"canary" not in left
    assert [salt for salt in salts if salt is None or salt in left] == []
    assert left.count(b"keeper-") == len(canaries)


WRITE_UNTIL_KILLED = """
import itertools, sys
from pathlib import Path
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import open_sqlite
from tests.eventstore.building import Applied, append
store = SqliteEventStore(open_sqlite(Path(sys.argv[1])), Applied())
for n in itertools.count():
    [answer] = store.append([append("a", n)])
    print(answer.events[0].position, flush=True)
"""


def test_what_was_answered_survives_a_killed_process(path: Path, store: SqliteEventStore) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        answered = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()

    events = store.read_all(limit=100_000)
    assert answered == list(range(1, 21))
    assert len(events) >= 20
    assert chain_of(events) == store.head().chain_hash
    [after] = store.append([append("a", len(events))])
    assert isinstance(after, Appended)


def plan(database: SqliteDatabase, statement: Executable) -> list[str]:
    sql = str(statement.compile(database.engine))  # type: ignore[attr-defined]
    return database.read_now(
        lambda connection: [
            row[3]
            for row in connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {sql}", tuple("1" for _ in range(sql.count("?")))
            )
        ]
    )


@pytest.mark.parametrize(
    "statement",
    [
        statements.STREAM_FORWARD,
        statements.STREAM_BACKWARD,
        statements.TO_ERASE,
        statements.ERASE_PAYLOADS,
        statements.UNFINISHED_ERASURES,
        statements.recorded_with_ids(sqlite.among),
        statements.secrets_among(sqlite.among),
        sqlite.PRESENT_VERSIONS,
        sqlite.SEALED_AMONG,
        *(
            statements.log_between(
                backward=backward, of_subject=of_subject, types=types, lateral=False
            )
            for backward in (False, True)
            for of_subject in (False, True)
            for types in (0, 1, 3)
        ),
    ],
)
def test_no_statement_walks_or_sorts_a_table(
    database: SqliteDatabase, statement: Executable
) -> None:
    steps = plan(database, statement)
    assert any(step.startswith("SEARCH") for step in steps)
    for step in steps:
        assert "SCAN events" not in step
        assert "SCAN sealed" not in step
        assert "SCAN secrets" not in step
        assert "TEMP B-TREE FOR ORDER BY" not in step


def test_events_of_a_type_are_found_without_reading_their_rows(database: SqliteDatabase) -> None:
    several = plan(
        database,
        statements.log_between(backward=False, of_subject=False, types=3, lateral=False),
    )
    assert sum("COVERING INDEX events_type (type=? AND position>?" in step for step in several) == 3


def test_a_poisonous_row_is_refused_by_the_tables_themselves(
    two_jobs: SqliteEventStore, database: SqliteDatabase
) -> None:
    row = two_jobs.read_all(limit=1)[0]
    values = {name: getattr(row, name) for name in type(row).__slots__} | {"position": 3}
    for changed in ({"event_id": "new"}, {"version": 9}):
        with (
            pytest.raises(IntegrityError, match="UNIQUE"),
            database.transaction() as connection,
        ):
            connection.execute(insert(events_table), values | changed)
