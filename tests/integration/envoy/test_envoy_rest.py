"""REST through the real Envoy: what comes in, what goes out, and what an error looks like."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

if TYPE_CHECKING:
    import httpx

    from tests.integration.envoy.conftest import Door, OpenDoor

ORDER = {"account": "DEMO", "cl_ord_id": "a-1", "symbol": "AAPL", "side": "SIDE_BUY", "qty": "10"}
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


async def submit(door: Door, **terms: str) -> httpx.Response:
    """Sends an order as JSON."""
    return await door.rest.post("/api/v1/orders", json=ORDER | terms)


async def test_envoy_unary_json(door: Door) -> None:
    """A JSON body becomes the order, and the report comes back as JSON with the names and enums of the contract."""
    response = await submit(door, side="side_buy")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    report = response.json()["report"]
    assert (report["cl_ord_id"], report["side"], report["qty"]) == ("a-1", "SIDE_BUY", "10")


async def test_envoy_defaults_are_printed(door: Door) -> None:
    """A zero, an empty text and an empty list are in the answer: a key that is missing is a riddle."""
    response = await door.rest.get("/api/v1/positions", params={"account": "DEMO"})
    assert response.json() == {"account": "DEMO", "positions": [], "as_of_seq": "0"}


async def test_envoy_every_public_server(door: Door) -> None:
    """Each public server is reached through its own REST paths, repeated query parameters included."""
    prices = await door.rest.get("/api/v1/market-data", params={"symbols": ["AAPL", "MSFT"]})
    assert [entry["symbol"] for entry in prices.json()["market_data"]] == ["AAPL", "MSFT"]
    checkpoint = await door.rest.get("/api/v1/compliance/checkpoint", params={"tree_size": 7})
    assert checkpoint.json()["checkpoint"]["tree_size"] == "7"
    order = await door.rest.get("/api/v1/accounts/DEMO/orders/by-client-id/x.y:z-1_2")
    assert order.json()["order"]["terms"]["cl_ord_id"] == "x.y:z-1_2"
    live = await door.rest.get("/health/live")
    assert (live.status_code, live.json()["status"]) == (200, "COMPONENT_STATUS_UP")


async def test_envoy_not_ready_is_503(door: Door) -> None:
    """A gateway that takes no orders is 503 to whoever probes over REST, with the gateway's reason."""
    response = await door.rest.get("/health/ready")
    assert (response.status_code, response.json()) == (503, {"code": 14, "message": "no matching", "details": []})


async def test_envoy_error_details(door: Door) -> None:
    """A refusal is google.rpc.Status in JSON, with the reason, its numbers and the field at fault."""
    response = await submit(door, symbol="NOSUCH")
    assert response.status_code == 400
    status = response.json()
    assert (status["code"], status["message"]) == (3, "no such symbol")
    info, bad_request = status["details"]
    assert info == {"@type": ERROR_INFO, "reason": "SYMBOL_UNKNOWN", "domain": "ordergate", "metadata": {"n": "1"}}
    assert bad_request["field_violations"][0]["field"] == "order.symbol"


UNSERVED = [
    pytest.param("GET", "/nosuch", None, 404, 5, id="unknown path"),
    pytest.param("PUT", "/api/v1/orders", ORDER, 404, 5, id="unknown method"),
    pytest.param("GET", "/api/v1/positions?acount=DEMO", None, 400, 3, id="unknown query parameter"),
    pytest.param("GET", "/api/v1/compliance/checkpoint?tree_size=x", None, 400, 3, id="not a number"),
    pytest.param("POST", "/api/v1/orders", ORDER | {"side": "UP"}, 400, 3, id="unknown enum value"),
    pytest.param("POST", "/api/v1/orders", "an order", 400, 3, id="not an object"),
    pytest.param("PATCH", "/api/v1/orders/7", {"order_id": "8"}, 400, 3, id="path against body"),
    pytest.param("POST", "/ordergate.orders.v1.OrderEntryService/SubmitOrder", {"order": ORDER}, 404, 5, id="rpc"),
    pytest.param("POST", "/ordergate.orders.v1.OrderEntryService/OrderSession", [], 404, 5, id="session as JSON"),
    pytest.param("POST", "/ordergate.matching.v1.MatchingService/LookupOrder", {}, 404, 5, id="internal"),
    pytest.param("POST", "/api/v1/orders", ORDER | {"decision_maker": "x" * 1_100_000}, 413, 8, id="too large"),
]


@pytest.mark.parametrize(("method", "path", "body", "http_status", "code"), UNSERVED)
async def test_envoy_own_errors_are_json(
    door: Door, method: str, path: str, body: Any, http_status: int, code: int
) -> None:
    """What Envoy itself refuses looks like what the servers refuse: google.rpc.Status in JSON."""
    response = await door.rest.request(method, path, json=body)
    assert response.status_code == http_status
    assert response.headers["content-type"] == "application/json"
    status = response.json()
    assert status.keys() == {"code", "message", "details"}
    assert status["code"] == code
    assert status["message"]


async def test_envoy_deadline_over_rest(door: Door) -> None:
    """A REST client sets a deadline as a gRPC client does."""
    response = await door.rest.post("/api/v1/orders", json=ORDER | {"symbol": "HOLD"}, headers={"grpc-timeout": "50m"})
    assert response.status_code == 504
    assert response.json()["code"] == 4


# What proxies and identity providers are known to call a caller.
IDENTITIES = (
    "x-ordergate-subject",
    "x-jwt-payload",
    "X-JWT-Assertion",
    "x-forwarded-client-cert",
    "x-forwarded-user",
    "x-forwarded-username",
    "X-Forwarded-Email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-auth-request-user",
    "x-authenticated-userid",
    "x-remote-user",
    "x-user",
    "x-user-id",
    "x-userinfo",
    "x-endpoint-api-userinfo",
)


async def test_envoy_headers_from_outside(door: Door) -> None:
    """The names that servers use among themselves do not come in from outside; the token does."""
    headers = dict.fromkeys(IDENTITIES, "root") | {"X-Envoy-Upstream-Rq-Timeout-Ms": "1"}
    response = await door.rest.post("/api/v1/orders", json=ORDER, headers=headers)
    assert response.status_code == 200
    assert door.calls.metadata["authorization"] == door.rest.headers["authorization"]
    assert not {name.lower() for name in headers} & door.calls.metadata.keys()
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(door.channel)
    metadata = tuple((name.lower(), value) for name, value in headers.items())
    await stub.SubmitOrder(entry.SubmitOrderRequest(), metadata=metadata)
    assert not {name.lower() for name in headers} & door.calls.metadata.keys()


async def test_envoy_stream_flows(door: Door) -> None:
    """A stream is one JSON object a line, each there before the next was made; leaving it ends the call."""
    door.calls.stream_ended.clear()
    async with door.rest.stream("GET", "/api/v1/execution-reports:stream?account=DEMO&resume_after=3") as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        assert json.loads(await anext(lines))["subscribed"]["resume_after"] == "3"
        for last_seq in range(5):
            door.calls.released.put_nowait(types.Heartbeat(last_seq=last_seq))
            assert json.loads(await anext(lines))["heartbeat"]["last_seq"] == str(last_seq)
    async with asyncio.timeout(30):
        await door.calls.stream_ended.wait()


async def test_envoy_stream_refused(door: Door) -> None:
    """A stream that is refused before its first message has the HTTP status and the details of the refusal."""
    response = await door.rest.get("/api/v1/execution-reports:stream", params={"account": "NOBODY"})
    assert response.status_code == 403
    assert response.json()["details"][0]["reason"] == "ACCOUNT_NOT_ALLOWED"


async def test_envoy_server_is_gone(open_door: OpenDoor) -> None:
    """Without a server the door answers 503, and says whether the request may have been carried out."""

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    async with open_door() as door:
        await door.servers["marketdata"].stop(None)
        refused = await door.rest.get("/api/v1/market-data")
        await door.servers["gateway"].stop(None)
        host, _, port = door.settings.gateway_address.rpartition(":")
        async with await asyncio.start_server(breaks, host, int(port)):
            unknown = await door.rest.post("/api/v1/orders", json=ORDER)
        assert (refused.status_code, refused.json()["code"], refused.json()["details"]) == (503, 14, [])
        assert (unknown.status_code, unknown.json()["code"]) == (503, 14)
        assert unknown.json()["details"][0]["reason"] == "OUTCOME_UNKNOWN"


async def test_envoy_access_log(open_door: OpenDoor) -> None:
    """Every request is a JSON line with its path, call and status, and without its query, token or body."""
    async with open_door() as door:
        await door.rest.get("/api/v1/positions", params={"account": "SECRET"})
        await door.bare.get("/api/v1/positions", params={"account": "SECRET"}, headers={"authorization": "SECRET"})
        await submit(door, decision_maker="SECRET", symbol="NOSUCH")
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(door.channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.SubmitOrder(entry.SubmitOrderRequest(order=orders.OrderTerms(symbol="NOSUCH")))
    text = door.process.program.log.read_text()
    assert "SECRET" not in text
    assert not any(part in text for part in door.rest.headers["authorization"].split("."))
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["logger"] == "envoy.access"]
    names = ("method", "path", "rpc", "status", "grpc_status")
    submit_order = "/ordergate.orders.v1.OrderEntryService/SubmitOrder"
    assert [tuple(line.get(name) for name in names) for line in logged] == [
        ("GET", "/api/v1/positions", "/ordergate.orders.v1.PortfolioService/ListPositions", 200, "0"),
        ("GET", "/api/v1/positions", "/api/v1/positions", 401, None),
        ("POST", "/api/v1/orders", submit_order, 400, None),
        ("POST", submit_order, submit_order, 200, "3"),
    ]
