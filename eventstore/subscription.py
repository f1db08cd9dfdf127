"""Reacting to the log: every event of some types, in order, at least once.

A subscription reads from its checkpoint on, hands events to a handler in batches, and remembers
how far it has come. A crash between handling and remembering repeats what was handled: handlers
must bear that.

How often it remembers is a matter of cost. A saved checkpoint is a durable commit, so saving at
every wake-up would cost a busy server one more sync for each of its commits. Instead the position
is kept in memory, and saved

- when it is ``save_every`` positions past the saved one (whether or not any of them mattered to
  this subscription, so that a restart never reads much again), or
- when nothing has happened for ``save_after`` seconds, or
- when the subscription is stopped.

So after a crash at most ``save_every`` positions, and one batch, are handled again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from sqlalchemy import Connection

from eventstore import reading
from eventstore.changes import LogChanges
from eventstore.database import Database
from eventstore.store import EventStore, RecordedEvent, StoreUnavailable

BATCH: Final = 500
SAVE_EVERY: Final = 1000
SAVE_AFTER: Final = 1.0

Handler: TypeAlias = Callable[[Sequence[RecordedEvent]], Awaitable[None]]


class Subscription:
    """Feeds the events of ``types`` (None: of all types) to ``handle``. One loop at a time."""

    def __init__(
        self,
        *,
        database: Database,
        store: EventStore,
        changes: LogChanges,
        name: str,
        types: frozenset[str] | None,
        handle: Handler,
        batch: int = BATCH,
        save_every: int = SAVE_EVERY,
        save_after: float = SAVE_AFTER,
    ) -> None:
        self._database = database
        self._store = store
        self._changes = changes
        self._name = name
        self._types = types
        self._handle = handle
        self._batch = batch
        self._save_every = save_every
        self._save_after = save_after
        self._position: int | None = None
        self._saved = 0

    async def catch_up(self) -> int:
        """Handle everything there is, and save the checkpoint; returns how many events it was."""
        handled = await self._advance()
        await self._save()
        return handled

    async def run(self) -> None:
        """Catch up, then handle what comes, until cancelled.

        What the handler raises ends the run: the checkpoint is then before the batch that failed,
        and running again starts with it.
        """
        try:
            with self._changes.listen(self._types) as listener:
                while True:
                    await self._advance()
                    try:
                        async with asyncio.timeout(self._save_after):
                            await listener.wait()
                    except TimeoutError:
                        await self._save()
                        await listener.wait()
        finally:
            with contextlib.suppress(StoreUnavailable):  # then a little is handled again, as said
                await self._save()

    async def _advance(self) -> int:
        if self._position is None:
            self._position = self._saved = await self._database.read(
                lambda connection: reading.checkpoint(connection, self._name)
            )
        handled = 0
        while True:
            events, reached = await self._database.read(partial(self._next, self._position))
            if events:
                await self._handle(events)
                handled += len(events)
            self._position = reached
            if reached - self._saved >= self._save_every:
                await self._save()
            if len(events) < self._batch:
                return handled

    def _next(self, after: int, connection: Connection) -> tuple[list[RecordedEvent], int]:
        """The next batch, and the position up to which there is nothing else of these types.

        The head is read first: what is appended in between is then left for the next look.
        """
        head = reading.head(connection).position
        if head <= after:
            return [], after
        events = reading.read_all(
            connection, after=after, until=head, limit=self._batch, types=self._types
        )
        return events, events[-1].position if len(events) == self._batch else head

    async def _save(self) -> None:
        position = self._position
        if position is not None and position != self._saved:
            await asyncio.to_thread(self._store.save_checkpoint, self._name, position)
            self._saved = position
