"""The service as it is wired, in each shape it runs in, on a clock that tests move.

A test that takes the ``shape`` fixture runs once in every shape.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from api.bootstrap import Core, open_core
from api.service import Caller, Service
from api.settings import Settings
from eventstore import schema
from eventstore.sqlite_database import open_sqlite
from eventstore.transact import EventLog
from projections.rebuild import Difference, check
from tests.clock import Clock
from tests.servers.postgres import Databases

CALLER = Caller(account="default", actor="key:test", correlation_id="request-1")
STRANGER = Caller(account="stranger", actor="key:other", correlation_id="request-2")
SECRET_KEY = "a secret key for tests, long enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A running service without its edges: commands, queries and read models are there."""

    core: Core
    clock: Clock
    service: Service
    new_id: Callable[[], str]

    @property
    def log(self) -> EventLog:
        return self.core.log

    def differences(self) -> list[Difference]:
        """Where the live read models and the log don't agree."""
        return check(self.core.database, self.core.store, self.core.read_models)

    def events(self, *types: type) -> list[object]:
        """The contents of everything recorded, of these types or of all."""
        names = self.core.log.codec.names_of(*types) if types else None
        recorded = self.core.store.read_all(limit=1_000_000, types=names)
        decode = self.core.log.codec.decode
        return [
            decode(each.type, each.schema_version, each.payload)
            for each in recorded
            if each.payload is not None
        ]


def counted_ids() -> Callable[[], str]:
    """Ids that sort in the order they were made."""
    numbers = itertools.count(1)
    return lambda: f"c{next(numbers):025d}"


@cache
def _migrated_database() -> bytes:
    """A database that was just migrated: migrating anew for each test would take most of its time."""
    with tempfile.TemporaryDirectory() as directory:
        database = open_sqlite(Path(directory) / "cronpulse.db")
        schema.migrate(database.engine)
        database.purge_freed()
        database.close()
        return (Path(directory) / "cronpulse.db").read_bytes()


@contextmanager
def embedded(directory: Path, *, durable: bool = True) -> Iterator[Shape]:
    """SQLite in a directory."""
    settings = Settings(data_dir=directory, secret_key=SECRET_KEY)
    assert settings.sqlite_path is not None
    settings.sqlite_path.write_bytes(_migrated_database())
    with open_core(settings, durable=durable) as core:
        yield _on_a_clock(core)


@contextmanager
def scaled(databases: Databases) -> Iterator[Shape]:
    """PostgreSQL, in a database of its own on a server."""
    with databases.fresh_database() as url:
        settings = Settings(database_url=url, secret_key=SECRET_KEY)
        with open_core(settings) as core:
            yield _on_a_clock(core)


def _on_a_clock(core: Core) -> Shape:
    clock, new_id = Clock(), counted_ids()
    service = replace(core.service, now=clock, new_id=new_id)
    return Shape(core=replace(core, service=service), clock=clock, service=service, new_id=new_id)


SHAPES = ("embedded", "scaled")
