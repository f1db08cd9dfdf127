"""How long the stages of an outbound call take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

Stage = Literal["dns", "connect", "tls", "first_byte", "body"]


class Stopwatch:
    """Times one stage after the other; ``clock`` gives seconds.

    ``stage`` is the one under way. ``took`` has the milliseconds of those that have ended: a stage
    in which the call failed isn't among them.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.stage: Stage = "dns"
        self.took: dict[Stage, float] = {}
        self._clock = clock
        self._started = self._stage_started = clock()

    def next(self, stage: Stage) -> None:
        """End the stage under way, and begin ``stage``."""
        now = self._clock()
        self.took[self.stage] = (now - self._stage_started) * 1000
        self.stage = stage
        self._stage_started = now

    def total(self) -> float:
        """Return the milliseconds since the start."""
        return (self._clock() - self._started) * 1000
