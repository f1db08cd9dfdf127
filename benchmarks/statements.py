"""Where PostgreSQL's time goes: the statements of a server that logs how long each one took.

These are times on the wall: waiting for locks, and at a commit for the disk, is in them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

SETTINGS: Final = {"log_min_duration_statement": "0", "log_line_prefix": "%a|"}
"""For the server."""

SHOWN: Final = 60
"""Characters of a statement."""

_LINE: Final = re.compile(
    r"^cronpulse\|LOG:  duration: ([\d.]+) ms  (?:(?:parse|bind|execute) [^:]*|statement): +(.*)$",
    re.MULTILINE,
)


class Logged:
    """What a server's log has to say from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._from = log.stat().st_size

    def seconds(self) -> dict[str, float]:
        """Seconds by statement, of CronPulse's connections."""
        taken: defaultdict[str, float] = defaultdict(float)
        with self._log.open("rb") as log:
            log.seek(self._from)
            for milliseconds, statement in _LINE.findall(_lines_of(log.read())):
                taken[_shortened(statement)] += float(milliseconds) / 1000
        return taken


def _lines_of(log: bytes) -> str:
    """A statement of several lines has tabs before all but the first."""
    return log.decode(errors="replace").replace("\n\t", " ")


def _shortened(statement: str) -> str:
    words, shorter = "", " ".join(statement.split())
    while words != shorter:  # what stands in parentheses, from the inside out
        words, shorter = shorter, re.sub(r"\([^()]+\)", "()", shorter)
    words = re.sub(r"SELECT .*? FROM", "SELECT … FROM", words, count=1).replace("()", "(…)")
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
