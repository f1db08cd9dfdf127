"""The keys of the advisory locks that CronPulse takes in a PostgreSQL database, all in one place."""

from __future__ import annotations

from typing import Final

_OURS: Final = int.from_bytes(b"CRON")

APPENDING: Final = f"{_OURS}, 1"
"""Held by the one transaction that appends."""

MIGRATING: Final = f"{_OURS}, 2"
"""Held by the one process that migrates."""
