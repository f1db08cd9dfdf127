"""Pings: what a user's own job says of its runs, and which run a ping is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

PingKind = Literal["beat", "start", "success", "fail"]

OUTPUT_MAX_BYTES: Final = 10_000
MESSAGE_MAX_LENGTH: Final = 2_000
CLIENT_MAX_LENGTH: Final = 200
RUN_ID_MAX_LENGTH: Final = 200
MAX_OPEN_STARTS: Final = 100
"""How many unfinished starts a job keeps; the oldest beyond it is given up as abandoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingReceived:
    """A user's job called. ``run_id`` pairs a start with its finish where runs overlap."""

    ping_id: str
    kind: PingKind
    received_at: datetime
    run_id: str | None = None
    client: str | None = None
    message: str | None = None
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStart:
    """A run that was started and not finished; past ``deadline`` (None: unwatched) it is missed."""

    ping_id: str
    started_at: datetime
    run_id: str | None = None
    tick: datetime | None = None
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What a ping does to the open starts of its job."""

    still_open: tuple[OpenStart, ...]
    finished: OpenStart | None = None
    given_up: OpenStart | None = None


def pair(open_starts: tuple[OpenStart, ...], ping: PingReceived) -> Pairing:
    """Open a start, or find the one that a finish closes.

    That is the one of the same ``run_id``; without one, the latest open start.
    """
    if ping.kind == "start":
        opened = OpenStart(ping_id=ping.ping_id, started_at=ping.received_at, run_id=ping.run_id)
        if len(open_starts) < MAX_OPEN_STARTS:
            return Pairing(still_open=(*open_starts, opened))
        return Pairing(still_open=(*open_starts[1:], opened), given_up=open_starts[0])
    if ping.kind == "beat":
        return Pairing(still_open=open_starts)
    for start in reversed(open_starts):
        if ping.run_id is None or start.run_id == ping.run_id:
            rest = tuple(other for other in open_starts if other is not start)
            return Pairing(still_open=rest, finished=start)
    return Pairing(still_open=open_starts)
