"""Cancelling many orders at once: by account, symbol and side, once, and in every state of the market."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ordergate.matching.v1 import events_pb2, matching_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.venue import BUY, SELL, Venue, new_key, refused, reports_of, terms
from tests.simulation.gateway_link import connected, linked
from tests.simulation.gateway_link import order as matching_order

ACCOUNT = "FLOW-ASK"


@pytest_asyncio.fixture(scope="module")
async def venue(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Venue]:
    """A venue for these tests alone: nobody else's orders stand in its books."""
    own = Venue(tmp_path_factory.mktemp("mass-cancel"))
    await own.start_matching()
    await own.start_gateway()
    await own.becomes(serving=True)
    yield own
    await own.stop()


async def canceled(venue: Venue, account: str = ACCOUNT, **filters: Any) -> entry.MassCancelOrdersResponse:
    """Cancels an account's orders."""
    everything = not {"symbol", "side"} & filters.keys()
    request = entry.MassCancelOrdersRequest(account=account, all_orders=everything, **filters)
    response: entry.MassCancelOrdersResponse = await venue.orders.MassCancelOrders(
        request, metadata=venue.as_role(accounts=[account])
    )
    return response


async def open_keys(venue: Venue, account: str = ACCOUNT) -> set[str]:
    """The keys of an account's open orders."""
    page = await venue.orders.ListOrders(
        entry.ListOrdersRequest(open_only=True), metadata=venue.as_role(accounts=[account])
    )
    return {order.terms.cl_ord_id for order in page.orders}


async def some_orders(venue: Venue) -> dict[str, orders.ExecutionReport]:
    """Orders of two instruments and both sides, far from each other."""
    wanted: dict[str, dict[str, Any]] = {
        "amzn-bid": {"symbol": "AMZN", "price": "1.00"},
        "amzn-ask": {"symbol": "AMZN", "side": SELL, "price": "9000.00"},
        "aapl-bid": {"symbol": "AAPL", "price": "1.00"},
    }
    return {name: await venue.submit(accounts=[ACCOUNT], **changes) for name, changes in wanted.items()}


async def test_every_filter_must_match(venue: Venue) -> None:
    """Symbol and side narrow it down; without them all of the account's orders end, and nobody else's."""
    other = await venue.submit()
    placed = await some_orders(venue)
    keys = {name: report.cl_ord_id for name, report in placed.items()}
    assert (await canceled(venue, symbol="AMZN", side=SELL)).canceled_orders == 1
    assert await open_keys(venue) == {keys["amzn-bid"], keys["aapl-bid"]}
    assert (await canceled(venue, side=SELL)).canceled_orders == 0
    assert (await canceled(venue, symbol="AAPL")).canceled_orders == 1
    assert (await canceled(venue)).canceled_orders == 1
    assert await open_keys(venue) == set()
    assert (await venue.order(cl_ord_id=other.cl_ord_id)).ord_status == types.ORD_STATUS_NEW


async def test_the_reports_follow_the_answer(venue: Venue) -> None:
    """The answer names its place in the journal; the cancellations stand behind it, one for each order, by id."""
    placed = await some_orders(venue)
    answer = await canceled(venue, cl_ord_id=(key := new_key()))
    assert (answer.cl_ord_id, answer.canceled_orders, answer.poss_dup) == (key, 3, False)
    assert answer.transact_time.seconds > 0
    async with reports_of(venue, ACCOUNT, resume_after=answer.seq) as messages:
        told = [(await next_report(messages)) for _ in range(3)]
    assert [report.seq for report in told] == [answer.seq + 1, answer.seq + 2, answer.seq + 3]
    assert [report.order_id for report in told] == [report.order_id for report in placed.values()]
    assert {(report.exec_type, report.cause) for report in told} == {
        (types.EXEC_TYPE_CANCELED, types.CAUSE_CLIENT),
    }


async def next_report(messages: AsyncIterator[entry.StreamExecutionReportsResponse]) -> orders.ExecutionReport:
    """The next report of a stream."""
    while True:
        message = await anext(messages)
        if message.HasField("report"):
            return message.report


async def test_a_repetition_cancels_nothing_more(venue: Venue) -> None:
    """The same key gives the original answer, and orders that came later stay; another request by it is a conflict."""
    await some_orders(venue)
    first = await canceled(venue, cl_ord_id=(key := new_key()))
    later = await venue.submit(accounts=[ACCOUNT], symbol="AMZN")
    again = await canceled(venue, cl_ord_id=key)
    assert again.poss_dup
    again.poss_dup = False
    assert again == first
    assert later.cl_ord_id in await open_keys(venue)
    request = entry.MassCancelOrdersRequest(cl_ord_id=key, symbol="AMZN")
    code, info = await refused(venue.orders.MassCancelOrders(request, metadata=venue.as_role(accounts=[ACCOUNT])))
    assert (code, info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CL_ORD_ID_CONFLICT")
    assert info.metadata["field"] == "symbol"
    order = entry.SubmitOrderRequest(order=terms(account=ACCOUNT, cl_ord_id=key))
    code, info = await refused(venue.orders.SubmitOrder(order, metadata=venue.as_role(accounts=[ACCOUNT])))
    assert (info.reason, info.metadata["field"]) == ("CL_ORD_ID_CONFLICT", "request")
    await canceled(venue)


async def test_what_cannot_be_asked(venue: Venue) -> None:
    """Wrong keys, symbols and sides are named; an account that is not open, or not the caller's, is refused."""
    own = venue.as_role(accounts=[ACCOUNT])
    cases: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"cl_ord_id": "a b"}, "FIELD_INVALID", "cl_ord_id"),
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN", "symbol"),
        ({"side": 4}, "ENUM_UNKNOWN", "side"),
        ({}, "FIELD_MISSING", "all_orders"),
        ({"all_orders": True, "symbol": "AAPL"}, "FIELDS_CONFLICT", "all_orders"),
        ({"all_orders": True, "side": SELL}, "FIELDS_CONFLICT", "all_orders"),
    )
    for fields, reason, field in cases:
        request = entry.MassCancelOrdersRequest(**fields)
        code, info = await refused(venue.orders.MassCancelOrders(request, metadata=own))
        assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason), field
    foreign = entry.MassCancelOrdersRequest(account="MM", all_orders=True)
    assert (await refused(venue.orders.MassCancelOrders(foreign, metadata=own)))[1].reason == "ACCOUNT_NOT_ALLOWED"
    everything = entry.MassCancelOrdersRequest(all_orders=True)
    nobody = venue.orders.MassCancelOrders(everything, metadata=venue.as_role(accounts=["NOBODY"]))
    code, info = await refused(nobody)
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_UNKNOWN")


async def test_a_mass_cancel_whose_answer_was_lost(own_venue: NewVenue) -> None:
    """The caller went away and asks again on a new connection: the original answer, and nothing else is cancelled."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    placed = await venue.submit(side=BUY)
    venue.cable.holds_answers()
    key = new_key()
    call = asyncio.create_task(canceled(venue, "DEMO", cl_ord_id=key))
    while (await straight(venue, placed.cl_ord_id)) != types.ORD_STATUS_CANCELED:
        pass
    call.cancel()
    await asyncio.wait([call])
    await venue.cable.cut()
    await venue.becomes(serving=True)
    later = await venue.submit()
    again = await canceled(venue, "DEMO", cl_ord_id=key)
    assert (again.canceled_orders, again.poss_dup) == (1, True)
    assert (await venue.order(cl_ord_id=later.cl_ord_id)).ord_status == types.ORD_STATUS_NEW


async def test_a_mass_cancel_without_a_key_happens_once_too(own_venue: NewVenue) -> None:
    """The link breaks before its answer, and another order comes in meanwhile: sent again, it leaves that one alone."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    placed = await venue.submit(side=BUY)
    venue.cable.holds_answers()
    call = asyncio.create_task(canceled(venue, "DEMO"))
    while (await straight(venue, placed.cl_ord_id)) != types.ORD_STATUS_CANCELED:
        pass
    settings = venue.settings
    async with connected(settings, settings.matching_port) as stub, linked(settings, stub, "gateway-other") as other:
        await other.carry_out(matching_order("DEMO", BUY, 1, 100, "in-between"))
    await venue.cable.cut()
    answer = await call
    assert answer.canceled_orders == 1
    assert answer.cl_ord_id
    assert (await venue.order(cl_ord_id="in-between")).ord_status == types.ORD_STATUS_NEW


async def straight(venue: Venue, cl_ord_id: str) -> int:
    """An order's status, asked of matching itself."""
    async with venue.straight_to_matching() as stub:
        found = await stub.LookupOrder(matching_pb2.LookupOrderRequest(account="DEMO", cl_ord_id=cl_ord_id))
    return events_pb2.Event.FromString(found.order.last_event).order.ord_status
