"""What is left after the crashes: the log, the history that the API shows, and what others saw.

The log is read with plain SQL (:mod:`tests.live.logged`), so that of the service nothing but its event
codec and the rules of its hash chain is trusted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tests.live.load import Promises
from tests.live.logged import Log
from tests.live.receiver import Call

_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that anybody saw.

    ``histories`` are the executions of jobs as the API listed them, oldest first, and ``listed`` the
    jobs as it listed them in the end. ``left`` says what is left of deleted jobs, ``unfinished`` what
    is still under way, ``corrupt`` what the database says of itself. ``complaints`` are the lines of
    the service's own log that should not be there.
    """

    log: Log
    calls: Sequence[Call]
    promises: Promises
    histories: Mapping[str, Sequence[Mapping[str, Any]]]
    listed: Sequence[Mapping[str, Any]] = ()
    left: Sequence[str] = ()
    unfinished: Sequence[str] = ()
    corrupt: Sequence[str] = ()
    audit: str
    """What ``audit check`` printed."""
    complaints: Sequence[str] = ()
    lines_logged: int = 0
    clocks_apart: timedelta = field(default=timedelta())
    """How far the service's clock and the receiver's may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was promised, in how many cases it was looked at, and where it was broken."""

    promise: str
    looked_at: str
    broken: Sequence[str] = field(default=())

    def __str__(self) -> str:
        told = f"{'BROKEN' if self.broken else 'kept':6}  {self.promise}\n        {self.looked_at}"
        shown = [f"\n        - {each}" for each in self.broken[:_SHOWN]]
        more = len(self.broken) - len(shown)
        return told + "".join(shown) + (f"\n        - and {more} more" if more > 0 else "")
