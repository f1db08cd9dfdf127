"""One SQLite file: durability, isolation, waiting, and faults by their names."""

from __future__ import annotations

import gc
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from eventstore import sqlite_database
from eventstore.sqlite_database import WAL_PAUSE, SqliteDatabase, open_sqlite
from eventstore.sqlite_faults import raise_fault
from eventstore.store import StoreUnavailable
from tests.eventstore.places import SqlitePlace


def count(connection: Connection) -> int:
    number: int = connection.execute(text("SELECT count(*) FROM notes")).scalar_one()
    return number


def note(connection: Connection, words: str = "x") -> None:
    connection.execute(text("INSERT INTO notes VALUES (:words)"), {"words": words})


@pytest.fixture
def place(path: Path) -> SqlitePlace:
    return SqlitePlace(path)


@pytest.fixture
def notes(database: SqliteDatabase) -> SqliteDatabase:
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE notes (words TEXT)"))
    return database


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "new.db")
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE notes (words TEXT)"))

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    database.close()

    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("recursive_triggers", 1),
    ],
)
def test_every_connection_that_writes_is_set_up(path: Path, pragma: str, value: object) -> None:
    database = open_sqlite(path)
    with database.transaction() as connection:
        found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
    database.close()

    assert found == value


def test_a_transaction_commits_at_its_end(notes: SqliteDatabase) -> None:
    with notes.transaction() as connection:
        note(connection)

    assert notes.read_now(count) == 1


def test_a_transaction_rolls_back_when_its_body_raises(notes: SqliteDatabase) -> None:
    def fail() -> None:
        with notes.transaction() as connection:
            note(connection)
            raise LookupError("no")

    with pytest.raises(LookupError):
        fail()

    assert notes.read_now(count) == 0


def test_a_transaction_holds_the_write_lock_from_its_beginning(
    notes: SqliteDatabase, path: Path
) -> None:
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with (
        notes.transaction(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    other.close()


async def test_a_read_sees_the_newest_commit_of_anybody(notes: SqliteDatabase, path: Path) -> None:
    assert await notes.read(count) == 0
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("INSERT INTO notes VALUES ('theirs')")
    other.close()
    assert await notes.read(count) == 1


def test_a_snapshot_does_not_see_later_commits(notes: SqliteDatabase) -> None:
    with notes.snapshot() as moment:
        assert count(moment) == 0
        with notes.transaction() as connection:
            note(connection)
        assert count(moment) == 0
    with notes.snapshot() as moment:
        assert count(moment) == 1


def test_reading_can_not_write(notes: SqliteDatabase) -> None:
    with pytest.raises(StoreUnavailable, match="can't be written"):
        notes.read_now(note)
    with pytest.raises(StoreUnavailable, match="can't be written"), notes.snapshot() as moment:
        note(moment)
    assert notes.read_now(count) == 0


def test_a_mistake_in_a_statement_stays_a_mistake(notes: SqliteDatabase) -> None:
    def nonsense(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(OperationalError, match="nowhere"):
        notes.read_now(nonsense)
    with pytest.raises(OperationalError, match="nowhere"), notes.transaction() as connection:
        nonsense(connection)
    with pytest.raises(OperationalError, match="nowhere"), notes.snapshot() as connection:
        nonsense(connection)
    assert notes.read_now(count) == 0


def test_a_thread_keeps_its_connection_and_leaves_it_to_others_when_it_ends(
    notes: SqliteDatabase,
) -> None:
    mine = notes.read_now(lambda connection: connection)

    def read_twice() -> None:
        first = notes.read_now(lambda connection: connection)
        assert notes.read_now(lambda connection: connection) is first
        assert first is not mine
        assert notes.read_now(count) == 0

    for _ in range(5):
        thread = threading.Thread(target=read_twice)
        thread.start()
        thread.join()
        gc.collect()
    pool = notes._readers.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 1
    assert pool.checkedin() == 1


def test_another_writer_that_takes_too_long_makes_the_store_unavailable(path: Path) -> None:
    impatient = open_sqlite(path, durable=False, busy_timeout=0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with (
        pytest.raises(StoreUnavailable, match="another process is writing"),
        impatient.transaction(),
    ):
        pass
    other.execute("ROLLBACK")

    with impatient.transaction():
        pass
    other.close()
    impatient.close()


def test_a_transaction_inside_another_is_refused_and_not_waited_for_forever(path: Path) -> None:
    database = open_sqlite(path, durable=False, busy_timeout=0)
    with (
        database.transaction(),
        pytest.raises(StoreUnavailable, match="another write"),
        database.transaction(),
    ):
        pass
    with database.transaction():
        pass
    database.close()


def test_a_full_disk_makes_the_store_unavailable_until_there_is_room(
    notes: SqliteDatabase,
) -> None:
    with notes.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def write_much() -> None:
        with notes.transaction() as connection:
            note(connection, "x" * 100_000)

    with pytest.raises(StoreUnavailable, match="disk is full"):
        write_much()
    assert notes.read_now(count) == 0

    with notes.transaction() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 100}")
    write_much()
    assert notes.read_now(count) == 1


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)

    with pytest.raises(StoreUnavailable, match="not a SQLite database"):
        open_sqlite(path)


def test_a_file_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"can't open .*nowhere.*No such file"):
        open_sqlite(tmp_path / "nowhere" / "log.db")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_IOERR, "disk could not be read or written"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk could not be read or written"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another process is writing"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "file is damaged"),
    ],
)
def test_a_fault_goes_by_its_primary_code(code: int, words: str) -> None:
    fault = sqlite3.OperationalError("whatever SQLite says")
    fault.sqlite_errorcode = code
    with pytest.raises(StoreUnavailable, match=words) as raised:
        raise_fault(OperationalError("SELECT 1", {}, fault))
    assert isinstance(raised.value.__cause__, OperationalError)


def test_freed_bytes_are_purged_once_nobody_reads_an_older_state(
    notes: SqliteDatabase, path: Path
) -> None:
    impatient = open_sqlite(path, durable=False, busy_timeout=0)
    with notes.snapshot() as moment:
        count(moment)
        with impatient.transaction() as connection:
            note(connection)
        assert not impatient.purge_freed()
    assert impatient.purge_freed()
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0
    impatient.close()


def test_closing_lets_go_of_the_file(notes: SqliteDatabase, path: Path) -> None:
    notes.read_now(count)
    with notes.transaction() as connection:
        note(connection)

    notes.close()

    assert not path.with_name(f"{path.name}-wal").exists()


def test_a_new_file_that_somebody_else_holds_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE").close()
    pauses: list[float] = []

    def let_go(seconds: float) -> None:
        pauses.append(seconds)
        if holder.in_transaction:
            holder.execute("COMMIT").close()

    monkeypatch.setattr(sqlite_database, "sleep", let_go)
    open_sqlite(path, busy_timeout=0.001).close()
    holder.close()
    assert pauses == [WAL_PAUSE]


def test_a_new_file_that_is_never_let_go_of_is_reported_as_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE").close()
    monkeypatch.setattr(sqlite_database, "sleep", lambda _: None)
    monkeypatch.setattr(sqlite_database, "WAL_ATTEMPTS", 3)
    with pytest.raises(StoreUnavailable, match="busy"):
        open_sqlite(path, busy_timeout=0.001)
    holder.close()
