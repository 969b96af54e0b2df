"""New orders: admitted or refused, worked or set to wait; and the line of those whose turn comes.

Called by the engine and by those commands that place orders; each entry point
takes the venue and one command.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from matching.core import lifecycle, risk, triggers
from matching.core.fillable import can_fill
from matching.core.gates import check_gates, check_trading_session
from matching.core.keys import Outcome, remember
from matching.core.orders import Order, OrderList, Stage
from matching.core.refusals import Refusal, denied, rejected
from matching.core.shape import check_shape
from matching.core.sweep import Stop, halt, sweep
from matching.core.words import (
    Cause,
    ContingencyType,
    ExecType,
    OrdStatus,
    OrdType,
    Reason,
    RequestKind,
    Side,
    TimeInForce,
    TradingSession,
)

if TYPE_CHECKING:
    from matching.core.commands import NewOrder
    from matching.core.ledger import Account
    from matching.core.venue import Listing, Venue


def new_order(venue: Venue, command: NewOrder) -> None:
    """Places an order: accepted and worked, denied by risk, or rejected by the venue."""
    account = venue.accounts.get(command.account)
    if account is None:
        refusal = denied(Reason.ACCOUNT_UNKNOWN, "account")
        tell_new_refused(venue, None, command, RequestKind.SUBMIT, refusal)
        return
    place(venue, account, command, RequestKind.SUBMIT)
    work_line(venue)


def place(venue: Venue, account: Account, command: NewOrder, request: int) -> Order | None:
    """Admits an order and works it, or refuses it; gives the order when there is one."""
    listing = venue.listings.get(command.symbol)
    refusal = check_market(venue, account, listing, command, venue.session_id)
    if refusal is not None or listing is None:
        _refuse_new(venue, account, command, request, refusal or rejected(Reason.SYMBOL_UNKNOWN, "symbol"))
        return None
    position = account.position_in(listing)
    is_buy = command.side == Side.BUY
    intent = risk.intent_of(venue, account, position, command, is_buy, command.side == Side.SELL_SHORT)
    waits = is_waiting(command)
    refusal = risk.check_request(venue, intent, command, command.reduce_only, waits)
    risk.count_message(venue, account)
    if refusal is not None:
        _refuse_new(venue, account, command, request, refusal)
        return None
    order = Order(venue.seq + 1, account, listing, position, command, venue.session_id, venue.time_unix_ns)
    risk.remember_order(venue, intent, command)
    _accept(venue, order, request, waits)
    if not waits:
        work(venue, order)
    elif command.contingency_type > ContingencyType.OCO and command.leg > 1:
        _await_parent(venue, order)
    else:
        triggers.wait(venue, order)
    return order


def check(venue: Venue, command: NewOrder, session_id: str, now_unix_ns: int) -> Refusal | None:
    """What `new_order` would say now; changes nothing."""
    account = venue.accounts.get(command.account)
    if account is None:
        return denied(Reason.ACCOUNT_UNKNOWN, "account")
    before, venue.time_unix_ns = venue.time_unix_ns, now_unix_ns
    try:
        listing = venue.listings.get(command.symbol)
        refusal = check_market(venue, account, listing, command, session_id)
        if refusal is not None or listing is None:
            return refusal
        position = account.position_seen(listing)
        is_buy = command.side == Side.BUY
        intent = risk.intent_of(venue, account, position, command, is_buy, command.side == Side.SELL_SHORT)
        return risk.check_request(venue, intent, command, command.reduce_only, is_waiting(command))
    finally:
        venue.time_unix_ns = before


def check_market(
    venue: Venue, account: Account, listing: Listing | None, command: NewOrder, session_id: str
) -> Refusal | None:
    """Everything that comes before risk, in its order."""
    if listing is None:
        return rejected(Reason.SYMBOL_UNKNOWN, "symbol")
    if listing.is_delisted:
        return rejected(Reason.DELISTED, "symbol")
    return (
        check_shape(listing, command, venue.time_unix_ns)
        or check_gates(venue, account, listing, session_id)
        or check_trading_session(listing, command.ord_type, command.time_in_force)
        or (_check_contingency(account, command) if command.contingency_type else None)
        or (_check_post_only(listing, command) if command.post_only else None)
    )


def is_waiting(command: NewOrder) -> bool:
    """Whether an order waits at first: for its trigger, or for its parent."""
    return command.ord_type >= OrdType.STOP or (command.contingency_type > ContingencyType.OCO and command.leg > 1)


def would_take(listing: Listing, is_buy: bool, price_ticks: int) -> bool:
    """Whether a price reaches the best opposite price in continuous trading."""
    best_ticks = listing.book.opposite(is_buy).best_ticks()
    if not best_ticks or listing.trading_session != TradingSession.CONTINUOUS:
        return False
    return price_ticks >= best_ticks if is_buy else price_ticks <= best_ticks


def may_rest(order: Order) -> bool:
    """Whether what is left of an order may stay in the book."""
    tif = order.terms.time_in_force
    return bool(order.price_ticks) and tif not in (TimeInForce.IOC, TimeInForce.FOK)


def work(venue: Venue, order: Order) -> None:
    """Matches an order, then lets the rest of it rest or end, and looks at the triggers."""
    listing = order.listing
    if listing.trading_session == TradingSession.CONTINUOUS:
        _work_continuous(venue, order)
    elif may_rest(order):
        lifecycle.rest(order)
    else:
        is_halted = listing.trading_session == TradingSession.HALTED
        lifecycle.cancel(venue, order, Cause.SYSTEM, Reason.HALTED if is_halted else Reason.SESSION_CLOSED)
    triggers.after_work(venue, listing)


def work_line(venue: Venue) -> None:
    """Gives everyone in the line its turn, and whom their trades trigger; then looks at bid and ask."""
    while venue.line or venue.touch_watched:
        while venue.line:
            order = venue.line.pop(0)
            if order.stage == Stage.IN_LINE:
                _activate(venue, order)
        for symbol in sorted(venue.touch_watched):
            triggers.look_at_touch(venue, venue.touch_watched[symbol])
        if not venue.line:
            return


def tell_new_refused(
    venue: Venue, account: Account | None, command: NewOrder, request: int, refusal: Refusal
) -> Outcome:
    """Writes the refusal of a new order."""
    event = venue.tell_refused(
        account,
        command,
        command.cl_ord_id,
        refusal.exec_type,
        request,
        refusal.reason,
        refusal.field,
        refusal.risk,
    )
    return Outcome(command, event, None)


def _refuse_new(venue: Venue, account: Account, command: NewOrder, request: int, refusal: Refusal) -> None:
    outcome = tell_new_refused(venue, account, command, request, refusal)
    if command.cl_ord_id and request == RequestKind.SUBMIT:
        remember(venue, account, command.cl_ord_id, outcome)


def _accept(venue: Venue, order: Order, request: int, waits: bool) -> None:
    account, command, order_id = order.account, order.terms, order.order_id
    venue.orders[order_id] = order
    account.take_in(order)
    if order.session_id and order.session_id in venue.sessions:
        venue.sessions[order.session_id].orders[order_id] = order
    if waits:
        order.status = OrdStatus.PENDING_NEW
    event = venue.tell(order, ExecType.NEW, Cause.CLIENT, request)
    if request == RequestKind.SUBMIT:
        remember(venue, account, command.cl_ord_id, Outcome(command, event, order))
    else:
        order.is_quote = True
    if command.expire_unix_ns:
        insort(venue.expiries, (command.expire_unix_ns, order_id))
        venue.due_at(command.expire_unix_ns)
    if command.contingency_type:
        _join_list(account, order)


def _join_list(account: Account, order: Order) -> None:
    command = order.terms
    order_list = account.lists.get(command.list_id)
    if order_list is None:
        order_list = account.lists[command.list_id] = OrderList(command.list_id, command.contingency_type)
    order_list.legs[command.leg] = order
    order.order_list = order_list


def _await_parent(venue: Venue, order: Order) -> None:
    order_list = order.order_list
    assert order_list is not None, "a child has a list"
    if order_list.legs[1].is_open:
        order.stage = Stage.WAITS_PARENT
    else:
        lifecycle.line_up(venue, order)


def _check_contingency(account: Account, command: NewOrder) -> Refusal | None:
    order_list = account.lists.get(command.list_id)
    if command.leg == 1:
        return rejected(Reason.ALREADY_EXISTS, "contingency.list_id") if order_list is not None else None
    if order_list is None:
        return rejected(Reason.ORDER_UNKNOWN, "contingency.list_id")
    if order_list.contingency_type != command.contingency_type:
        return rejected(Reason.FIELDS_CONFLICT, "contingency.type")
    if command.leg in order_list.legs:
        return rejected(Reason.ALREADY_EXISTS, "contingency.leg")
    parent = order_list.legs[1]
    is_over = command.contingency_type > ContingencyType.OCO and not (
        parent.is_open or parent.status == OrdStatus.FILLED
    )
    if is_over or (order_list.is_decided and order_list.is_rivalry(command.leg)):
        return rejected(Reason.ORDER_NOT_OPEN, "contingency.list_id")
    return None


def _check_post_only(listing: Listing, command: NewOrder) -> Refusal | None:
    if is_waiting(command) or not would_take(listing, command.side == Side.BUY, command.price_ticks):
        return None
    return rejected(Reason.WOULD_TAKE, "price")


def _work_continuous(venue: Venue, order: Order) -> None:
    worst_ticks = order.price_ticks or order.listing.collar_ticks(order.is_buy)
    needed_lots = order.leaves_qty_lots if order.terms.time_in_force == TimeInForce.FOK else order.terms.min_qty_lots
    if needed_lots and not _can_fill(order, needed_lots, worst_ticks):
        lifecycle.cancel(venue, order, Cause.SYSTEM, Reason.NOT_FILLABLE)
        return
    stop = sweep(venue, order, worst_ticks) if worst_ticks else Stop.DONE
    if stop == Stop.BAND:
        halt(venue, order.listing)
    if order.is_open:
        _settle_rest(venue, order, stop)


def _can_fill(order: Order, needed_lots: int, worst_ticks: int) -> bool:
    return bool(worst_ticks) and needed_lots <= order.leaves_qty_lots and can_fill(order, needed_lots, worst_ticks)


def _settle_rest(venue: Venue, order: Order, stop: int) -> None:
    """Lets what a sweep has left of an order rest, or ends it."""
    if stop == Stop.SELF_TRADE:
        lifecycle.cancel(venue, order, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    elif stop == Stop.REDUCED:
        lifecycle.cancel(venue, order, Cause.SYSTEM, Reason.POSITION_INSUFFICIENT)
    elif may_rest(order):
        lifecycle.rest(order)
    else:
        lifecycle.cancel(venue, order, Cause.SYSTEM, Reason.HALTED if stop == Stop.BAND else Reason.NO_LIQUIDITY)


def _activate(venue: Venue, order: Order) -> None:
    """Gives an order that has waited its turn."""
    order.stage = Stage.WORKING
    if order.has_trigger:
        venue.tell(order, ExecType.RESTATED, Cause.SYSTEM)
        triggers.wait(venue, order)
        return
    order.status = OrdStatus.NEW
    venue.tell(order, ExecType.TRIGGERED, Cause.SYSTEM)
    if order.is_triggered and order.order_list is not None and order.order_list.is_rivalry(order.terms.leg):
        lifecycle.decide(venue, order)
    listing = order.listing
    value = order.leaves_qty_lots * (order.price_ticks or listing.worst_ticks(order.is_buy))
    refusal = risk.check_activation(venue, order, value)
    if refusal is None and order.terms.post_only and would_take(listing, order.is_buy, order.price_ticks):
        refusal = rejected(Reason.WOULD_TAKE, "price")
    if refusal is not None:
        event = lifecycle.cancel(venue, order, Cause.SYSTEM, refusal.reason)
        event.field, event.risk = refusal.field, refusal.risk
        return
    work(venue, order)
