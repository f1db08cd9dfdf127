"""The only place that wires: from settings to the log, the service and the checker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from api.data_directory import DataDirectory
from api.ids import new_id
from api.service import Service
from api.settings import Settings
from domain.codec import Codec
from eventstore import schema
from eventstore.appender import Appender, OnCommit, OnTransaction
from eventstore.changes import LogChanges
from eventstore.secrets import SecretBox
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import SqliteDatabase, open_sqlite
from eventstore.store import RecordedEvent
from eventstore.transact import EventLog
from projections.runner import Runner
from scheduler.http_check import HttpChecker
from scheduler.network_guard import NetworkGuard

VERSION = version("cronpulse-server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The log with its read models, and the service on it: what every role and command needs."""

    database: SqliteDatabase
    store: SqliteEventStore
    read_models: Runner
    log: EventLog
    service: Service


@contextmanager
def open_core(
    settings: Settings,
    *,
    migrate: bool = False,
    on_commit: OnCommit | None = None,
    on_transaction: OnTransaction = lambda _seconds: None,
    durable: bool = True,
) -> Iterator[Core]:
    """Open the database, with ``migrate`` after bringing its schema up to date, and close it again.

    ``durable=False`` is for simulations: a crash of the machine may then lose what was recorded.

    Raises :class:`~eventstore.schema.SchemaOutOfDate`,
    :class:`~eventstore.store.StoreUnavailable`,
    :class:`~api.data_directory.DataDirectoryError`.
    """
    data_directory = DataDirectory(settings.data_dir)
    data_directory.ensure()
    secret_key = (
        data_directory.secret_key(is_new=not settings.sqlite_path.exists())
        if settings.secret_key is None
        else settings.secret_key.get_secret_value()
    )
    database = open_sqlite(settings.sqlite_path, durable=durable)
    try:
        if migrate:
            schema.migrate(database.engine)
        database.read_now(schema.check)
        with _wired(database, SecretBox(secret_key), on_commit, on_transaction) as core:
            yield core
    finally:
        database.close()


@contextmanager
def _wired(
    database: SqliteDatabase,
    secrets: SecretBox,
    on_commit: OnCommit | None,
    on_transaction: OnTransaction,
) -> Iterator[Core]:
    codec = Codec()
    read_models = Runner(codec)
    store = SqliteEventStore(database, read_models.apply)
    changes = LogChanges()

    def publish(events: Sequence[RecordedEvent]) -> None:
        changes.publish(events)
        if on_commit is not None:
            on_commit(events)

    with Appender(store, on_commit=publish, on_transaction=on_transaction) as appender:
        log = EventLog(
            database=database, store=store, appender=appender, codec=codec, changes=changes
        )
        yield Core(
            database=database,
            store=store,
            read_models=read_models,
            log=log,
            service=Service(log=log, secrets=secrets, now=utc_now, new_id=new_id),
        )


def http_checker(settings: Settings) -> HttpChecker:
    """What makes the calls, with the operator's limits."""
    return HttpChecker(
        NetworkGuard(settings.allowed_networks),
        user_agent=f"CronPulse/{VERSION}",
        calls_per_host=settings.checks_per_host,
    )


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)
