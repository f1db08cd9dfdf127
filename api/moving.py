"""``cronpulse move``: everything there is, to another database: from one shape to the other, or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from api.bootstrap import open_core
from api.data_directory import DataDirectory, DataDirectoryError, only_here
from api.settings import InvalidSettings, Settings, load_settings
from eventstore import copying
from eventstore.database import Database
from eventstore.sqlite_database import open_sqlite
from projections.api_keys import api_key_usage
from projections.runner import PROJECTIONS

Show = Callable[[str], None]


def move(settings: Settings, to: str, *, show: Show) -> None:
    """Copy the log to the database behind the URL ``to``, which must be empty, with its read models.

    Nothing may be served from either meanwhile. What is there now stays as it is.

    Raises what :func:`~api.bootstrap.open_core` raises, ``DataDirectoryInUse`` where a service runs on a
    SQLite database, and :class:`~eventstore.copying.NotCopied`.
    """
    if settings.sqlite_path is not None and not settings.sqlite_path.exists():
        raise DataDirectoryError(f"there is no database at {settings.sqlite_path}")
    target = _pointed_at(to, settings)
    with only_here(*_directories(settings), *_directories(target)), open_core(settings) as old:
        target = target.model_copy(update={"secret_key": _secret_key(settings)})
        with closing(_opened(target)) as database:
            copying.require_empty(database)  # before anything of ours is made there
        with open_core(target, migrate=True) as new:
            show(f"copying {settings.database_shown} to {target.database_shown}")
            read_models = [table for each in PROJECTIONS for table in each.tables]
            copied = copying.copy(old.database, new.database, beside=(*read_models, api_key_usage))
    for table, rows in copied.rows.items():
        show(f"{rows:12,} {table}")
    show(
        f"the log ends at position {copied.head.position}, as before: {copied.head.chain_hash.hex()}"
    )


def _pointed_at(url: str, settings: Settings) -> Settings:
    try:
        return load_settings(database_url=url, data_dir=settings.data_dir)
    except InvalidSettings as invalid:
        name, _, rule = invalid.lines[0].partition(": ")
        if name != "CRONPULSE_DATABASE_URL":
            raise
        raise InvalidSettings([f"--to: {rule}"]) from None


def _directories(settings: Settings) -> Iterator[Path]:
    """The directories that nobody else may work in meanwhile."""
    if settings.sqlite_path is not None:
        yield from (settings.data_dir, settings.sqlite_path.parent)


def _secret_key(settings: Settings) -> SecretStr:
    """The key that the moved secrets are sealed with."""
    if settings.secret_key is not None:
        return settings.secret_key
    return SecretStr(DataDirectory(settings.data_dir).secret_key(is_new=False))


def _opened(settings: Settings) -> Database:
    if settings.sqlite_path is not None:
        return open_sqlite(settings.sqlite_path)
    from eventstore.postgres_database import open_postgres  # noqa: PLC0415  (as in bootstrap)

    return open_postgres(settings.database_url)
