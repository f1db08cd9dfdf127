"""Lookups that take for ever harm nobody but themselves."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from scheduler import system_resolver as module
from scheduler.system_resolver import LOOKUPS_AT_ONCE, system_resolver

ENDS_DURING_A_LOOKUP = """
import asyncio, socket, threading
from scheduler.system_resolver import system_resolver

looking = threading.Event()
socket.getaddrinfo = lambda *_: looking.set() or threading.Event().wait()

async def main():
    lookup = asyncio.create_task(system_resolver()("silent.example", 80))
    await asyncio.to_thread(looking.wait)

asyncio.run(main())
"""


@dataclass
class StuckLookups:
    """Lookups that are under way until they are let go."""

    begun: list[bytes] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    released: bool = False

    def __call__(self, host: bytes, port: int, *_: object) -> list[object]:
        with self.changed:
            self.begun.append(host)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.released)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]

    def have_begun(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= number, timeout=30)

    def release(self) -> None:
        with self.changed:
            self.released = True
            self.changed.notify_all()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckLookups]:
    lookups = StuckLookups()
    monkeypatch.setattr(socket, "getaddrinfo", lookups)
    yield lookups
    lookups.release()


async def test_a_lookup_that_nobody_waits_for_any_more_keeps_its_place_until_it_ends(
    stuck: StuckLookups,
) -> None:
    resolve = system_resolver()
    given_up = [asyncio.ensure_future(resolve("stuck.example", 80)) for _ in range(LOOKUPS_AT_ONCE)]
    await asyncio.to_thread(stuck.have_begun, LOOKUPS_AT_ONCE)
    for lookup in given_up:
        lookup.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)

    waiting = asyncio.ensure_future(resolve("waiting.example", 80))
    await asyncio.sleep(0)
    assert b"waiting.example" not in stuck.begun
    stuck.release()
    assert await waiting == ["1.1.1.1"]


async def test_what_the_system_says_is_raised_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror, match="not known"):
        await system_resolver()("nowhere.example", 80)


async def test_a_thread_that_can_not_be_had_takes_no_place(
    monkeypatch: pytest.MonkeyPatch, stuck: StuckLookups
) -> None:
    class NoThread:
        def __init__(self, **_: object) -> None:
            pass

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    resolve = system_resolver()
    stuck.release()
    with monkeypatch.context() as without_threads:
        without_threads.setattr(module, "Thread", NoThread)
        for _ in range(LOOKUPS_AT_ONCE):
            with pytest.raises(RuntimeError, match="new thread"):
                await resolve("a.example", 80)
    assert await resolve("a.example", 80) == ["1.1.1.1"]


def test_a_lookup_that_never_ends_does_not_hold_up_the_end_of_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", ENDS_DURING_A_LOOKUP], timeout=30, check=False)
    assert ended.returncode == 0
