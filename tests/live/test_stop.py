"""Stopping ``cronpulse serve`` while things are under way, and what the next start makes of them."""

from __future__ import annotations

import http.client
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.live.receiver import Receiver
from tests.live.service import LiveService, eventually

STOPPED_WITHIN = 5.0
"""Seconds, whatever is under way: what supervises a service gives it ten."""

YEARLY = "0 0 1 1 *"


@contextmanager
def clients_that_hold_on(service: LiveService) -> Iterator[None]:
    """A kept-alive connection, one that never said anything, and one that broke off in the middle."""
    place = urlsplit(service.url)
    with ExitStack() as stack:
        kept = stack.enter_context(
            closing(http.client.HTTPConnection(place.hostname or "", place.port))
        )
        kept.request("GET", "/healthz")
        assert kept.getresponse().read() == b'{"status":"ok"}'
        for sent in (b"", b"POST /api/ping/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"):
            connection = socket.create_connection((place.hostname, place.port))
            stack.enter_context(connection)
            connection.sendall(sent)
        yield


def test_it_stops_in_time_whatever_hangs_and_the_next_start_settles_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    with LiveService(tmp_path / "data", log_level="debug") as first:
        first.ready()
        key = first.key
        jobs = {
            method: first.a_job(f"{receiver.url}/hang/{method}", YEARLY, method=method, timeout=300)
            for method in ("GET", "POST")
        }
        for method, job_id in jobs.items():
            first.told("POST", f"/api/v1/jobs/{job_id}/run")
            receiver.was_called(f"/hang/{method}")
        with clients_that_hold_on(first):
            assert first.stop(signal.SIGTERM, within=STOPPED_WITHIN) == 0

    with LiveService(tmp_path / "data", log_level="debug") as second:
        second.ready()
        assert "cpk_" not in second.printed

        def last(method: str) -> tuple[str, str | None]:
            found = second.told("GET", f"/api/v1/jobs/{jobs[method]}/executions", key=key)
            return found[0]["status"], found[0]["reason"]

        first_call, again = receiver.was_called("/hang/GET", times=2)
        assert first_call.idempotency_key == again.idempotency_key
        assert last("GET") == ("running", None)
        eventually("the POST is given up", lambda: last("POST") == ("failed", "abandoned"))
        assert len(receiver.calls("/hang/POST")) == 1
        assert second.stop(signal.SIGINT, within=STOPPED_WITHIN) == 0
        log = second.errors.read_text()

    # uvicorn calls it an error that it cut off the request that never came to its end
    errors = [line for line in log.splitlines() if " error " in line and "uvicorn" not in line]
    assert errors == []
