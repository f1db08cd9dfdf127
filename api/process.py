"""What every role has beside its own work: its files to itself, the log, counted, and used keys noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final

from api.auth import KeyUsage
from api.bootstrap import Core, open_core
from api.data_directory import only_here
from api.metrics import Metrics
from api.scheduler_metrics import count_commit
from api.settings import Settings
from scheduler.loops import keep_alive, running

USAGE_FLUSHED_EVERY: Final = 15.0
"""Seconds between the times when it is noted which keys were used."""


@contextmanager
def alone_on_its_files(settings: Settings) -> Iterator[None]:
    """Be the only process that works in the directories of a SQLite database."""
    if settings.sqlite_path is None:
        yield
    else:
        with only_here(settings.data_dir, settings.sqlite_path.parent):
            yield


@contextmanager
def counted(settings: Settings, metrics: Metrics, *, migrate: bool = False) -> Iterator[Core]:
    """The core, whose commits show in the metrics. Raises what ``open_core`` raises."""
    with open_core(
        settings,
        migrate=migrate,
        on_commit=partial(count_commit, metrics),
        on_transaction=metrics.append_seconds.observe,
        on_unavailable=metrics.appends_failed_total.inc,
    ) as core:
        metrics.log_position.set(core.store.head().position)
        yield core


@asynccontextmanager
async def usage_noted(usage: KeyUsage) -> AsyncIterator[None]:
    """Note now and then, and at the end, which keys were used."""
    try:
        async with running(keep_alive(partial(_flush, usage))):
            yield
    finally:
        await usage.flush(at_once=True)


async def _flush(usage: KeyUsage) -> None:
    while True:
        await asyncio.sleep(USAGE_FLUSHED_EVERY)
        await usage.flush()
