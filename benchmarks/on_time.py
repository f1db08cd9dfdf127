"""How late ticks are: a job of every even second, watched for a minute by the server that it calls.

Lateness is the time from the tick to the arrival of its call's head at the receiver, a process'
thread away on the same machine and its clock. Nothing else runs in the service meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tests.live.on_time import PERIOD, SCHEDULE, watch
from tests.live.receiver import Receiver
from tests.live.service import LiveService


def main() -> None:
    """Watch, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    ticks = int(parser.parse_args().seconds / PERIOD.total_seconds())
    with tempfile.TemporaryDirectory() as scratch, Receiver() as receiver:
        data_dir = Path(scratch) / "data"
        with LiveService(data_dir, log_level="warning") as service:
            watched = watch(service.ready(), receiver, ticks=ticks)
            service.stop()
    called = [tick for tick, _ in watched.arrivals]
    late = watched.lateness()
    print(
        f"schedule {SCHEDULE!r}: {ticks} ticks, {watched.expected[0]:%T} to {watched.expected[-1]:%T}"
    )
    print(
        f"calls at the receiver     {len(called):5}   one for each tick: {called == watched.expected}"
    )
    same = watched.executions == watched.expected
    print(f"executions listed         {len(watched.executions):5}   the same ticks: {same}")
    print(
        f"lateness in ms            median {statistics.median(late):.1f}"
        f"   p99 {late[min(len(late) - 1, round(0.99 * len(late)))]:.1f}   max {late[-1]:.1f}"
    )


if __name__ == "__main__":
    main()
