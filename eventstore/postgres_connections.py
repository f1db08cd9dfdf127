"""Connections to a PostgreSQL server: with which settings, and how a transaction begins on them.

The driver begins nothing by itself. A transaction begins with one message of ours, which says how
it is isolated, and may take a lock at once. That message shows whether the connection, which may
have been idle for long, is still alive: a dead one is replaced before anything was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from psycopg import Connection as DriverConnection
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from eventstore.postgres_faults import is_lost
from eventstore.store import StoreUnavailable

SETTINGS: Final[Mapping[str, str | int]] = {
    "application_name": "cronpulse",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""libpq's, in seconds, ``tcp_user_timeout`` in milliseconds: a silent server is given up after 20.
What a URL says itself goes first."""

PREPARED: Final = 300
"""Statements that a connection keeps prepared: more than there are of ours."""

MIN_VERSION: Final = 150_000
"""PostgreSQL 15."""

READ_COMMITTED: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
REPEATABLE_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_BEGIN: Final = "eventstore_begin"
"""The execution option that names the statement which begins a transaction."""


def driver_settings(engine: Engine) -> dict[str, Any]:
    """How the driver connects, for who needs a connection of its own. Holds the password."""
    _, arguments = engine.dialect.create_connect_args(engine.url)
    return {**_settings(engine.url), **arguments}


def make_engine(
    url: URL, begin: str | None, *, connections: int, pool_timeout: float, **session: str
) -> Engine:
    """An engine whose transactions begin with ``begin``; None begins none: each statement stands alone.

    ``session`` are the server's settings for each connection.
    """
    engine = create_engine(
        url,
        connect_args={**_settings(url), "autocommit": True},
        hide_parameters=True,  # a fault that is logged must not show what a statement was given
        max_overflow=connections - min(connections, 5),
        pool_size=min(connections, 5),
        pool_timeout=pool_timeout,
        use_native_hstore=False,
    )

    set_session = "SELECT " + ", ".join(["set_config(%s, %s, false)"] * len(session))

    def set_up(driver: DriverConnection[Any], _record: object) -> None:
        driver.prepared_max = PREPARED
        driver.execute(set_session, [part for pair in session.items() for part in pair]).close()

    def begin_transaction(connection: Connection) -> None:
        statement = connection.get_execution_options().get(_BEGIN, begin)
        if statement is not None:
            connection.exec_driver_sql(statement)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin_transaction)
    return engine


def begin(engine: Engine, statement: str | None) -> Connection:
    """A connection on which ``statement`` began a transaction; closing it rolls back.

    None begins none: each statement stands alone.
    """
    try:
        return _begin(engine, statement)
    except DBAPIError as error:
        if not is_lost(error):
            raise
    return _begin(engine, statement)


def _begin(engine: Engine, statement: str | None) -> Connection:
    connection = engine.connect().execution_options(**{_BEGIN: statement})
    try:
        connection.begin()
    except BaseException as error:
        if isinstance(error, DBAPIError) and is_lost(error):
            connection.invalidate()
        connection.close()
        raise
    return connection


def refuse_unusable(connection: Connection) -> None:
    """Raise :class:`~eventstore.store.StoreUnavailable` where the server can't hold a log."""
    driver = cast("DriverConnection[Any]", connection.connection.driver_connection)
    if driver.info.server_version < MIN_VERSION:
        raise StoreUnavailable("the database server is older than PostgreSQL 15")
    encoding = driver.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable(f"the database's encoding has to be UTF8, and is {encoding}")


def _settings(url: URL) -> dict[str, str | int]:
    return {name: value for name, value in SETTINGS.items() if name not in url.query}
