"""The time by the database's clock, which rules where several machines share one log.

A schedule must not depend on which machine looks at it, and machines disagree about the time. So
each process measures how far the database's clock is ahead of its own monotonic clock, which
nobody can set, and tells the time by that offset. Asking for the time costs no query.

What a measurement tells: the database answered at some moment between question and answer. So the
offset lies in an interval as wide as the round trip, and the shortest of several round trips says
the most. A new measurement moves the clock only as far as it contradicts the present offset, so an
offset that is still possible stays as it is.

A correction backwards makes the clock stand still until the time that it had told is reached, so
that nobody in the process sees time go back. Only where it would stand for longer than
``MAX_STANDSTILL``, which takes somebody who sets the database's clock, it goes back at once: what
the database says rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Connection, cast, func, select

from eventstore.database import Database
from eventstore.store import StoreUnavailable
from eventstore.tables import from_microseconds

SAMPLES: Final = 5
"""How often a measurement asks."""

EVERY: Final = 10.0
"""Seconds between measurements. Clocks drift apart by some 50 microseconds a second."""

MAX_STANDSTILL: Final = 1_000_000
"""Microseconds that the clock may stand still for."""

_NOW: Final = select(cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger))


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the database's clock, in microseconds: ours before and after, and its own."""

    asked: int
    told: int
    answered: int

    @property
    def least(self) -> int:
        """The smallest offset that fits: the database looked at its clock last of all."""
        return self.told - self.answered

    @property
    def most(self) -> int:
        """The largest offset that fits: the database looked at its clock first of all."""
        return self.told - self.asked

    def nearest_to(self, offset: int) -> int:
        """The offset that fits and changes the least."""
        return min(max(offset, self.least), self.most)


def best(samples: Iterable[Sample]) -> Sample:
    """The sample that leaves the least doubt."""
    return min(samples, key=lambda sample: sample.answered - sample.asked)


def monotonic_microseconds() -> int:
    """A clock that nobody can set; where it starts means nothing."""
    return time.monotonic_ns() // 1_000


class DatabaseClock:
    """Tells the time in UTC. Measures at once; :meth:`keep_in_step` keeps it right.

    Raises :class:`~eventstore.store.StoreUnavailable` where the first measurement can't be made.
    """

    def __init__(
        self,
        database: Database,
        *,
        monotonic: Callable[[], int] = monotonic_microseconds,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        first = database.read_now(self._measure)
        self._offset = (first.least + first.most) // 2
        self._not_before = 0

    def __call__(self) -> datetime:
        """The time now, by the database's clock."""
        return from_microseconds(max(self._monotonic() + self._offset, self._not_before))

    async def measure(self) -> None:
        """Measure, and correct. Raises :class:`~eventstore.store.StoreUnavailable`."""
        self.correct(await self._database.read(self._measure))

    def correct(self, sample: Sample) -> None:
        """Move as far as the sample contradicts us."""
        present = self._monotonic()
        told = max(present + self._offset, self._not_before)
        self._offset = sample.nearest_to(self._offset)
        stands = told - (present + self._offset)
        self._not_before = told if 0 < stands <= MAX_STANDSTILL else 0

    async def keep_in_step(
        self, pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(EVERY)
    ) -> None:
        """Until cancelled: measure after each ``pause``. While the database is away, go on as before."""
        while True:
            await pause()
            with contextlib.suppress(StoreUnavailable):
                await self.measure()

    def _measure(self, connection: Connection) -> Sample:
        return best([self._look(connection) for _ in range(SAMPLES)])

    def _look(self, connection: Connection) -> Sample:
        asked = self._monotonic()
        told: int = connection.scalar(_NOW) or 0
        return Sample(asked=asked, told=told, answered=self._monotonic())
