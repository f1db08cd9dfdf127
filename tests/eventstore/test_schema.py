"""The schema: what migrating makes, and what a start accepts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from eventstore import schema
from eventstore.schema import EXPECTED_REVISION, SchemaOutOfDate
from eventstore.sqlite_database import SqliteDatabase, open_sqlite
from eventstore.tables import metadata


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = open_sqlite(tmp_path / "empty.db", durable=False)
    yield database
    database.close()


def pretend(database: SqliteDatabase, revision: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_migrating_makes_the_tables_that_the_code_speaks_of(database: SqliteDatabase) -> None:
    ours = set(metadata.tables)

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
            },
        )
        return list(compare_metadata(context, metadata))

    with database.engine.connect() as connection:
        assert compare(connection) == []
        assert ours <= set(inspect(connection).get_table_names())


def test_the_migrated_columns_are_declared_exactly_like_the_codes(
    database: SqliteDatabase, empty: SqliteDatabase
) -> None:
    def declared(connection: Connection) -> dict[str, object]:
        return {
            table: connection.exec_driver_sql(f"PRAGMA table_info({table})").all()
            for table in sorted(metadata.tables)
        }

    with empty.transaction() as connection:
        metadata.create_all(connection)

    assert database.read_now(declared) == empty.read_now(declared)


def test_the_expected_revision_is_the_newest_script() -> None:
    scripts = ScriptDirectory("eventstore/migrations")
    assert scripts.get_heads() == [EXPECTED_REVISION]


def test_scripts_are_numbered_in_their_order() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    names = [script.revision for script in scripts.walk_revisions()][::-1]
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))


def test_an_empty_database_is_refused_with_what_to_do(empty: SqliteDatabase) -> None:
    assert empty.read_now(schema.current_revision) is None
    with pytest.raises(SchemaOutOfDate, match=r"no schema yet.*run `cronpulse migrate`") as refusal:
        empty.read_now(schema.check)
    assert (refusal.value.found, refusal.value.expected) == (None, EXPECTED_REVISION)


def test_an_older_schema_is_refused_with_what_to_do(database: SqliteDatabase) -> None:
    pretend(database, "0000_before")
    with pytest.raises(SchemaOutOfDate, match=r"0000_before, older than.*run `cronpulse migrate`"):
        database.read_now(schema.check)


def test_a_newer_schema_is_refused_and_never_migrated(database: SqliteDatabase) -> None:
    pretend(database, "9999_later")
    with pytest.raises(SchemaOutOfDate, match=r"made by a newer CronPulse.*9999_later"):
        database.read_now(schema.check)
    with pytest.raises(SchemaOutOfDate, match="newer"):
        schema.migrate(database.engine)
    assert database.read_now(schema.current_revision) == "9999_later"


def test_migrating_again_changes_nothing(database: SqliteDatabase) -> None:
    def everything(connection: Connection) -> list[object]:
        return list(connection.execute(text("SELECT * FROM sqlite_master ORDER BY name")).all())

    before = database.read_now(everything)
    schema.migrate(database.engine)
    assert database.read_now(everything) == before
    database.read_now(schema.check)


def test_an_interrupted_migration_leaves_nothing_behind(
    empty: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = schema._upgrade

    def upgrade_and_crash(connection: Connection) -> None:
        upgrade(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "_upgrade", upgrade_and_crash)
    with pytest.raises(KeyboardInterrupt):
        schema.migrate(empty.engine)

    assert empty.read_now(lambda connection: inspect(connection).get_table_names()) == []


def test_several_may_migrate_at_once(tmp_path: Path) -> None:
    path = tmp_path / "raced.db"

    def migrate_here(_: int) -> str | None:
        database = open_sqlite(path, durable=False)
        try:
            schema.migrate(database.engine)
            return database.read_now(schema.current_revision)
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate_here, range(4))) == [EXPECTED_REVISION] * 4


MIGRATE = """
import sys
from pathlib import Path
from eventstore import schema
from eventstore.sqlite_database import open_sqlite
database = open_sqlite(Path(sys.argv[1]))
schema.migrate(database.engine)
database.read_now(schema.check)
database.close()
"""

START = """
import sys
from pathlib import Path
from eventstore import schema
from eventstore.sqlite_database import open_sqlite
database = open_sqlite(Path(sys.argv[1]))
schema.migrate(database.engine)
database.read_now(schema.check)
sys.exit("alembic was loaded" if "alembic" in sys.modules else 0)
"""


def test_several_processes_may_migrate_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MIGRATE, str(tmp_path / "raced.db")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in processes] == [b""] * 3
    assert [process.returncode for process in processes] == [0] * 3


def test_a_start_on_a_migrated_database_does_not_load_alembic(path: Path) -> None:
    subprocess.run([sys.executable, "-c", START, str(path)], check=True)
