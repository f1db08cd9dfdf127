"""Where the time of a running process goes: samples of its stacks, and each thread's processor time.

py-spy takes the samples; it is not a dependency (``uvx py-spy`` fetches it, ``pip install py-spy`` does).
Samples that show a thread waiting are left out. The rest are shares of what the kernel says that the
thread's processor time was. What a line of ours calls is counted with it, except the web server's.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RATE: Final = 250
"""Samples a second: more would slow the process down."""

_STACK: Final = re.compile(r"thread \((\w+)\)(?:: )?(.*)")
_FRAME: Final = re.compile(r"(\S+) \((.*):\d+\)")
_OURS: Final = re.compile(r"(?:.*/)?((?:api|domain|eventstore|projections|scheduler)/.+)\.py")
_SERVER: Final = re.compile(r"(?:.*/)?uvicorn/.+\.py")
_WAITS: Final = frozenset(
    {
        "_worker concurrent/futures/thread.py",
        "Condition.wait threading.py",
        "Connection.wait psycopg/connection.py",
        "Appender._run eventstore/appender.py",
        "Event.wait threading.py",
        "select selectors.py",
    }
)
SERVER: Final = "HTTP server"
LOOP: Final = "event loop"

LABELS: Final[Sequence[tuple[str, str]]] = (
    (r"api/(middleware|logs|metrics)\b", "request id, access line, metrics"),
    (r"(api/(auth|key_format)|projections/api_keys|eventstore/secrets)\b", "API key"),
    (r"api/(commands|queries|service|ids)\b|domain/", "commands and domain"),
    (r"api/", "routing, parsing and rendering"),
    (r"eventstore/(transact|appender)\b", "handing to the appender and back"),
    (r"eventstore/(admission|hashing|sql_store|store)\b", "admitting and hashing"),
    (r"eventstore/(sqlite|postgres)\b .*_facts", "admitting and hashing"),
    (r"eventstore/(sqlite|postgres)\b", "inserting events, notifying"),
    (r"eventstore/(sqlite_database|postgres_database|postgres_connections)\b", "begin and commit"),
    (r"eventstore/(reading|statements|tables)\b", "reading the log"),
    (r"eventstore/", "event store, other"),
    (r"projections/", "read models"),
    (
        r"scheduler/(http_check|guarded_transport|http_exchange|network_guard|host_slots)\b",
        "the call",
    ),
    (r"scheduler/", "scheduler"),
)
"""What a function's time is called, by its module and name; the first that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Seconds of processor time by thread and function, as ``(thread, function)``."""

    functions: dict[tuple[str, ...], float] = field(default_factory=dict)

    def by_label(self) -> dict[tuple[str, ...], float]:
        """The same by thread and label."""
        labelled: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for (thread, function), seconds in self.functions.items():
            labelled[thread, label_of(function)] += seconds
        return labelled


def label_of(function: str) -> str:
    """What the time of a function is called."""
    for pattern, label in LABELS:
        if re.match(pattern, function):
            return label
    return function


@contextmanager
def sampled(pid: int, *, py_spy: str | None = None) -> Iterator[Profile]:
    """Sample a process while the block runs; the profile is filled then.

    Raises ``FileNotFoundError`` where there is no py-spy: on the ``PATH``, unless it is named.
    """
    found = py_spy or shutil.which("py-spy")
    if found is None:
        raise FileNotFoundError("no py-spy: put it on the PATH, or name it with --py-spy")
    profile = Profile()
    with tempfile.TemporaryDirectory() as scratch:
        stacks = Path(scratch) / "stacks"
        command = [found, "record", "-p", str(pid), "-r", str(RATE), "-f", "raw", "-t"]
        spying = subprocess.Popen(
            [*command, "-o", str(stacks)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        before = _threads(pid)
        try:
            yield profile
            after = _threads(pid)
        finally:
            spying.send_signal(signal.SIGINT)
            said, _ = spying.communicate()
        if not stacks.exists():
            raise RuntimeError(f"py-spy took no samples: {said.decode()}")
        took = {tid: seconds - before.get(tid, 0.0) for tid, seconds in after.items()}
        profile.functions.update(_shared_out(stacks.read_text().splitlines(), took))


def _shared_out(lines: Sequence[str], took: dict[int, float]) -> dict[tuple[str, ...], float]:
    samples: defaultdict[int, Counter[str]] = defaultdict(Counter)
    names: dict[int, str] = {}
    for line in lines:
        stack, _, times = line.rpartition(" ")
        thread, *frames = stack.split(";")
        found = _STACK.match(thread)
        if found is None or not frames or _waits(frames[-1]):
            continue
        tid = int(found[1], 0)
        names[tid] = re.sub(r"[-_]\d+$", "", found[2]) or "thread"
        samples[tid][_function(frames)] += int(times)
    shares: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for tid, seconds in took.items():
        if tid not in samples:
            shares["other threads", "not sampled"] += seconds
            continue
        total = samples[tid].total()
        for function, count in samples[tid].items():
            shares[names[tid], function] += seconds * count / total
    return shares


def _waits(frame: str) -> bool:
    found = _FRAME.fullmatch(frame)
    return found is not None and f"{found[1]} {found[2]}" in _WAITS


def _function(frames: Sequence[str]) -> str:
    """The innermost of ours, or that it was the server's or the loop's time."""
    for frame in reversed(frames):
        found = _FRAME.fullmatch(frame)
        if found is None:
            continue
        if _SERVER.fullmatch(found[2]):
            return SERVER
        ours = _OURS.fullmatch(found[2])
        if ours is not None:
            return LOOP if ours[1].startswith("api/cli") else f"{ours[1]} {found[1]}"
    return LOOP


def _threads(pid: int) -> dict[int, float]:
    """Seconds of processor time of each thread until now."""
    tick = 1 / os.sysconf("SC_CLK_TCK")
    taken = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(") ")[2].split()
        taken[int(task.name)] = (int(fields[11]) + int(fields[12])) * tick
    return taken
