"""What accounts hold, as calls against the real venue."""

import asyncio
import random
from itertools import pairwise
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

import matching.service
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.plain_ledger import PlainLedger
from tests.integration.gateway.streaming import drop_copy, trade, until
from tests.integration.gateway.venue import BUY, SELL, Venue, details, refused, reports_of

SHORT = types.SIDE_SELL_SHORT
OPTION = "AAPL-20270115-C-200"
MARKETS: dict[str, tuple[str, str, float, int]] = {
    "AAPL": ("1", "0.01", 190.0, 40),
    OPTION: ("1", "0.05", 12.0, 5),
    "EURUSD": ("1000", "0.00001", 1.1, 20),
    "BTCUSD": ("0.0001", "0.01", 60_000.0, 500),
}
"""Lot, tick, a price, and the most lots of an order."""


@pytest_asyncio.fixture
async def fresh(own_venue: NewVenue) -> Venue:
    """A venue of the test's own on which nothing has happened yet."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


async def portfolio_of(venue: Venue, account: str = "DEMO") -> portfolio.GetPortfolioResponse:
    """The portfolio of an account."""
    response: portfolio.GetPortfolioResponse = await venue.portfolio.GetPortfolio(
        portfolio.GetPortfolioRequest(account=account), metadata=venue.as_role(accounts=[account])
    )
    return response


async def snapshot_of(venue: Venue, account: str = "DEMO") -> portfolio.GetAccountSnapshotResponse:
    """An account as a whole."""
    response: portfolio.GetAccountSnapshotResponse = await venue.portfolio.GetAccountSnapshot(
        portfolio.GetAccountSnapshotRequest(account=account), metadata=venue.as_role(accounts=[account])
    )
    return response


async def at_random(venue: Venue, seed: int, number: int) -> None:
    """DEMO and MM buy and sell everything that there is, near one price, so that most of it trades."""
    chance = random.Random(seed)
    for _ in range(number):
        symbol = chance.choice(list(MARKETS))
        lot, tick, middle, most = MARKETS[symbol]
        account = chance.choice(["DEMO", "MM"])
        sale = SHORT if (account, symbol) == ("DEMO", OPTION) else SELL
        price = round(middle / float(tick)) + chance.randint(-3, 3)
        places = len(tick) - 2
        qty = chance.randint(1, most) * float(lot)
        order = {
            "symbol": symbol,
            "side": chance.choice([BUY, sale]),
            "qty": f"{qty:.4f}" if symbol == "BTCUSD" else f"{qty:.0f}",
            "price": f"{price * float(tick):.{places}f}",
        }
        try:
            await venue.submit(accounts=[account], **order)
        except grpc.aio.AioRpcError as error:
            # Selling short what is held, or what cannot be sold short.
            reason = details(error)[0].reason
            if reason not in ("SHORT_SALE_NOT_PERMITTED", "POSITION_INSUFFICIENT"):
                raise


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_portfolio_is_what_the_reports_come_to(fresh: Venue, seed: int) -> None:
    """Cash, fees, positions, profit and exposure, counted again from every account's reports: shares, short options,
    a currency pair and a coin."""
    ledger = PlainLedger(fresh.settings.genesis_file)
    ledger.check(await portfolio_of(fresh))
    await at_random(fresh, seed, 250)
    last = await fresh.submit()
    async with drop_copy(fresh, resume_after=0) as messages:
        reports = await until(messages, last.seq)
    for report in reports:
        ledger.hear(report)
    assert set(ledger.marks) == set(MARKETS)
    for account in ("DEMO", "MM"):
        told = await portfolio_of(fresh, account)
        assert told.as_of_seq == last.seq
        ledger.check(told)
    demo = {one.symbol: one for one in (await portfolio_of(fresh)).positions}
    assert any(one.realized_pnl != "0.00" for one in demo.values())
    assert demo["EURUSD"].qty != "0"


async def test_equity_changes_by_the_result_alone(fresh: Venue) -> None:
    """Whatever is traded: equity is what was paid in, and realised and unrealised profit less fees, by currency."""
    before = {one.currency: one for one in (await portfolio_of(fresh)).exposures}
    await at_random(fresh, 7, 150)
    told = await portfolio_of(fresh)
    fees = {one.currency: one.fees for one in told.balances}
    for after in told.exposures:
        begin = before[after.currency]
        result = sum(
            micro(now) - micro(then)
            for now, then in (
                (after.realized_pnl, begin.realized_pnl),
                (after.unrealized_pnl, begin.unrealized_pnl),
            )
        )
        assert micro(after.equity) - micro(begin.equity) == result - micro(fees[after.currency])


def micro(text: str) -> int:
    """Money in 10^-6."""
    whole, _, fraction = text.lstrip("-").partition(".")
    value = int(whole) * 10**6 + int(fraction.ljust(6, "0"))
    return -value if text.startswith("-") else value


async def test_every_call_says_the_same(fresh: Venue) -> None:
    """Portfolio, balances, positions and snapshot of one sequence are parts of one whole."""
    venue = fresh
    await at_random(venue, 5, 30)
    last_seq = (await venue.submit()).seq
    role = venue.as_role()
    whole = await portfolio_of(venue)
    balances = await venue.portfolio.ListBalances(portfolio.ListBalancesRequest(), metadata=role)
    positions = await venue.portfolio.ListPositions(portfolio.ListPositionsRequest(), metadata=role)
    snapshot = await snapshot_of(venue)
    assert {one.as_of_seq for one in (whole, balances, positions, snapshot)} == {last_seq}
    assert {one.account for one in (whole, balances, positions, snapshot)} == {"DEMO"}
    assert whole.balances == balances.balances == snapshot.balances
    assert whole.positions == positions.positions == snapshot.positions
    assert whole.exposures == snapshot.exposures
    assert whole.open_orders == len(snapshot.open_orders)


async def test_balances_of_one_currency(venue: Venue) -> None:
    """The currency alone; none for one that the account does not have."""
    role = venue.as_role()
    euros = await venue.portfolio.ListBalances(portfolio.ListBalancesRequest(currency="EUR"), metadata=role)
    assert [one.currency for one in euros.balances] == ["EUR"]
    assert euros.as_of_seq > 0
    none = await venue.portfolio.ListBalances(portfolio.ListBalancesRequest(currency="JPY"), metadata=role)
    assert list(none.balances) == []


async def test_a_snapshot_has_the_open_orders(fresh: Venue) -> None:
    """Newest first, waiting ones too, each as its last report left it; ended ones are not there."""
    placed = [await fresh.submit(qty="5", price=f"{price}.00") for price in (100, 101, 102)]
    stop = await fresh.submit(ord_type=types.ORD_TYPE_STOP, price="", stop_px="500.00")
    await fresh.submit(accounts=["MM"], side=SELL, qty="7", price="101.00")
    snapshot = await snapshot_of(fresh)
    assert [order.order_id for order in snapshot.open_orders] == [
        made.order_id for made in (stop, placed[1], placed[0])
    ]
    assert all(int(newer.order_id) > int(older.order_id) for newer, older in pairwise(snapshot.open_orders))
    partly = snapshot.open_orders[1]
    assert (partly.cum_qty, partly.leaves_qty, partly.ord_status) == ("2", "3", types.ORD_STATUS_PARTIALLY_FILLED)
    assert partly == await fresh.order(order_id=partly.order_id)
    assert snapshot.epoch == 1
    async with reports_of(fresh, resume_after=0) as messages:
        reports = await until(messages, partly.last_seq)
    assert snapshot.account_seq == reports[-1].account_seq
    assert snapshot.as_of_seq >= partly.last_seq


async def test_a_snapshot_is_consistent_beside_a_busy_market(fresh: Venue) -> None:
    """Its orders, numbers and position are those of its own sequence, whatever goes on."""
    snapshots: list[portfolio.GetAccountSnapshotResponse] = []
    while len({one.as_of_seq for one in snapshots}) < 5:
        trading = asyncio.create_task(trade(fresh, 200))
        while not trading.done():
            snapshots.append(await snapshot_of(fresh))
        last_seq = await trading
    async with reports_of(fresh, resume_after=0) as messages:
        reports = await until(messages, last_seq)
    for snapshot in snapshots:
        so_far = [report for report in reports if report.seq <= snapshot.as_of_seq]
        assert snapshot.account_seq == (so_far[-1].account_seq if so_far else 0)
        bought = sum(int(report.last_qty) for report in so_far if report.last_qty)
        (position,) = [one for one in snapshot.positions if one.symbol == "AAPL"]
        assert int(position.qty) == 10_000 + bought
        leaves = {report.order_id: report.leaves_qty for report in so_far}
        assert {order.order_id: order.leaves_qty for order in snapshot.open_orders} == {
            order_id: left for order_id, left in leaves.items() if left != "0"
        }


async def test_too_many_open_orders_are_refused(fresh: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """MESSAGE_TOO_LARGE, with the way out; so many as fit are given, and the ledger alone is always given."""
    assert matching.service.OPEN_ORDERS_MAX == 50_000
    monkeypatch.setattr(matching.service, "OPEN_ORDERS_MAX", 3)
    for _ in range(3):
        await fresh.submit()
    assert len((await snapshot_of(fresh)).open_orders) == 3
    await fresh.submit()
    code, info = await refused(snapshot_of(fresh))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_TOO_LARGE")
    assert (await portfolio_of(fresh)).open_orders == 4


CALLS: list[tuple[str, Any]] = [
    ("GetPortfolio", portfolio.GetPortfolioRequest),
    ("ListPositions", portfolio.ListPositionsRequest),
    ("ListBalances", portfolio.ListBalancesRequest),
    ("GetAccountSnapshot", portfolio.GetAccountSnapshotRequest),
]


@pytest.mark.parametrize(("method", "request_type"), CALLS)
async def test_who_may_ask(venue: Venue, method: str, request_type: Any) -> None:
    """The account's own people and oversight, which names it; nobody else's, and none that is not there."""
    call = getattr(venue.portfolio, method)
    own = await call(request_type(), metadata=venue.as_role())
    seen = await call(request_type(account="DEMO"), metadata=venue.as_role("auditor", accounts=[]))
    assert own.balances == seen.balances if method != "ListPositions" else own.positions == seen.positions
    officer = venue.as_role("risk_officer", accounts=[])
    assert (await refused(call(request_type(), metadata=officer)))[1].reason == "FIELD_MISSING"
    unknown = await refused(call(request_type(account="NOBODY"), metadata=officer))
    assert unknown[1].reason == "ACCOUNT_UNKNOWN"
    other = await refused(call(request_type(account="MM"), metadata=venue.as_role()))
    assert other[1].reason == "ACCOUNT_NOT_ALLOWED"


async def test_queries_have_a_budget(own_venue: NewVenue) -> None:
    """Every answer says what is left; beyond it the caller is told when to come again, and orders are not touched."""
    venue = own_venue(rate_queries_burst=len(CALLS), rate_queries_per_s=0.001)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    for left, (method, request_type) in enumerate(reversed(CALLS)):
        call = getattr(venue.portfolio, method)(request_type(), metadata=venue.as_role())
        assert ("ratelimit-remaining", str(len(CALLS) - 1 - left)) in tuple(await call.initial_metadata())
        await call
    for method, request_type in CALLS:
        call = getattr(venue.portfolio, method)(request_type(), metadata=venue.as_role())
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        info, status = details(error.value)
        assert (error.value.code(), info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_EXCEEDED")
        assert any(packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for packed in status.details)
    await venue.submit()
