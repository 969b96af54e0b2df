"""The life of orders: new, replace, cancel, and matching in price-time priority.

Each entry point takes the venue and one command and writes at least one event.
"""

from operator import attrgetter

from matching.core import risk
from matching.core.book import Level
from matching.core.commands import CancelOrder, NewOrder, ReplaceOrder
from matching.core.events import OrderTerms
from matching.core.keys import Outcome, Request, differing_field
from matching.core.ledger import Account
from matching.core.orders import Order
from matching.core.venue import Listing, Venue, terms_of
from matching.core.words import (
    Cause,
    ExecType,
    Liquidity,
    OrdStatus,
    OrdType,
    Reason,
    RequestKind,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

_SIDES = frozenset(Side)
_ORD_TYPES = frozenset(OrdType)
_TIMES_IN_FORCE = frozenset(TimeInForce)
_SELF_TRADE_PREVENTIONS = frozenset(SelfTradePrevention)


def new_order(venue: Venue, command: NewOrder) -> None:
    """Places an order: accepted and matched, denied by risk, or rejected by the venue."""
    account = venue.accounts.get(command.account)
    listing = venue.listings.get(command.symbol)
    refusal = _shape(account, listing, command)
    if account is None or listing is None or refusal is not None:
        exec_type = ExecType.DENIED if account is None else ExecType.REJECTED
        _refuse_new(venue, account, command, exec_type, refusal or risk.Denial(Reason.SYMBOL_UNKNOWN, field="symbol"))
        return
    denial = risk.check_new(account, listing, command)
    if denial is not None:
        _refuse_new(venue, account, command, ExecType.DENIED, denial)
        return
    order = _accept(venue, account, listing, command)
    if order.price_ticks:
        risk.hold(order)
    _work(venue, order)


def replace_order(venue: Venue, command: ReplaceOrder) -> None:
    """Changes an open order. Only lowering the quantity keeps its place in the queue."""
    account = venue.accounts.get(command.account)
    order = _find(account, venue, command)
    if account is None or order is None:
        _refuse_unknown(venue, account, command, RequestKind.REPLACE)
        return
    instrument = order.listing.instrument
    qty_lots, qty_rest = divmod(command.qty_nano, instrument.lot_size_nano)
    price_ticks, price_rest = divmod(command.price_nano, instrument.tick_size_nano)
    qty_lots, price_ticks = qty_lots or order.qty_lots, price_ticks or order.price_ticks
    if not command.cl_ord_id:
        denial: risk.Denial | None = risk.Denial(Reason.FIELD_MISSING, field="cl_ord_id")
    elif qty_rest or price_rest:
        denial = _off_grid(qty_rest)
    else:
        denial = _replace_shape(order, qty_lots, price_ticks) or risk.check_replace(order, qty_lots, price_ticks)
    if denial is not None:
        exec_type = ExecType.REJECTED if denial.risk is None else ExecType.DENIED
        _refuse_request(venue, account, order, command, RequestKind.REPLACE, exec_type, denial)
        return
    keeps_priority = price_ticks == order.price_ticks and qty_lots < order.qty_lots
    side = order.listing.book.side(order.is_buy)
    if keeps_priority:
        _lower(order, qty_lots)
    else:
        side.remove(order)
        risk.release(order, order.leaves_qty_lots)
        order.qty_lots, order.price_ticks = qty_lots, price_ticks
        order.leaves_qty_lots = qty_lots - order.cum_qty_lots
        risk.hold(order)
    orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, command.cl_ord_id
    event = venue.tell(order, ExecType.REPLACED, Cause.CLIENT, RequestKind.REPLACE, orig_cl_ord_id=orig_cl_ord_id)
    account.keys[command.cl_ord_id] = Outcome(command, event, order)
    if not keeps_priority:
        _work(venue, order)


def cancel_order(venue: Venue, command: CancelOrder) -> None:
    """Cancels what is open of an order."""
    account = venue.accounts.get(command.account)
    order = _find(account, venue, command)
    if account is None or order is None:
        _refuse_unknown(venue, account, command, RequestKind.CANCEL)
        return
    if not order.is_open:
        denial = risk.Denial(Reason.ORDER_NOT_OPEN)
        _refuse_request(venue, account, order, command, RequestKind.CANCEL, ExecType.REJECTED, denial)
        return
    order.listing.book.side(order.is_buy).remove(order)
    orig_cl_ord_id = order.cl_ord_id if command.cl_ord_id else ""
    _end(order, OrdStatus.CANCELED)
    event = venue.tell(order, ExecType.CANCELED, Cause.CLIENT, RequestKind.CANCEL, command.cl_ord_id, orig_cl_ord_id)
    if command.cl_ord_id:
        account.keys[command.cl_ord_id] = Outcome(command, event, order)


def expire_day_orders(venue: Venue) -> int:
    """Ends every open DAY order, in the order of their ids; gives their number."""
    expiring = [
        order
        for account in venue.accounts.values()
        for order in account.open_orders.values()
        if order.terms.time_in_force == TimeInForce.DAY
    ]
    for order in sorted(expiring, key=attrgetter("order_id")):
        order.listing.book.side(order.is_buy).remove(order)
        _end(order, OrdStatus.EXPIRED)
        venue.tell(order, ExecType.EXPIRED, Cause.SYSTEM, reason=Reason.EXPIRED)
    return len(expiring)


def conflict(venue: Venue, account: Account, command: Request, original: Outcome) -> None:
    """Refuses a request whose key was used before with another request; names the first field that differs."""
    kinds = {NewOrder: RequestKind.SUBMIT, ReplaceOrder: RequestKind.REPLACE, CancelOrder: RequestKind.CANCEL}
    venue.tell_refused(
        account,
        terms_of(command) if isinstance(command, NewOrder) else OrderTerms(account.account),
        command.cl_ord_id,
        ExecType.REJECTED,
        kinds[type(command)],
        Reason.CL_ORD_ID_CONFLICT,
        field=differing_field(original.request, command),
    )


def _shape(account: Account | None, listing: Listing | None, command: NewOrder) -> risk.Denial | None:
    """What is wrong with a command that the gateway should have stopped; the core does not rely on it."""
    if account is None:
        return risk.Denial(Reason.ACCOUNT_UNKNOWN, field="account")
    if listing is None:
        return risk.Denial(Reason.SYMBOL_UNKNOWN, field="symbol")
    if command.side not in _SIDES or command.ord_type not in _ORD_TYPES:
        return risk.Denial(Reason.NOT_SUPPORTED, field="side" if command.side not in _SIDES else "ord_type")
    if command.time_in_force not in _TIMES_IN_FORCE:
        return risk.Denial(Reason.NOT_SUPPORTED, field="time_in_force")
    if command.self_trade_prevention not in _SELF_TRADE_PREVENTIONS:
        return risk.Denial(Reason.NOT_SUPPORTED, field="self_trade_prevention")
    if not command.cl_ord_id:
        return risk.Denial(Reason.FIELD_MISSING, field="cl_ord_id")
    if command.qty_lots <= 0:
        return risk.Denial(Reason.NOT_POSITIVE, field="qty")
    if command.price_ticks < 0:
        return risk.Denial(Reason.NOT_POSITIVE, field="price")
    if (command.price_ticks > 0) != (command.ord_type == OrdType.LIMIT):
        return risk.Denial(Reason.FIELDS_CONFLICT, field="price")
    return None


def _off_grid(qty_rest: int) -> risk.Denial:
    if qty_rest:
        return risk.Denial(Reason.QTY_OFF_LOT, field="qty")
    return risk.Denial(Reason.PRICE_OFF_TICK, field="price")


def _replace_shape(order: Order, qty_lots: int, price_ticks: int) -> risk.Denial | None:
    if not order.is_open:
        return risk.Denial(Reason.ORDER_NOT_OPEN)
    if qty_lots == order.qty_lots and price_ticks == order.price_ticks:
        return risk.Denial(Reason.NOTHING_TO_REPLACE)
    if qty_lots <= order.cum_qty_lots:
        return risk.Denial(Reason.QTY_BELOW_CUM, field="qty")
    if price_ticks <= 0:
        return risk.Denial(Reason.NOT_POSITIVE, field="price")
    return None


def _find(account: Account | None, venue: Venue, command: ReplaceOrder | CancelOrder) -> Order | None:
    """The account's order that a request names, by either id."""
    if account is None:
        return None
    if command.order_id:
        order = venue.orders.get(command.order_id)
        return order if order is not None and order.account is account else None
    outcome = account.keys.get(command.orig_cl_ord_id)
    return outcome.order if outcome is not None else None


def _accept(venue: Venue, account: Account, listing: Listing, command: NewOrder) -> Order:
    order = Order(
        venue.seq + 1,
        account,
        listing,
        terms_of(command),
        command.cl_ord_id,
        command.qty_lots,
        command.price_ticks,
        venue.time_unix_ns,
    )
    venue.orders[order.order_id] = order
    account.open_orders[order.order_id] = order
    account.order_ids.append(order.order_id)
    event = venue.tell(order, ExecType.NEW, Cause.CLIENT, RequestKind.SUBMIT)
    account.keys[command.cl_ord_id] = Outcome(command, event, order)
    return order


def _refuse_new(
    venue: Venue, account: Account | None, command: NewOrder, exec_type: ExecType, denial: risk.Denial
) -> None:
    event = venue.tell_refused(
        account,
        terms_of(command),
        command.cl_ord_id,
        exec_type,
        RequestKind.SUBMIT,
        denial.reason,
        field=denial.field,
        risk=denial.risk,
        qty_lots=command.qty_lots,
        price_ticks=command.price_ticks,
    )
    if account is not None and command.cl_ord_id:
        account.keys[command.cl_ord_id] = Outcome(command, event, None)


def _refuse_unknown(
    venue: Venue, account: Account | None, command: ReplaceOrder | CancelOrder, request: RequestKind
) -> None:
    event = venue.tell_refused(
        account,
        OrderTerms(command.account),
        command.cl_ord_id,
        ExecType.REJECTED,
        request,
        Reason.ACCOUNT_UNKNOWN if account is None else Reason.ORDER_UNKNOWN,
        orig_cl_ord_id=command.orig_cl_ord_id,
    )
    if account is not None and command.cl_ord_id:
        account.keys[command.cl_ord_id] = Outcome(command, event, None)


def _refuse_request(
    venue: Venue,
    account: Account,
    order: Order,
    command: ReplaceOrder | CancelOrder,
    request: RequestKind,
    exec_type: ExecType,
    denial: risk.Denial,
) -> None:
    event = venue.tell(
        order,
        exec_type,
        Cause.CLIENT,
        request,
        command.cl_ord_id,
        order.cl_ord_id if command.cl_ord_id else "",
        denial.reason,
        denial.field,
        denial.risk,
    )
    if command.cl_ord_id:
        account.keys[command.cl_ord_id] = Outcome(command, event, None)


def _lower(order: Order, qty_lots: int) -> None:
    """Lowers the quantity in place."""
    less = order.qty_lots - qty_lots
    risk.release(order, less)
    side = order.listing.book.side(order.is_buy)
    side.levels[order.price_ticks * side.sign].qty_lots -= less
    order.qty_lots = qty_lots
    order.leaves_qty_lots -= less


def _work(venue: Venue, order: Order) -> None:
    """Matches an order, then lets the rest of it rest or end."""
    met_itself = _match(venue, order)
    if not order.leaves_qty_lots:
        return
    if met_itself:
        _cancel_rest(venue, order, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    elif order.terms.ord_type == OrdType.MARKET or order.terms.time_in_force == TimeInForce.IOC:
        _cancel_rest(venue, order, Cause.SYSTEM, Reason.NO_LIQUIDITY)
    else:
        order.listing.book.side(order.is_buy).add(order)


def _cancel_rest(venue: Venue, order: Order, cause: Cause, reason: Reason) -> None:
    _end(order, OrdStatus.CANCELED)
    venue.tell(order, ExecType.CANCELED, cause, reason=reason)


def _end(order: Order, status: OrdStatus) -> None:
    """Ends an order that is not, or no longer, in the book."""
    if order.price_ticks:
        risk.release(order, order.leaves_qty_lots)
    order.leaves_qty_lots = 0
    order.status = status
    del order.account.open_orders[order.order_id]


def _match(venue: Venue, taker: Order) -> bool:
    """Trades with what the limit allows, best price and oldest order first; True when it met its own account."""
    opposite = taker.listing.book.opposite(taker.is_buy)
    worst_rank = taker.price_ticks * opposite.sign
    while taker.leaves_qty_lots and opposite.ranks:
        rank = opposite.ranks[-1]
        if taker.price_ticks and rank < worst_rank:
            return False
        level = opposite.levels[rank]
        if _match_level(venue, taker, level, rank * opposite.sign):
            return True
        if not level.orders:
            opposite.drop(rank)
    return False


def _match_level(venue: Venue, taker: Order, level: Level, price_ticks: int) -> bool:
    orders = level.orders
    while taker.leaves_qty_lots and orders:
        maker = next(iter(orders.values()))
        if maker.account is taker.account:
            return True
        qty_lots = min(maker.leaves_qty_lots, taker.leaves_qty_lots)
        level.qty_lots -= qty_lots
        _trade(venue, maker, taker, price_ticks, qty_lots)
        if not maker.leaves_qty_lots:
            del orders[maker.order_id]
    return False


def _trade(venue: Venue, maker: Order, taker: Order, price_ticks: int, qty_lots: int) -> None:
    """Settles a trade in the ledger and writes both of its sides, the maker's first."""
    for order in (maker, taker):
        if order.price_ticks:
            risk.release(order, qty_lots)
        order.cum_qty_lots += qty_lots
        order.leaves_qty_lots -= qty_lots
        order.cum_value_ticks_lots += qty_lots * price_ticks
        if order.leaves_qty_lots:
            order.status = OrdStatus.PARTIALLY_FILLED
        else:
            order.status = OrdStatus.FILLED
            del order.account.open_orders[order.order_id]
    buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
    _settle(buyer, seller, price_ticks, qty_lots)
    trade_id = venue.seq + 2
    venue.tell_trade(maker, trade_id, price_ticks, qty_lots, Liquidity.MAKER, taker)
    venue.tell_trade(taker, trade_id, price_ticks, qty_lots, Liquidity.TAKER, maker)


def _settle(buyer: Order, seller: Order, price_ticks: int, qty_lots: int) -> None:
    listing = buyer.listing
    instrument = listing.instrument
    value_micro = price_ticks * qty_lots * listing.micro_per_tick_lot
    buyer.account.cash_in(instrument.currency).cash_micro -= value_micro
    seller.account.cash_in(instrument.currency).cash_micro += value_micro
    buyer.account.position_in(instrument.symbol).buy(qty_lots, price_ticks)
    seller.account.position_in(instrument.symbol).sell(qty_lots, price_ticks, listing.micro_per_tick_lot)
