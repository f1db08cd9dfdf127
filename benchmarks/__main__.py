"""``make bench``: every benchmark, one after the other."""

from __future__ import annotations

import runpy
import sys

BENCHMARKS = ("durable_pings", "outbound_engine", "on_time")

for name in sys.argv[1:] or BENCHMARKS:
    print(f"\n== {name}", flush=True)
    sys.argv[1:] = []
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")
