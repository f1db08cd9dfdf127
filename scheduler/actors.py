"""The dramatiq actor: takes execution ids off the broker and hands them to the runner.

It returns once there was room for its checks, and does not wait for their end: a slow answer must not
hold up a worker thread. The message is acknowledged then; what became of the checks is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

import dramatiq

from scheduler.check_runner import CheckRunner

QUEUE: Final = "checks"
ACTOR: Final = "run_checks"
WORKER_THREADS: Final = 2
"""Enough: a thread only waits for the event loop to take its checks."""


def declare(broker: dramatiq.Broker, runner: CheckRunner, loop: asyncio.AbstractEventLoop) -> None:
    """Declare the actor on the broker, so that a worker runs it."""

    def run_checks(execution_ids: list[str]) -> None:
        asyncio.run_coroutine_threadsafe(runner.admit(execution_ids), loop).result()

    dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=broker)(run_checks)


def sender(broker: dramatiq.Broker, now: Callable[[], datetime]) -> Callable[[list[str]], object]:
    """What sends ids to the actor, wherever it runs; may block, and raises the broker's errors."""
    broker.declare_queue(QUEUE)
    return partial(_send, broker, now)


def _send(broker: dramatiq.Broker, now: Callable[[], datetime], execution_ids: list[str]) -> None:
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=QUEUE,
        actor_name=ACTOR,
        args=(execution_ids,),
        kwargs={},
        options={},
        message_timestamp=round(now().timestamp() * 1000),
    )
    broker.enqueue(message)
