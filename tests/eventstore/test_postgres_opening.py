"""Opening a PostgreSQL database, its settings, and its faults by their names."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import make_url
from sqlalchemy.exc import InterfaceError, OperationalError

from eventstore.postgres_connections import driver_settings, make_engine
from eventstore.postgres_database import PostgresDatabase, open_postgres
from eventstore.postgres_faults import ConnectionLost, raise_fault
from eventstore.store import StoreUnavailable
from tests.eventstore.notes import backend
from tests.eventstore.places import PostgresPlace
from tests.servers.postgres import Databases


@pytest.fixture
def place(url: str) -> PostgresPlace:
    return PostgresPlace(url)


def test_a_server_that_is_not_there_is_reported_without_its_address() -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/secret-name"
    with pytest.raises(StoreUnavailable) as fault:
        open_postgres(url)
    assert str(fault.value) == "the database server can't be reached"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_url_may_say_how_to_connect(url: str, scheme: str) -> None:
    given = url.replace("postgresql", scheme, 1) + "?sslmode=disable&application_name=mine"
    database = open_postgres(given)
    with database.transaction() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        parameters = driver.info.get_parameters()
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "mine"
    database.close()
    assert parameters["sslmode"] == "disable"
    assert parameters["connect_timeout"] == "5"
    assert parameters["tcp_user_timeout"] == "20000"


def test_several_servers_may_be_named_of_which_one_can_be_written_to(url: str) -> None:
    there = urlsplit(url)
    hosts = f"host=127.0.0.1:1&host={there.hostname}:{there.port}"
    database = open_postgres(
        f"postgresql://{there.username}@{there.path}?{hosts}&target_session_attrs=read-write"
    )
    with psycopg.connect(**driver_settings(database.engine)) as own:
        assert own.info.port == there.port
    assert database.read_now(backend) > 0
    database.close()


def test_a_password_may_have_any_character() -> None:
    engine = make_engine(
        make_url("postgresql+psycopg://us%40er:p%20a%2Bs%25%2F%40%3A@host/name?sslmode=require"),
        None,
        connections=1,
        pool_timeout=0,
        jit="off",
    )
    settings = driver_settings(engine)
    assert (settings["user"], settings["password"]) == ("us@er", "p a+s%/@:")
    assert (settings["host"], settings["dbname"]) == ("host", "name")
    assert (settings["sslmode"], settings["connect_timeout"]) == ("require", 5)


def test_a_server_that_does_not_let_us_in_is_told_from_one_that_is_not_there(
    postgres: Databases,
) -> None:
    with pytest.raises(StoreUnavailable, match="refuses the connection") as fault:
        open_postgres(postgres.url("nowhere-known"))
    assert "nowhere-known" not in str(fault.value)


def test_a_database_that_can_not_hold_every_text_is_refused(postgres: Databases) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    try:
        with pytest.raises(StoreUnavailable, match="encoding has to be UTF8, and is LATIN1"):
            open_postgres(postgres.url("latin"))
    finally:
        postgres.drop_database("latin")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("transaction_isolation", "read committed"),
        ("lock_timeout", "20s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("application_name", "cronpulse"),
        ("synchronous_commit", "on"),  # as the server has it
        ("enable_seqscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ],
)
def test_every_connection_that_writes_is_set_up(
    database: PostgresDatabase, setting: str, value: str
) -> None:
    with database.transaction() as connection:
        assert connection.exec_driver_sql(f"SHOW {setting}").scalar_one() == value


def test_who_holds_the_append_lock_may_stand_still_for_a_shorter_time(url: str) -> None:
    def allowed(**options: float) -> str:
        database = open_postgres(url, **options)  # type: ignore[arg-type]
        with database.log_transaction() as connection:
            found: str = connection.exec_driver_sql(
                "SHOW idle_in_transaction_session_timeout"
            ).scalar_one()
        database.close()
        return found

    assert allowed() == "3s"
    assert allowed(idle_timeout=0.5) == "500ms"


def test_only_what_can_be_done_again_is_committed_without_a_sync(
    database: PostgresDatabase,
) -> None:
    def mode(transaction: Any) -> str:
        with transaction as connection:
            found: str = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            return found

    assert mode(database.unsynced_transaction()) == "off"
    assert mode(database.transaction()) == "on"
    assert mode(database.log_transaction()) == "on"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (errors.DiskFull("x"), "disk is full"),
        (errors.TooManyConnections("x"), "no connection left"),
        (errors.ConfigurationLimitExceeded("x"), "too little of something"),
        (errors.InvalidPassword("x"), "refused the login"),
        (errors.IoError("x"), "read or write its files"),
        (errors.DataCorrupted("x"), "damaged"),
        (errors.QueryCanceled("x"), "took too long"),
        (errors.SerializationFailure("x"), "each other's way"),
        (errors.InsufficientPrivilege("x"), "lacks a privilege"),
        (psycopg.OperationalError("server closed the connection"), "can't be reached"),
    ],
)
def test_a_fault_goes_by_its_code(fault: psycopg.Error, words: str) -> None:
    with pytest.raises(StoreUnavailable, match=words) as raised:
        raise_fault(OperationalError("SELECT hunter2", {}, fault))
    assert not isinstance(raised.value, ConnectionLost)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "fault",
    [
        errors.AdminShutdown("x"),
        errors.CannotConnectNow("x"),
        errors.ConnectionFailure("x"),
        errors.IdleInTransactionSessionTimeout("x"),
    ],
)
def test_a_lost_connection_is_told_from_other_faults(fault: psycopg.Error) -> None:
    with pytest.raises(ConnectionLost):
        raise_fault(OperationalError("SELECT 1", {}, fault))


def test_a_connection_that_the_driver_has_given_up_is_lost() -> None:
    closed = psycopg.InterfaceError("the connection is closed")
    with pytest.raises(ConnectionLost):
        raise_fault(InterfaceError("SELECT 1", {}, closed, connection_invalidated=True))
    with pytest.raises(InterfaceError):
        raise_fault(InterfaceError("SELECT 1", {}, closed))


def test_more_transactions_than_connections_make_the_store_unavailable(url: str) -> None:
    database = open_postgres(url, lock_timeout=0.01)

    def nest(depth: int) -> None:
        if depth:
            with database.transaction():
                nest(depth - 1)

    nest(12)
    with pytest.raises(StoreUnavailable, match="too many transactions"):
        nest(13)
    nest(12)
    database.close()


def test_closing_lets_go_of_every_connection(url: str, postgres: Databases) -> None:
    database = open_postgres(url)
    asyncio.run(database.read(backend))
    database.read_now(backend)
    with database.transaction():
        pass
    with ThreadPoolExecutor(1) as pool:
        pool.submit(database.read_now, backend).result()

    database.close()

    name = database.engine.url.database
    connected = f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"
    pids = [pid for (pid,) in postgres.execute(connected)]
    for pid in pids:  # the server notices a moment later
        postgres.execute(f"SELECT pg_terminate_backend({pid}, 60000)")
    assert len(pids) <= 4
