"""Probes and metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.api.asking import Api


async def test_alive_means_that_the_process_answers(api: Api) -> None:
    api.problems["database"] = "gone"
    answer = await api.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_means_that_nothing_is_wrong(api: Api) -> None:
    answer = await api.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "scheduler": "ok"}}


async def test_everything_that_is_wrong_is_told_and_nothing_else(api: Api) -> None:
    api.problems |= {"database": "locked", "broker": "no answer"}
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"error": "not ready: database: locked; broker: no answer"}


async def test_it_is_asked_anew_each_time(api: Api) -> None:
    api.problems["scheduler"] = "34 seconds late"
    assert (await api.client.get("/readyz")).status_code == 503
    api.problems["scheduler"] = None
    assert (await api.client.get("/readyz")).status_code == 200


async def test_metrics_are_in_the_text_format_of_prometheus(api: Api) -> None:
    await api.me.a_project()
    answer = await api.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"cronpulse_http_requests", "cronpulse_pings", "cronpulse_append_seconds"} <= families
