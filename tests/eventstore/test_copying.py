"""Copying a log: from either kind of database to either kind, whole and unchanged, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, select

from eventstore import copying, reading
from eventstore.copying import NotCopied, copy, require_empty
from eventstore.database import Database
from eventstore.store import ANY_VERSION, NO_STREAM, Append, Appended, EventStore, SubjectSealed
from eventstore.tables import checkpoints, events, sealed_subjects, secrets
from tests.eventstore.building import Applied, append, event, secret, write
from tests.eventstore.contract_reading import chain_of
from tests.eventstore.places import PostgresPlace, SqlitePlace, opened, store_in
from tests.servers.postgres import Databases

UNUSUAL = b'\x00\xff{"text": "\xe2\x82\xac \\u0000"}'


@pytest.fixture(params=["sqlite", "postgres"])
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path
) -> Iterator[Database]:
    """A second, empty log."""
    if request.param == "sqlite":
        path = tmp_path / "elsewhere.db"
        shutil.copy(migrated_file, path)
        database: Database = SqlitePlace(path).open()
        yield database
        database.close()
        return
    postgres: Databases = request.getfixturevalue("postgres")
    with postgres.fresh_database() as url:
        database = PostgresPlace(url).open()
        yield database
        database.close()


def rows_of(database: Database, table: Table) -> list[tuple[object, ...]]:
    (key,) = table.primary_key.columns
    return database.read_now(
        lambda connection: [tuple(row) for row in connection.execute(select(table).order_by(key))]
    )


def written(store: EventStore) -> None:
    """A log with everything in it that a log can have."""
    store.append(
        [
            append(
                "job-1", NO_STREAM, event("job-1", payload=UNUSUAL), secrets=[secret("s", "job-1")]
            ),
            append(
                "job-2", NO_STREAM, event("job-2", actor="key:ü", causation_id="event-0"), event()
            ),
            append(
                "job-3", NO_STREAM, event("job-3"), event("job-3"), secrets=[secret("t", "job-3")]
            ),
            append("job-3", 2, event("job-3"), seals=["job-3"]),
            append("job-4", NO_STREAM, event("job-4"), seals=["job-4"]),
        ]
    )
    store.erase("job-3", limit=2)
    store.save_checkpoint("dispatch", 4)


def test_a_log_arrives_as_it_was(
    store: EventStore, database: Database, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PORTION", 2)
    written(store)

    copied = copy(database, elsewhere)

    assert copied.head == store.head()
    assert copied.rows == {"sealed_subjects": 2, "secrets": 1, "events": 7, "checkpoints": 1}
    for table in (events, secrets, sealed_subjects, checkpoints):
        assert rows_of(elsewhere, table) == rows_of(database, table)


def test_what_arrived_goes_on_as_the_same_log(
    store: EventStore, database: Database, elsewhere: Database
) -> None:
    written(store)
    copy(database, elsewhere)
    there = store_in(elsewhere, Applied())

    later, refused = there.append(
        [append("job-1", 1, event("job-1")), append("job-3", ANY_VERSION, event("job-3"))]
    )

    assert isinstance(later, Appended)
    assert (later.events[0].position, later.events[0].version) == (8, 2)
    assert isinstance(refused, SubjectSealed)
    assert chain_of(there.read_all(limit=100)) == there.head().chain_hash
    assert there.erase("job-3", limit=9) == 1
    assert [each.payload for each in there.read_all(subject="job-3", limit=9)] == [None] * 3


def test_an_empty_log_can_be_copied(database: Database, elsewhere: Database) -> None:
    copied = copy(database, elsewhere)
    assert copied.head.position == 0
    assert set(copied.rows.values()) == {0}


def test_what_is_recorded_meanwhile_stays_behind(
    store: EventStore, database: Database, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(store)
    take_snapshot = database.snapshot

    @contextmanager
    def snapshot_and_then_more() -> Iterator[Connection]:
        with take_snapshot() as connection:
            assert reading.head(connection).position == 7
            store.append([append("later", ANY_VERSION)])
            yield connection

    monkeypatch.setattr(database, "snapshot", snapshot_and_then_more)

    copied = copy(database, elsewhere)

    assert (copied.head.position, copied.rows["events"]) == (7, 7)
    assert store.head().position == 8
    assert store_in(elsewhere, Applied()).head() == copied.head


def test_tables_beside_the_log_go_along_in_the_same_transaction(
    store: EventStore, database: Database, elsewhere: Database
) -> None:
    written(store)
    noted = Table("notes", MetaData(), Column("name", String, primary_key=True))
    for each in (database, elsewhere):
        with each.transaction() as connection:
            noted.create(connection)
    with database.transaction() as connection:
        connection.execute(insert(noted), [{"name": "one"}, {"name": "two"}])
    with elsewhere.transaction() as connection:
        connection.execute(insert(noted), [{"name": "three"}])

    with pytest.raises(NotCopied, match="rows of the table notes did not arrive"):
        copy(database, elsewhere, beside=[noted])
    require_empty(elsewhere)

    with elsewhere.transaction() as connection:
        connection.execute(delete(noted))
    assert copy(database, elsewhere, beside=[noted]).rows["notes"] == 2
    assert rows_of(elsewhere, noted) == [("one",), ("two",)]


@pytest.mark.parametrize(
    ("present", "named"),
    [
        (append("job-1", NO_STREAM), "events"),
        (Append(writes=(write("job-1", NO_STREAM),), seals=("job-1",)), "sealed_subjects"),
        (Append(writes=(write("job-1", NO_STREAM),), secrets=(secret("s", "job-1"),)), "secrets"),
    ],
)
def test_nothing_is_copied_over_another_log(
    store: EventStore, database: Database, elsewhere: Database, present: Append, named: str
) -> None:
    written(store)
    there = store_in(elsewhere, Applied())
    there.append([present])
    before = there.head()

    with pytest.raises(NotCopied, match=f"is not empty: its table {named} has rows"):
        copy(database, elsewhere)

    assert there.head() == before


def test_a_database_without_a_schema_is_empty(empty_place: SqlitePlace) -> None:
    database = empty_place.open()
    require_empty(database)
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE invoices (id INTEGER)")
    with pytest.raises(NotCopied, match="is not empty: it has tables of something else"):
        require_empty(database)
    database.close()


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [
        (
            "UPDATE checkpoints SET position = position + 1",
            "rows of the table checkpoints did not arrive as they were sent",
        ),
        ("DELETE FROM secrets", "the table secrets has not as many rows as it should"),
    ],
)
def test_what_changes_on_its_way_is_noticed(
    path: Path, tmp_path: Path, migrated_file: Path, sabotage: str, complaint: str
) -> None:
    shutil.copy(migrated_file, tmp_path / "elsewhere.db")
    elsewhere = SqlitePlace(tmp_path / "elsewhere.db").open()
    with elsewhere.transaction() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER sabotage AFTER INSERT ON checkpoints BEGIN {sabotage}; END"
        )
    with opened(SqlitePlace(path)) as store:
        written(store)
        database = SqlitePlace(path).open()
        with pytest.raises(NotCopied, match=complaint):
            copy(database, elsewhere)
        database.close()
    require_empty(elsewhere)
    elsewhere.close()
