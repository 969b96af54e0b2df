"""Headers that HTTP allows and gRPC does not: none of them may break a call off and leave its client in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.envoy.conftest import Door

ORDER = {"account": "DEMO", "cl_ord_id": "h-1", "symbol": "AAPL", "side": "SIDE_BUY", "qty": "10"}
NOT_OF_GRPC = ["a%b", "a!b", "a'b", "a|b", "a~b", "x-bin", "X-Trace-Bin", "grpc-tags-bin"]
ONLY_OF_GRPC = ["grpc-encoding", "grpc-accept-encoding", "grpc-previous-rpc-attempts"]


@pytest.mark.parametrize("name", [*NOT_OF_GRPC, *ONLY_OF_GRPC])
async def test_envoy_header_that_a_server_would_break_off_at(door: Door, name: str) -> None:
    """A request with such a header is carried out, and the header does not reach the server."""
    response = await door.rest.post("/api/v1/orders", json=ORDER, headers={name: "%%%", "x-kept": "yes"})
    assert response.status_code == 200, response.text
    assert door.calls.metadata["x-kept"] == "yes"
    # gRPC says of itself what it can unpack.
    assert name.lower() not in door.calls.metadata.keys() - {"grpc-accept-encoding"}
    assert "%%%" not in door.calls.metadata.values()


@pytest.mark.parametrize("timeout", ["", "soon", "-1S", "1.5S", "1", "999999999S", "5s", "1S2S"])
async def test_envoy_deadline_that_is_none(door: Door, timeout: str) -> None:
    """A deadline that cannot be read is an error of the client, and nothing was carried out."""
    door.calls.metadata = {}
    response = await door.rest.post("/api/v1/orders", json=ORDER, headers={"grpc-timeout": timeout})
    assert (response.status_code, response.json()["code"]) == (400, 3)
    assert "grpc-timeout" in response.json()["message"]
    assert door.calls.metadata == {}


@pytest.mark.parametrize("timeout", ["5S", "5000m", "99999999S", "1H", "5000000u", "99999999n"])
async def test_envoy_deadline_that_is_one(door: Door, timeout: str) -> None:
    """Every form that gRPC has for a deadline is one over REST too."""
    response = await door.rest.post("/api/v1/orders", json=ORDER, headers={"grpc-timeout": timeout})
    assert response.status_code in (200, 504)


@pytest.mark.parametrize("size", [1_000, 8_000, 11_000, 13_000, 13_800, 15_000, 30_000, 100_000])
async def test_envoy_large_headers_are_refused_once(door: Door, size: int) -> None:
    """Headers are either small enough for Envoy and the server, or 431: never a server's own words, never a doubt."""
    response = await door.rest.get("/api/v1/positions", params={"account": "DEMO"}, headers={"x-large": "y" * size})
    assert response.status_code == (200 if size < 13_500 else 431)
    assert response.headers["content-type"] == "application/json"
