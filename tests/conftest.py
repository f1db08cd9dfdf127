"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import postgres as postgres_server
from tests.servers import valkey as valkey_server
from tests.servers.postgres import Databases
from tests.servers.valkey import RedisServer
from tests.shapes import SHAPES, Shape, embedded, scaled


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    with postgres_server.running() as databases:
        yield databases


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisServer]:
    with valkey_server.running() as server:
        yield server


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shape]:
    if request.param == "embedded":
        opened = embedded(tmp_path)
    else:
        opened = scaled(request.getfixturevalue("postgres"))
    with opened as running:
        yield running


@pytest.fixture
def scaled_shape(postgres: Databases) -> Iterator[Shape]:
    """For what there is only where several processes share a database."""
    with scaled(postgres) as running:
        yield running
