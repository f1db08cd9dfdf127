"""Retention: what has ended leaves the history of its job once it is old enough. Stream ``retention``.

The history goes and the log stays: its events are never removed for their age. That executions
expired is an event like any other, so a history that is made anew from the log lacks them as well.

Executions of all jobs stand in one order of age: by when they happened, and those of the same moment by
their ids, because a hundred thousand jobs may be due at the same moment. An event covers a stretch of
that order which is short enough to go in one transaction. A stretch, and not a number of executions:
what it covers must not depend on jobs that are erased later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

STREAM: Final = "retention"
SUBJECT: Final = "retention"
"""No id has this form, so nobody can have it sealed and erased."""

ACCOUNT: Final = "*"
"""Every account; none can be called so."""

PORTION: Final = 1_000
"""About how many executions one event covers."""

EVERY: Final = timedelta(hours=1)
SOONEST: Final = timedelta(seconds=1)

Place = tuple[datetime, str]
"""Where an execution stands in the order of age: when it happened, and its id."""

BEGINNING: Final[Place] = (datetime(1970, 1, 1, tzinfo=UTC), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionsExpired:
    """A stretch of the history was removed, but for what had not ended.

    It is from the place (``since``, ``since_id``) up to before (``before``, ``before_id``).
    """

    since: datetime
    since_id: str
    before: datetime
    before_id: str


def expire(
    oldest: Place | None, beyond: Place | None, *, horizon: datetime
) -> tuple[ExecutionsExpired, ...]:
    """Have what happened before the horizon expire, up to a portion; nothing to do where none did.

    Of what has ended, ``oldest`` is the first and ``beyond`` the first behind the portion, if there are.
    """
    if oldest is None or oldest[0] >= horizon:
        return ()
    end = (horizon, "")
    if beyond is not None:
        end = min(end, beyond)
    return (
        ExecutionsExpired(since=oldest[0], since_id=oldest[1], before=end[0], before_id=end[1]),
    )


def next_look(beyond: Place | None, *, keep: timedelta, at: datetime) -> datetime:
    """When to look again after nothing was left to do: once a portion is old enough, or in an hour.

    Not once the next execution is, for that would make an event for each of them.
    """
    latest = at + EVERY
    if beyond is None:
        return latest
    return max(at + SOONEST, min(beyond[0] + keep, latest))
