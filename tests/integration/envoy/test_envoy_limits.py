"""What the door takes at most: what is above is refused or closed in order, and those inside do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
import yaml
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders

from runtime import limits

if TYPE_CHECKING:
    from tests.integration.envoy.conftest import Door, OpenDoor

ORDER = entry.SubmitOrderRequest(order=orders.OrderTerms(cl_ord_id="l-1"))
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


async def restarted(door: Door, change: Callable[[dict[str, Any]], None]) -> None:
    """Starts the door again with a changed configuration."""
    path = Path(next(part for part in door.process.program.command if part.endswith("envoy.yaml")))
    config = yaml.safe_load(path.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
    await door.process.stop()
    await door.process.start()
    await door.process.wait_ready()


async def placed(channel: grpc.aio.Channel, **options: Any) -> None:
    """Places an order, which must be taken."""
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
    assert (await stub.SubmitOrder(ORDER, timeout=20, **options)).report.cl_ord_id == "l-1"


async def test_envoy_metadata_has_a_largest_size(door: Door) -> None:
    """Headers above the limit are 431 for REST and an error for gRPC, below it they pass; the neighbour goes on."""
    too_much = "p" * limits.METADATA_BYTES_MAX
    fits = "p" * (limits.METADATA_BYTES_MAX - 4_096)
    async with door.dial(options=OWN_CONNECTION) as neighbour:
        await placed(door.channel, metadata=(("x-padding", fits),))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await placed(door.channel, metadata=(("x-padding", too_much),))
        assert refused.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
        async with httpx.AsyncClient(base_url=door.rest.base_url) as greedy:
            response = await greedy.get("/health/live", headers={"x-padding": too_much})
        assert response.status_code == 431
        await placed(neighbour)
        await placed(door.channel)


async def test_envoy_has_so_many_connections(open_door: OpenDoor) -> None:
    """One connection more than allowed is closed, those there are go on, and one that ends makes room."""

    def three(config: dict[str, Any]) -> None:
        (monitor,) = config["overload_manager"]["resource_monitors"]
        monitor["typed_config"]["max_active_downstream_connections"] = 3

    async with open_door() as door, AsyncExitStack() as stack:
        await restarted(door, three)
        channels = [await stack.enter_async_context(door.dial(options=OWN_CONNECTION)) for _ in range(4)]
        for channel in channels[:3]:
            await placed(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await placed(channels[3])
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        for channel in channels[:3]:
            await placed(channel)
        await channels[0].close()
        await taken(door)


async def taken(door: Door) -> None:
    """Places an order on a new connection, as soon as one is let in."""
    while True:
        async with door.dial(options=OWN_CONNECTION) as channel:
            try:
                return await placed(channel)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


async def test_envoy_connection_has_so_many_streams(open_door: OpenDoor) -> None:
    """One stream more than allowed waits at the client until another ends; another connection does not notice."""

    def three(config: dict[str, Any]) -> None:
        public = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        public["http2_protocol_options"]["max_concurrent_streams"] = 3

    async with open_door() as door:
        await restarted(door, three)
        async with (
            door.dial(options=OWN_CONNECTION) as full,
            door.dial(options=OWN_CONNECTION) as neighbour,
        ):
            stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(full)
            sessions = [stub.OrderSession() for _ in range(3)]
            for session in sessions:
                await session.write(entry.OrderSessionRequest(frame=entry.CommandFrame()))
                assert await session.read() is not grpc.aio.EOF
            waiting = asyncio.create_task(placed(full))
            await placed(neighbour)
            await placed(neighbour)
            assert not waiting.done()
            sessions[0].cancel()
            await waiting
            for session in sessions[1:]:
                session.cancel()
