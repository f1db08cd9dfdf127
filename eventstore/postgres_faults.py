"""What PostgreSQL says when it fails, in the store's words. The only place that reads its codes.

The words never hold what the server or the driver said: that may name hosts, users and statements.
See https://www.postgresql.org/docs/current/errcodes-appendix.html: the first two characters of a
code are its class.
"""

from __future__ import annotations

from typing import Final, NoReturn

from sqlalchemy.exc import DBAPIError, OperationalError

from eventstore.store import StoreUnavailable

_UNREACHABLE: Final = "the database server can't be reached"
_REFUSED: Final = (
    "the database server refuses the connection: its log says why"
    " (look at the user, the password, the name of the database, the number of connections)"
)
_RESTARTING: Final = "the database server is stopping or starting"
_UNAVAILABLE: Final = {
    "08": _UNREACHABLE,
    "25006": "the database can't be written to: it is read-only, or a standby",
    "25P03": "a transaction stood still for too long, and the database ended it",
    "28": "the database server refused the login",
    "3D000": "there is no such database on the server",
    "40001": "two transactions got in each other's way",
    "40P01": "two transactions got in each other's way",
    "42501": "the database does not allow it: its user lacks a privilege",
    "53100": "the disk is full",
    "53200": "the database server has not enough memory",
    "53300": "the database server has no connection left",
    "53": "the database server has too little of something",
    "55P03": "the database is busy: another process holds its lock for too long",
    "57014": "the database server took too long, and gave up",
    "57P01": _RESTARTING,
    "57P02": _RESTARTING,
    "57P03": _RESTARTING,
    "57P05": "the connection stood still for too long, and the database ended it",
    "58": "the database server could not read or write its files",
    "XX001": "the database is damaged",
    "XX002": "the database is damaged",
}
_LOST: Final = {"08", "25P03", "57P01", "57P02", "57P03", "57P05"}


class ConnectionLost(StoreUnavailable):
    """The connection went away. What it was about to commit may be committed, or not."""


def raise_fault(error: DBAPIError) -> NoReturn:
    """Raise the store's word for a fault of the database; anything else as it came."""
    words = _words(error)
    if words is None:
        raise error
    raise (ConnectionLost if is_lost(error) else StoreUnavailable)(words) from error


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection is gone, so that the same may do on another one."""
    code = _code(error)
    return error.connection_invalidated or code in _LOST or code[:2] in _LOST


def _words(error: DBAPIError) -> str | None:
    code = _code(error)
    if not code:
        return _words_without_code(error)
    return _UNAVAILABLE.get(code) or _UNAVAILABLE.get(code[:2])


def _words_without_code(error: DBAPIError) -> str | None:
    """The driver keeps no code of a server that answers, but does not let us in: only its words."""
    if not (error.connection_invalidated or isinstance(error, OperationalError)):
        return None
    return _REFUSED if "FATAL" in str(error.orig) else _UNREACHABLE


def _code(error: DBAPIError) -> str:
    """The SQLSTATE; empty where the driver failed before the server could say one."""
    return getattr(error.orig, "sqlstate", None) or ""
