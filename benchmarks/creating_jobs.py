"""``POST /jobs`` under 64 clients: against batched inserts of the same rows.

A job is answered once it is on disk and in the read models, as it then reads.
"""

from __future__ import annotations

import json

from benchmarks import inserting
from benchmarks.load import CONNECTIONS, Clients, request
from benchmarks.places import KEY, Servers, Shape, new_job
from benchmarks.processor import Meter
from benchmarks.rows import Effort, Row, in_turns


def measure(servers: Servers, shape: Shape, effort: Effort) -> Row:
    """One process that answers them all."""
    with (
        servers.place(shape) as place,
        servers.place(shape) as other,
        place.api() as api,
        Clients() as clients,
    ):
        job = json.dumps(new_job(api.project())).encode()
        headers = [f"X-API-Key: {KEY}"]
        requests = [request(api.url, "/api/v1/jobs", method="POST", headers=headers, body=job)]
        meter = Meter(api.processes)

        def created() -> float:
            with meter.running():
                answered = clients.ask(api.url, requests, seconds=effort.seconds, expected=201)
                meter.count(answered.count)
            return answered.rate

        created()
        with inserting.inserting(place, other, inserting.JOB, together=CONNECTIONS) as insert:
            seen = in_turns(effort.rounds, inserts=lambda: insert(effort.seconds), ours=created)
    return Row(
        path="`POST /jobs`, 64 clients",
        shape=shape,
        unit="jobs/s",
        ours=seen["ours"],
        limits={"batched inserts of a job's rows": seen["inserts"]},
        aim=0.25,
        took=meter.each(),
    )
