"""What was promised before ``kill -9`` is kept after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.crash_run import report
from tests.live.crashes import crash


@pytest.mark.timeout(180)
def test_a_service_that_is_killed_again_and_again_keeps_what_it_promised(tmp_path: Path) -> None:
    text, kept = report(crash(tmp_path, kills=5, seed=20), seed=20)
    assert kept, text
