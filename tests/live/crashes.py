"""Kill the service again and again while it is being used, and gather what is left in the end."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.live.evidence import Evidence, WatchedJob
from tests.live.load import Asker, Deleter, Pinger, Promises, Target, User, gathered
from tests.live.receiver import Call, Receiver
from tests.live.service import LiveService, cronpulse, eventually

KEY: Final = "cpk_crashes" + "0123456789" * 4
PINGERS: Final = 4
JOBS_A_KIND: Final = 2
CHECK_TIMEOUT: Final = 5
"""Seconds; the receiver is always faster."""

OFF: Final = "0 0 0 1 1 *"
"""The schedule that ends a job's ticks."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What is left, and what happened before."""

    evidence: Evidence
    kills: int
    kills_before_ready: int
    seconds: float


def crash(directory: Path, *, kills: int, seed: int, say: Say = lambda _: None) -> Aftermath:
    """Serve from ``directory`` under load, killing the process ``kills`` times by the way."""
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311  (moments, not secrets)
    data_dir = directory / "data"
    unready = 0
    with Receiver(_delays(seed)) as receiver:
        target = Target(key=KEY)
        service = _started(data_dir, target)
        jobs = [*_watched_jobs(service, receiver)]
        users = _users(service, receiver, target)
        for user in users:
            user.start()
        for number in range(kills):
            ready = _kill_some_time(data_dir, service, target, chance)
            unready += not ready
            say(f"killed {number + 1} times")
            time.sleep(chance.choice((0, 0, 0, chance.uniform(0, 3))))
            service = _begun(data_dir)
            ...
    raise AssertionError
