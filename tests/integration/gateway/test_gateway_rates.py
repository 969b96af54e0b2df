"""Rate limits of the unary calls: what is told with each answer, what is refused, and what always passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.rates.lease import lease_size
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.valkey import store
from tests.integration.gateway.venue import Venue, details, new_key, second_gateway, session, terms
from tests.integration.gateway.venue import submit as command

SLOW = 0.001
"""A rate so low that nothing comes back during a test."""
SMALL = {
    "rate_orders_burst": 6,
    "rate_orders_per_s": SLOW,
    "rate_cancels_burst": 3,
    "rate_cancels_per_s": SLOW,
    "rate_queries_burst": 5,
    "rate_queries_per_s": SLOW,
}


@pytest_asyncio.fixture
async def limited(own_venue: NewVenue) -> Venue:
    """A venue whose budgets are small and do not come back."""
    venue = own_venue(**SMALL)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


class Told:
    """A call's answer or error, and the budget in its headers."""

    def __init__(self, headers: dict[str, str], answer: Any, error: grpc.aio.AioRpcError | None) -> None:
        self.limit, self.remaining = int(headers["ratelimit-limit"]), int(headers["ratelimit-remaining"])
        self.reset_s = int(headers["ratelimit-reset"])
        self.answer = answer
        self.error = error

    @property
    def reason(self) -> str:
        """Why it was refused; empty if it was not."""
        return "" if self.error is None else details(self.error)[0].reason


async def told(call: Any) -> Told:
    """Awaits a call; its headers must be there whatever became of it."""
    answer, error = None, None
    try:
        answer = await call
    except grpc.aio.AioRpcError as failure:
        error = failure
    headers = {key: str(value) for key, value in await call.initial_metadata()}
    return Told(headers, answer, error)


def submit(venue: Venue, **changes: Any) -> Any:
    """A call that places an order."""
    return venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=terms(**changes)), metadata=venue.as_role())


async def test_every_answer_tells_what_is_left(limited: Venue) -> None:
    """Accepted, denied and wrongly formed orders cost one each, and each is told limit, remainder and reset."""
    for remaining, changes, reason in (
        (5, {}, ""),
        (4, {"qty": "1000000", "price": "40.00"}, "BUYING_POWER"),
        (3, {"qty": "0.5"}, "QTY_OFF_LOT"),
    ):
        answer = await told(submit(limited, **changes))
        assert (answer.limit, answer.remaining, answer.reason) == (6, remaining, reason)
        assert answer.reset_s == pytest.approx((6 - remaining) / SLOW, rel=0.1)


async def test_too_many_are_refused_with_the_time_to_wait(limited: Venue) -> None:
    """RATE_EXCEEDED, RESOURCE_EXHAUSTED, with numbers, RetryInfo and headers; the venue hears nothing of it."""
    for _ in range(6):
        last = await limited.submit()
    answer = await told(submit(limited, cl_ord_id=(key := new_key())))
    assert (answer.limit, answer.remaining) == (6, 0)
    assert answer.error is not None
    info, status = details(answer.error)
    assert (answer.error.code(), info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_EXCEEDED")
    assert dict(info.metadata) == {"scope": "ACCOUNT_ORDERS", "limit": "6", "remaining": "0"}
    retry = error_details_pb2.RetryInfo()
    assert any(packed.Unpack(retry) for packed in status.details)
    assert retry.retry_delay.seconds == pytest.approx(1 / SLOW, rel=0.1)
    lookup = entry.GetOrderRequest(cl_ord_id=key)
    assert (await told(limited.orders.GetOrder(lookup, metadata=limited.as_role()))).reason == "ORDER_UNKNOWN"
    cancel = entry.MassCancelOrdersRequest(account="DEMO", all_orders=True)
    answer = await told(limited.orders.MassCancelOrders(cancel, metadata=limited.as_role()))
    assert (answer.answer.seq, answer.answer.canceled_orders) == (last.seq + 1, 6)


async def test_cancels_pass_when_orders_are_used_up(limited: Venue) -> None:
    """By their own budget, which has an end too; replaces and quotes draw from that of orders."""
    placed = [await limited.submit() for _ in range(6)]
    metadata = limited.as_role()
    replace = entry.ReplaceOrderRequest(order_id=placed[0].order_id, cl_ord_id=new_key(), qty="1")
    assert (await told(limited.orders.ReplaceOrder(replace, metadata=metadata))).reason == "RATE_EXCEEDED"
    basket = entry.SubmitOrdersRequest(account="DEMO", orders=[terms()])
    assert (await told(limited.orders.SubmitOrders(basket, metadata=metadata))).reason == "RATE_EXCEEDED"
    for remaining, order in zip((2, 1, 0), placed, strict=False):
        request = entry.CancelOrderRequest(order_id=order.order_id)
        answer = await told(limited.orders.CancelOrder(request, metadata=metadata))
        assert (answer.reason, answer.limit, answer.remaining) == ("", 3, remaining)
    request = entry.CancelOrderRequest(order_id=placed[3].order_id)
    assert (await told(limited.orders.CancelOrder(request, metadata=metadata))).reason == "RATE_EXCEEDED"
    everything = entry.MassCancelOrdersRequest(all_orders=True)
    assert (await told(limited.orders.MassCancelOrders(everything, metadata=metadata))).reason == "RATE_EXCEEDED"


async def test_each_order_of_a_basket_and_each_quote_counts(limited: Venue) -> None:
    """A basket takes as many tokens as it has orders, all or none; quotes one for each instrument."""
    metadata = limited.as_role()
    basket = entry.SubmitOrdersRequest(account="DEMO", orders=[terms() for _ in range(4)])
    assert (await told(limited.orders.SubmitOrders(basket, metadata=metadata))).remaining == 2
    larger = entry.SubmitOrdersRequest(account="DEMO", orders=[terms() for _ in range(3)])
    answer = await told(limited.orders.SubmitOrders(larger, metadata=metadata))
    assert (answer.reason, answer.remaining) == ("RATE_EXCEEDED", 2)
    never = entry.SubmitOrdersRequest(account="DEMO", orders=[terms() for _ in range(7)])
    answer = await told(limited.orders.SubmitOrders(never, metadata=metadata))
    assert answer.error is not None
    assert "7 requests at once never fit" in str(answer.error.details())
    maker = limited.as_role("market_maker", accounts=["MM"])
    entries = [orders.QuoteEntry(symbol=symbol, bid_px="1.00", bid_qty="1") for symbol in ("AAPL", "MSFT")]
    quotes = entry.SubmitQuotesRequest(quote_id=new_key(), entries=entries)
    assert (await told(limited.orders.SubmitQuotes(quotes, metadata=maker))).remaining == 4


async def test_queries_have_a_budget_of_their_own(limited: Venue) -> None:
    """Lookups, lists, checks and the question for the budgets themselves; the budgets tell what is left of each."""
    await limited.submit()
    metadata = limited.as_role()
    calls = (
        limited.orders.GetOrder(entry.GetOrderRequest(order_id="1"), metadata=metadata),
        limited.orders.ListOrders(entry.ListOrdersRequest(), metadata=metadata),
        limited.orders.CheckOrder(entry.CheckOrderRequest(order=terms()), metadata=metadata),
    )
    assert [(await told(call)).remaining for call in calls] == [4, 3, 2]
    answer = await told(limited.orders.GetRateBudget(entry.GetRateBudgetRequest(), metadata=metadata))
    assert (answer.answer.account, answer.remaining) == ("DEMO", 1)
    budgets = {budget.scope: budget for budget in answer.answer.budgets}
    assert [(scope, budget.limit, budget.remaining, budget.shared) for scope, budget in budgets.items()] == [
        (entry.RATE_SCOPE_ACCOUNT_ORDERS, 6, 5, False),
        (entry.RATE_SCOPE_ACCOUNT_CANCELS, 3, 3, False),
        (entry.RATE_SCOPE_ACCOUNT_QUERIES, 5, 1, False),
    ]
    orders_left = budgets[entry.RATE_SCOPE_ACCOUNT_ORDERS]
    assert orders_left.refill_per_s == SLOW
    assert orders_left.reset_ms == pytest.approx(1000 / SLOW, rel=0.1)
    lookup = entry.GetOrderRequest(order_id="1")
    reasons = [(await told(limited.orders.GetOrder(lookup, metadata=metadata))).reason for _ in range(2)]
    assert reasons == ["ORDER_UNKNOWN", "RATE_EXCEEDED"]


async def test_accounts_are_limited_one_by_one(limited: Venue) -> None:
    """Whoever asks, on however many connections: the account's budget counts, and another's is untouched."""
    for _ in range(6):
        await limited.submit()
    assert (await told(submit(limited))).reason == "RATE_EXCEEDED"
    assert (await limited.submit(accounts=["MM"])).exec_type == types.EXEC_TYPE_NEW


async def test_the_budget_comes_back(own_venue: NewVenue) -> None:
    """Waiting as long as RetryInfo says is enough."""
    venue = own_venue(**SMALL | {"rate_orders_burst": 1, "rate_orders_per_s": 4.0})
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    await venue.submit()
    refused = await told(submit(venue))
    while refused.error is not None:
        retry = error_details_pb2.RetryInfo()
        assert any(packed.Unpack(retry) for packed in details(refused.error)[1].details)
        wait_s = retry.retry_delay.ToTimedelta().total_seconds()
        assert 0 < wait_s <= 0.25
        await asyncio.sleep(wait_s)
        refused = await told(submit(venue))
    assert refused.answer.report.exec_type == types.EXEC_TYPE_NEW


@pytest_asyncio.fixture
async def redis_url(tmp_path: Path) -> AsyncIterator[str]:
    """Where a Valkey of the test's own is."""
    async with store(tmp_path) as running:
        yield running.url


async def test_gateways_share_an_accounts_budget(own_venue: NewVenue, redis_url: str) -> None:
    """What is used up at one gateway is used up at the other, but for a lease; the budgets say that they are shared."""
    burst = 24
    venue = own_venue(**SMALL | {"rate_orders_burst": burst, "rate_queries_burst": 100_000, "redis_url": redis_url})
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with second_gateway(venue) as place_at_other:
        await shares(venue)
        placed = 0
        while (await told(submit(venue))).error is None:
            placed += 1
        assert burst <= placed <= burst + lease_size(burst)
        reason = ""
        while not reason:
            reason = await refusal_of(place_at_other())
            placed += not reason
        assert reason == "RATE_EXCEEDED"
        assert placed <= burst + 2 * lease_size(burst)


async def refusal_of(placing: Awaitable[orders.ExecutionReport]) -> str:
    """The reason that an order was refused with; empty when it was not."""
    try:
        await placing
    except grpc.aio.AioRpcError as error:
        return str(details(error)[0].reason)
    return ""


async def shares(venue: Venue) -> None:
    """Waits until a gateway shares its budgets."""
    while True:
        request = entry.GetRateBudgetRequest()
        answer = await venue.orders.GetRateBudget(request, metadata=venue.as_role())
        if all(budget.shared for budget in answer.budgets):
            return


async def test_a_session_has_budgets_of_its_own(limited: Venue) -> None:
    """What two accounts may send together is more than one session may: it is refused, and another session is not."""
    accounts = ["DEMO", "FLOW-TAKER"]
    both = limited.as_role(accounts=accounts)
    async with session(limited, both, accounts=accounts) as first:
        await first.commands(*(command(number, account=accounts[number % 2]) for number in range(1, 9)))
        heard = await first.frames(reports=6, replies=2)
        assert {reply.refused.code for reply in heard.replies} == {types.REASON_RATE_EXCEEDED}
        assert "session orders" in heard.replies[0].refused.text
        assert all(reply.refused.retry_after_ms > 0 for reply in heard.replies)
        async with session(limited, both, accounts=accounts) as second:
            await second.commands(command(1, account="DEMO"), command(2, account="FLOW-TAKER"))
            assert len((await second.frames(reports=2)).reports) == 2
