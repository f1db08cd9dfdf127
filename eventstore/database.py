"""One database, and the ways to reach it: read, read consistently, write.

Everything that runs SQL gets a SQLAlchemy ``Connection`` from here and nothing else, so that
read models and the log share one discipline of transactions on every database.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

from eventstore.changes import LogChanges

T = TypeVar("T")


class Database(Protocol):
    """A database that holds a log and its read models.

    Faults that are the database's own (locked for too long, disk full, gone) come out of every
    method as :class:`~eventstore.store.StoreUnavailable`; a mistake in a statement stays what
    SQLAlchemy raised.
    """

    @property
    def engine(self) -> Engine:
        """For migrations and tests. Its transactions are for writing."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` without blocking the event loop for longer than a query takes.

        It must only read, and must take what it wants out of its results before it returns: an
        open result would hold back what later reads can see. Each statement sees the newest
        commit; where several have to agree, use :meth:`snapshot`.
        """

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """The same, on the calling thread: for threads, the command line and tests."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """One moment of the database for as long as it's open, over any number of statements."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Write: commits at the end, or rolls back if the body raises. Not to be nested."""

    def log_transaction(self) -> AbstractContextManager[Connection]:
        """The same for whatever appends, erases or changes read models: one at a time.

        It holds the log's append lock, so nobody else appends until it ends.
        """

    def claim(self, query: Callable[[Connection], T]) -> AbstractAsyncContextManager[T]:
        """Run ``query``, and keep the rows that it locked for as long as the block runs.

        What it locks (``FOR UPDATE SKIP LOCKED``) no other claim gets until the block ends, the
        process dies, or the database takes it back from a process that has stopped. It must not
        write. Where only one process works on the log, nothing is locked.
        """

    async def follow(self, changes: LogChanges) -> None:
        """Until cancelled: tell ``changes`` of what other processes append to the log."""

    def purge_freed(self) -> bool:
        """Make sure that nothing erased is left behind where the database keeps freed rows.

        Returns False where somebody still reads an older state; call again later. Blocks: for
        threads. What file systems and backups keep is the operator's.
        """

    def close(self) -> None:
        """Let go of every connection. Nothing may be running."""
