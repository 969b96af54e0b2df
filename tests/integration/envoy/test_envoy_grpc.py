"""gRPC and gRPC-Web through the real Envoy, and what cannot be reached through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from ordergate.matching.v1 import matching_pb2, matching_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders

from runtime.channels import client_channel

if TYPE_CHECKING:
    from tests.integration.envoy.conftest import Door


def order(**terms: Any) -> entry.SubmitOrderRequest:
    """A request with these terms."""
    return entry.SubmitOrderRequest(order=orders.OrderTerms(**terms))


async def test_envoy_plain_grpc(door: Door) -> None:
    """gRPC goes through unchanged: a unary call, its error with all details, and a session in both directions."""
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(door.channel)
    # Larger than any REST body may be: for gRPC the servers decide.
    response = await stub.SubmitOrder(order(cl_ord_id="g-1", decision_maker="x" * 2_000_000))
    assert response.report.cl_ord_id == "g-1"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.SubmitOrder(order(symbol="NOSUCH"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(cast(bytes, refused.value.trailing_metadata()["grpc-status-details-bin"]))
    assert status.details[0].Unpack(info)
    assert info.reason == "SYMBOL_UNKNOWN"
    session = stub.OrderSession()
    for commands in (1, 2, 3):
        await session.write(
            entry.OrderSessionRequest(frame=entry.CommandFrame(commands=[entry.SessionCommand()] * commands))
        )
        assert (await session.read()).seq == commands
    await session.done_writing()
    assert await session.read() is grpc.aio.EOF


async def test_envoy_internal_services_are_closed(door: Door) -> None:
    """Matching, health and reflection are served right behind the door, and nobody outside can call them."""

    async def outcome(call: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        return refused.value.code(), refused.value.details() or ""

    async with client_channel(door.settings.gateway_address) as inside:
        inner_matching: Any = matching_pb2_grpc.MatchingServiceStub(inside)
        inner_probe: Any = health_pb2_grpc.HealthStub(inside)
        assert await inner_matching.LookupOrder(matching_pb2.LookupOrderRequest()) is not None
        assert await inner_probe.Check(health_pb2.HealthCheckRequest())
    matching: Any = matching_pb2_grpc.MatchingServiceStub(door.channel)
    probe: Any = health_pb2_grpc.HealthStub(door.channel)
    mirror: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, door.channel))
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    closed = (grpc.StatusCode.UNIMPLEMENTED, "No such method.")
    assert await outcome(matching.LookupOrder(matching_pb2.LookupOrderRequest())) == closed
    assert await outcome(probe.Check(health_pb2.HealthCheckRequest())) == closed
    assert await outcome(anext(aiter(mirror.ServerReflectionInfo(iter(requests))))) == closed


def frame(message: bytes) -> bytes:
    """A message as gRPC-Web sends it: flags, length, bytes."""
    return b"\0" + len(message).to_bytes(4, "big") + message


async def test_envoy_grpc_web(door: Door) -> None:
    """A page on this machine calls over gRPC-Web: the answer and the trailers are in the body, the origin allowed."""
    request = order(cl_ord_id="w-1")
    response = await door.rest.post(
        "/ordergate.orders.v1.OrderEntryService/SubmitOrder",
        content=frame(request.SerializeToString()),
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": "http://localhost:3000"},
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/grpc-web+proto"
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    length = int.from_bytes(response.content[1:5], "big")
    message, trailers = response.content[5 : 5 + length], response.content[5 + length :]
    assert entry.SubmitOrderResponse.FromString(message).report.cl_ord_id == "w-1"
    assert trailers[:1] == b"\x80"
    assert b"grpc-status:0" in trailers


@pytest.mark.parametrize(
    ("origin", "path", "allowed"),
    [
        ("http://localhost:3000", "/ordergate.orders.v1.OrderEntryService/SubmitOrder", True),
        ("https://localhost.example.com", "/ordergate.orders.v1.OrderEntryService/SubmitOrder", False),
        ("http://localhost:3000", "/api/v1/orders", False),
        ("http://localhost:3000", "/ordergate.matching.v1.MatchingService/LookupOrder", False),
    ],
)
async def test_envoy_cors(door: Door, origin: str, path: str, allowed: bool) -> None:
    """A browser may call gRPC-Web from a page of this machine, and nothing else from any other."""
    headers = {"origin": origin, "access-control-request-method": "POST"}
    response = await door.rest.options(path, headers=headers)
    assert ("access-control-allow-origin" in response.headers) is allowed
    assert response.is_success is allowed
