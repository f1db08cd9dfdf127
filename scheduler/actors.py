"""The dramatiq actor: takes execution ids off the broker and hands them to the runner.

It returns once there was room for its checks, and does not wait for their end: a slow answer must not
hold up a worker thread. The message is acknowledged then; what became of the checks is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import dramatiq

from scheduler.check_runner import CheckRunner

QUEUE: Final = "checks"
ACTOR: Final = "run_checks"
WORKER_THREADS: Final = 2
"""Enough: a thread only waits for the event loop to take its checks."""


def declare(
    broker: dramatiq.Broker, runner: CheckRunner, loop: asyncio.AbstractEventLoop
) -> Callable[[list[str]], object]:
    """Declare the actor on the broker; returns what sends it a message."""

    def run_checks(execution_ids: list[str]) -> None:
        asyncio.run_coroutine_threadsafe(runner.admit(execution_ids), loop).result()

    declared = dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=broker)(run_checks)
    return declared.send
