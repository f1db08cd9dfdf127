"""How long processes kept the processors busy: user and system time, from ``/proc`` (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")

Seconds = dict[str, float]
"""Of processor time, by the name of what took it."""


def spent(groups: Mapping[str, int]) -> Seconds:
    """What each of these processes has taken until now, together with its descendants."""
    return {name: sum(_seconds(each) for each in family(pid)) for name, pid in groups.items()}


def since(before: Seconds, after: Seconds) -> Seconds:
    """What was taken between the two."""
    return {name: after[name] - taken for name, taken in before.items()}


def family(pid: int) -> Iterator[int]:
    """A process and its descendants, as far as they are there."""
    yield pid
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def memory(pid: int) -> int:
    """Bytes of memory that a process has resident."""
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _seconds(pid: int) -> float:
    """Its own time and that of its children that have ended; 0 for one that has ended itself."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0.0
    after_name = stat.rpartition(") ")[2].split()
    return sum(map(int, after_name[11:15])) * _TICK


class Meter:
    """Adds up what processes take while blocks run, and how many things were done in them."""

    def __init__(self, groups: Mapping[str, int]) -> None:
        self._groups = groups
        self._taken: Seconds = dict.fromkeys(groups, 0.0)
        self._count = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add what is taken during the block."""
        before = spent(self._groups)
        yield
        for name, seconds in since(before, spent(self._groups)).items():
            self._taken[name] += seconds

    def count(self, things: int) -> None:
        """So many more were done."""
        self._count += things

    def each(self) -> dict[str, float]:
        """Microseconds that one of them took."""
        return {name: seconds / self._count * 1e6 for name, seconds in self._taken.items()}
