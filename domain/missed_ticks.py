"""Ticks that have come and are not recorded yet: the latest of them stands for all.

After a downtime one check is made, not a hundred; its record says how many ticks it stands for
(docs/decisions/0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The tick to be recorded, and how many others have come before it."""

    tick: datetime
    others: int


def missed(schedule: Schedule, *, tick: datetime, since: datetime, until: datetime) -> Missed:
    """What has come by ``until``, where ``tick`` is the first that is not recorded.

    Further ticks are those of the schedule after ``since``, from when on it is followed: ``tick`` may
    be one of an earlier schedule.
    """
    since = max(tick, since)
    latest = schedule.latest_until(until, after=since)
    if latest is None:
        return Missed(tick=tick, others=0)
    return Missed(tick=latest, others=schedule.count_between(since, latest))
