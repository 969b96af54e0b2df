"""The three ways in, through Envoy: unary gRPC, many sessions, REST. Each sends an order and awaits its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc

from runtime.channels import OPTIONS
from runtime.stack.system import Stack
from tests.load.desks import METADATA, Desks, submit
from tests.load.rest import RestClient

Send = Callable[[int], Awaitable[None]]
CHANNELS = 8
"""Connections of the clients that speak gRPC: Envoy gives each to one of its threads."""
ANSWER_WITHIN_S = 30.0


@asynccontextmanager
async def channels(system: Stack) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Connections to Envoy, each a real one."""
    options = (*OPTIONS, ("grpc.use_local_subchannel_pool", 1))
    async with AsyncExitStack() as stack:
        address = f"{system.settings.host}:{system.settings.envoy_port}"
        opened = [grpc.aio.insecure_channel(address, options=options) for _ in range(CHANNELS)]
        for channel in opened:
            await stack.enter_async_context(channel)
        yield opened


@asynccontextmanager
async def unary(system: Stack, desks: Desks) -> AsyncIterator[Send]:
    """Sends an order by a unary call of gRPC."""
    async with channels(system) as opened:
        stubs: list[Any] = [order_entry_pb2_grpc.OrderEntryServiceStub(channel) for channel in opened]

        async def send(number: int) -> None:
            desk, order = desks.order()
            request = entry.SubmitOrderRequest(order=order.terms)
            call = stubs[number % CHANNELS].SubmitOrder
            response = await call(request, metadata=desks.metadata(desk), timeout=ANSWER_WITHIN_S)
            desks.answered(order.cl_ord_id, response.report.order_id)

        yield send


@asynccontextmanager
async def rest(system: Stack, desks: Desks) -> AsyncIterator[Send]:
    """Sends an order by REST."""
    client = RestClient(system.settings.host, system.settings.envoy_port)

    async def send(_number: int) -> None:
        desk, order = desks.order()
        body = MessageToDict(order.terms, preserving_proto_field_name=True)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            status, answer = await client.post("/api/v1/orders", desks.tokens[desk], body)
        assert status == 200, answer
        desks.answered(order.cl_ord_id, answer["report"]["order_id"])

    try:
        yield send
    finally:
        await client.close()


@asynccontextmanager
async def session(system: Stack, desks: Desks, sessions: int) -> AsyncIterator[Send]:
    """Sends an order on the session of its desk, of which there are many at once, spread over all desks."""
    async with channels(system) as opened:
        stubs: list[Any] = [order_entry_pb2_grpc.OrderEntryServiceStub(channel) for channel in opened]
        lines = [_Line(desks, stubs[number % CHANNELS], number % desks.number) for number in range(sessions)]
        await asyncio.gather(*(line.log_on() for line in lines))
        of_desk = [[line for line in lines if line.desk == desk] for desk in range(desks.number)]

        async def send(number: int) -> None:
            desk, order = desks.order()
            ours = of_desk[desk]
            order_id = await ours[number // desks.number % len(ours)].send(order)
            desks.answered(order.cl_ord_id, order_id)

        try:
            yield send
        finally:
            await asyncio.gather(*(line.log_out() for line in lines))


class _Line:
    """One session of a desk."""

    def __init__(self, desks: Desks, stub: Any, desk: int) -> None:
        self.desk = desk
        self._account = desks.accounts[desk]
        metadata: METADATA = desks.metadata(desk)
        self._call = stub.OrderSession(metadata=metadata)
        self._numbers = count(1)
        self._awaited: dict[int, asyncio.Future[str]] = {}
        self._writing = asyncio.Lock()
        self._reading: asyncio.Task[None]

    async def log_on(self) -> None:
        """Begins the session; only answers to its own orders come back."""
        logon = entry.Logon(accounts=[self._account], ack_level=entry.ACK_LEVEL_ACCEPTED_ONLY)
        await self._call.write(entry.OrderSessionRequest(logon=logon))
        first = await self._call.read()
        assert first.HasField("logon"), first
        self._reading = asyncio.create_task(self._read())

    async def log_out(self) -> None:
        """Ends the session in order."""
        await self._call.write(entry.OrderSessionRequest(logout=entry.Logout()))
        await self._reading

    async def send(self, order: Any) -> str:
        """Sends an order; gives its id once it is answered."""
        correlation_id = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._awaited[correlation_id] = answer
        # gRPC takes one message at a time.
        async with self._writing:
            await self._call.write(submit(correlation_id, order))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return str(await answer)

    async def _read(self) -> None:
        while (message := await self._call.read()) is not grpc.aio.EOF:
            assert not message.frame.replies, message.frame.replies[0]
            for report in message.frame.reports:
                answer = self._awaited.pop(report.correlation_id, None)
                assert answer is not None, f"an answer to nothing, or a second one: {report}"
                answer.set_result(report.order_id)
