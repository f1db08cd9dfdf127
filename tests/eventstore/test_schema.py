"""The schema: what migrating makes, and what a start accepts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from eventstore import claims, schema, secret_key_check
from eventstore.database import Database
from eventstore.schema import EXPECTED_REVISION, SchemaOutOfDate
from eventstore.store import StoreUnavailable
from eventstore.tables import metadata
from tests.eventstore.places import Place, PostgresPlace, tables
from tests.servers.postgres import Databases

assert {claims.claims.name, secret_key_check.secret_key_check.name} <= set(metadata.tables)


@pytest.fixture
def empty(empty_place: Place) -> Iterator[Database]:
    database = empty_place.open()
    yield database
    database.close()


def pretend(database: Database, revision: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def declared(connection: Connection) -> dict[str, object]:
    """How the code's tables are declared in the database, in its own words."""
    if connection.dialect.name == "sqlite":
        words = "SELECT * FROM pragma_table_info('{}') ORDER BY name"
    else:
        words = (
            "SELECT column_name, data_type, is_nullable, column_default, collation_name,"
            " ordinal_position FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = '{}' ORDER BY column_name"
        )
    return {
        table: [tuple(row) for row in connection.exec_driver_sql(words.format(table))]
        for table in sorted(metadata.tables)
    }


def everything(connection: Connection) -> list[tuple[object, ...]]:
    """All there is in the schema, in the database's own words."""
    if connection.dialect.name == "sqlite":
        words = "SELECT * FROM sqlite_master ORDER BY name"
    else:
        words = (
            "SELECT relname, relfilenode::text, reloptions::text FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace"
            " UNION ALL SELECT tgname, pg_get_triggerdef(oid), NULL FROM pg_trigger ORDER BY 1, 2"
        )
    return [tuple(row) for row in connection.exec_driver_sql(words)]


def test_migrating_makes_the_tables_that_the_code_speaks_of(database: Database) -> None:
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
    database: Database, empty: Database
) -> None:
    with empty.transaction() as connection:
        metadata.create_all(connection)

    assert database.read_now(declared) == empty.read_now(declared)


def test_tables_whose_rows_change_all_the_time_have_room_for_it(url: str) -> None:
    with psycopg.connect(url) as connection:
        found: dict[str, str] = dict(
            connection.execute(
                "SELECT relname, reloptions::text FROM pg_class WHERE reloptions IS NOT NULL"
            ).fetchall()
        )
    for table in ("job_status", "due_ticks", "checks_in_flight", "heartbeats"):
        assert "fillfactor=" in found[table]
        assert "vacuum_truncate=off" in found[table]
    assert "autovacuum_vacuum_insert_scale_factor=0.02" in found["events"]


def test_the_expected_revision_is_the_newest_script() -> None:
    scripts = ScriptDirectory("eventstore/migrations")
    assert scripts.get_heads() == [EXPECTED_REVISION]


def test_scripts_are_numbered_in_their_order() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    names = [script.revision for script in scripts.walk_revisions()][::-1]
    assert [int(name.split("_")[0]) for name in names] == list(range(1, len(names) + 1))


def test_an_empty_database_is_refused_with_what_to_do(empty: Database) -> None:
    assert empty.read_now(schema.current_revision) is None
    with pytest.raises(SchemaOutOfDate, match=r"no schema yet.*run `cronpulse migrate`") as refusal:
        empty.read_now(schema.check)
    assert (refusal.value.found, refusal.value.expected) == (None, EXPECTED_REVISION)


def test_an_older_schema_is_refused_with_what_to_do(database: Database) -> None:
    pretend(database, "0000_before")
    with pytest.raises(SchemaOutOfDate, match=r"0000_before, older than.*run `cronpulse migrate`"):
        database.read_now(schema.check)


def test_a_newer_schema_is_refused_and_never_migrated(database: Database) -> None:
    pretend(database, "9999_later")
    with pytest.raises(SchemaOutOfDate, match=r"made by a newer CronPulse.*9999_later"):
        database.read_now(schema.check)
    with pytest.raises(SchemaOutOfDate, match="newer"):
        schema.migrate(database.engine)
    assert database.read_now(schema.current_revision) == "9999_later"


def test_migrating_again_changes_nothing(database: Database) -> None:
    before = database.read_now(everything)
    schema.migrate(database.engine)
    assert database.read_now(everything) == before
    database.read_now(schema.check)


def test_an_interrupted_migration_leaves_nothing_behind(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = schema._upgrade

    def upgrade_and_crash(connection: Connection) -> None:
        upgrade(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "_upgrade", upgrade_and_crash)
    with pytest.raises(KeyboardInterrupt):
        schema.migrate(empty.engine)

    assert empty.read_now(tables) == []


def test_several_may_migrate_at_once(empty_place: Place) -> None:
    def migrate_here(_: int) -> str | None:
        database = empty_place.open()
        try:
            schema.migrate(database.engine)
            return database.read_now(schema.current_revision)
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate_here, range(4))) == [EXPECTED_REVISION] * 4


MIGRATE = """
import sys
from pathlib import PosixPath
from eventstore import schema
from tests.eventstore.places import PostgresPlace, SqlitePlace
place = eval(sys.argv[1])
database = place.open()
schema.migrate(database.engine)
database.read_now(schema.check)
database.close()
"""
START = f"{MIGRATE}\nsys.exit('alembic was loaded' if 'alembic' in sys.modules else 0)"


def test_a_migration_waits_for_a_table_for_five_seconds_and_no_longer(
    postgres: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def change_a_table(connection: Connection) -> None:
        seen.append(connection.exec_driver_sql("SHOW lock_timeout").scalar_one())
        connection.exec_driver_sql("SET LOCAL lock_timeout = 1")
        connection.exec_driver_sql("ALTER TABLE projects ADD COLUMN more text")

    monkeypatch.setattr(schema, "_upgrade", change_a_table)
    with postgres.fresh_database() as url:
        database = PostgresPlace(url).open()
        pretend(database, "0000_before")
        with database.transaction() as backup:
            backup.exec_driver_sql("SELECT count(*) FROM projects")
            with pytest.raises(StoreUnavailable, match="holds its lock for too long"):
                schema.migrate(database.engine)
        database.close()
    assert seen == ["5s"]


def test_several_processes_may_migrate_at_once(empty_place: Place) -> None:
    command = [sys.executable, "-c", MIGRATE, repr(empty_place)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in processes] == [b""] * 3
    assert [process.returncode for process in processes] == [0] * 3


def test_a_start_on_a_migrated_database_does_not_load_alembic(place: Place) -> None:
    subprocess.run([sys.executable, "-c", START, repr(place)], check=True)
