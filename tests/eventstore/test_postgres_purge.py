"""Nothing is left of erased rows, or it is said that something is."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from eventstore import postgres_purge
from eventstore.postgres import PostgresEventStore
from eventstore.postgres_database import PostgresDatabase, open_postgres
from tests.eventstore.building import Applied, append, event, secret
from tests.servers.postgres import PostgresServer


def live_tuples(path: Path) -> bytes:
    """What the line pointers of a heap's pages point at (storage-page-layout in the manual)."""
    found = []
    content = path.read_bytes()
    for start in range(0, len(content), 8192):
        page = content[start : start + 8192]
        lower: int = struct.unpack_from("<H", page, 12)[0]
        for at in range(24, lower, 4):
            pointer: int = struct.unpack_from("<I", page, at)[0]
            offset, flags, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
            if flags == 1:
                found.append(page[offset : offset + length])
    return b"".join(found)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server whose files we can look into."""
    with PostgresServer() as server:
        yield server


@contextmanager
def erased_canaries(
    server: PostgresServer,
    meanwhile: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> Iterator[tuple[str, PostgresDatabase, Any]]:
    """Events and a secret of a job were erased, while ``meanwhile`` was open."""
    with server.fresh_database() as url:
        database = open_postgres(url)
        store = PostgresEventStore(database, Applied())
        noise = Random(1)
        for n in range(60):
            size = (0, 300, 6000)[n % 3]  # in the row, and beside it
            payload = b"canary-%06d-" % n + noise.randbytes(size)
            kept = event("job-2", payload=b"keeper-%06d" % n)
            store.append([append(f"a-{n}", 0, event("job-1", payload=payload), kept)])
        hidden = secret("s-1", "job-1", b"canary-secret")
        store.append([append("end", 0, event("job-1"), secrets=[hidden], seals=["job-1"])])
        with meanwhile(url) as stranger:
            while store.erase("job-1", limit=17):
                pass
            yield url, database, stranger
        database.close()


def everything_stored(server: PostgresServer, url: str) -> bytes:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        files = connection.execute(
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 't')"
            " AND relname IN ('events', 'secrets') OR oid IN (SELECT reltoastrelid FROM pg_class"
            " WHERE relname IN ('events', 'secrets'))"
        ).fetchall()
    assert len(files) == 4
    return b"".join(live_tuples(server.data / path) for (path,) in files)


def test_no_row_is_left_of_what_was_erased(own_server: PostgresServer) -> None:
    with erased_canaries(own_server) as (url, database, _):
        assert b"canary" in everything_stored(own_server, url)
        assert database.purge_freed()
        left = everything_stored(own_server, url)
    assert b"canary" not in left
    assert left.count(b"keeper-") == 60


@contextmanager
def looking(statement: str, url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as stranger:
        stranger.execute(statement)
        yield stranger
        stranger.rollback()  # closing alone would be noticed later


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM events",
        "BEGIN; SELECT pg_current_xact_id()",
        "BEGIN; DECLARE c CURSOR FOR SELECT * FROM events; FETCH 1 FROM c",
    ],
)
def test_while_an_older_transaction_is_open_nothing_is_called_purged(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(postgres_purge, "PATIENCE", 0)
    with erased_canaries(own_server, partial(looking, statement)) as (url, database, stranger):
        assert not database.purge_freed()
        stranger.rollback()
        assert database.purge_freed()
        assert b"canary" not in everything_stored(own_server, url)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_transaction_that_can_not_see_it_keeps_nothing(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """In another database however old, in this one if it began after the erasure."""
    monkeypatch.setattr(postgres_purge, "PATIENCE", 0)
    snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"

    def older(_url: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        return looking(snapshot if elsewhere else "SELECT 1", own_server.url("postgres"))

    with erased_canaries(own_server, older) as (url, database, _), looking(snapshot, url):
        assert database.purge_freed()
        assert b"canary" not in everything_stored(own_server, url)


def test_a_transaction_that_ends_soon_is_waited_for(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_purge, "PATIENCE", 1e9)
    writing = partial(looking, "BEGIN; SELECT pg_current_xact_id()")
    with erased_canaries(own_server, writing) as (url, database, stranger):
        monkeypatch.setattr(postgres_purge, "sleep", lambda _seconds: stranger.rollback())
        assert database.purge_freed()
        assert b"canary" not in everything_stored(own_server, url)


def test_a_page_that_somebody_looks_at_is_not_called_purged(own_server: PostgresServer) -> None:
    pinning = "BEGIN; DECLARE c CURSOR FOR SELECT * FROM events; FETCH 1 FROM c"
    with erased_canaries(own_server) as (url, database, _):
        with looking(pinning, url):
            assert not database.purge_freed()
            assert b"canary" in everything_stored(own_server, url)
        assert database.purge_freed()
        assert b"canary" not in everything_stored(own_server, url)
