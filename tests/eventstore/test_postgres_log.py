"""What only PostgreSQL's store has to prove: its triggers, its statements, the order of its texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy import event as on
from sqlalchemy.exc import IntegrityError

from eventstore.postgres_database import PostgresDatabase
from eventstore.store import NO_STREAM, EventStore, VersionConflict
from eventstore.tables import events as events_table
from tests.eventstore.building import append, event, secret
from tests.eventstore.places import PostgresPlace


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


def run(database: PostgresDatabase, sql: str) -> None:
    with database.transaction() as connection:
        connection.execute(text(sql))


@pytest.fixture
def two_jobs(store: EventStore) -> EventStore:
    """One event about each of two jobs; the second is sealed."""
    store.append([append("one", NO_STREAM, event("job-1"))])
    store.append([append("two", NO_STREAM, event("job-2"), seals=["job-2"])])
    return store


# ---- history is not rewritten


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM events WHERE position = 1",
        "DELETE FROM events WHERE position = 2",
        "DELETE FROM events WHERE position = 99",
        "TRUNCATE events",
        "TRUNCATE secrets, events CASCADE",
        "MERGE INTO events USING (SELECT 1) AS one ON position = 1 WHEN MATCHED THEN DELETE",
    ],
)
def test_the_database_refuses_to_delete_events(
    two_jobs: EventStore, database: PostgresDatabase, sql: str
) -> None:
    with pytest.raises(IntegrityError, match="never deleted"):
        run(database, sql)
    assert len(two_jobs.read_all(limit=10)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "payload = 'x'",
        "salt = NULL",
        "payload = NULL",
        *(
            f"payload = NULL, salt = NULL, {column.name} = "
            + ("'other'" if column.type.python_type in {str, bytes} else "7")
            for column in events_table.columns
            if column.name not in {"payload", "salt"}
        ),
    ],
)
def test_the_database_refuses_to_change_events(
    two_jobs: EventStore, database: PostgresDatabase, change: str
) -> None:
    before = two_jobs.read_all(limit=10)
    with pytest.raises(IntegrityError, match="never change"):
        run(database, f"UPDATE events SET {change} WHERE position = 2")
    assert two_jobs.read_all(limit=10) == before


def test_the_database_erases_sealed_subjects_only(
    two_jobs: EventStore, database: PostgresDatabase
) -> None:
    with pytest.raises(IntegrityError, match="never change"):
        run(database, "UPDATE events SET payload = NULL, salt = NULL WHERE position = 1")
    run(database, "UPDATE events SET payload = NULL, salt = NULL WHERE position = 2")
    assert [e.payload for e in two_jobs.read_all(limit=10)] == [b"{}", None]


def test_a_poisonous_row_is_refused_by_the_tables_themselves(
    two_jobs: EventStore, database: PostgresDatabase
) -> None:
    row = two_jobs.read_all(limit=1)[0]
    values = {name: getattr(row, name) for name in type(row).__slots__} | {"position": 3}
    for changed in ({"event_id": "new"}, {"version": 9}):
        with (
            pytest.raises(IntegrityError, match="unique"),
            database.transaction() as connection,
        ):
            connection.execute(insert(events_table), values | changed)


def test_a_fault_shows_nothing_of_what_was_to_be_recorded(
    two_jobs: EventStore, database: PostgresDatabase
) -> None:
    """The server's own words name a row that is in the way; they go no further than its log."""
    [row] = two_jobs.read_all(limit=1)
    values = {name: getattr(row, name) for name in type(row).__slots__}
    with pytest.raises(IntegrityError) as fault, database.transaction() as connection:
        connection.execute(insert(events_table), values | {"payload": b"hunter2"})
    assert "hunter2" not in str(fault.value)


# ---- how an append is made


@contextmanager
def statements_of(database: PostgresDatabase) -> Iterator[list[str]]:
    """What is sent to the server in the block, commits included."""
    sent: list[str] = []

    def execute(*call: Any) -> None:
        sent.append(" ".join(call[2].split()[:2]))

    def commit(_connection: Connection) -> None:
        sent.append("COMMIT")

    on.listen(database.engine, "before_cursor_execute", execute)
    on.listen(database.engine, "commit", commit)
    try:
        yield sent
    finally:
        on.remove(database.engine, "before_cursor_execute", execute)
        on.remove(database.engine, "commit", commit)


@pytest.mark.parametrize("size", [1, 2, 500])
def test_a_group_commit_takes_four_statements_however_many_events(
    store: EventStore, database: PostgresDatabase, size: int
) -> None:
    batch = [append(f"s-{n}", NO_STREAM, event(f"job-{n}"), event()) for n in range(size)]
    with statements_of(database) as sent:
        store.append(batch)
    assert sent == ["BEGIN ISOLATION", "(SELECT 'head'", "WITH inserted", "COMMIT"]


def test_secrets_seals_and_retries_take_one_statement_more_each(
    store: EventStore, database: PostgresDatabase
) -> None:
    secrets = [secret(f"s-{n}", "job-1") for n in range(50)]
    sealing = append("a", NO_STREAM, secrets=secrets, seals=[f"j-{n}" for n in range(50)])
    with statements_of(database) as sent:
        store.append([sealing])
    assert sent == [
        "BEGIN ISOLATION",
        "(SELECT 'head'",
        "WITH inserted",
        "INSERT INTO",
        "INSERT INTO",
        "COMMIT",
    ]
    with statements_of(database) as sent:
        store.append([sealing, append("a", NO_STREAM)])
    assert sent == ["BEGIN ISOLATION", "(SELECT 'head'", "SELECT events.position,", "COMMIT"]


def test_a_batch_of_conflicts_writes_nothing(store: EventStore, database: PostgresDatabase) -> None:
    with statements_of(database) as sent:
        [answer] = store.append([append("a", 1)])
    assert isinstance(answer, VersionConflict)
    assert sent == ["BEGIN ISOLATION", "(SELECT 'head'", "COMMIT"]


# ---- text is bytes


def test_every_text_is_compared_by_its_bytes(database: PostgresDatabase) -> None:
    def others(connection: Connection) -> list[tuple[str, str]]:
        rows = connection.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND data_type IN ('character varying', 'text')"
            " AND collation_name IS DISTINCT FROM 'C'"
            " AND table_name <> 'alembic_version'"
        )
        return [(table, column) for table, column in rows]

    assert database.read_now(others) == []
