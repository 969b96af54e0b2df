"""A gateway that is told to stop: it says so in time, answers what it has taken, and loses nothing."""

import asyncio
from collections import Counter
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.processes import gateway_process, session_of
from tests.integration.gateway.sessions import CANCELED, becomes, history, placed, session_events
from tests.integration.gateway.venue import (
    SessionClient,
    Venue,
    details,
    eventually,
    refused,
    session,
    submit,
    terms,
)

FRAME = 32


async def linked(own_venue: NewVenue, **settings: Any) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue(**settings)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


async def test_a_drain_counts_down_on_every_session(own_venue: NewVenue) -> None:
    """Not ready first, then notices while time runs out; until the end everything is served, new sessions too."""
    venue = await linked(own_venue, drain_notice_s=1.5)
    async with session(venue) as client, session(venue) as late:
        await client.until("logon")
        stopping = asyncio.create_task(venue.stop_gateway())
        first = (await client.until("draining")).draining
        state = await venue.health.Check(health_pb2.HealthCheckRequest())
        assert state.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert first.reason == types.REASON_DRAINING
        assert 0 < first.ends_in_ms <= 1_500
        key = await placed(client)
        assert (await venue.order(cl_ord_id=key)).ord_status == types.ORD_STATUS_NEW
        async with session(venue) as newcomer:
            assert (await newcomer.until("draining")).draining.ends_in_ms <= first.ends_in_ms
            second = (await client.until("draining")).draining
            assert second.ends_in_ms < first.ends_in_ms
            for each in (client, late, newcomer):
                end = await each.ended()
                assert (end.reason, end.resume_after) == (types.REASON_DRAINING, each.seq)
                assert end.retry_delay_ms > 0
        await stopping


async def test_after_the_countdown_nothing_new_begins(own_venue: NewVenue) -> None:
    """A call that still gets in is refused with the reason, while others finish."""
    venue = await linked(own_venue)
    await venue.gateway.health.drain()
    async with session(venue) as client:
        error = await client.failure()
    assert (error.code(), details(error)[0].reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    code, info = await refused(venue.submit())
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_a_drain_under_load_loses_nothing(own_venue: NewVenue) -> None:
    """Sessions and unary calls at full speed: what the venue has carried out was answered, and nothing else was."""
    venue = await linked(own_venue, drain_notice_s=0.3, drain_timeout_s=10.0)
    async with session(venue) as one, session(venue) as two:
        told: list[orders.ExecutionReport] = []
        desks = [asyncio.create_task(trade(client, told)) for client in (one, two)]
        by_unary: set[str] = set()
        asking = [asyncio.create_task(ask(venue, by_unary)) for _ in range(4)]
        await eventually(lambda: len(told) > 20 * FRAME and len(by_unary) > 20)
        await venue.stop_gateway()
        ends = await asyncio.gather(*desks)
        await asyncio.gather(*asking)
    assert {end.reason for end in ends} == {types.REASON_DRAINING}
    await nothing_was_lost(venue, told, by_unary)


async def test_sigterm_under_load_loses_nothing(own_venue: NewVenue, free_tcp_port: int) -> None:
    """The same of a real process; the session is ended by the gateway itself, and its orders with it."""
    venue = own_venue(drain_notice_s=0.3, drain_timeout_s=10.0, gateway_grace_s=3_600.0)
    await venue.start_matching()
    async with gateway_process(venue, free_tcp_port) as (process, stub), session_of(venue, stub) as client:
        accepted = (await client.until("logon")).logon
        told: list[orders.ExecutionReport] = []
        trading = asyncio.create_task(trade(client, told))
        await eventually(lambda: len(told) > 20 * FRAME)
        await process.stop()
        assert process.ending == "ended with code 0"
        assert (await trading).reason == types.REASON_DRAINING
    await nothing_was_lost(venue, told, set())
    assert await session_events(venue, accepted.session_id) == ["session_opened", "session_closed"]
    await becomes(venue, told[-1].cl_ord_id, CANCELED)


async def trade(client: SessionClient, told: list[orders.ExecutionReport]) -> types.StreamEnd:
    """Sends frame after frame until the session ends; keeps the answers."""
    sending = asyncio.create_task(send(client))
    try:
        while True:
            message = await client.next()
            if message.HasField("end"):
                return message.end
            told += [report for report in message.frame.reports if report.correlation_id]
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def send(client: SessionClient) -> None:
    """Sends frames until nobody takes them any more; a few are always under way."""
    number = 1
    while True:
        await client.commands(*(submit(n) for n in range(number, number + FRAME)))
        number += FRAME
        await asyncio.sleep(0)


async def ask(venue: Venue, answered: set[str]) -> None:
    """Places orders by unary calls until the gateway takes no more; keeps the keys of those that were answered."""
    while True:
        order = terms()
        try:
            await venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=venue.as_role())
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return
            raise
        answered.add(order.cl_ord_id)


async def nothing_was_lost(venue: Venue, told: list[orders.ExecutionReport], by_unary: set[str]) -> None:
    """Holds the answers against the journal: exactly the orders that are there were answered, each once."""
    placed_orders = Counter(
        event.order.cl_ord_id
        for event in await history(venue)
        if event.order.exec_type == types.EXEC_TYPE_NEW and event.order.request == types.REQUEST_KIND_SUBMIT
    )
    answered = Counter(report.cl_ord_id for report in told if report.exec_type == types.EXEC_TYPE_NEW)
    assert placed_orders == answered + Counter(by_unary)
