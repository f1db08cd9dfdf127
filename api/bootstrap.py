"""The only place that wires: from settings to the log, the service, the broker and the checker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from api.data_directory import DataDirectory
from api.ids import new_id
from api.service import Service
from api.settings import InvalidSettings, Settings
from domain.codec import Codec
from eventstore import schema, secret_key_check
from eventstore.appender import Appender, OnCommit, OnTransaction, OnUnavailable
from eventstore.changes import LogChanges
from eventstore.database import Database
from eventstore.secret_key_check import WrongSecretKey
from eventstore.secrets import SecretBox
from eventstore.sqlite import SqliteEventStore
from eventstore.sqlite_database import open_sqlite
from eventstore.store import ApplyProjections, EventStore, RecordedEvent
from eventstore.transact import EventLog
from projections.runner import Runner
from scheduler.broker import CheckBroker
from scheduler.http_check import HttpChecker
from scheduler.in_process_broker import InProcessBroker
from scheduler.network_guard import NetworkGuard

VERSION = version("cronpulse-server")

Loop = Coroutine[object, object, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The log with its read models, and the service on it: what every role and command needs.

    ``alone`` says that no other process schedules or runs checks on this log.
    """

    database: Database
    store: EventStore
    read_models: Runner
    log: EventLog
    service: Service
    alone: bool
    keep_time: Callable[[], Loop]
    """What has to run, as long as the clock of the service is used."""

    def follow_changes(self) -> Loop:
        """What has to run, for listeners to hear of what other processes append."""
        return self.database.follow(self.log.changes)


@contextmanager
def open_core(
    settings: Settings,
    *,
    migrate: bool = False,
    on_commit: OnCommit | None = None,
    on_transaction: OnTransaction = lambda _seconds: None,
    on_unavailable: OnUnavailable = lambda _appends: None,
    durable: bool = True,
) -> Iterator[Core]:
    """Open the database, with ``migrate`` after bringing its schema up to date, and close it again.

    ``durable=False`` is for simulations: a crash of the machine may then lose what was recorded.

    Raises :class:`~eventstore.schema.SchemaOutOfDate`,
    :class:`~eventstore.store.StoreUnavailable`,
    :class:`~api.data_directory.DataDirectoryError` and
    :class:`~api.settings.InvalidSettings`, for a secret key that is missing or the wrong one.
    """
    opened = (
        _open_postgres(settings)
        if settings.sqlite_path is None
        else _open_sqlite(settings, settings.sqlite_path, durable=durable)
    )
    database = opened.database
    try:
        if migrate:
            schema.migrate(database.engine)
        database.read_now(schema.check)
        _confirm_secret_key(database, opened.secrets)
        with _wired(opened, on_commit, on_transaction, on_unavailable) as core:
            yield core
    finally:
        database.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    database: Database
    secrets: SecretBox
    make_store: Callable[[ApplyProjections], EventStore]
    alone: bool


def _open_sqlite(settings: Settings, path: Path, *, durable: bool) -> _Opened:
    data_directory = DataDirectory(settings.data_dir)
    data_directory.ensure()
    secret_key = (
        data_directory.secret_key(is_new=not path.exists())
        if settings.secret_key is None
        else settings.secret_key.get_secret_value()
    )
    database = open_sqlite(path, durable=durable)
    return _Opened(
        database=database,
        secrets=SecretBox(secret_key),
        make_store=lambda apply: SqliteEventStore(database, apply),
        alone=True,
    )


def _open_postgres(settings: Settings) -> _Opened:
    if settings.secret_key is None:
        raise InvalidSettings(
            ["CRONPULSE_SECRET_KEY: is needed with PostgreSQL, the same for every process"]
        )
    from eventstore.postgres import PostgresEventStore  # noqa: PLC0415  (the embedded shape
    from eventstore.postgres_database import open_postgres  # noqa: PLC0415  starts without it)

    database = open_postgres(settings.database_url)
    return _Opened(
        database=database,
        secrets=SecretBox(settings.secret_key.get_secret_value()),
        make_store=lambda apply: PostgresEventStore(database, apply),
        alone=False,
    )


def _confirm_secret_key(database: Database, secrets: SecretBox) -> None:
    try:
        secret_key_check.confirm(database, secrets.key_id)
    except WrongSecretKey as wrong:
        raise InvalidSettings([f"CRONPULSE_SECRET_KEY: {wrong}"]) from None


@contextmanager
def _wired(
    opened: _Opened,
    on_commit: OnCommit | None,
    on_transaction: OnTransaction,
    on_unavailable: OnUnavailable,
) -> Iterator[Core]:
    codec = Codec()
    read_models = Runner(codec)
    store = opened.make_store(read_models.apply)
    changes = LogChanges()
    now, keep_time = _clock(opened)

    def publish(events: Sequence[RecordedEvent]) -> None:
        changes.publish(events)
        if on_commit is not None:
            on_commit(events)

    with Appender(
        store,
        on_commit=publish,
        on_transaction=on_transaction,
        on_unavailable=on_unavailable,
    ) as appender:
        log = EventLog(
            database=opened.database, store=store, appender=appender, codec=codec, changes=changes
        )
        yield Core(
            database=opened.database,
            store=store,
            read_models=read_models,
            log=log,
            service=Service(log=log, secrets=opened.secrets, now=now, new_id=new_id),
            alone=opened.alone,
            keep_time=keep_time,
        )


def _clock(opened: _Opened) -> tuple[Callable[[], datetime], Callable[[], Loop]]:
    """The clock of the service: where several machines share a database, the database's rules."""
    if opened.alone:
        return utc_now, _nothing_to_keep
    from eventstore.database_clock import DatabaseClock  # noqa: PLC0415  (as above)

    clock = DatabaseClock(opened.database)
    return clock, clock.keep_in_step


async def _nothing_to_keep() -> None:
    """This machine's clock keeps itself."""


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


@contextmanager
def open_broker(settings: Settings) -> Iterator[CheckBroker]:
    """The broker that wakes workers: Redis where there is one, else within this process."""
    broker = InProcessBroker() if settings.redis_url is None else _redis_broker(settings.redis_url)
    try:
        yield broker
    finally:
        broker.close()


def _redis_broker(url: str) -> CheckBroker:
    from scheduler.redis_broker import open_redis_broker  # noqa: PLC0415  (as above)

    return open_redis_broker(url)


def http_checker(settings: Settings) -> HttpChecker:
    """What makes the calls, with the operator's limits."""
    return HttpChecker(
        NetworkGuard(settings.allowed_networks),
        user_agent=f"CronPulse/{VERSION}",
        calls_per_host=settings.checks_per_host,
    )
