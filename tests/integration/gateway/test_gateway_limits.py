"""What a gateway takes at most: each limit answers with a code or closes in order, and disturbs nobody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import prometheus_client
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc

import runtime.serve
from runtime import limits
from runtime.channels import OPTIONS
from tests.integration.gateway import http2
from tests.integration.gateway.http2 import Frame, RawClient, raw_client, tap
from tests.integration.gateway.venue import Venue, eventually, session, terms

NewVenue = Callable[..., Venue]
SUBMIT = "/ordergate.orders.v1.OrderEntryService/SubmitOrder"
# Each channel a connection of its own: gRPC would share one.
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
FAST = limits.keepalive(1_000, 300)
"""A fifteenth of what is agreed, so that a test can wait for it; gRPC lets no client ask more often."""


async def started(venue: Venue) -> Venue:
    """A venue of the test's own, with the limits that it has set."""
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


@asynccontextmanager
async def another(venue: Venue, address: str = "", *options: tuple[str, int]) -> AsyncIterator[Any]:
    """A well-behaved client on a connection of its own."""
    target = address or f"127.0.0.1:{venue.gateway.port}"
    async with grpc.aio.insecure_channel(target, options=[OWN_CONNECTION, *options]) as channel:
        yield order_entry_pb2_grpc.OrderEntryServiceStub(channel)


async def place(venue: Venue, stub: Any, **options: Any) -> None:
    """Places an order, which must be taken."""
    request = entry.SubmitOrderRequest(order=terms())
    response = await stub.SubmitOrder(request, **{"metadata": venue.as_role(), "timeout": 20} | options)
    assert response.report.order_id


async def code_of(call: Any) -> grpc.StatusCode:
    """The status that a call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


async def test_metadata_has_a_largest_size(venue: Venue) -> None:
    """Metadata above the limit is RESOURCE_EXHAUSTED, every time; just below it the call is carried out."""
    fits, too_much = (("x-padding", "p" * (limits.METADATA_BYTES_MAX + more)) for more in (-2_048, 1))
    async with another(venue) as neighbour:
        for _ in range(5):
            call = place(venue, venue.orders, metadata=(*venue.as_role(), too_much))
            assert await code_of(call) is grpc.StatusCode.RESOURCE_EXHAUSTED
            await place(venue, venue.orders, metadata=(*venue.as_role(), fits))
            await place(venue, neighbour)


async def test_a_message_has_a_largest_size(venue: Venue) -> None:
    """A message above the wire's limit is RESOURCE_EXHAUSTED; the same connection goes on, and so does another."""
    channel: Any = venue.channel
    call = channel.unary_unary(SUBMIT)
    async with another(venue) as neighbour:
        large = bytes(limits.REQUEST_BYTES_RECEIVED_MAX + 1)
        assert await code_of(call(large, metadata=venue.as_role())) is grpc.StatusCode.RESOURCE_EXHAUSTED
        await place(venue, venue.orders)
        await place(venue, neighbour)


async def test_a_connection_has_so_many_streams(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stream more than allowed waits at the client until another ends; other connections do not notice."""
    monkeypatch.setattr(limits, "STREAMS_MAX", 3)
    venue = await started(own_venue())
    async with AsyncExitStack() as stack, another(venue) as neighbour:
        clients = [await stack.enter_async_context(session(venue, accounts=["DEMO"])) for _ in range(3)]
        for client in clients:
            await client.until("logon")
        waiting = asyncio.create_task(place(venue, venue.orders))
        await place(venue, neighbour)
        await place(venue, neighbour)
        assert not waiting.done()
        clients[0].leave()
        await waiting


async def test_a_client_that_ignores_the_limit_of_streams_is_refused(
    own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams above the limit that was announced are refused one by one (RFC 9113, 5.1.2); nobody else is disturbed."""
    monkeypatch.setattr(limits, "STREAMS_MAX", 3)
    venue = await started(own_venue())
    async with raw_client(venue.gateway.port) as greedy:
        await announced(greedy)
        await greedy.send(
            *(Frame(http2.HEADERS, http2.END_HEADERS, 1 + 2 * n, http2.headers(SUBMIT)) for n in range(8))
        )
        refused = await greedy.until(http2.RST_STREAM)
        assert refused is not None
        assert (refused.stream, int.from_bytes(refused.payload, "big")) == (7, http2.REFUSED_STREAM)
        await place(venue, venue.orders)


async def announced(client: RawClient) -> None:
    """Waits for the server's settings and takes them."""
    assert await client.until(http2.SETTINGS) is not None
    await client.send(Frame(http2.SETTINGS, http2.ACK, 0, b""))


async def test_a_server_has_so_many_connections(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection more than allowed is closed at once; those there are go on, and one that ends makes room."""
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", 3)
    venue = await started(own_venue())
    async with raw_client(venue.gateway.port) as first, another(venue) as neighbour:
        await announced(first)
        await place(venue, neighbour)
        async with raw_client(venue.gateway.port) as fourth:
            assert await fourth.until(http2.SETTINGS) is None
        async with another(venue) as fifth:
            assert await code_of(place(venue, fifth)) is grpc.StatusCode.UNAVAILABLE
        await place(venue, venue.orders)
        await place(venue, neighbour)
    async with another(venue) as later:
        await place(venue, later, wait_for_ready=True)


async def test_a_server_has_so_many_calls(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call above the limit is RESOURCE_EXHAUSTED at once, whatever connection it comes on; the others go on."""
    monkeypatch.setattr(runtime.serve, "CALLS_MAX", 3)
    venue = await started(own_venue())
    async with AsyncExitStack() as stack, another(venue) as neighbour:
        clients = [await stack.enter_async_context(session(venue, accounts=["DEMO"])) for _ in range(3)]
        for client in clients:
            await client.until("logon")
        for stub in (venue.orders, neighbour):
            assert await code_of(place(venue, stub)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        await clients[1].send(logout=entry.Logout())
        await clients[1].ended()
        await eventually_placed(venue, neighbour)


async def eventually_placed(venue: Venue, stub: Any) -> None:
    """Places an order as soon as there is room for the call."""
    while True:
        try:
            return await place(venue, stub)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise


async def test_who_pings_without_end_is_cut(venue: Venue) -> None:
    """A flood of pings ends in GOAWAY with ENHANCE_YOUR_CALM (RFC 9113, 7) and a closed connection; others go on."""
    async with raw_client(venue.gateway.port) as nervous, another(venue) as neighbour:
        await announced(nervous)
        await nervous.send(*(Frame(http2.PING, 0, 0, bytes([number] * 8)) for number in range(20)))
        goaway = await nervous.until(http2.GOAWAY)
        assert goaway is not None
        assert int.from_bytes(goaway.payload[4:8], "big") == http2.ENHANCE_YOUR_CALM
        assert await nervous.until(http2.SETTINGS) is None, "the connection is closed"
        await place(venue, neighbour)
        await place(venue, venue.orders)


def test_keepalive_agrees() -> None:
    """Our clients ask less often than a server allows, forever, and a dead peer is found within 25 s on either side."""
    client, server = dict(OPTIONS), dict(limits.server_options())
    assert client["grpc.keepalive_time_ms"] > server["grpc.http2.min_ping_interval_without_data_ms"]
    for side in (client, server):
        assert side["grpc.keepalive_time_ms"] + side["grpc.http2.ping_timeout_ms"] <= 25_000
        assert side["grpc.keepalive_permit_without_calls"] == 1
        assert side["grpc.http2.max_pings_without_data"] == 0


@pytest.fixture
def fast_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways of this test ask, and let themselves be asked, fifteen times as often."""
    for name in ("KEEPALIVE_MS", "KEEPALIVE_TIMEOUT_MS", "PING_INTERVAL_MIN_MS"):
        monkeypatch.setattr(limits, name, getattr(limits, name) // 15)


@pytest.mark.usefixtures("fast_server")
async def test_a_client_of_ours_is_never_cut_for_its_pings(own_venue: NewVenue) -> None:
    """A session on which nothing is said, and a connection without any call, are asked about and kept."""
    venue = await started(own_venue())
    async with (
        tap(venue.gateway.port) as between,
        another(venue, between.address, *FAST) as stub,
    ):
        await place(venue, stub)
        await between.asked("client", 4)
        call = stub.OrderSession(metadata=venue.as_role())
        await call.write(entry.OrderSessionRequest(logon=entry.Logon(accounts=["DEMO"], heartbeat_interval_s=60)))
        assert (await call.read()).HasField("logon")
        await between.asked("client", 8)
        await between.asked("server", 6)
        await place(venue, stub)
        assert not call.done()
        assert between.connections == 1
        call.cancel()


@pytest.mark.usefixtures("fast_server")
async def test_a_half_open_connection_is_found_on_both_sides(own_venue: NewVenue) -> None:
    """When nothing comes through any more, without a close, both sides end the session; another client goes on."""
    venue = await started(own_venue())
    before = readers()
    async with tap(venue.gateway.port) as between, another(venue, between.address, *FAST) as stub:
        call = stub.OrderSession(metadata=venue.as_role())
        await call.write(entry.OrderSessionRequest(logon=entry.Logon(accounts=["DEMO"], heartbeat_interval_s=60)))
        assert (await call.read()).HasField("logon")
        assert readers() == before + 1
        between.goes_silent()
        assert await code_of(call.read()) is grpc.StatusCode.UNAVAILABLE
        await eventually(lambda: readers() == before)
        await place(venue, venue.orders)


def readers() -> float:
    """The sessions and report streams of the gateways in this process."""
    return prometheus_client.REGISTRY.get_sample_value("ordergate_gateway_report_readers") or 0.0
