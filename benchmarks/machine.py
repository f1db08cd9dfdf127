"""On what it was measured: the size of the machine and the versions of what matters."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer


@cache
def told() -> str:
    """In one sentence, without any name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [
        f"{platform.python_implementation()} {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"PostgreSQL {_postgres()}",
        f"Valkey {_valkey()}",
        f"uvicorn {version('uvicorn')}",
        f"aiohttp {version('aiohttp')}",
    ]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({platform.machine()}),"
        f" {memory:.0f} GiB of memory, {platform.system()}; {', '.join(versions)}."
    )


def _postgres() -> str:
    with PostgresServer() as server:
        ((found,),) = server.execute("SHOW server_version")
    return str(found).split()[0]


def _valkey() -> str:
    with ValkeyServer() as server, server.client() as client:
        found = client.info("server")
    return str(found.get("valkey_version") or found["redis_version"])
