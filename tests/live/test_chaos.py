"""The scaled shape under faults, in a minute; ``make chaos`` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.chaos import Options, chaos
from tests.live.chaos_plan import plan
from tests.live.chaos_run import judged, report

SEED = 20
STUCK_AFTER = 180.0
"""Seconds. What waits so long waits for ever; how long it takes at most is for the long form to say."""


@pytest.mark.timeout(1200)
def test_nothing_is_lost_or_doubled_whatever_is_killed_stopped_or_emptied(tmp_path: Path) -> None:
    faults = plan(seconds=60, seed=SEED, database_every=25)
    options = Options(jobs=200, seed=SEED, plan=faults, calm=5, limit=STUCK_AFTER)
    evidence = chaos(tmp_path, options, say=print)
    found = judged(evidence)
    assert not any(finding.broken for finding in found), report(evidence, found, options=options)
