"""How PostgreSQL carries out the log's statements: by keys, also where it plans without knowing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, Executable
from sqlalchemy.dialects import postgresql

from eventstore import statements
from eventstore.postgres import FACTS, among
from eventstore.postgres_database import PostgresDatabase, open_postgres
from eventstore.store import NO_STREAM, EventStore
from tests.eventstore.building import append
from tests.eventstore.places import PostgresPlace
from tests.servers.postgres import Databases


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


@pytest.fixture(scope="module")
def large(postgres: Databases) -> Iterator[PostgresDatabase]:
    """A log of 60,000 events, with statistics."""
    with postgres.fresh_database() as url:
        database = open_postgres(url)
        with database.transaction() as connection:
            connection.exec_driver_sql(
                "INSERT INTO events SELECT n, 'stream-' || n / 3, mod(n, 3) + 1, 'event-' || n,"
                " 'Type' || mod(n, 20), 1, '{}', '\\x00', '\\x00', '\\x00', 'job-' || mod(n, 500),"
                " 'a', 'k', n, 'c', NULL FROM generate_series(1, 60000) AS n"
            )
            connection.exec_driver_sql(
                "INSERT INTO sealed_subjects SELECT 'gone-' || n, n, n, mod(n, 100) > 0"
                " FROM generate_series(1, 5000) AS n"
            )
            connection.exec_driver_sql(
                "INSERT INTO secrets SELECT 's-' || n, 'job-' || n, 'k', '\\x00'"
                " FROM generate_series(1, 5000) AS n"
            )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        yield database
        database.close()


def plan(database: PostgresDatabase, sql: str, parameters: int, mode: str, value: str = "1") -> str:
    """How a prepared statement is carried out, with the values it is given or with any."""

    def explain(connection: Connection) -> str:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute(f"SET plan_cache_mode = {mode}")
        driver.execute(f"PREPARE asked AS {sql}")
        values = ", ".join([f"'{value}'"] * parameters)
        given = f" ({values})" if parameters else ""
        rows = driver.execute(f"EXPLAIN EXECUTE asked{given}").fetchall()
        driver.execute("DEALLOCATE asked; RESET plan_cache_mode")
        return "\n".join(row[0] for row in rows)

    return database.read_now(explain)


def numbered(statement: Executable) -> tuple[str, int]:
    dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    return str(compiled), len(compiled.params)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(
    "statement",
    [
        statements.HEAD,
        statements.STREAM_FORWARD,
        statements.STREAM_BACKWARD,
        statements.TO_ERASE,
        statements.ERASE_PAYLOADS,
        statements.UNFINISHED_ERASURES,
        *(
            statements.log_between(
                backward=backward, of_subject=of_subject, types=types, lateral=True
            )
            for backward in (False, True)
            for of_subject in (False, True)
            for types in (0, 1, 3)
        ),
    ],
)
def test_no_statement_walks_a_table(
    large: PostgresDatabase, statement: Executable, mode: str
) -> None:
    steps = plan(large, *numbered(statement), mode)
    assert "Index" in steps
    assert "Seq Scan" not in steps, steps


@pytest.mark.parametrize(
    "statement", [statements.recorded_with_ids(among), statements.secrets_among(among)]
)
def test_what_is_named_is_found_by_keys(large: PostgresDatabase, statement: Executable) -> None:
    steps = plan(large, *numbered(statement), "force_generic_plan", value="{}")
    assert "ANY (($1)" in steps
    assert "Index Cond" in steps
    assert "Seq Scan" not in steps


def test_what_an_append_must_know_is_found_by_keys(large: PostgresDatabase) -> None:
    sql = FACTS
    for n in range(1, 5):
        sql = sql.replace("%b", f"${n}", 1)
    with large.transaction() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute(f"PREPARE facts AS {sql}")
        rows = driver.execute("EXPLAIN EXECUTE facts ('{a}', '{a}', '{a}', '{a}')").fetchall()
    steps = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in steps, steps
    for index in ("events_pkey", "events_stream_version", "events_event_id"):
        assert index in steps


def test_a_plan_that_was_made_on_an_empty_log_is_still_one_by_keys(
    database: PostgresDatabase, store: EventStore
) -> None:
    """Nothing tells the server to plan anew before the tables are analysed."""
    for n in range(10):
        store.append([append(f"s-{n}", NO_STREAM)])
    with database.transaction() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        [(prepared,)] = driver.execute(
            "SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE '%''head''%'"
        ).fetchall()
    assert prepared > 0
    assert "Seq Scan" not in plan_of_facts(database)


def plan_of_facts(database: PostgresDatabase) -> str:
    with database.transaction() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        [(name,)] = driver.execute(
            "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%''head''%'"
        ).fetchall()
        rows = driver.execute(f"EXPLAIN EXECUTE {name} ('{{a}}', '{{a}}', '{{a}}', '{{a}}')")
        return "\n".join(row[0] for row in rows.fetchall())


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("backward", [False, True])
def test_reading_the_log_of_several_types_reads_no_more_than_it_needs(
    large: PostgresDatabase, backward: bool, mode: str
) -> None:
    statement = statements.log_between(backward=backward, of_subject=False, types=3, lateral=True)
    steps = plan(large, *numbered(statement), mode)
    assert steps.count("using events_type on events") == 3
    assert steps.count("events_pkey") == 1
    assert 'Index Cond: ("position" = ' in steps
    assert "Join Filter" not in steps, steps
    assert steps.count("Limit") == 5  # the innermost keeps any plan from turning the join around
