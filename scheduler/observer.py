"""What the scheduler tells of its work, to whoever measures it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

TickOutcome = Literal["due", "skipped"]


class Observer:
    """Is told what happens. This one does not mind; metrics override what they count."""

    def ticked(self, outcome: TickOutcome, lateness: timedelta) -> None:
        """A tick was recorded so long after its time."""

    def check_started(self) -> None:
        """A call is about to be made."""

    def check_ended(self, status: str, reason: str | None, took: timedelta) -> None:
        """A call that was begun is over, recorded or not."""

    def check_abandoned(self) -> None:
        """A call that a crash cut off was given up."""

    def heartbeat_missed(self) -> None:
        """A miss was recorded."""

    def erasing(self, pending: int) -> None:
        """So many deleted things still have payloads to be erased."""


SILENT = Observer()
