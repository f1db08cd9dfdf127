"""What is left after a chaos run, beyond what every crash run leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.live.chaos_cluster import NO_DATABASE
from tests.live.chaos_faults import Fault
from tests.live.chaos_redis import CANARY
from tests.live.evidence import Evidence

OUTAGES: Final = re.compile(
    r"\d+ checks have to wait: .+"
    r"|execution \w+ is left to be found again: .+"
    r"|what was not begun is left to be found again: .+"
    r"|a part of the scheduler has to wait: .+"
    r"|(?:sending messages to|taking messages from) \S+ does not work: .+"
    r"|the database can't be listened to; .+"
)
"""What a process may warn of while the database or Redis is away: that, and that it goes on later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInRedis:
    """What was read along and found in Redis; ``faults`` says what should not have been there."""

    commands: int
    messages: int
    looks: int
    faults: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFromOutside:
    """The longest times, in seconds, that were seen in the database while it went on."""

    looks: int
    without_a_look: float
    at_rest: float
    who_rested: str
    overdue: float


@dataclass(frozen=True, kw_only=True)
class ChaosEvidence(Evidence):
    """``fields`` are those of the jobs as they were sent, by number; ``pinged`` and ``silent`` ids of
    watched jobs. ``limit``: seconds after which something counts as stuck. ``ended`` tells of processes
    that ended by themselves or not as they should, ``starts`` counts those that were ever started, and
    ``started_in_vain`` those of them that found no database. It all ``began`` and had
    ``settled`` at these times.
    """

    fields: Sequence[Mapping[str, Any]]
    pinged: Sequence[str]
    silent: Sequence[str]
    faults: Sequence[Fault]
    redis: SeenInRedis
    outside: SeenFromOutside
    ended: Sequence[str]
    starts: int
    started_in_vain: int
    limit: float
    began: datetime
    settled: datetime


def complaints(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The lines of logs, each with the name of its process, that no outage explains."""
    for name, line in lines:
        if NO_DATABASE.fullmatch(line):
            continue
        if CANARY in line:
            yield f"{name}: a secret or a payload is in a line of the log"
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            yield f"{name}: {line[:300]}"
            continue
        message = str(entry.get("message"))
        if (
            entry.get("level") != "warning"
            or "exception" in entry
            or not OUTAGES.fullmatch(message)
        ):
            yield f"{name}: {entry.get('level')} {message[:300]} {_where(entry)}".rstrip()


def _where(entry: Mapping[str, Any]) -> str:
    """The end of a traceback."""
    lines = str(entry.get("exception", "")).strip().splitlines()
    return " | ".join(line.strip() for line in lines[-3:])
