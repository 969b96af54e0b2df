"""The clock, and the conventional metrics."""

import time

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import metrics
from runtime.clock import timestamp, unix_ns


def test_the_clock_is_the_systems() -> None:
    """Nanoseconds since 1970, between two readings of the system's clock."""
    before = time.time_ns()
    now = unix_ns()
    assert before <= now <= time.time_ns()


@given(st.integers(-(10**18), 4 * 10**18))
def test_a_timestamp_is_the_same_moment(at_unix_ns: int) -> None:
    """No nanosecond is lost, before 1970 neither."""
    made = timestamp(at_unix_ns)
    assert 0 <= made.nanos < 10**9
    assert made.seconds * 10**9 + made.nanos == at_unix_ns


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("grpc_server_started_total", {"grpc_type", "grpc_service", "grpc_method"}),
        ("grpc_server_handled_total", {"grpc_type", "grpc_service", "grpc_method", "grpc_code"}),
        ("grpc_server_msg_received_total", {"grpc_type", "grpc_service", "grpc_method"}),
        ("grpc_server_msg_sent_total", {"grpc_type", "grpc_service", "grpc_method"}),
        ("grpc_server_handling_seconds_bucket", {"grpc_type", "grpc_service", "grpc_method", "le"}),
    ],
)
def test_metrics_have_the_names_that_dashboards_know(name: str, labels: set[str]) -> None:
    """The names and labels are those of go-grpc-prometheus, so that existing dashboards work."""
    own = ("unary", "tests.Service", "Method")
    metrics.started.labels(*own).inc()
    metrics.handled.labels(*own, "OK").inc()
    metrics.received.labels(*own).inc()
    metrics.sent.labels(*own).inc()
    metrics.handling.labels(*own).observe(0.001)
    samples = [
        sample
        for family in prometheus_client.REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and sample.labels.get("grpc_service") == "tests.Service"
    ]
    assert samples
    assert all(set(sample.labels) == labels for sample in samples)
