"""What the tests of sessions share: further commands, and what has become of a session's orders."""

from typing import Any

from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.venue import SessionClient, Venue, new_key, submit

OPEN, CANCELED = types.ORD_STATUS_NEW, types.ORD_STATUS_CANCELED


def mass_cancel(correlation_id: int, **fields: Any) -> entry.SessionCommand:
    """A command that cancels many orders."""
    return entry.SessionCommand(correlation_id=correlation_id, mass_cancel=entry.MassCancelOrdersRequest(**fields))


def quote(correlation_id: int, **fields: Any) -> entry.SessionCommand:
    """A command that quotes AAPL, far from the market unless `fields` say otherwise."""
    plain = {"quote_id": new_key(), "symbol": "AAPL", "bid_px": "1.00", "bid_qty": "5"}
    return entry.SessionCommand(correlation_id=correlation_id, quote=orders.QuoteTerms(**(plain | fields)))


def renew_timer(correlation_id: int) -> entry.SessionCommand:
    """A command that renews the dead-man timer."""
    return entry.SessionCommand(correlation_id=correlation_id, renew_timer=entry.RenewTimer())


async def placed(client: SessionClient, correlation_id: int = 1, **terms: Any) -> str:
    """Places an order on a session that has just logged on; gives its key once it is open."""
    key = new_key()
    await client.commands(submit(correlation_id, cl_ord_id=key, **terms))
    while True:
        for report in (await client.until("frame")).frame.reports:
            if report.correlation_id == correlation_id:
                assert report.exec_type == types.EXEC_TYPE_NEW
                return key


async def becomes(
    venue: Venue, cl_ord_id: str, status: types.OrdStatus.ValueType, account: str = "DEMO"
) -> events.Event:
    """Waits until matching, asked directly, has an order in a state; gives the order's last event."""
    request = matching.LookupOrderRequest(account=account, cl_ord_id=cl_ord_id)
    async with venue.straight_to_matching() as stub:
        while True:
            event = events.Event.FromString((await stub.LookupOrder(request)).order.last_event)
            if event.order.ord_status == status:
                return event


async def canceled(venue: Venue, order_id: str) -> events.Event:
    """Waits until the journal says that an order was cancelled; an order that no key leads to is forgotten then."""
    while True:
        for event in await history(venue):
            if event.order.order_id == int(order_id) and event.order.ord_status == CANCELED:
                return event


async def status_of(venue: Venue, cl_ord_id: str, account: str = "DEMO") -> types.OrdStatus.ValueType:
    """The state that an order is in now, by matching's own word."""
    request = matching.LookupOrderRequest(account=account, cl_ord_id=cl_ord_id)
    async with venue.straight_to_matching() as stub:
        found = await stub.LookupOrder(request)
        return events.Event.FromString(found.order.last_event).order.ord_status


async def history(venue: Venue, after_seq: int = 0) -> list[events.Event]:
    """Every event after `after_seq`, by matching's own word."""
    async with venue.straight_to_matching() as stub:
        last_seq = (await stub.GetAccount(matching.GetAccountRequest(account="DEMO"))).as_of_seq
        request = matching.StreamEventsRequest(follower="tests", resume_after=after_seq, until_seq=last_seq)
        return [events.Event.FromString(data) async for one in stub.StreamEvents(request) for data in one.events]


async def session_events(venue: Venue, session_id: str) -> list[str]:
    """What the journal says of a session, in order."""
    told: list[str] = []
    for event in await history(venue):
        kind = event.WhichOneof("body") or ""
        if not kind.startswith("session_"):
            continue
        body = getattr(event, kind)
        if (body.session if kind == "session_opened" else body).session_id == session_id:
            told.append(kind)
    return told


async def session_becomes(venue: Venue, session_id: str, *told: str) -> None:
    """Waits until the journal says this of a session, and nothing else."""
    while await session_events(venue, session_id) != list(told):
        pass


def close_session(**fields: Any) -> bytes:
    """A command that ends sessions, as matching and gateways give it."""
    return commands.Command(actor="system", close_session=commands.CloseSession(**fields)).SerializeToString()
