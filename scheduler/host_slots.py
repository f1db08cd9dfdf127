"""At most so many calls to one host at once, whoever set them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class HostSlots:
    """Slots to call a host with, handed out first come, first served.

    A host is known only while somebody has or waits for a slot, so there are never more of them
    than calls under way.
    """

    def __init__(self, per_host: int) -> None:
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    @asynccontextmanager
    async def taken(self, host: str) -> AsyncIterator[None]:
        """Wait for a slot of ``host`` and have it for the length of the block."""
        known = self._hosts.setdefault(host, _Host(self._per_host))
        known.users += 1
        try:
            async with known.slots:
                yield
        finally:
            known.users -= 1
            if not known.users:
                del self._hosts[host]


class _Host:
    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.users = 0
