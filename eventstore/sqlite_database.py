"""A database in one SQLite file: durable at every commit, one writer, any number of readers.

- WAL, so that readers and the writer don't wait for each other; ``synchronous=FULL``, so that what
  was committed survives a power cut.
- Every write begins with ``BEGIN IMMEDIATE``. A deferred transaction that turns from reading to
  writing fails at once when somebody else wrote meanwhile, however long the time-out.
- Writers of one process queue up at a lock of ours, because SQLite's own waiting is polling with
  growing pauses; other processes are waited for with SQLite's busy time-out.
- Each thread reads on a connection that it keeps: checking one out of a pool for every read
  nearly doubles the cost of a read by key (35 against 20 microseconds where the driver alone
  takes 7). These connections run outside any transaction, so that each statement sees the newest
  commit, and are set to ``query_only``, so that nothing can be written by mistake.
- ``secure_delete``: what is erased is overwritten in the file. See :meth:`purge_freed`.

There is no memory mapping: measured, it made reads no faster.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from sqlite3 import SQLITE_BUSY, OperationalError
from sqlite3 import Connection as DriverConnection
from time import sleep
from typing import Final, TypeVar
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from eventstore import reading
from eventstore.changes import LogChanges
from eventstore.sqlite_faults import raise_fault
from eventstore.store import StoreUnavailable

T = TypeVar("T")

BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer."""

WAL_ATTEMPTS: Final = 500
WAL_PAUSE: Final = 0.02
"""Seconds between attempts to have a new file in WAL mode: ten seconds for all of them."""

LOOK_EVERY: Final = 1.0
"""Seconds between looks for events that another process appended, such as the command line."""

_BEGIN: Final = "eventstore_begin"
"""The execution option that names the statement which begins a transaction."""

_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # so that REPLACE can't slip past a trigger on DELETE
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    "PRAGMA journal_size_limit = 67108864",
)


class SqliteDatabase:
    """Implements :class:`~eventstore.database.Database` on one file."""

    def __init__(self, path: Path, *, durable: bool, busy_timeout: float) -> None:
        synchronous = f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}"
        self._busy_timeout = busy_timeout
        self._engine = _engine(path, busy_timeout, (*_PRAGMAS, synchronous), "BEGIN IMMEDIATE")
        self._readers = _engine(path, busy_timeout, (*_PRAGMAS, "PRAGMA query_only = ON"), None)
        self._writing = threading.Lock()
        self._own = threading.local()
        self._kept: WeakSet[Connection] = WeakSet()

    @property
    def engine(self) -> Engine:
        """For migrations and tests. Its transactions begin with ``BEGIN IMMEDIATE``."""
        return self._engine

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` right here, on the event loop's thread.

        A read by key takes some 20 microseconds. A hop to another thread and back takes longer,
        and buys no parallelism, since nearly all of that time is Python's.
        """
        return self.read_now(query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on the calling thread's own connection."""
        try:
            return query(self._reader())
        except DBAPIError as error:
            raise_fault(error)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One moment of the database, from the first statement to the end of the block."""
        try:
            with self._readers.connect().execution_options(**{_BEGIN: "BEGIN"}) as connection:
                yield connection
        except DBAPIError as error:
            raise_fault(error)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction; waits its turn among this process's and other writers."""
        with self._turn():
            try:
                with self._engine.begin() as connection:
                    yield connection
            except DBAPIError as error:
                raise_fault(error)

    def log_transaction(self) -> AbstractContextManager[Connection]:
        """The same: there is one writer at a time anyway."""
        return self.transaction()

    @asynccontextmanager
    async def claim(self, query: Callable[[Connection], T]) -> AsyncIterator[T]:
        """Only read: one process works on the log, and every claim is its own."""
        yield self.read_now(query)

    async def follow(self, changes: LogChanges) -> None:
        """Look at the log's head every second."""

        async def head() -> int:
            return (await self.read(reading.head)).position

        await changes.watch(head, lambda: asyncio.sleep(LOOK_EVERY))

    def purge_freed(self) -> bool:
        """Make sure that no erased byte is left in the write-ahead log, by emptying it.

        Returns False where somebody still reads an older state; call again later. (The database
        file itself is overwritten as things are erased; file system snapshots and backups are the
        operator's.)
        """
        with self._turn():
            busy: int = self.read_now(
                lambda connection: connection.exec_driver_sql(
                    "PRAGMA wal_checkpoint(TRUNCATE)"
                ).scalar_one()
            )
        return busy == 0

    def close(self) -> None:
        """Close every connection, of every thread."""
        for connection in tuple(self._kept):
            connection.close()
        self._own = threading.local()
        self._readers.dispose()
        self._engine.dispose()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._readers.connect()
            self._kept.add(connection)
        return connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=self._busy_timeout):
            raise StoreUnavailable("the database is busy: another write is taking too long")
        try:
            yield
        finally:
            self._writing.release()


def open_sqlite(
    path: Path, *, durable: bool = True, busy_timeout: float = BUSY_TIMEOUT
) -> SqliteDatabase:
    """Open the database in ``path``; a new file is readable by its owner only (mode 0600).

    ``durable=False`` is for scratch databases: it leaves syncing to the operating system.
    ``busy_timeout`` is in seconds. Raises :class:`~eventstore.store.StoreUnavailable` where the
    file can't be opened or is no SQLite database.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"can't open {path}: {error.strerror}") from error
    database = SqliteDatabase(path, durable=durable, busy_timeout=busy_timeout)
    try:
        with database.engine.connect():
            return database
    except DBAPIError as error:
        database.close()
        raise_fault(error)


def _engine(path: Path, busy_timeout: float, pragmas: tuple[str, ...], begin: str | None) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={
            "isolation_level": None,  # the driver begins nothing by itself: we do
            "check_same_thread": False,  # the pool hands connections on; close() closes all
            "timeout": busy_timeout,
            "cached_statements": 512,
        },
        hide_parameters=True,  # a fault that is logged must not show what a statement was given
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=-1,
    )

    def set_up(driver: DriverConnection, _record: object) -> None:
        _enter_wal(driver)
        for pragma in pragmas:
            driver.execute(pragma).close()

    def begin_transaction(connection: Connection) -> None:
        statement = connection.get_execution_options().get(_BEGIN, begin)
        if statement is not None:
            connection.exec_driver_sql(statement)

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin_transaction)
    return engine


def _enter_wal(driver: DriverConnection) -> None:
    """Have the file in WAL mode. Only the very first process has anything to do.

    Several that open a new file at once get in each other's way, and SQLite then says "busy"
    without waiting: changing the mode takes the file for itself, and waiting could be a deadlock.
    """
    for _ in range(WAL_ATTEMPTS):
        try:
            driver.execute("PRAGMA journal_mode = WAL").close()
        except OperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY:
                raise
            sleep(WAL_PAUSE)
        else:
            return
    driver.execute("PRAGMA journal_mode = WAL").close()
