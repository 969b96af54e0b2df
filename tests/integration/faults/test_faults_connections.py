"""What refusals leave behind: nothing. A connection takes as many as there are."""

import gc
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio

from runtime.limits import STREAMS_MAX
from tests.integration.faults.truth import read_truth
from tests.integration.gateway.venue import Venue, reports_of, session, terms

pytest_plugins = ["tests.integration.gateway.conftest"]


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Nothing is freed but what nobody holds any more, as in a server between two rare collections."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest_asyncio.fixture
async def proven_venue(venue: Venue) -> AsyncIterator[Venue]:
    """The shared venue, whose journal is held against the invariants; nobody writes there any more, so it stays up."""
    yield venue
    read_truth(venue.settings.journal_dir)


@pytest.mark.parametrize("kind", ["shape", "risk", "unknown order", "role", "stream", "session"])
@pytest.mark.usefixtures("without_collector")
async def test_a_refused_call_gives_its_place_back(proven_venue: Venue, kind: str) -> None:
    """More refusals than a connection may have calls at once, and the next call is answered all the same."""
    venue = proven_venue
    stranger = venue.as_role("auditor", accounts=[])
    far_too_many = terms(qty="100000000", price="1000000.00")
    off_tick = terms(price="1.001")

    async def refused_once() -> None:
        role = venue.as_role()
        if kind == "stream":
            async with reports_of(venue, resume_after=1 << 60) as messages:
                await anext(messages)
        elif kind == "session":
            async with session(venue, role, heartbeat_interval_s=61) as client:
                await client.next()
        elif kind == "unknown order":
            await venue.orders.GetOrder(entry.GetOrderRequest(account="DEMO", cl_ord_id="nobody"), metadata=role)
        elif kind == "role":
            await venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=off_tick), metadata=stranger)
        else:
            order: orders.OrderTerms = off_tick if kind == "shape" else far_too_many
            await venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=role)

    for _ in range(STREAMS_MAX + 10):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await refused_once()
        assert "RST_STREAM" not in (refusal.value.details() or ""), "the connection takes no more calls"
    assert await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(account="DEMO"), metadata=venue.as_role())
