"""Working an order: who trades with whom, and what is left (section 2)."""

from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain import book, lists, money
from tests.simulation.plain.fillable import are_own, fillable
from tests.simulation.plain.risk import SECOND_NS, limit_of
from tests.simulation.plain.state import Account, Order, Place, Venue

CANCEL_NEWEST = types.SELF_TRADE_PREVENTION_CANCEL_NEWEST
CANCEL_OLDEST = types.SELF_TRADE_PREVENTION_CANCEL_OLDEST
CANCEL_BOTH = types.SELF_TRADE_PREVENTION_CANCEL_BOTH
AT_ONCE = (types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK)


def may_rest(order: Order) -> bool:
    """Whether what does not trade stays."""
    return order.is_limit and order.body.time_in_force not in AT_ONCE


def work(v: Venue, order: Order) -> list[int]:
    """Matches an order, then lets it rest or end; gives the prices of its trades."""
    order.place = Place.AT_WORK
    listing = v.listings[order.symbol]
    if not listing.is_continuous:
        _leave(v, order)
        return []
    limit = order.price if order.is_limit else book.collar(v, listing, buys=order.buys)
    least = order.qty if order.body.time_in_force == types.TIME_IN_FORCE_FOK else order.body.min_qty_lots
    if least and fillable(v, order, limit) < least:
        lists.cancel(v, order, types.CAUSE_SYSTEM, types.REASON_NOT_FILLABLE)
        return []
    prices = _match(v, order, limit)
    if order.is_open:
        _leave(v, order)
    return prices


def _leave(v: Venue, order: Order) -> None:
    session = v.listings[order.symbol].session
    if may_rest(order):
        book.enter(v, order)
        return
    reasons: dict[int, int] = {
        types.TRADING_SESSION_CONTINUOUS: types.REASON_NO_LIQUIDITY,
        types.TRADING_SESSION_HALTED: types.REASON_HALTED,
    }
    lists.cancel(v, order, types.CAUSE_SYSTEM, reasons.get(session, types.REASON_SESSION_CLOSED))


def _match(v: Venue, taker: Order, limit: int | None) -> list[int]:
    prices: list[int] = []
    while taker.is_open and limit is not None:
        makers = book.resting(v, taker.symbol, buys=not taker.buys)
        if not makers or not book.reaches(makers[0].price, limit, buys=taker.buys):
            break
        maker = makers[0]
        if not book.in_band(v.listings[taker.symbol], maker.price):
            halt(v, taker.symbol)
            break
        if meet(v, maker, taker, taker.body.self_trade_prevention):
            lots = min(maker.shown or maker.leaves, taker.leaves, allowed(v, maker), allowed(v, taker))
            prices.append(maker.price)
            trade(v, maker, taker, maker.price, lots)
    return prices


def halt(v: Venue, symbol: str) -> None:
    """The next trade would be outside the band."""
    listing = v.listings[symbol]
    previous, listing.session = listing.session, types.TRADING_SESSION_HALTED
    v.record(
        "trading_session_changed",
        symbol=symbol,
        previous=previous,
        trading_session=listing.session,
        cause=types.CAUSE_SYSTEM,
        reason=types.REASON_PRICE_BAND,
    )


def allowed(v: Venue, order: Order) -> int:
    """How much of an order may trade now."""
    if not order.body.reduce_only:
        return order.leaves
    return min(order.leaves, money.reducible(v, order.account, order.symbol, buys=order.buys))


def meet(v: Venue, resting: Order, incoming: Order, mode: int) -> bool:
    """What stands before a trade of two orders; True when they may trade."""
    if are_own(v, resting, incoming):
        prevent(v, resting, incoming, mode)
        return False
    for order in (resting, incoming):
        if not allowed(v, order):
            lists.cancel(v, order, types.CAUSE_SYSTEM, types.REASON_POSITION_INSUFFICIENT)
            return False
    return True


def prevent(v: Venue, resting: Order, incoming: Order, mode: int) -> None:
    """Self-trade prevention, by the incoming order's mode."""
    cause = (types.CAUSE_SELF_TRADE_PREVENTION, types.REASON_SELF_TRADE)
    if mode in (CANCEL_OLDEST, CANCEL_BOTH):
        lists.cancel(v, resting, *cause)
    if mode in (CANCEL_NEWEST, CANCEL_BOTH) and incoming.is_open:
        lists.cancel(v, incoming, *cause)
    if mode != types.SELF_TRADE_PREVENTION_DECREMENT:
        return
    less = min(resting.leaves, incoming.leaves)
    for order in (resting, incoming):
        if order.is_open and order.leaves == less:
            lists.cancel(v, order, *cause)
        elif order.is_open:
            order.qty -= less
            order.display, order.shown = min(order.display, order.qty), min(order.shown, order.leaves)
            money.hold(v, order)
            v.tell(order, types.EXEC_TYPE_RESTATED, cause[0], reason=cause[1])


def trade(v: Venue, resting: Order, incoming: Order, price: int, lots: int, *, is_auction: bool = False) -> None:
    """Two orders trade: money and lots move, both sides are told, contingencies are settled."""
    costs = []
    for order in (resting, incoming):
        costs.append(money.settle(v, order, lots, price, taker=order is incoming and not is_auction))
        order.cum += lots
        order.value += lots * price
        order.status = types.ORD_STATUS_PARTIALLY_FILLED if order.cum < order.qty else types.ORD_STATUS_FILLED
        _uncover(v, order, lots, is_auction=is_auction)
    trade_id = v.seq + 2
    sides = ((resting, incoming, types.LIQUIDITY_MAKER), (incoming, resting, types.LIQUIDITY_TAKER))
    for (order, other, liquidity), cost in zip(sides, costs, strict=True):
        v.tell(
            order,
            types.EXEC_TYPE_TRADE,
            types.CAUSE_TRADE,
            trade_id=trade_id,
            last_px_ticks=price,
            last_qty_lots=lots,
            liquidity=types.LIQUIDITY_AUCTION if is_auction else liquidity,
            contra_order_id=other.order_id,
            fee_micro=cost,
        )
    v.listings[resting.symbol].last = price
    for order in (resting, incoming):
        _count_fill(v, order)
    for order in (resting, incoming):
        lists.settle(v, order)


def _uncover(v: Venue, order: Order, lots: int, *, is_auction: bool) -> None:
    """A resting order loses what it shows; an iceberg is filled up again at the back of its level."""
    if not order.is_open:
        order.place = Place.GONE
        return
    money.hold(v, order)
    if order.in_book and order.display:
        order.shown = min(order.display, order.leaves) if is_auction else order.shown - lots
        if not order.shown:
            book.enter(v, order)


def _count_fill(v: Venue, order: Order) -> None:
    """Repeated executions (rule 8) stop the account in the instrument."""
    account, symbol = v.accounts[order.account], order.symbol
    times = account.fills.setdefault((symbol, order.buys), [])
    times.append(v.now)
    most = limit_of(v, order, "repeated_executions")
    fills = fills_within(account, symbol, v.now, limit_of(v, order, "repeated_window_ns") or SECOND_NS, buys=order.buys)
    if most and fills > most and symbol not in account.latched:
        account.latched[symbol] = (most, fills)
        v.latches.append({"account": account.name, "symbol": symbol, "executions": fills, "limit": most})


def fills_within(account: Account, symbol: str, now: int, window: int, *, buys: bool) -> int:
    """The fills of one side in a time."""
    count = 0
    for time in reversed(account.fills.get((symbol, buys), [])):
        if now - time >= window:
            break
        count += 1
    return count
