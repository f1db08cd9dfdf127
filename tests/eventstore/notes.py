"""A PostgreSQL database with a table of notes, and what tests do with it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from tests.servers.postgres import Databases

MAKE_NOTES = "CREATE TABLE notes (words TEXT)"


def count(connection: Connection) -> int:
    number: int = connection.execute(text("SELECT count(*) FROM notes")).scalar_one()
    return number


def note(connection: Connection, words: str = "x") -> None:
    connection.execute(text("INSERT INTO notes VALUES (:words)"), {"words": words})


def backend(connection: Connection) -> int:
    pid: int = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return pid


def kill(postgres: Databases, pid: int) -> None:
    """End a server process, and return once it is gone."""
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 60000)")
