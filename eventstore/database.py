"""One database, and the ways to reach it: read, read consistently, write.

Everything that runs SQL gets a SQLAlchemy ``Connection`` from here and nothing else, so that
read models and the log share one discipline of transactions on every database.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

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

    def close(self) -> None:
        """Let go of every connection. Nothing may be running."""
