"""A database on a PostgreSQL server, shared by any number of processes.

- The append lock is an advisory lock that belongs to a transaction: it goes when the transaction
  ends, however it ends. Transactions are READ COMMITTED, so that what is read after the lock was
  taken is what its last holder committed.
- Reads run in a few threads, each on a connection that it keeps, outside any transaction, so that
  each statement sees the newest commit; these connections are read-only, so that nothing can be
  written by mistake.
- A writer that stands still (a stopped process, a machine that is gone) is cut off by the server,
  so that it can't hold the append lock, or a claim, for long.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from secrets import token_hex
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eventstore.changes import LogChanges
from eventstore.postgres_changes import Follower
from eventstore.postgres_claims import Claim
from eventstore.postgres_connections import (
    READ_COMMITTED,
    REPEATABLE_READ,
    begin,
    driver_settings,
    make_engine,
    refuse_unusable,
)
from eventstore.postgres_faults import is_lost, raise_fault
from eventstore.postgres_locks import APPENDING
from eventstore.postgres_purge import purge
from eventstore.store import StoreUnavailable

T = TypeVar("T")

READERS: Final = 8
"""Threads that read."""

CONNECTIONS: Final = 12
"""Connections at most, of those that write and again of those that read (beside the threads')."""

LOCK_TIMEOUT: Final = 20.0
"""Seconds to wait for the append lock, or any other."""

IDLE_TIMEOUT: Final = 10.0
"""Seconds that a transaction may stand still before the server ends it."""

APPENDING_IDLE_TIMEOUT: Final = 3.0
"""The same for one that holds the append lock, for which everybody waits."""

_BY_INDEX: Final = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Everything is found by an index, and in its order. Planning that anew each time takes longer than
doing it, and a plan that is kept must not be one that was made while a table was small, or for an
average subject: the busiest has a thousand times as many events. What no index serves is still walked
and sorted; these only make it the last choice."""

_BEGIN_SNAPSHOT: Final = (
    f"{REPEATABLE_READ}; SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on"
)
"""Whoever needs one moment of the database reads whole tables."""

_BEGIN_UNSYNCED: Final = f"{READ_COMMITTED}; SET LOCAL synchronous_commit = off"


class PostgresDatabase:
    """Implements :class:`~eventstore.database.Database` on one server."""

    def __init__(self, url: URL, *, readers: int, lock_timeout: float, idle_timeout: float) -> None:
        self.origin = token_hex(8)
        """What this process's notifications are known by."""
        appending = _milliseconds(min(idle_timeout, APPENDING_IDLE_TIMEOUT))
        self._begin_appending = (
            f"{READ_COMMITTED}; SET LOCAL idle_in_transaction_session_timeout = '{appending}';"
            f" SELECT pg_advisory_xact_lock({APPENDING})"
        )
        self._engine = make_engine(
            url,
            READ_COMMITTED,
            connections=CONNECTIONS,
            pool_timeout=lock_timeout,
            lock_timeout=_milliseconds(lock_timeout),
            idle_in_transaction_session_timeout=_milliseconds(idle_timeout),
            **_BY_INDEX,
        )
        self._readers = make_engine(
            url,
            None,
            connections=CONNECTIONS + readers,
            pool_timeout=lock_timeout,
            default_transaction_read_only="on",
            **_BY_INDEX,
        )
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="cronpulse-reader")
        self._own = threading.local()
        self._kept: set[Connection] = set()

    @property
    def engine(self) -> Engine:
        """For migrations and tests. Its transactions are READ COMMITTED."""
        return self._engine

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` in one of the threads that read."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._read_on_own, query
        )

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on the calling thread, on a connection of the pool."""
        with _faults():
            try:
                return self._read_once(query)
            except DBAPIError as error:
                if not is_lost(error):
                    raise
            return self._read_once(query)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One moment of the database, from the first statement to the end of the block."""
        with _faults(), begin(self._readers, _BEGIN_SNAPSHOT) as connection:
            yield connection

    def transaction(self) -> AbstractContextManager[Connection]:
        """A write transaction, beside any number of others."""
        return self._writing(READ_COMMITTED)

    def log_transaction(self) -> AbstractContextManager[Connection]:
        """A write transaction that holds the append lock."""
        return self._writing(self._begin_appending)

    def unsynced_transaction(self) -> AbstractContextManager[Connection]:
        """A write transaction that a crash of the server may undo, for what can be done again."""
        return self._writing(_BEGIN_UNSYNCED)

    @asynccontextmanager
    async def claim(self, query: Callable[[Connection], T]) -> AsyncIterator[T]:
        """Run ``query`` in a transaction that stays open while the block runs, then roll it back."""
        loop = asyncio.get_running_loop()
        claim = Claim(lambda: begin(self._engine, READ_COMMITTED), query)
        try:
            with _faults():
                answer = await loop.run_in_executor(self._threads, claim.take)
            yield answer
        finally:
            await asyncio.shield(loop.run_in_executor(self._threads, claim.let_go))

    async def follow(self, changes: LogChanges) -> None:
        """Listen to the notifications of other processes' appends."""
        await Follower(driver_settings(self._engine), self.origin, changes).run()

    def purge_freed(self) -> bool:
        """Have the server clear what is left of erased rows: see :mod:`eventstore.postgres_purge`."""
        with _faults(), begin(self._engine, None) as connection:
            return purge(connection)

    def close(self) -> None:
        """Close every connection, of every thread."""
        self._threads.shutdown()
        for connection in self._kept:
            connection.close()
        self._kept.clear()
        self._readers.dispose()
        self._engine.dispose()

    @contextmanager
    def _writing(self, statement: str) -> Iterator[Connection]:
        with _faults(), begin(self._engine, statement) as connection:
            yield connection
            connection.commit()

    def _read_once(self, query: Callable[[Connection], T]) -> T:
        with self._readers.connect() as connection:
            return query(connection)

    def _read_on_own(self, query: Callable[[Connection], T]) -> T:
        with _faults():
            try:
                return self._read_kept(query)
            except DBAPIError as error:
                if not is_lost(error):
                    raise
            return self._read_kept(query)

    def _read_kept(self, query: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._readers.connect()
            self._kept.add(connection)
        try:
            return query(connection)
        except DBAPIError as error:
            if is_lost(error):
                self._own.connection = None
                self._kept.discard(connection)
                connection.invalidate()
                connection.close()
            raise


def open_postgres(
    url: str,
    *,
    readers: int = READERS,
    lock_timeout: float = LOCK_TIMEOUT,
    idle_timeout: float = IDLE_TIMEOUT,
) -> PostgresDatabase:
    """Open the database behind a URL, ``postgresql://user:password@host:port/name?sslmode=…``.

    Time-outs are in seconds. Raises :class:`~eventstore.store.StoreUnavailable` where it can't be
    reached, or is not one that can be used.
    """
    database = PostgresDatabase(
        make_url(url).set(drivername="postgresql+psycopg"),
        readers=readers,
        lock_timeout=lock_timeout,
        idle_timeout=idle_timeout,
    )
    try:
        database.read_now(refuse_unusable)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise_fault(error)
    except PoolTimeout as error:
        raise StoreUnavailable("too many transactions are running already") from error


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
