"""Gateway and matching as processes of their own: to be killed, told to stop, and to fork."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc

from runtime.channels import client_channel
from runtime.stack.processes import Process
from runtime.stack.programs import server
from tests.integration.gateway.venue import SessionClient, Venue


@asynccontextmanager
async def gateway_process(venue: Venue, port: int) -> AsyncIterator[tuple[Process, Any]]:
    """A gateway as a process of its own, and a stub of it."""
    own = {"gateway_port": port, "gateway_address": f"127.0.0.1:{port}", "gateway_id": "gateway-own"}
    process = Process(server(venue.settings.model_copy(update=own), "gateway"))
    await process.start()
    try:
        await process.wait_ready()
        async with client_channel(f"127.0.0.1:{port}") as channel:
            yield process, order_entry_pb2_grpc.OrderEntryServiceStub(channel)
    finally:
        await process.stop()


@asynccontextmanager
async def session_of(venue: Venue, stub: Any) -> AsyncIterator[SessionClient]:
    """A session with the gateway behind a stub."""
    call = stub.OrderSession(metadata=venue.as_role())
    try:
        client = SessionClient(call)
        await client.send(logon=entry.Logon())
        yield client
    finally:
        call.cancel()


@asynccontextmanager
async def matching_process(venue: Venue, port: int) -> AsyncIterator[Process]:
    """A matching server as a process of its own: it makes snapshots by forking."""
    own = {"matching_port": port, "matching_address": f"127.0.0.1:{port}"}
    process = Process(server(venue.settings.model_copy(update=own), "matching"))
    await process.start()
    try:
        await process.wait_ready()
        yield process
    finally:
        await process.stop()
