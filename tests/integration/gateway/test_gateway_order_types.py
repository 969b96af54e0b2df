"""Every kind of order through gateway and matching: what clients ask for, and what they are told of it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from runtime.clock import unix_ns
from tests.integration.gateway.venue import BUY, SELL, Venue, new_key, refused, session, submit, terms

IOC, FOK, GTD = types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK, types.TIME_IN_FORCE_GTD
MARKET = {"ord_type": types.ORD_TYPE_MARKET, "price": "", "time_in_force": types.TIME_IN_FORCE_DAY}
NEW, TRADE, CANCELED = types.EXEC_TYPE_NEW, types.EXEC_TYPE_TRADE, types.EXEC_TYPE_CANCELED
TRIGGERED = types.EXEC_TYPE_TRIGGERED


async def placed(venue: Venue, account: str = "DEMO", **changes: Any) -> list[orders.ExecutionReport]:
    """What becomes of an order of MSFT in the instant in which it is placed."""
    order = terms(**({"account": account, "symbol": "MSFT"} | changes))
    answer = await venue.orders.SubmitOrder(
        entry.SubmitOrderRequest(order=order), metadata=venue.as_role(accounts=[account])
    )
    return [answer.report, *answer.following]


async def cancel(venue: Venue, order_id: str, account: str = "DEMO") -> None:
    """Takes an order out of the market."""
    request = entry.CancelOrderRequest(order_id=order_id)
    await venue.orders.CancelOrder(request, metadata=venue.as_role(accounts=[account]))


async def reports_of(venue: Venue, after_seq: int, count: int) -> list[orders.ExecutionReport]:
    """The next reports of DEMO after a sequence."""
    request = entry.StreamExecutionReportsRequest(account="DEMO", resume_after=after_seq)
    call = venue.orders.StreamExecutionReports(request, metadata=venue.as_role())
    found: list[orders.ExecutionReport] = []
    async for message in call:
        if message.HasField("report"):
            found.append(message.report)
        if len(found) == count:
            break
    call.cancel()
    return found


def kinds(reports: Sequence[orders.ExecutionReport]) -> list[tuple[int, int]]:
    """Kind and status of each report."""
    return [(report.exec_type, report.ord_status) for report in reports]


async def test_a_stop_waits_until_a_trade_triggers_it(venue: Venue) -> None:
    """PENDING_NEW and out of the book; the trade at its price triggers it, and it sells as a market order."""
    (bid,) = await placed(venue, "MM", side=BUY, qty="5", price="400.00")
    (waiting,) = await placed(venue, side=SELL, ord_type=types.ORD_TYPE_STOP, price="", stop_px="400.00", qty="2")
    assert (waiting.ord_status, waiting.stop_px, waiting.price) == (types.ORD_STATUS_PENDING_NEW, "400.00", "")
    await placed(venue, side=SELL, price="400.00", qty="1", time_in_force=IOC)
    told = await reports_of(venue, waiting.seq, 4)
    own = [report for report in told if report.order_id == waiting.order_id]
    assert kinds(own) == [(TRIGGERED, types.ORD_STATUS_NEW), (TRADE, types.ORD_STATUS_FILLED)]
    assert (own[0].cause, own[1].last_qty, own[1].last_px) == (types.CAUSE_SYSTEM, "2", "400.00")
    await cancel(venue, bid.order_id, "MM")


async def test_terms_of_a_waiting_order_come_back_and_can_be_replaced(venue: Venue) -> None:
    """A trailing stop that ends at a time is looked up with all that was asked for; then its trigger is moved."""
    expires = Timestamp()
    expires.FromNanoseconds(unix_ns() + 10**15)
    asked = terms(
        symbol="MSFT",
        side=SELL,
        ord_type=types.ORD_TYPE_TRAILING_STOP,
        price="",
        qty="2",
        stop_px="1.50",
        trail=orders.Trail(offset="25", unit=types.TRAIL_UNIT_BPS, trigger_by=types.TRIGGER_BY_BID_ASK),
        time_in_force=GTD,
        expire_time=expires,
        exec_inst=orders.ExecInst(reduce_only=True),
        self_trade_prevention=types.SELF_TRADE_PREVENTION_DECREMENT,
        client_time=Timestamp(seconds=1_700_000_000),
        decision_maker="me",
    )
    role = venue.as_role()
    report = (await venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=asked), metadata=role)).report
    found = await venue.order(order_id=report.order_id)
    assert found.terms == asked
    moved = entry.ReplaceOrderRequest(order_id=report.order_id, cl_ord_id=new_key(), stop_px="1.25")
    replaced = (await venue.orders.ReplaceOrder(moved, metadata=role)).report
    assert (replaced.exec_type, replaced.stop_px) == (types.EXEC_TYPE_REPLACED, "1.25")
    assert replaced.ord_status == types.ORD_STATUS_PENDING_NEW
    await cancel(venue, report.order_id)


async def test_an_iceberg_says_what_it_shows(venue: Venue) -> None:
    """Its report has the shown quantity, a replace changes it, and a fill leaves the rest."""
    (resting,) = await placed(venue, side=BUY, qty="9", price="390.00", display_qty="3")
    assert (resting.display_qty, resting.leaves_qty) == ("3", "9")
    change = entry.ReplaceOrderRequest(order_id=resting.order_id, cl_ord_id=new_key(), display_qty="2")
    changed = (await venue.orders.ReplaceOrder(change, metadata=venue.as_role())).report
    assert changed.display_qty == "2"
    sold = await placed(venue, "MM", side=SELL, qty="5", price="390.00", time_in_force=IOC)
    assert [report.last_qty for report in sold[1:]] == ["2", "2", "1"]
    assert (await venue.order(order_id=resting.order_id)).leaves_qty == "4"
    await cancel(venue, resting.order_id)


async def test_orders_that_may_not_do_what_they_would(venue: Venue) -> None:
    """Post-only does not take, FOK trades all or nothing, and a minimum is a minimum; each end has its reason."""
    (ask,) = await placed(venue, "MM", side=SELL, qty="5", price="420.00")
    post_only = terms(symbol="MSFT", price="420.00", exec_inst=orders.ExecInst(post_only=True))
    request = entry.SubmitOrderRequest(order=post_only)
    code, info = await refused(venue.orders.SubmitOrder(request, metadata=venue.as_role()))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WOULD_TAKE")
    for changes in ({"time_in_force": FOK}, {"time_in_force": IOC, "min_qty": "6"}):
        told = await placed(venue, side=BUY, qty="6", price="420.00", **changes)
        assert kinds(told)[1:] == [(CANCELED, types.ORD_STATUS_CANCELED)]
        assert told[1].reason.code == types.REASON_NOT_FILLABLE
    filled = await placed(venue, side=BUY, qty="5", price="420.00", time_in_force=FOK)
    assert kinds(filled)[1:] == [(TRADE, types.ORD_STATUS_FILLED)]
    with pytest.raises(grpc.aio.AioRpcError):
        await cancel(venue, ask.order_id, "MM")


async def test_a_fill_costs_its_fee(venue: Venue) -> None:
    """The taker pays and the maker is paid, in the instrument's currency, by the schedules of genesis."""
    await placed(venue, "MM", side=SELL, qty="10", price="421.00")
    told = await placed(venue, side=BUY, qty="10", price="421.00", time_in_force=FOK)
    # 4,210 USD at 150 millionths.
    assert (told[1].fee, told[1].fee_currency) == ("0.6315", "USD")
    await placed(venue, side=BUY, qty="10", price="380.00")
    sold = await placed(venue, "MM", side=SELL, qty="10", price="380.00", time_in_force=FOK)
    # 3,800 USD at 100 millionths; DEMO, resting, pays 50.
    assert sold[1].fee == "0.38"
    (bought,) = await reports_of(venue, sold[0].seq, 1)
    assert (bought.liquidity, bought.fee) == (types.LIQUIDITY_MAKER, "0.19")


async def test_one_leg_cancels_the_other(venue: Venue) -> None:
    """Both legs name their list in their reports; when one trades the other is cancelled, and says why."""
    key = new_key()
    legs = [orders.Contingency(type=types.CONTINGENCY_TYPE_OCO, list_id=key, leg=leg) for leg in (1, 2)]
    (limit,) = await placed(venue, side=SELL, qty="2", price="425.00", contingency=legs[0])
    stop: dict[str, Any] = {"ord_type": types.ORD_TYPE_STOP, "price": "", "stop_px": "300.00"}
    (waiting,) = await placed(venue, side=SELL, qty="2", contingency=legs[1], **stop)
    assert (limit.list_id, waiting.list_id) == (key, key)
    await placed(venue, "MM", side=BUY, qty="1", price="425.00", time_in_force=IOC)
    ended = await venue.order(order_id=waiting.order_id)
    assert (ended.ord_status, ended.reason.code) == (types.ORD_STATUS_CANCELED, types.REASON_CONTINGENCY)
    assert ended.terms.contingency == legs[1]
    await cancel(venue, limit.order_id)


async def test_decrement_restates_who_has_more(venue: Venue) -> None:
    """Both lose the smaller quantity without a trade; the larger one is told by RESTATED."""
    (resting,) = await placed(venue, side=BUY, qty="5", price="350.00")
    decrement = types.SELF_TRADE_PREVENTION_DECREMENT
    told = await placed(venue, side=SELL, qty="2", price="350.00", self_trade_prevention=decrement)
    assert kinds(told)[1:] == [(CANCELED, types.ORD_STATUS_CANCELED)]
    restated = await venue.order(order_id=resting.order_id)
    assert (restated.terms.qty, restated.leaves_qty) == ("3", "3")
    assert kinds(await reports_of(venue, told[0].seq, 1)) == [(types.EXEC_TYPE_RESTATED, types.ORD_STATUS_NEW)]
    await cancel(venue, resting.order_id)


async def test_a_short_position_has_margin_and_a_mark(venue: Venue) -> None:
    """DEMO sells an option short: a negative position at the mark, its margin out of the buying power; then it ends."""
    symbol = "AAPL-20270115-C-200"
    role = venue.as_role()
    await placed(venue, "MM", symbol=symbol, side=BUY, qty="3", price="10.00")
    await placed(venue, symbol=symbol, side=types.SIDE_SELL_SHORT, qty="3", price="10.00", time_in_force=IOC)
    held = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=role)
    (short,) = [position for position in held.positions if position.symbol == symbol]
    assert (short.qty, short.avg_cost, short.mark_px, short.unrealized_pnl) == ("-3", "10.00", "10.00", "0.00")
    (cash,) = [balance for balance in held.balances if balance.currency == "USD"]
    # What it would cost to buy back, and a fifth of what the strikes are worth.
    assert cash.margin == "15000.00"
    assert Decimal(cash.buying_power) == Decimal(cash.cash) - Decimal(cash.held) - Decimal(cash.margin)
    assert Decimal(cash.fees) > 0
    await placed(venue, "MM", symbol=symbol, side=SELL, qty="3", price="11.00")
    await placed(venue, symbol=symbol, side=BUY, qty="3", price="11.00", exec_inst=orders.ExecInst(reduce_only=True))
    held = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=role)
    (flat,) = [position for position in held.positions if position.symbol == symbol]
    assert (flat.qty, flat.realized_pnl, flat.mark_px) == ("0", "-300.00", "11.00")


async def test_a_currency_pair_moves_two_currencies(venue: Venue) -> None:
    """Buying euros takes dollars and brings euros as cash, and the pair's position tells only the profit."""
    role = venue.as_role()

    async def cash() -> dict[str, Decimal]:
        held = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=role)
        return {balance.currency: Decimal(balance.cash) for balance in held.balances}

    before = await cash()
    await placed(venue, "MM", symbol="EURUSD", side=SELL, qty="2000", price="1.10000")
    await placed(venue, symbol="EURUSD", side=BUY, qty="2000", price="1.10000", time_in_force=FOK)
    after = await cash()
    assert after["EUR"] - before["EUR"] == 2000
    assert after["USD"] - before["USD"] == -2200 - Decimal("0.33")


async def test_orders_over_a_session_carry_every_term(venue: Venue) -> None:
    """The session's frames take what the unary call takes, and its reports show it."""
    stop_limit = {"ord_type": types.ORD_TYPE_STOP_LIMIT, "stop_px": "2.00", "display_qty": "1"}
    async with session(venue, accounts=["DEMO"]) as client:
        await client.commands(submit(7, symbol="MSFT", side=SELL, price="1.99", **stop_limit))
        (report,) = (await client.frames(reports=1)).reports
    assert (report.correlation_id, report.ord_status) == (7, types.ORD_STATUS_PENDING_NEW)
    assert (report.stop_px, report.price, report.display_qty) == ("2.00", "1.99", "1")
    found = await venue.order(order_id=report.order_id)
    assert found.terms.stop_px == "2.00"
    await cancel(venue, report.order_id)
