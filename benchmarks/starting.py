"""How long a process takes from its start until it answers, and how much memory it has when idle.

``serve`` starts on an empty data directory and makes its database in that time.
"""

from __future__ import annotations

import time

from benchmarks import processor
from benchmarks.places import Place, Servers, Shape
from benchmarks.rows import Effort, Row

READY_WITHIN = 2.0
"""Seconds."""

MEMORY = 150.0
"""Megabytes."""

ROLES: dict[Shape, tuple[str, ...]] = {
    "embedded": ("serve",),
    "scaled": ("api", "scheduler", "worker"),
}


def measure(servers: Servers, shape: Shape, effort: Effort) -> list[Row]:
    """Each role of the shape."""
    rows = []
    for role in ROLES[shape]:
        seen = []
        for _ in range(effort.rounds):
            with servers.place(shape) as place:
                seen.append(_start(place, role, idle=effort.seconds))
        took, memory = ([each[n] for each in seen] for n in (0, 1))
        rows += [
            Row(
                path=f"start of `{role}`",
                shape=shape,
                unit="s",
                ours=took,
                limits={"s": [READY_WITHIN] * len(took)},
                aim=1.0,
                at_most=True,
            ),
            Row(
                path=f"idle memory of `{role}`",
                shape=shape,
                unit="MB",
                ours=memory,
                limits={"MB": [MEMORY] * len(memory)},
                aim=1.0,
                at_most=True,
            ),
        ]
    return rows


def _start(place: Place, role: str, *, idle: float) -> tuple[float, float]:
    """Seconds until it was ready, and megabytes that it had some seconds after."""
    if place.settings.sqlite_path is not None:
        place.settings.sqlite_path.unlink()
    began = time.perf_counter()
    with place.begin(role) as process:
        process.ready()
        took = time.perf_counter() - began
        time.sleep(idle)
        return took, processor.memory(process.pid) / 1e6
