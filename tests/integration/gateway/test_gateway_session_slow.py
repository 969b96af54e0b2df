"""Clients that do not read, and connections that are dead without anybody saying so: cut in time, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from gateway import reports
from gateway.session import Session
from runtime.channels import client_channel
from runtime.lifetimes import ended_total, live_gauge
from tests.integration.gateway.cable import Cable, cable
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.sessions import CANCELED, OPEN, becomes, placed, status_of
from tests.integration.gateway.venue import SessionClient, Venue, details, eventually, session, submit

FRAME = 256


async def linked(own_venue: NewVenue, **settings: Any) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue(**settings)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


@asynccontextmanager
async def cabled_session(venue: Venue) -> AsyncIterator[tuple[SessionClient, Cable]]:
    """A session with cancel-on-disconnect over a cable that can be held still."""
    async with cable(venue.gateway.port) as laid, client_channel(laid.address) as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        call = stub.OrderSession(metadata=venue.as_role())
        try:
            client = SessionClient(call)
            await client.send(logon=entry.Logon(heartbeat_interval_s=1))
            yield client, laid
        finally:
            call.cancel()


@asynccontextmanager
async def narrow_session(venue: Venue, *accounts: str, **logon: Any) -> AsyncIterator[SessionClient]:
    """A session with cancel-on-disconnect whose connection takes little that was not read."""
    # Without probing the window of a stream stays at 64 KiB.
    options = (("grpc.http2.bdp_probe", 0),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{venue.gateway.port}", options=options) as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        call = stub.OrderSession(metadata=venue.as_role(accounts=accounts))
        try:
            client = SessionClient(call)
            await client.send(logon=entry.Logon(heartbeat_interval_s=1, accounts=accounts, **logon))
            yield client
        finally:
            call.cancel()


async def flood(client: SessionClient) -> None:
    """Sends orders for ever, and reads what comes, so that there are reports without end."""

    async def send() -> None:
        number = 1
        while True:
            await client.commands(*(submit(n) for n in range(number, number + FRAME)))
            number += FRAME

    sending = asyncio.create_task(send())
    try:
        while True:
            await client.next()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_session_that_is_not_read_is_cut(own_venue: NewVenue) -> None:
    """Its orders are cancelled, nobody else is disturbed, and should it read again it finds out why."""
    venue = await linked(own_venue, slow_reader_s=0.5)
    async with narrow_session(venue, "DEMO", "MM") as slow, session(venue) as busy:
        key = await placed(slow, account="MM")
        before = live_gauge._value.get()
        flooding = asyncio.create_task(flood(busy))
        # It reads nothing from here on.
        event = await becomes(venue, key, CANCELED, "MM")
        assert event.order.cause == types.CAUSE_DISCONNECT
        assert live_gauge._value.get() == before - 1
        assert not flooding.done()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read_on(slow)
    assert (error.value.code(), details(error.value)[0].reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "SLOW_CONSUMER",
    )


async def test_a_reader_that_reads_again_is_told_in_band(own_venue: NewVenue) -> None:
    """Between the cut and the breaking off of its call it reads what it was given, and then why there is no more."""
    venue = await linked(own_venue, slow_reader_s=0.5)
    async with narrow_session(venue, "DEMO", "MM") as slow, session(venue) as busy:
        key = await placed(slow, account="MM")
        cut = ended_total.labels("SLOW_CONSUMER")
        before = cut._value.get()
        flooding = asyncio.create_task(flood(busy))
        await eventually(lambda: cut._value.get() > before)
        end = await read_on(slow)
        assert (end.reason, end.resume_after) == (types.REASON_SLOW_CONSUMER, slow.seq)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        await becomes(venue, key, CANCELED, "MM")
        assert busy.seq is not None
        assert end.resume_after < busy.seq


async def test_a_queue_has_a_bound(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its time is up a reader is cut too, when more waits for it than is kept."""
    monkeypatch.setattr(Session, "queue_max", 2_000)
    venue = await linked(own_venue, slow_reader_s=3_600.0)
    async with narrow_session(venue, "DEMO", "MM") as slow, session(venue) as busy:
        key = await placed(slow, account="MM")
        before = reports.cut_total._value.get()
        flooding = asyncio.create_task(flood(busy))
        await eventually(lambda: reports.cut_total._value.get() > before)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert (await read_on(slow)).reason == types.REASON_SLOW_CONSUMER
        await becomes(venue, key, CANCELED, "MM")


async def read_on(client: SessionClient) -> types.StreamEnd:
    """Reads what is left, to the end in band."""
    while True:
        message = await client.next()
        if message.HasField("end"):
            return message.end


async def test_a_reader_that_keeps_up_is_not_cut(own_venue: NewVenue) -> None:
    """However much there is to read: as long as it is taken, nobody is cut."""
    venue = await linked(own_venue, slow_reader_s=0.5)
    async with session(venue, cancel_on_disconnect=True) as reader, session(venue) as busy:
        key = await placed(reader)
        flooding = asyncio.create_task(flood(busy))
        read = 0
        while read < 10_000:
            read += len((await reader.until("frame")).frame.reports)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        assert await status_of(venue, key) == OPEN


async def test_a_long_history_is_no_slowness(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new does not fit into the queue while the past is read: it is read from the past too, without a gap."""
    venue = await linked(own_venue)
    async with session(venue) as busy:
        flooding = asyncio.create_task(flood(busy))
        await eventually(lambda: (busy.seq or 0) > 20_000)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
    monkeypatch.setattr(Session, "queue_max", 0)
    overflows = 0
    overflow = Session.overflow

    def counted(of: Session) -> None:
        nonlocal overflows
        overflows += of.replaying
        overflow(of)
        # Enough: when all of the past is read, the present has to fit.
        monkeypatch.setattr(Session, "queue_max", 100_000)

    monkeypatch.setattr(Session, "overflow", counted)
    placing = asyncio.create_task(place(venue))
    async with narrow_session(venue, "DEMO", resume_after=0) as late:
        await late.until("logon")
        # It does not read on, so there is history left, until what is new does not fit.
        await eventually(lambda: overflows)
        numbers: list[int] = []
        while len(numbers) < 21_000:
            numbers += [report.account_seq for report in (await late.until("frame")).frame.reports]
        gaps = [(at, number) for at, number in enumerate(numbers, 1) if number != at]
        assert not gaps[:3]
        await late.send(logout=entry.Logout())
        assert (await read_on(late)).reason == types.REASON_UNSPECIFIED
    placing.cancel()
    await asyncio.gather(placing, return_exceptions=True)
    assert overflows == 1


async def place(venue: Venue) -> None:
    """Places one order after the other, for ever."""
    while True:
        await venue.submit()


async def test_a_broken_connection_ends_the_session(venue: Venue) -> None:
    """A connection that breaks takes the session's orders with it."""
    async with cabled_session(venue) as (client, laid):
        key = await placed(client)
        await laid.cut()
        await becomes(venue, key, CANCELED)


async def test_a_half_open_connection_is_found(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing comes back from the client any more, although nothing is broken, keepalive finds out."""
    monkeypatch.setattr("runtime.limits.KEEPALIVE_MS", 500)
    monkeypatch.setattr("runtime.limits.KEEPALIVE_TIMEOUT_MS", 500)
    venue = await linked(own_venue)
    before = live_gauge._value.get()
    async with cabled_session(venue) as (client, laid):
        key = await placed(client)
        laid.holds_requests()
        laid.holds_answers()
        await becomes(venue, key, CANCELED)
        assert live_gauge._value.get() == before
