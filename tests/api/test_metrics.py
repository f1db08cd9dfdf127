from collections.abc import Iterator
from typing import get_args

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import UNMATCHED, Metrics
from domain.execution import Reason


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    content, _ = metrics.render()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def names(metrics: Metrics) -> Iterator[str]:
    content, _ = metrics.render()
    return (family.name for family in text_string_to_metric_families(content.decode()))


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("http_requests_total", Counter, ("method", "route", "status")),
        ("http_request_seconds", Histogram, ("method", "route")),
        ("pings_total", Counter, ("kind",)),
        ("events_appended_total", Counter, ()),
        ("append_batch_size", Histogram, ()),
        ("append_seconds", Histogram, ()),
        ("log_position", Gauge, ()),
        ("erasures_pending", Gauge, ()),
        ("checks_total", Counter, ("status", "reason")),
        ("check_seconds", Histogram, ()),
        ("checks_in_flight", Gauge, ()),
        ("dispatch_queue_depth", Gauge, ()),
        ("tick_lateness_seconds", Histogram, ()),
        ("ticks_total", Counter, ("outcome",)),
        ("heartbeats_missed_total", Counter, ()),
    ],
)
def test_a_metric_has_its_own_name_with_our_prefix(
    metrics: Metrics, name: str, kind: type[Counter], labels: tuple[str, ...]
) -> None:
    metric = getattr(metrics, name)
    assert type(metric) is kind
    child = metric.labels(*("x" for _ in labels)) if labels else metric
    given = dict.fromkeys(labels, "x")
    if isinstance(child, Histogram):
        child.observe(2)
        assert value(metrics, f"cronpulse_{name}_sum", **given) == 2
    else:
        child.inc(2)
        assert value(metrics, f"cronpulse_{name}", **given) == 2


def test_all_else_is_the_process_and_the_platform_under_their_usual_names(metrics: Metrics) -> None:
    others = {name for name in names(metrics) if not name.startswith("cronpulse_")}
    assert others == {
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_cpu_seconds",
        "process_open_fds",
        "process_max_fds",
        "python_info",
    }


def test_two_of_one_process_do_not_mix(metrics: Metrics) -> None:
    other = Metrics()
    metrics.events_appended_total.inc()
    assert value(metrics, "cronpulse_events_appended_total") == 1
    assert value(other, "cronpulse_events_appended_total") == 0


def test_nothing_of_ours_is_in_the_library_s_global_registry(metrics: Metrics) -> None:
    metrics.events_appended_total.inc()
    assert not [each for each in REGISTRY.collect() if each.name.startswith("cronpulse")]


def test_an_answered_request_is_counted_and_timed_by_its_route(metrics: Metrics) -> None:
    metrics.observe_request(method="GET", route="/api/v1/jobs/{id}", status=200, seconds=0.25)
    metrics.observe_request(method="GET", route="/api/v1/jobs/{id}", status=404, seconds=0.5)
    route = {"method": "GET", "route": "/api/v1/jobs/{id}"}
    assert value(metrics, "cronpulse_http_requests_total", **route, status="200") == 1
    assert value(metrics, "cronpulse_http_requests_total", **route, status="404") == 1
    assert value(metrics, "cronpulse_http_request_seconds_count", **route) == 2
    assert value(metrics, "cronpulse_http_request_seconds_sum", **route) == 0.75
    assert value(metrics, "cronpulse_http_request_seconds_bucket", **route, le="0.25") == 1


def test_methods_that_callers_make_up_are_one_series(metrics: Metrics) -> None:
    before = len(samples(metrics))
    for number in range(100):
        method = f"M{number}"
        metrics.observe_request(method=method, route=UNMATCHED, status=405, seconds=0.1)
    other = {"method": "other", "route": "unmatched"}
    assert value(metrics, "cronpulse_http_requests_total", **other, status="405") == 100
    assert len(samples(metrics)) - before == 1 + len({"sum", "count"}) + 15


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_real_methods_are_counted_by_name(metrics: Metrics, method: str) -> None:
    metrics.observe_request(method=method, route="/", status=200, seconds=0.1)
    assert (
        value(metrics, "cronpulse_http_requests_total", method=method, route="/", status="200") == 1
    )


def test_a_check_is_counted_and_timed(metrics: Metrics) -> None:
    metrics.observe_check(status="success", reason=None, seconds=0.5)
    metrics.observe_check(status="failed", reason="timeout", seconds=30.0)
    metrics.observe_check(status="failed", reason="abandoned", seconds=None)
    assert value(metrics, "cronpulse_checks_total", status="success", reason="") == 1
    assert value(metrics, "cronpulse_checks_total", status="failed", reason="timeout") == 1
    assert value(metrics, "cronpulse_checks_total", status="failed", reason="abandoned") == 1
    assert value(metrics, "cronpulse_check_seconds_count") == 2
    assert value(metrics, "cronpulse_check_seconds_sum") == 30.5


def test_what_has_not_happened_yet_is_told_as_zero(metrics: Metrics) -> None:
    for reason in get_args(Reason):
        assert value(metrics, "cronpulse_checks_total", status="failed", reason=reason) == 0
    assert value(metrics, "cronpulse_checks_total", status="success", reason="") == 0
    for kind in ("beat", "start", "success", "fail"):
        assert value(metrics, "cronpulse_pings_total", kind=kind) == 0
    for outcome in ("due", "skipped"):
        assert value(metrics, "cronpulse_ticks_total", outcome=outcome) == 0
    assert value(metrics, "cronpulse_events_appended_total") == 0


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("append_batch_size", "1.0", "2048.0"),
        ("append_seconds", "0.0005", "10.0"),
        ("check_seconds", "0.01", "300.0"),
        ("tick_lateness_seconds", "0.1", "86400.0"),
    ],
)
def test_buckets_reach_as_far_as_the_thing_measured(
    metrics: Metrics, name: str, first: str, last: str
) -> None:
    bounds = [
        dict(labels)["le"]
        for sample, labels in samples(metrics)
        if sample == f"cronpulse_{name}_bucket"
    ]
    assert (bounds[0], bounds[-2], bounds[-1]) == (first, last, "+Inf")


def test_it_is_rendered_in_the_text_format_without_when_each_series_began(
    metrics: Metrics,
) -> None:
    metrics.observe_request(method="GET", route="/", status=200, seconds=0.1)
    for _ in range(2):
        content, content_type = metrics.render()
        assert content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert b"# TYPE cronpulse_events_appended_total counter\n" in content
        assert b"_created" not in content
        assert b"python_info{" in content
