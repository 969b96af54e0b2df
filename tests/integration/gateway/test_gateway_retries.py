"""A client that never heard the answer asks again, elsewhere: every unary call gives the original result."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import prometheus_client
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from ordergate.matching.v1 import matching_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

import gateway.server
from runtime.channels import client_channel
from runtime.serve import running
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.venue import Venue, details, eventually, new_key, terms

DEADLINE_S = 0.5


class Asked(NamedTuple):
    """A unary call."""

    method: str
    request: Message
    role: str = "trader"


async def new_order(venue: Venue) -> Asked:
    """One order."""
    return Asked("SubmitOrder", entry.SubmitOrderRequest(order=terms()))


async def denied_order(venue: Venue) -> Asked:
    """One order that is denied."""
    return Asked("SubmitOrder", entry.SubmitOrderRequest(order=terms(qty="1000000", price="40.00")))


async def basket(venue: Venue) -> Asked:
    """Several orders, of which one was placed before, one is denied and one is wrongly formed."""
    known = await venue.submit(cl_ord_id=(key := new_key()))
    assert known.seq
    placed = [terms(), terms(cl_ord_id=key), terms(qty="1000000", price="40.00"), terms(qty="0.5")]
    return Asked("SubmitOrders", entry.SubmitOrdersRequest(account="DEMO", orders=placed))


async def replace(venue: Venue) -> Asked:
    """A change of an order."""
    first = await venue.submit()
    request = entry.ReplaceOrderRequest(account="DEMO", order_id=first.order_id, cl_ord_id=new_key(), qty="2")
    return Asked("ReplaceOrder", request)


async def cancel(venue: Venue) -> Asked:
    """A cancel with a key."""
    first = await venue.submit()
    request = entry.CancelOrderRequest(account="DEMO", order_id=first.order_id, cl_ord_id=new_key())
    return Asked("CancelOrder", request)


async def mass_cancel(venue: Venue) -> Asked:
    """A mass cancel with a key."""
    await venue.submit()
    return Asked(
        "MassCancelOrders", entry.MassCancelOrdersRequest(account="DEMO", all_orders=True, cl_ord_id=new_key())
    )


async def quotes(venue: Venue) -> Asked:
    """Quotes."""
    quote = orders.QuoteEntry(symbol="AAPL", bid_px="1.00", bid_qty="1", ask_px="9000.00", ask_qty="1")
    request = entry.SubmitQuotesRequest(account="DEMO", quote_id=new_key(), entries=[quote])
    return Asked("SubmitQuotes", request, "market_maker")


KINDS = [new_order, denied_order, basket, replace, cancel, mass_cancel, quotes]


@pytest_asyncio.fixture
async def linked(own_venue: NewVenue) -> Venue:
    """A venue of the test's own, whose gateway does not wait for calls when it ends."""
    venue = own_venue(drain_timeout_s=0.01, drain_notice_s=0.0)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


@asynccontextmanager
async def other_gateway(venue: Venue) -> AsyncIterator[Any]:
    """A stub of another gateway of the same matching server, which does not use the cable."""
    own = {
        "gateway_id": "gateway-1",
        "gateway_port": 0,
        "matching_address": f"127.0.0.1:{venue.settings.matching_port}",
    }
    settings = venue.settings.model_copy(update=own)
    async with (
        running("gateway", gateway.server.parts, settings) as server,
        client_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        await eventually(lambda: server.health.serving)
        yield order_entry_pb2_grpc.OrderEntryServiceStub(channel)


async def last_seq(venue: Venue) -> int:
    """The journal's last event."""
    async with venue.straight_to_matching() as stub:
        listed: matching_pb2.ListInstrumentsResponse = await stub.ListInstruments(matching_pb2.ListInstrumentsRequest())
    return listed.as_of_seq


async def answer(venue: Venue, stub: Any, asked: Asked, timeout: float | None = None) -> Message:
    """What a call is answered with; a denial as the report that its error stands for."""
    call = getattr(stub, asked.method)(asked.request, metadata=venue.as_role(asked.role), timeout=timeout)
    try:
        answered: Message = await call
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
            raise
        told = details(error)[0].metadata
        refused = orders.ExecutionReport(
            seq=int(told["seq"]), cl_ord_id=told["cl_ord_id"], poss_dup=told["poss_dup"] == "true"
        )
        return entry.SubmitOrderResponse(report=refused)
    return answered


def is_original(answered: Any) -> bool:
    """Whether an answer says that it is the result of an earlier request."""
    if isinstance(answered, entry.SubmitOrdersResponse):
        reports = [result.report for result in answered.results if result.HasField("report")]
        return bool(reports) and all(report.poss_dup for report in reports)
    return bool(answered.report.poss_dup if hasattr(answered, "report") else answered.poss_dup)


def without_times_of_sending(answered: Any) -> bytes:
    """An answer without what differs each time it is given."""
    copy = type(answered).FromString(answered.SerializeToString())
    reports = (
        [result.report for result in copy.results] if hasattr(copy, "results") else [getattr(copy, "report", None)]
    )
    for report in reports:
        if report is not None:
            report.ClearField("sent_unix_ns")
            report.ClearField("durable_unix_ns")
    data: bytes = copy.SerializeToString(deterministic=True)
    return data


async def passes_its_deadline(venue: Venue, asked: Asked) -> grpc.StatusCode:
    """The client's deadline passes before the answer comes, and after the gateway has taken the command."""
    before = begun(asked.method)
    while True:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await answer(venue, venue.orders, asked, timeout=DEADLINE_S)
        if begun(asked.method) > before:
            return error.value.code()


def begun(method: str) -> float:
    """How many calls of a method the gateway has begun; each has handed its command over before it first waits."""
    labels = {
        "grpc_type": "unary",
        "grpc_service": "ordergate.orders.v1.OrderEntryService",
        "grpc_method": method,
    }
    return prometheus_client.REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0.0


async def loses_its_gateway(venue: Venue, asked: Asked) -> grpc.StatusCode:
    """The gateway ends before the answer comes."""
    before = await last_seq(venue)
    call = asyncio.create_task(answer(venue, venue.orders, asked))
    while await last_seq(venue) == before:
        pass
    await venue.stop_gateway()
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("first_try", [passes_its_deadline, loses_its_gateway], ids=lambda way: way.__name__)
async def test_a_retry_elsewhere_gives_the_original_result(
    linked: Venue,
    first_try: Callable[[Venue, Asked], Awaitable[grpc.StatusCode]],
    kind: Callable[[Venue], Awaitable[Asked]],
) -> None:
    """Carried out once; through another gateway, and again through the first, the original answer comes."""
    asked = await kind(linked)
    before = await last_seq(linked)
    linked.cable.holds_answers()
    code = await first_try(linked, asked)
    assert code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    # The command outlives its caller: that it was cancelled cancels nothing.
    while (carried_out := await last_seq(linked)) == before:
        pass
    async with other_gateway(linked) as stub:
        elsewhere = await answer(linked, stub, asked)
    assert is_original(elsewhere)
    await linked.cable.cut()
    if first_try is loses_its_gateway:
        await linked.start_gateway()
    await linked.becomes(serving=True)
    again = await answer(linked, linked.orders, asked)
    assert is_original(again)
    assert without_times_of_sending(again) == without_times_of_sending(elsewhere)
    assert await last_seq(linked) == carried_out, "a retry is carried out no second time"


async def test_a_deadline_ends_the_call_and_not_the_command(linked: Venue) -> None:
    """A request that was lost on its way is sent again after its caller has gone, and is carried out once."""
    linked.cable.holds_requests()
    asked = await new_order(linked)
    assert await passes_its_deadline(linked, asked) == grpc.StatusCode.DEADLINE_EXCEEDED
    await linked.cable.cut()
    await linked.becomes(serving=True)
    key = asked.request.order.cl_ord_id  # type: ignore[attr-defined]
    await linked.carried_out(key)
    again = await answer(linked, linked.orders, asked)
    assert is_original(again)
    assert (await linked.order(cl_ord_id=key)).ord_status == types.ORD_STATUS_NEW
