"""Doing to the service what was planned, and writing down what was really done, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tests.live.chaos_cluster import Cluster
from tests.live.chaos_plan import Kind, Planned

AT_ONCE: Final = 8
"""Faults that may be under way at the same time; each lasts a few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that was done. ``ended``: the server or process is there again, or started again."""

    kind: Kind
    target: str = ""
    began: datetime
    ended: datetime


class Faults:
    """Carries out a plan. ``before_redis_forgets`` is called while Redis still has what it has."""

    def __init__(self, cluster: Cluster, before_redis_forgets: Callable[[], None]) -> None:
        self._cluster = cluster
        self._before_redis_forgets = before_redis_forgets
        self._redis = threading.Lock()
        self._database = threading.Lock()
        self._stopping: dict[str, threading.Lock] = {
            place.name: threading.Lock() for place in cluster.places
        }

    def carry_out(self, plan: Sequence[Planned]) -> list[Fault]:
        """Return what was done once all of it is over."""
        began = time.monotonic()
        under_way: list[Future[Fault]] = []
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for planned in plan:
                time.sleep(max(0, began + planned.at - time.monotonic()))
                under_way.append(threads.submit(self._do, planned))
        return [each.result() for each in under_way]

    def _do(self, planned: Planned) -> Fault:
        began = datetime.now(UTC)
        match planned.kind:
            case "kill":
                self._cluster.place(planned.target).kill()
            case "stop":
                with self._stopping[planned.target]:
                    self._cluster.place(planned.target).stop_for(planned.lasts)
            case "redis restart":
                began = self._restart_redis(planned.lasts)
            case "redis flush":
                began = self._flush_redis()
            case "database restart" | "database crash":
                began = self._restart_database(crash=planned.kind == "database crash")
        return Fault(kind=planned.kind, target=planned.target, began=began, ended=datetime.now(UTC))

    def _restart_redis(self, away: float) -> datetime:
        with self._redis:
            self._before_redis_forgets()
            began = datetime.now(UTC)
            self._cluster.valkey.stop()
            time.sleep(away)
            self._cluster.valkey.start()
        return began

    def _flush_redis(self) -> datetime:
        with self._redis:
            self._before_redis_forgets()
            began = datetime.now(UTC)
            self._cluster.valkey.flush()
        return began

    def _restart_database(self, *, crash: bool) -> datetime:
        with self._database:
            began = datetime.now(UTC)
            if crash:
                self._cluster.postgres.kill()
            else:
                self._cluster.postgres.stop()
            self._cluster.postgres.start()
        return began
