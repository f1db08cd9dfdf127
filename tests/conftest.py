"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shapes import SHAPES, Shape


@pytest.fixture(params=sorted(SHAPES))
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shape]:
    with SHAPES[request.param](tmp_path) as running:
        yield running
