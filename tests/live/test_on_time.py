"""Ticks come in real time too; how late they are is for ``benchmarks.on_time`` to say."""

from __future__ import annotations

from tests.live.on_time import watch
from tests.live.receiver import Receiver
from tests.live.service import LiveService


def test_a_job_of_every_even_second_is_called_once_in_each(
    service: LiveService, receiver: Receiver
) -> None:
    watched = watch(service, receiver, ticks=3)
    assert all(tick.second % 2 == 0 for tick in watched.expected)
    assert watched.executions == watched.expected
    assert [tick for tick, _ in watched.arrivals] == watched.expected
    assert all(at >= tick for tick, at in watched.arrivals)
