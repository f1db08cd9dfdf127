"""What tests of the API may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.api.asking import Api, asking
from tests.api.serving import Served, serving
from tests.shapes import Shape


@pytest.fixture
async def api(shape: Shape) -> AsyncIterator[Api]:
    async with asking(shape) as running:
        yield running


@pytest.fixture
def served(api: Api) -> Iterator[Served]:
    with serving(api.app) as running:
        yield running
