"""Durable pings: against a bare ASGI route on the same server, and batched inserts of the same rows.

A ping is answered once it is on disk and in the read models. The first limit is what the web server
itself can do; the second what a group commit could do at best.
"""

from __future__ import annotations

from benchmarks import inserting
from benchmarks.load import CONNECTIONS, Clients, request
from benchmarks.peers import bare_route, serving
from benchmarks.places import Servers, Shape
from benchmarks.processor import Meter
from benchmarks.rows import Effort, Row, in_turns

JOBS = 64


def measure(servers: Servers, shape: Shape, effort: Effort) -> Row:
    """One process that answers 64 clients."""
    with (
        servers.place(shape) as place,
        servers.place(shape) as other,
        place.api() as api,
        serving(bare_route) as bare,
        Clients() as clients,
    ):
        ids = api.jobs(JOBS, mode="passive")
        requests = [request(api.url, f"/api/ping/{job_id}") for job_id in ids]
        clients.ask(api.url, requests, seconds=effort.seconds)
        meter = Meter(api.processes)

        def pings() -> float:
            with meter.running():
                answered = clients.ask(api.url, requests, seconds=effort.seconds)
                meter.count(answered.count)
            return answered.rate

        def bare_answers() -> float:
            return clients.ask(bare, [request(bare, "/")], seconds=effort.seconds).rate

        with inserting.inserting(place, other, inserting.PING, together=CONNECTIONS) as insert:
            seen = in_turns(
                effort.rounds,
                bare=bare_answers,
                inserts=lambda: insert(effort.seconds),
                ours=pings,
            )
    return Row(
        path="durable pings",
        shape=shape,
        unit="pings/s",
        ours=seen["ours"],
        limits={
            "answers of a bare ASGI route": seen["bare"],
            "batched inserts of a ping's rows": seen["inserts"],
        },
        aim=0.5,
        took=meter.each(),
    )
