"""Clearing what is left of erased rows.

PostgreSQL keeps a row that was changed or deleted for who may still see it, and then until it is
vacuumed. So whatever was erased is gone once no transaction is left from before the erasure, and
the tables have been vacuumed. An old transaction (a backup, a forgotten session), a prepared one or
a replication slot keeps it: then this does nothing, and is to be called again later.

A page that somebody was looking at is passed over by a vacuum: the server's statistics say so.

After that no query can get at it. PostgreSQL does not overwrite the bytes on the disk, but uses the
space again; they are also in its write-ahead log until that is recycled. Who must exclude that
encrypts the disk.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import Final

from sqlalchemy import Connection

PATIENCE: Final = 2.0
"""Seconds to wait for transactions that are running already."""

PAUSE: Final = 0.02

_NOW: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"

_OLDER: Final = """
SELECT EXISTS (
    SELECT FROM (
        SELECT backend_xmin FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND (datname = current_database() OR datname IS NULL)
        UNION ALL SELECT backend_xid FROM pg_stat_activity
            WHERE pid <> pg_backend_pid() AND datname = current_database()
        UNION ALL SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL SELECT xmin FROM pg_replication_slots
    ) AS held(xid)
    WHERE age(xid) > age(%s::xid8::xid)
)
"""

_TABLES: Final = """
SELECT string_agg(quote_ident(relname), ', ') FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    AND pg_has_role(relowner, 'USAGE')
"""

_LEFT: Final = """
SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables
WHERE relid IN ('events'::regclass, 'secrets'::regclass)
"""


def purge(connection: Connection) -> bool:
    """Vacuum, on a connection outside any transaction; False where something had to be left."""
    now = connection.exec_driver_sql(_NOW).scalar_one()
    deadline = monotonic() + PATIENCE
    while connection.exec_driver_sql(_OLDER, (now,)).scalar_one():
        if monotonic() > deadline:
            return False
        sleep(PAUSE)
    tables = connection.exec_driver_sql(_TABLES).scalar_one()
    connection.exec_driver_sql(f"VACUUM (TRUNCATE false) {tables}")
    left: int = connection.exec_driver_sql(_LEFT).scalar_one()
    return left == 0
