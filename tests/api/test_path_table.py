"""Finding the route of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from api.app import routes
from api.health import Readiness
from api.metrics import Metrics
from api.path_table import PathTable


class Serves:
    """Stands in for what serves a route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nothing is to be served")


async def readiness() -> Readiness:
    return Readiness(checks=())


ALL = routes(Metrics(), readiness)


def test_a_parameter_stands_for_one_segment_and_not_for_an_empty_one() -> None:
    table = PathTable([Route("/jobs/{job_id}/run", Serves(), methods=["POST"])])
    found = table.find("/jobs/abc/run")
    assert found is not None
    path, parameters = found
    assert (path.template, parameters) == ("/jobs/{job_id}/run", {"job_id": "abc"})
    for other in ("/jobs//run", "/jobs/abc", "/jobs/a/b/run", "/jobs/abc/run/", "", "/"):
        assert table.find(other) is None


def test_the_routes_of_a_path_stand_together_and_get_serves_head() -> None:
    get, put = Serves(), Serves()
    table = PathTable([Route("/a", put, methods=["PUT"]), Route("/a", get, methods=["GET"])])
    found = table.find("/a")
    assert found is not None
    assert found[0].methods == {"PUT": put, "GET": get, "HEAD": get}
    assert found[0].allow == "GET, HEAD, PUT"


def test_a_route_of_its_own_serves_head_rather_than_get_does() -> None:
    class HeadRoute(Route):
        """Starlette's takes HEAD for itself wherever it takes GET."""

        def __init__(self, path: str, endpoint: Serves, method: str) -> None:
            super().__init__(path, endpoint, methods=[method])
            self.methods = {method}

    get, head = Serves(), Serves()
    for routes_in_order in (
        [HeadRoute("/a", get, "GET"), HeadRoute("/a", head, "HEAD")],
        [HeadRoute("/a", head, "HEAD"), HeadRoute("/a", get, "GET")],
    ):
        found = PathTable(routes_in_order).find("/a")
        assert found is not None
        assert found[0].methods == {"GET": get, "HEAD": head}


def test_a_literal_goes_before_a_parameter() -> None:
    table = PathTable([Route("/jobs/{job_id}", Serves()), Route("/jobs/all", Serves())])
    for path, template in (("/jobs/all", "/jobs/all"), ("/jobs/al", "/jobs/{job_id}")):
        found = table.find(path)
        assert found is not None
        assert found[0].template == template


def test_one_segment_can_not_have_two_names() -> None:
    with pytest.raises(ValueError, match="this segment is job_id elsewhere"):
        PathTable([Route("/a/{job_id}", Serves()), Route("/a/{id}/b", Serves())])


SEGMENTS = sorted({segment for route in ALL for segment in route.path.split("/")} | {"x", ""})


@given(st.lists(st.sampled_from(SEGMENTS), max_size=6))
def test_it_finds_what_starlette_would_find(segments: list[str]) -> None:
    path = "/".join(["", *segments])
    scope = {"type": "http", "path": path, "method": "GET"}
    matched = [route for route in ALL if route.matches(scope)[0] is not Match.NONE]
    found = PathTable(ALL).find(path)
    if found is None:
        assert matched == []
    else:
        assert found[0].template in {route.path for route in matched}
        child = next(r for r in matched if r.path == found[0].template).matches(scope)[1]
        assert child["path_params"] == found[1]
