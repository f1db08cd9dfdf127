"""What SQLite says when it fails, in the store's words. The only place that reads its codes."""

from __future__ import annotations

import sqlite3
from typing import Final, NoReturn

from sqlalchemy.exc import DBAPIError

from eventstore.store import StoreUnavailable

_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY: "the database is busy: another process is writing",
    sqlite3.SQLITE_LOCKED: "the database is locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk could not be read or written",
    sqlite3.SQLITE_READONLY: "the database can't be written to",
    sqlite3.SQLITE_CANTOPEN: "the database file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_PROTOCOL: "the database is busy: its locks can't be had",
    sqlite3.SQLITE_PERM: "the database file may not be accessed",
}


def raise_fault(error: DBAPIError) -> NoReturn:
    """Raise the store's word for a fault of the database; anything else as it came.

    See https://www.sqlite.org/rescode.html: the low byte of an extended code is its primary code.
    """
    code = getattr(error.orig, "sqlite_errorcode", None)
    words = None if code is None else _UNAVAILABLE.get(code & 0xFF)
    if words is None:
        raise error
    raise StoreUnavailable(words) from error
