"""Unary order entry and the portfolio, against the real venue."""

from decimal import Decimal

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.venue import SELL, Venue, new_key, refused, terms


async def test_an_order_is_accepted_once_it_is_durable(venue: Venue) -> None:
    """The report says what was accepted, where it stands in the journal, and each stage of its way in order."""
    report = await venue.submit(cl_ord_id=(key := new_key()), qty="7", price="1.25", decision_maker="algo-1")
    assert (report.exec_type, report.ord_status) == (types.EXEC_TYPE_NEW, types.ORD_STATUS_NEW)
    assert (report.account, report.cl_ord_id, report.symbol) == ("DEMO", key, "AAPL")
    assert (report.qty, report.price, report.cum_qty, report.leaves_qty) == ("7", "1.25", "0", "7")
    assert (report.order_id, report.exec_id) == (str(report.seq), str(report.seq))
    assert (report.audit_index, report.prev_account_seq) == (report.seq - 1, report.account_seq - 1)
    assert 0 < report.received_unix_ns <= report.sequenced_unix_ns <= report.durable_unix_ns <= report.sent_unix_ns
    assert not report.poss_dup
    found = await venue.order(order_id=report.order_id)
    assert (found.terms.cl_ord_id, found.terms.decision_maker, found.last_seq) == (key, "algo-1", report.seq)


async def test_the_only_account_need_not_be_named(venue: Venue) -> None:
    """A token bound to one account fills it in, for orders, lookups and the portfolio."""
    report = await venue.submit(account="", cl_ord_id=(key := new_key()))
    assert report.account == "DEMO"
    assert (await venue.order(account="DEMO", cl_ord_id=key)).order_id == report.order_id
    response = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=venue.as_role())
    assert response.account == "DEMO"


async def test_a_cancel_ends_the_order(venue: Venue) -> None:
    """By either id, with or without a key of its own; afterwards it is too late."""
    first, second = await venue.submit(), await venue.submit()
    by_id = entry.CancelOrderRequest(order_id=first.order_id)
    by_key = entry.CancelOrderRequest(orig_cl_ord_id=second.cl_ord_id, cl_ord_id=(key := new_key()))
    for request, order in ((by_id, first), (by_key, second)):
        report = (await venue.orders.CancelOrder(request, metadata=venue.as_role())).report
        assert (report.exec_type, report.ord_status) == (types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED)
        assert (report.order_id, report.leaves_qty) == (order.order_id, "0")
    assert (report.cl_ord_id, report.orig_cl_ord_id) == (key, second.cl_ord_id)
    code, info = await refused(venue.orders.CancelOrder(by_id, metadata=venue.as_role()))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_OPEN")


async def test_a_replace_changes_the_order(venue: Venue) -> None:
    """Quantity and price change, the order carries the new key, and is found by both."""
    first = await venue.submit(qty="5", price="1.00")
    request = entry.ReplaceOrderRequest(
        orig_cl_ord_id=first.cl_ord_id, cl_ord_id=(key := new_key()), qty="3", price="1.10"
    )
    report = (await venue.orders.ReplaceOrder(request, metadata=venue.as_role())).report
    assert (report.exec_type, report.cl_ord_id, report.orig_cl_ord_id) == (
        types.EXEC_TYPE_REPLACED,
        key,
        first.cl_ord_id,
    )
    assert (report.qty, report.price, report.leaves_qty) == ("3", "1.10", "3")
    for by in (key, first.cl_ord_id):
        assert (await venue.order(cl_ord_id=by)).terms.qty == "3"


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"qty": "2.5"}, grpc.StatusCode.INVALID_ARGUMENT, "QTY_OFF_LOT", "qty"),
        ({"price": "1.001"}, grpc.StatusCode.INVALID_ARGUMENT, "PRICE_OFF_TICK", "price"),
        ({"qty": "5"}, grpc.StatusCode.INVALID_ARGUMENT, "NOTHING_TO_REPLACE", ""),
        ({"orig_cl_ord_id": "never-seen", "qty": "3"}, grpc.StatusCode.NOT_FOUND, "ORDER_UNKNOWN", ""),
    ],
)
async def test_a_replace_that_cannot_be(
    venue: Venue, fields: dict[str, str], code: grpc.StatusCode, reason: str, field: str
) -> None:
    """What only the core can find wrong comes back with its reason too, and the order stays as it was."""
    first = await venue.submit(qty="5", price="1.00")
    request = entry.ReplaceOrderRequest(**{"orig_cl_ord_id": first.cl_ord_id, "cl_ord_id": new_key()} | fields)
    status, info = await refused(venue.orders.ReplaceOrder(request, metadata=venue.as_role()))
    assert (status, info.reason, info.metadata["field"] if field else "") == (code, reason, field)
    assert (await venue.order(cl_ord_id=first.cl_ord_id)).last_seq >= first.seq
    assert (await venue.order(cl_ord_id=first.cl_ord_id)).terms.qty == "5"


async def test_a_repeated_request_gives_the_original_report(venue: Venue) -> None:
    """Submit, replace and cancel execute once; the repeat is marked as such and changes nothing."""
    order = terms()
    role = venue.as_role()
    calls = [
        (venue.orders.SubmitOrder, entry.SubmitOrderRequest(order=order)),
        (
            venue.orders.ReplaceOrder,
            entry.ReplaceOrderRequest(orig_cl_ord_id=order.cl_ord_id, cl_ord_id=new_key(), qty="4"),
        ),
        (venue.orders.CancelOrder, entry.CancelOrderRequest(orig_cl_ord_id=order.cl_ord_id, cl_ord_id=new_key())),
    ]
    for call, request in calls:
        first = (await call(request, metadata=role)).report
        again = (await call(request, metadata=role)).report
        assert (first.poss_dup, again.poss_dup) == (False, True)
        for report in (first, again):
            report.ClearField("poss_dup")
            report.ClearField("durable_unix_ns")
            report.ClearField("sent_unix_ns")
        assert again == first


async def test_a_repeated_denial_is_the_original_denial(venue: Venue) -> None:
    """A request that was denied is not tried again under its key."""
    order = terms(qty="100000", price="250.00")
    infos = [
        (await refused(venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=venue.as_role())))[1]
        for _ in range(2)
    ]
    assert infos[1].metadata.pop("poss_dup") == "true"
    assert infos[0] == infos[1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"qty": "6"}, "qty"), ({"price": "1.01"}, "price"), ({"side": SELL}, "side"), ({"symbol": "MSFT"}, "symbol")],
)
async def test_a_key_stands_for_one_request(venue: Venue, changes: dict[str, object], field: str) -> None:
    """The same key with another request is a conflict that names the client's field that differs."""
    first = await venue.submit()
    order = terms(cl_ord_id=first.cl_ord_id, **changes)
    request = entry.SubmitOrderRequest(order=order)
    code, info = await refused(venue.orders.SubmitOrder(request, metadata=venue.as_role()))
    assert (code, info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CL_ORD_ID_CONFLICT")
    assert info.metadata["field"] == field
    assert (await venue.order(cl_ord_id=first.cl_ord_id)).order_id == first.order_id


async def test_a_denial_tells_its_numbers(venue: Venue) -> None:
    """Too dear: the rule, the limit, what is held and what it would have been, and where it is recorded."""
    before = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=venue.as_role())
    request = entry.SubmitOrderRequest(order=terms(qty="100000", price="250.00"))
    code, info = await refused(venue.orders.SubmitOrder(request, metadata=venue.as_role()))
    cash = next(balance for balance in before.balances if balance.currency == "USD")
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUYING_POWER")
    numbers = info.metadata
    assert (numbers["rule"], numbers["exec_type"]) == ("buying_power", "DENIED")
    assert (numbers["limit"], numbers["current"]) == (cash.cash, cash.held)
    # With the fee on it at the taker's rate, and a millionth a lot for its rounding.
    wanted = Decimal(25_000_000) * (1 + Decimal(150) / 10**6) + Decimal(100_000) / 10**6
    assert Decimal(numbers["projected"]) == Decimal(cash.held) + wanted
    assert int(numbers["audit_index"]) == int(numbers["seq"]) - 1


async def test_selling_what_is_not_there_is_denied(venue: Venue) -> None:
    """More than the position, and short while it is held."""
    for changes, reason in (
        ({"side": SELL, "qty": "1000000"}, "POSITION_INSUFFICIENT"),
        ({"side": types.SIDE_SELL_SHORT}, "SHORT_SALE_NOT_PERMITTED"),
    ):
        request = entry.SubmitOrderRequest(order=terms(**changes))
        code, info = await refused(venue.orders.SubmitOrder(request, metadata=venue.as_role()))
        assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason)


async def test_a_trade_moves_cash_and_positions(venue: Venue) -> None:
    """What one account pays the other gets, and lookups and portfolios agree about it."""
    request = portfolio.GetPortfolioRequest()
    roles = {account: venue.as_role(accounts=[account]) for account in ("DEMO", "MM")}
    before = {a: await venue.portfolio.GetPortfolio(request, metadata=role) for a, role in roles.items()}
    maker = await venue.submit(accounts=["MM"], symbol="NVDA", side=SELL, qty="10", price="120.00")
    taker = await venue.submit(symbol="NVDA", qty="4", price="120.00", time_in_force=types.TIME_IN_FORCE_IOC)
    assert taker.exec_type == types.EXEC_TYPE_NEW
    filled, resting = await venue.order(order_id=taker.order_id), await venue.order("MM", order_id=maker.order_id)
    assert (filled.ord_status, filled.cum_qty, filled.avg_px) == (types.ORD_STATUS_FILLED, "4", "120.00")
    assert (resting.ord_status, resting.leaves_qty) == (types.ORD_STATUS_PARTIALLY_FILLED, "6")
    after = {a: await venue.portfolio.GetPortfolio(request, metadata=role) for a, role in roles.items()}
    paid = {a: dollars(after[a]) - dollars(before[a]) for a in roles}
    # 480 and fees by the schedules of genesis: the taker pays 150 millionths, the maker gets 20.
    assert paid == {"DEMO": Decimal("-480.072"), "MM": Decimal("480.0096")}
    positions = await venue.portfolio.ListPositions(
        portfolio.ListPositionsRequest(symbol="NVDA"), metadata=roles["DEMO"]
    )
    (nvda,) = positions.positions
    assert (nvda.symbol, nvda.qty, nvda.avg_cost, nvda.currency) == ("NVDA", "4", "120.00", "USD")
    await venue.orders.CancelOrder(entry.CancelOrderRequest(order_id=maker.order_id), metadata=roles["MM"])


def dollars(held: portfolio.GetPortfolioResponse) -> Decimal:
    """The cash of an account in USD."""
    return Decimal(next(balance.cash for balance in held.balances if balance.currency == "USD"))


async def test_an_answer_tells_what_else_became_of_the_order(venue: Venue) -> None:
    """Fills of the same instant follow the acceptance, then the end of what may not rest; the maker's own do not."""
    placed = [
        await venue.submit(accounts=["MM"], symbol="NVDA", side=SELL, qty=qty, price=price)
        for qty, price in (("2", "130.00"), ("3", "130.01"))
    ]
    order = terms(symbol="NVDA", qty="9", price="130.01", time_in_force=types.TIME_IN_FORCE_IOC)
    request = entry.SubmitOrderRequest(order=order)
    answer = await venue.orders.SubmitOrder(request, metadata=venue.as_role())
    told = [answer.report, *answer.following]
    assert [(report.exec_type, report.last_qty, report.last_px, report.leaves_qty) for report in told] == [
        (types.EXEC_TYPE_NEW, "", "", "9"),
        (types.EXEC_TYPE_TRADE, "2", "130.00", "7"),
        (types.EXEC_TYPE_TRADE, "3", "130.01", "4"),
        (types.EXEC_TYPE_CANCELED, "", "", "0"),
    ]
    assert told[-1].reason.code == types.REASON_NO_LIQUIDITY
    assert {report.order_id for report in told} == {answer.report.order_id}
    again = await venue.orders.SubmitOrder(request, metadata=venue.as_role())
    assert (again.report.poss_dup, list(again.following)) == (True, [])
    for maker in placed:
        assert (await venue.order("MM", order_id=maker.order_id)).ord_status == types.ORD_STATUS_FILLED


async def test_an_order_is_its_accounts_own(venue: Venue) -> None:
    """Another account neither sees nor cancels it, by either id; oversight sees it when it names the account."""
    report = await venue.submit()
    other = venue.as_role(accounts=["MM"])
    for by in ({"order_id": report.order_id}, {"cl_ord_id": report.cl_ord_id}):
        code, info = await refused(venue.orders.GetOrder(entry.GetOrderRequest(account="MM", **by), metadata=other))
        assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_UNKNOWN")
    request = entry.CancelOrderRequest(order_id=report.order_id)
    assert (await refused(venue.orders.CancelOrder(request, metadata=other)))[1].reason == "ORDER_UNKNOWN"
    officer = venue.as_role("risk_officer", accounts=[])
    lookup = entry.GetOrderRequest(account="DEMO", order_id=report.order_id)
    assert (await venue.orders.GetOrder(lookup, metadata=officer)).order.order_id == report.order_id


async def test_pages_hold_every_order_once(venue: Venue) -> None:
    """Newest first, page by page, each order once, however the pages are cut and while new orders come in."""
    own = venue.as_role(accounts=["FLOW-BID"])
    placed = [(await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")).order_id for _ in range(7)]
    for size in (1, 3, 7, 100):
        listed: list[str] = []
        token = ""
        while True:
            request = entry.ListOrdersRequest(symbol="AMZN", open_only=True, page_size=size, page_token=token)
            page = await venue.orders.ListOrders(request, metadata=own)
            assert len(page.orders) <= size
            listed += [order.order_id for order in page.orders]
            newer = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
            token = page.next_page_token
            if not token:
                break
        assert [order_id for order_id in listed if order_id in placed] == placed[::-1]
        assert len(set(listed)) == len(listed)
        assert newer.order_id not in listed


async def test_lists_are_filtered(venue: Venue) -> None:
    """By symbol, and by whether the orders are open."""
    own = venue.as_role(accounts=["FLOW-TAKER"])
    amazon = await venue.submit(accounts=["FLOW-TAKER"], symbol="AMZN")
    apple = await venue.submit(accounts=["FLOW-TAKER"], symbol="AAPL")
    await venue.orders.CancelOrder(entry.CancelOrderRequest(order_id=apple.order_id), metadata=own)

    async def listed(**filters: object) -> list[str]:
        page = await venue.orders.ListOrders(entry.ListOrdersRequest(**filters), metadata=own)  # type: ignore[arg-type]
        return [order.order_id for order in page.orders]

    assert await listed() == [apple.order_id, amazon.order_id]
    assert await listed(symbol="AAPL") == [apple.order_id]
    assert await listed(open_only=True) == [amazon.order_id]
    assert await listed(symbol="AAPL", open_only=True) == []


async def test_an_account_that_is_not_open(venue: Venue) -> None:
    """A token for an account that the venue does not know opens nothing."""
    nobody = venue.as_role(accounts=["NOBODY"])
    order = entry.SubmitOrderRequest(order=terms(account="NOBODY"))
    request = portfolio.GetPortfolioRequest()
    for call in (
        venue.orders.SubmitOrder(order, metadata=nobody),
        venue.portfolio.GetPortfolio(request, metadata=nobody),
    ):
        code, info = await refused(call)
        assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_UNKNOWN")


@pytest.mark.parametrize("role", ["risk_officer", "compliance_officer", "auditor"])
async def test_oversight_reads_and_does_not_write(venue: Venue, role: str) -> None:
    """Every account can be read and must be named; nothing can be placed."""
    metadata = venue.as_role(role, accounts=[])
    listed = await venue.orders.ListOrders(entry.ListOrdersRequest(account="DEMO", page_size=1), metadata=metadata)
    assert listed.orders
    assert (
        await venue.portfolio.ListPositions(portfolio.ListPositionsRequest(account="MM"), metadata=metadata)
    ).positions
    for call in (
        venue.orders.ListOrders(entry.ListOrdersRequest(), metadata=metadata),
        venue.orders.GetOrder(entry.GetOrderRequest(order_id="1"), metadata=metadata),
        venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=metadata),
    ):
        code, info = await refused(call)
        assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING")
    request = entry.SubmitOrderRequest(order=terms())
    code, info = await refused(venue.orders.SubmitOrder(request, metadata=metadata))
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")
