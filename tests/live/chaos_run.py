"""``make chaos``: prove that the scaled shape loses nothing and doubles nothing, whatever is done to it.

It starts PostgreSQL, Valkey and eight processes of CronPulse in a temporary directory, kills and stops
them under load for ten minutes, and holds the log against what an independent receiver wrote down.
Exit code 0 if every promise was kept, 1 if one was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from tests.live.chaos import Options, chaos
from tests.live.chaos_evidence import ChaosEvidence
from tests.live.chaos_findings import chaos_findings
from tests.live.chaos_numbers import Numbers, numbers
from tests.live.chaos_plan import DATABASE_EVERY, plan, summary
from tests.live.evidence import Finding
from tests.live.findings import findings


def judged(evidence: ChaosEvidence) -> list[Finding]:
    """Everything that was promised, and what became of it."""
    return [*findings(evidence), *chaos_findings(evidence)]


def report(evidence: ChaosEvidence, found: Sequence[Finding], *, options: Options) -> str:
    """A page."""
    broken = sum(bool(finding.broken) for finding in found)
    seconds = (evidence.settled - evidence.began).total_seconds()
    how = (
        f"seed {options.seed}, {options.jobs} jobs, {seconds:.0f} s from the first tick to the end of"
        f" the last check, on {os.cpu_count()} processors"
    )
    return "\n".join(
        [
            how,
            *_told(numbers(evidence)),
            "",
            *(str(finding) for finding in found),
            "",
            f"{len(found)} promises, {broken} broken" if broken else f"all {len(found)} kept",
        ]
    )


def _told(measured: Numbers) -> Iterator[str]:
    faults = ", ".join(f"{number} x {kind}" for kind, number in sorted(measured.faults.items()))
    yield f"{sum(measured.faults.values())} faults: {faults}"
    yield (
        f"{measured.events:,} events, {measured.calls:,} calls, {measured.writes:,} writes answered"
        f" ({measured.pings:,} pings)"
    )
    yield f"from tick to call, in calm          {measured.late_in_calm}"
    yield f"from tick to call, faults nearby    {measured.late_in_chaos}"
    yield f"from tick to the end of the check   {measured.ended_after}"
    yield f"from Redis' return to a new call    {measured.redis_again}"
    yield f"PostgreSQL away                     {measured.database_away}"
    yield f"from its return to a new call       {measured.database_again}"
    yield f"longest without any call            {measured.longest_silence:.2f} s"


def as_json(
    evidence: ChaosEvidence, found: Sequence[Finding], *, options: Options
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "seed": options.seed,
        "jobs": options.jobs,
        "kept": not any(finding.broken for finding in found),
        "plan": [asdict(planned) for planned in options.plan],
        "numbers": numbers(evidence).as_json(),
        "findings": [asdict(finding) for finding in found],
    }


def main() -> None:
    """Run, and print; exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long faults go on (600)")
    parser.add_argument("--jobs", type=int, default=2000, help="how many jobs (2000)")
    parser.add_argument("--seed", type=int, default=1, help="of jobs and faults (1)")
    parser.add_argument("--calm", type=float, default=30, help="seconds before and after (30)")
    parser.add_argument("--limit", type=float, default=60, help="seconds that count as stuck (60)")
    parser.add_argument(
        "--database-every",
        type=float,
        default=DATABASE_EVERY,
        help=f"seconds between restarts of PostgreSQL ({DATABASE_EVERY:.0f})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report there")
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="keep logs, calls and database"
    )
    given = parser.parse_args()
    if given.keep is not None and given.keep.exists():
        parser.error(f"--keep: {given.keep} is there already")
    faults = plan(seconds=given.seconds, seed=given.seed, database_every=given.database_every)
    options = Options(
        jobs=given.jobs, seed=given.seed, plan=faults, calm=given.calm, limit=given.limit
    )
    print(f"seed {options.seed}: {summary(faults)}")
    for planned in faults:
        print(f"  {planned}")
    with _directory(given.keep) as directory:
        kept = given.keep is not None
        evidence = chaos(directory, options, say=_say, keep_database=kept)
    found = judged(evidence)
    print(report(evidence, found, options=options))
    if given.json is not None:
        content = as_json(evidence, found, options=options)
        given.json.write_text(json.dumps(content, indent=2, default=str) + "\n")
    sys.exit(any(finding.broken for finding in found))


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="cronpulse-chaos-") as scratch:
        yield Path(scratch)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)  # so that nothing is left running then either
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing is left running")
