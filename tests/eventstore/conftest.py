"""What the store's tests run on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore import schema
from eventstore.appender import Appender
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import SqliteDatabase, open_sqlite
from tests.eventstore.building import Applied
from tests.eventstore.holding import HeldStore


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty log, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "log.db"
    database = open_sqlite(path, durable=False)
    schema.migrate(database.engine)
    assert database.purge_freed()
    database.close()
    return path


@pytest.fixture
def path(tmp_path: Path, migrated_file: Path) -> Path:
    target = tmp_path / "log.db"
    shutil.copy(migrated_file, target)
    return target


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    database = open_sqlite(path, durable=False)
    yield database
    database.close()


@pytest.fixture
def applied() -> Applied:
    return Applied()


@pytest.fixture
def store(database: SqliteDatabase, applied: Applied) -> SqliteEventStore:
    return SqliteEventStore(database, applied)


@pytest.fixture
def held(database: SqliteDatabase, applied: Applied) -> HeldStore:
    return HeldStore(database, applied)


@pytest.fixture
def appender_on(held: HeldStore) -> Iterator[Callable[..., Appender]]:
    made = []

    def make(**options: Any) -> Appender:
        made.append(Appender(held, **options))
        return made[-1]

    yield make
    held.let_everything_go()
    for each in made:
        each.close()


@pytest.fixture
def appender(appender_on: Callable[..., Appender]) -> Appender:
    return appender_on()
