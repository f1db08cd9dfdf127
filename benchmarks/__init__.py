"""How fast CronPulse is, always as a ratio to a limit or a peer that ran in the same minute.

``make bench`` runs them all; ``python -m benchmarks.durable_pings`` runs one. Nothing here decides
whether a test passes: the machine's speed is nobody's fault.
"""
