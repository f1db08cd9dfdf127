"""What SQLite's database does for who may share it: claims that are free, and a look now and then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eventstore import reading, sqlite_database
from eventstore.changes import LogChanges
from eventstore.sqlite_database import SqliteDatabase
from eventstore.store import EventStore
from tests.eventstore.building import append
from tests.eventstore.places import SqlitePlace, opened


@pytest.fixture
def place(path: Path) -> SqlitePlace:
    return SqlitePlace(path)


async def test_a_claim_is_a_read_where_one_process_works_on_the_log(
    database: SqliteDatabase, store: EventStore
) -> None:
    async with database.claim(reading.head) as mine, database.claim(reading.head) as theirs:
        assert mine == theirs == store.head()
        store.append([append("a", 0)])
    assert store.head().position == 1


async def test_following_finds_what_another_process_appended(
    database: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "LOOK_EVERY", 0)
    changes = LogChanges()
    with changes.listen() as listener, opened(SqlitePlace(path)) as other:
        task = asyncio.create_task(database.follow(changes))
        other.append([append("a", 0), append("b", 0)])
        await listener.wait()
        task.cancel()
    assert changes.position == 2
