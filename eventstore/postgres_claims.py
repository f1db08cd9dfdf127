"""A claim: a transaction that one thread opens and another ends, and that is never left open."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")


class Claim(Generic[T]):
    """What ``query`` locks, from :meth:`take` to :meth:`let_go`, in whichever order they are called."""

    def __init__(self, begin: Callable[[], Connection], query: Callable[[Connection], T]) -> None:
        self._begin = begin
        self._query = query
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._over = False

    def take(self) -> T:
        """Begin, and run the query. Where it was let go already (the caller has gone), end at once."""
        with self._turn:
            connection = self._begin()
            try:
                answer = self._query(connection)
            except BaseException:
                connection.close()
                raise
            if self._over:
                connection.close()
            else:
                self._connection = connection
            return answer

    def let_go(self) -> None:
        """Roll back. Where the server has ended it before, there is nothing left to end."""
        with self._turn:
            self._over = True
            if self._connection is not None:
                with suppress(DBAPIError):
                    self._connection.rollback()
                self._connection.close()
