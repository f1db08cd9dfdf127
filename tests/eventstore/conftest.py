"""What the store's tests run on: each test that asks for a log runs on every kind of database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from eventstore import schema
from eventstore.appender import Appender
from eventstore.database import Database
from eventstore.sqlite_database import open_sqlite
from eventstore.store import EventStore
from tests.eventstore.building import Applied
from tests.eventstore.holding import HeldStore
from tests.eventstore.interleaving import Process, Reader
from tests.eventstore.places import Place, PostgresPlace, SqlitePlace, opened, store_in
from tests.servers.postgres import Databases


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
    """A file with an empty log."""
    target = tmp_path / "log.db"
    shutil.copy(migrated_file, target)
    return target


@pytest.fixture
def url(postgres: Databases) -> Iterator[str]:
    """A PostgreSQL database with an empty log."""
    with postgres.fresh_database() as url:
        yield url


KINDS = ("sqlite", "postgres")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest) -> Place:
    """An empty log."""
    if kind == "sqlite":
        return SqlitePlace(request.getfixturevalue("path"))
    return PostgresPlace(request.getfixturevalue("url"))


@pytest.fixture
def empty_place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A database without any schema."""
    if kind == "sqlite":
        yield SqlitePlace(tmp_path / "empty.db")
    else:
        postgres: Databases = request.getfixturevalue("postgres")
        with postgres.fresh_database(migrated=False) as url:
            yield PostgresPlace(url)


@pytest.fixture
def database(place: Place) -> Iterator[Database]:
    database = place.open()
    yield database
    database.close()


@pytest.fixture
def applied() -> Applied:
    return Applied()


@pytest.fixture
def store(database: Database, applied: Applied) -> EventStore:
    return store_in(database, applied)


@pytest.fixture
def beside(place: Place) -> Iterator[Callable[[], EventStore]]:
    """Opens one more store on the same log, as another process would."""
    with ExitStack() as stores:
        yield lambda: stores.enter_context(opened(place))


@pytest.fixture
def held(store: EventStore) -> HeldStore:
    return HeldStore(store)


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


@pytest.fixture
def process(url: str) -> Iterator[Callable[..., Process]]:
    opened: list[Process] = []

    def open_one(**options: Any) -> Process:
        opened.append(Process(url, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def reader(process: Callable[..., Process]) -> Reader:
    return Reader(process().database)
