"""Everything that a database has stored, as bytes, for tests that look for what should be gone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from eventstore.database import Database

_RELATIONS = text(
    "SELECT pg_relation_filepath(oid) FROM pg_class"
    " WHERE relkind IN ('r', 't', 'i') AND relnamespace::regnamespace::text !~ '^pg_(?!toast)'"
    " AND relnamespace::regnamespace::text <> 'information_schema' AND oid >= 16384"
)


def stored_bytes(database: Database) -> bytes:
    """The content of the files of SQLite; of PostgreSQL's tables and indexes, as far as it is read.

    PostgreSQL keeps the bytes of rows that it has cleared until others take their place in the page;
    they can't be read by any query, so here each page is cut to what it holds.
    """
    if database.engine.dialect.name == "sqlite":
        path = database.engine.url.database
        assert path is not None
        return b"".join(Path(file).read_bytes() for file in (path, f"{path}-wal"))
    return database.read_now(_pages)


def _pages(connection: Connection) -> bytes:
    connection.exec_driver_sql("CHECKPOINT")
    paths = connection.execute(_RELATIONS).scalars().all()
    read = text("SELECT pg_read_binary_file(:path)")
    files = [bytes(connection.execute(read, {"path": path}).scalar_one()) for path in paths]
    return b"".join(
        _held(file[start : start + 8192]) for file in files for start in range(0, len(file), 8192)
    )


def _held(page: bytes) -> bytes:
    """A page without the hole between its line pointers and its rows (pd_lower and pd_upper)."""
    lower, upper = (int.from_bytes(page[at : at + 2], "little") for at in (12, 14))
    return page[:lower] + page[upper:]
