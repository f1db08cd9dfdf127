"""One running service, and one receiver of its checks, for all tests that need no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.receiver import Call, Receiver
from tests.live.service import LiveService


def _hangs(call: Call) -> float | None:
    return None if call.path.startswith("/hang") else 0


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Answers at once, but never under ``/hang``."""
    with Receiver(_hangs) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveService]:
    """Logs all that it ever logs, as JSON."""
    data_dir = tmp_path_factory.mktemp("live") / "data"
    failed_before = request.session.testsfailed
    with LiveService(data_dir, log_level="debug", log_format="json") as service:
        yield service.ready()
    if request.session.testsfailed > failed_before:
        service.show_errors()
