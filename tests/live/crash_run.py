"""``python -m tests.live.crash_run --kills 100 --seed 1``: the long form of ``test_crashes``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.live.crashes import Aftermath, crash
from tests.live.findings import findings


def report(aftermath: Aftermath, *, seed: int) -> tuple[str, bool]:
    """What was promised and what became of it, and whether all of it was kept."""
    found = findings(aftermath.evidence)
    how = (
        f"killed {aftermath.kills} times (seed {seed}), {aftermath.kills_before_ready} of them"
        f" before it was ready, and stopped {aftermath.stops} times, in {aftermath.seconds:.0f} s"
    )
    lines = [how, *(str(finding) for finding in found)]
    return "\n".join(lines), not any(finding.broken for finding in found)


def main() -> None:
    """Run, and print; exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a directory for the data, which is then kept")
    options = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        directory = options.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        aftermath = crash(directory, kills=options.kills, seed=options.seed, say=say)
        text, kept = report(aftermath, seed=options.seed)
    print(text)
    sys.exit(not kept)


if __name__ == "__main__":
    main()
