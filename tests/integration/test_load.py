"""The load test in a short form: however long it takes, all are answered, none is lost, none is carried out twice."""

import pytest

from marketdata.trades import KEPT_TRADES_MAX
from tests.load.latency import Latencies
from tests.load.load import WAYS, Load, measure
from tests.load.memory import slope
from tests.load.soak import DESKS, MINUTES, WARM_UP_SHARE, Growth, filling_bytes, must_be_flat


async def test_load_by_each_way_loses_nothing() -> None:
    """Orders by unary calls, by many sessions and by REST at three gateways: the drop copy has each of them once."""
    load = Load(rate_per_s=150, seconds=0.4, gateways=3, sessions=30, desks=10)
    figures = await measure(load)
    assert figures["orders"] == 2 * 60 * len(WAYS)
    for way in WAYS:
        latencies = figures[way]
        assert isinstance(latencies, Latencies)
        assert latencies.count == 60
        assert 0 < latencies.p50_us <= latencies.p90_us <= latencies.p99_us <= latencies.p999_us <= latencies.max_us
    servers = ("gateway", "gateway-1", "gateway-2", "matching", "marketdata", "compliance", "envoy")
    assert all(figures[f"rss_mb_{server}_end"] > 0 for server in servers)


def test_a_slope_disregards_a_jump() -> None:
    """Growth is what most of the samples show: a single jump, up or down, is none."""
    assert slope([(float(second), 7_000 + 250 * second) for second in range(20)]) == 250
    assert slope([(float(second), 1_000_000 + (5_000_000 if second > 10 else 0)) for second in range(40)]) == 0


@pytest.mark.parametrize(
    ("bytes_per_order", "flat"),
    [(-50, True), (0, True), (39, True), (41, False), (400, False)],
)
def test_flat_has_a_bound(bytes_per_order: float, flat: bool) -> None:
    """A server may keep 32 bytes of an order and 4 MB besides: 40 bytes for each of half a million orders."""
    growth = Growth("gateway", bytes_per_s=bytes_per_order * 500_000 / 450, seconds=450, orders=500_000)
    assert growth.is_flat is flat


def test_the_log_of_trades_may_fill() -> None:
    """400 bytes for each trade until the log is full, and none after that; two orders make a trade."""
    assert filling_bytes("marketdata", 1_000, 3_000) == 400 * 1_000
    assert filling_bytes("marketdata", 0, 10**9) == 400 * KEPT_TRADES_MAX
    assert filling_bytes("marketdata", 2 * KEPT_TRADES_MAX, 10**9) == 0
    assert filling_bytes("gateway", 0, 10**9) == 0
    growth = Growth("marketdata", bytes_per_s=100_000, seconds=100, orders=10, filling_bytes=5_000_000)
    assert not growth.is_flat


def test_a_thousand_a_second_are_enough_for_matching() -> None:
    """At that rate the windows of the soak's desks are full when matching begins to be held to its bound."""
    assert must_be_flat("matching", 1_000 * MINUTES * 60 * WARM_UP_SHARE, DESKS)


@pytest.mark.parametrize(
    ("name", "orders_before", "flat"),
    [
        ("gateway-2", 0, True),
        ("envoy", 0, True),
        ("matching", 199_999, False),
        ("matching", 200_000, True),
        ("postgres", 10**9, False),
    ],
)
def test_who_must_be_flat(name: str, orders_before: float, flat: bool) -> None:
    """Gateways and Envoy always; matching once the windows of its accounts are full; the database never."""
    assert must_be_flat(name, orders_before, desks=2) is flat
