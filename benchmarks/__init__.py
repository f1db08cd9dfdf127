"""How fast CronPulse is, always as a ratio to a limit or a peer that ran in the same minutes.

``make bench`` runs them all and prints one table; ``python -m benchmarks NAME`` runs some of them.
``--write`` puts what came out into ``docs/performance.md``. Nothing here decides whether a test passes:
the machine's speed is nobody's fault.

Ours and its limit take turns in short rounds, so that what else the machine does hits both alike; what
is reported are the medians of the rounds, and how far the ratios were apart. Where it is told how long
processors worked, that comes from ``/proc``: the benchmarks need Linux.
"""
