"""The receiver of a chaos run: a process that nothing is done to, and that keeps a journal.

Each call is in the journal, handed to the operating system, before it is answered: a line of JSON.
How it is answered is in its path, ``/<conduct>/<number of the job>``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.live.receiver import Answer, Call, listen
from tests.live.service import PATIENCE, eventually

ROOT: Final = Path(__file__).parents[2]

OUTPUT_CANARY: Final = "canary-of-an-output"
"""Is in the body of every answer that makes a check fail, and so is kept as its output."""

HANGING_TIMEOUT: Final = 1
"""The time-out, in seconds, of a job whose calls are never answered."""


class ReceiverProcess:
    """The process, for the length of the block."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.url = ""
        self._place = journal.with_suffix(".url")

    def __enter__(self) -> ReceiverProcess:
        command = [sys.executable, "-m", __spec__.name, str(self.journal), str(self._place)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, process_group=0
        )
        eventually("the receiver listens", self._place.exists)
        self.url = self._place.read_text()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()

    def calls(self) -> list[Call]:
        """Every call so far, in the order they came."""
        assert self._process.poll() is None, "the receiver is gone, so nothing can be proved"
        return list(read_journal(self.journal))


def read_journal(journal: Path) -> Iterator[Call]:
    """The calls of a journal."""
    with journal.open() as lines:
        for line in lines:
            fields = json.loads(line)
            arrived_at = datetime.fromisoformat(fields.pop("arrived_at"))
            yield Call(arrived_at=arrived_at, **fields)


def conduct(call: Call, chance: random.Random) -> Answer | None:
    """How a call is answered."""
    match call.path.split("/")[1]:
        case "quick":
            return Answer(after=chance.uniform(0, 0.05))
        case "slow":
            return Answer(after=chance.uniform(0.2, 2.5))
        case "failing":
            return Answer(status=chance.choice((500, 404, 302)), body=OUTPUT_CANARY)
        case "broken":
            return Answer(status=None)
        case "hanging":
            return None
        case other:
            raise ValueError(f"nothing is called at /{other}")


async def _receive(journal: Path, place: Path) -> None:
    chance = random.Random(0)
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(call: Call) -> Answer | None:
        fields = asdict(call) | {"arrived_at": call.arrived_at.isoformat()}
        os.write(file, json.dumps(fields).encode() + b"\n")
        return conduct(call, chance)

    server, url = await listen(note)
    written = place.with_suffix(".new")
    written.write_text(url)
    written.rename(place)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_receive(Path(sys.argv[1]), Path(sys.argv[2])))
