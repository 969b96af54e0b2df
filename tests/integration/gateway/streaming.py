"""Clients of the streams of reports: they hold the chain, and come back where they were."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from ordergate.matching.v1 import events_pb2, matching_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.channels import client_channel
from tests.integration.gateway.venue import SELL, Metadata, Venue, session, submit

Reports = list[orders.ExecutionReport]


async def _chained(call: Any) -> AsyncGenerator[Any, None]:
    """The messages of a call, each of which must follow the one before it."""
    seq = None
    async for message in call:
        assert seq is None or message.prev_seq == seq, "the chain is broken"
        assert message.seq >= message.prev_seq
        seq = message.seq
        yield message


@asynccontextmanager
async def drop_copy(
    venue: Venue, *accounts: str, metadata: Metadata | None = None, stub: Any = None, **request: Any
) -> AsyncIterator[AsyncIterator[entry.StreamDropCopyResponse]]:
    """A drop copy of some accounts; of all, for a risk officer, without any."""
    if metadata is None:
        metadata = venue.as_role(accounts=accounts) if accounts else venue.as_role("risk_officer", accounts=[])
    asked = entry.StreamDropCopyRequest(accounts=accounts, **request)
    async with _read((stub or venue.orders).StreamDropCopy(asked, metadata=metadata)) as messages:
        yield messages


@asynccontextmanager
async def reports_by(
    venue: Venue, stub: Any, **request: Any
) -> AsyncIterator[AsyncIterator[entry.StreamExecutionReportsResponse]]:
    """DEMO's stream of reports by a stub of its own."""
    asked = entry.StreamExecutionReportsRequest(**request)
    async with _read(stub.StreamExecutionReports(asked, metadata=venue.as_role())) as messages:
        yield messages


@asynccontextmanager
async def _read(call: Any) -> AsyncIterator[Any]:
    messages = _chained(call)
    try:
        yield messages
    finally:
        call.cancel()
        await messages.aclose()


@asynccontextmanager
async def narrow(venue: Venue) -> AsyncIterator[Any]:
    """A stub of a client that lets little be under way: what its reader does not take soon holds the server up."""
    options = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{venue.gateway.port}", options=options) as channel:
        yield order_entry_pb2_grpc.OrderEntryServiceStub(channel)


def reports_in(message: Any) -> Reports:
    """The reports of a message of a report stream or a drop copy; its sequence is that of the last."""
    kind = message.WhichOneof("message")
    found = [message.report] if kind == "report" else list(message.frame.reports) if kind == "frame" else []
    assert not found or found[-1].seq == message.seq
    return found


async def until(messages: AsyncIterator[Any], last_seq: int) -> Reports:
    """Everything up to the report with that sequence."""
    found: Reports = []
    while not found or found[-1].seq < last_seq:
        found += reports_in(await anext(messages))
    assert found[-1].seq == last_seq
    return found


async def ended(messages: AsyncIterator[Any]) -> types.StreamEnd:
    """Reads on to the end, which must be the last message, and gives it."""
    while (message := await anext(messages)).WhichOneof("message") != "end":
        pass
    assert await anext(messages, None) is None
    end: types.StreamEnd = message.end
    return end


def alike(report: orders.ExecutionReport) -> bytes:
    """What a report says wherever it comes from: history knows neither when it was durable nor who asked by it."""
    same = orders.ExecutionReport()
    same.CopyFrom(report)
    for field in ("epoch", "durable_unix_ns", "sent_unix_ns", "correlation_id"):
        same.ClearField(field)
    return same.SerializeToString(deterministic=True)


async def truth(venue: Venue, after_seq: int, until_seq: int, *accounts: str) -> list[tuple[int, str]]:
    """Sequence and account of every order event, as matching's journal has them."""
    request = matching_pb2.StreamEventsRequest(
        follower="tests", resume_after=after_seq, until_seq=until_seq, accounts=accounts
    )
    async with venue.straight_to_matching() as stub:
        events = [
            events_pb2.Event.FromString(data) async for part in stub.StreamEvents(request) for data in part.events
        ]
    return [(event.seq, event.order.account) for event in events if event.HasField("order")]


async def trade(venue: Venue, number: int, price: int = 100) -> int:
    """DEMO and MM trade `number` times, by one session; gives the sequence of the last event."""
    metadata = venue.as_role(accounts=["DEMO", "MM"])
    async with session(venue, metadata, accounts=["DEMO", "MM"], cancel_on_disconnect=False) as client:
        await client.until("logon")
        commands = []
        for place in range(number):
            terms = {"qty": "1", "price": f"{price + place % 7}.00"}
            commands += [
                submit(2 * place + 1, account="MM", side=SELL, **terms),
                submit(2 * place + 2, account="DEMO", **terms),
            ]
        for begin in range(0, len(commands), 500):
            await client.commands(*commands[begin : begin + 500])
        # A trade is an acceptance and a fill on each side.
        whole = await client.frames(reports=4 * number)
    return whole.reports[-1].seq


class Follower:
    """A client that reads one logical stream over as many connections as it takes."""

    def __init__(self, venue: Venue, opened: Callable[[Any, int], Any], resume_after: int) -> None:
        self._venue = venue
        self._opened = opened
        self.reports: Reports = []
        self.seq = resume_after
        self.connections = 0
        self._news = asyncio.Condition()

    async def follow(self) -> None:
        """Reads until it is cancelled; whatever ends a connection, the next goes on after what it has."""
        while True:
            self.connections += 1
            try:
                await self._read_one()
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            # The server is away, and nobody tells when it is back: it is asked again and again.
            await asyncio.sleep(0.01)

    async def _read_one(self) -> None:
        async with client_channel(f"127.0.0.1:{self._venue.gateway.port}") as channel:
            stub = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
            async for message in _chained(self._opened(stub, self.seq)):
                if message.HasField("end"):
                    assert message.end.resume_after >= self.seq
                self.reports += reports_in(message)
                async with self._news:
                    self.seq = message.seq
                    self._news.notify_all()

    async def reach(self, seq: int) -> None:
        """Waits until it is so far."""
        async with self._news:
            await self._news.wait_for(lambda: self.seq >= seq)
