"""How an order comes to rest, trades and ends, and what that does to those that are tied to it.

Every end goes through `end`, so that no hold, key, trigger or tie survives its order.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from matching.core import triggers
from matching.core.holds import hold, release
from matching.core.keys import forget_late
from matching.core.orders import Order, Stage
from matching.core.words import Cause, ExecType, OrdStatus, Reason, RequestKind

if TYPE_CHECKING:
    from matching.core.events import OrderEvent
    from matching.core.venue import Venue


def rest(order: Order) -> None:
    """Puts what is left of an order at the back of its level."""
    listing = order.listing
    listing.arrivals += 1
    order.arrival = listing.arrivals
    order.stage = Stage.RESTING
    if order.display_qty_lots:
        order.shown_qty_lots = min(order.display_qty_lots, order.leaves_qty_lots)
    listing.book.side(order.is_buy).add(order)
    hold(order)


def leave_book(order: Order) -> None:
    """Takes a resting order out of the book, with its hold."""
    order.listing.book.side(order.is_buy).remove(order)
    release(order)
    order.shown_qty_lots = 0
    order.stage = Stage.WORKING


def cancel(venue: Venue, order: Order, cause: int, reason: int, request: int = RequestKind.NONE) -> OrderEvent:
    """Cancels what is open of an order, wherever it is; gives the event."""
    withdraw(venue, order)
    return end(venue, order, OrdStatus.CANCELED, ExecType.CANCELED, cause, reason, request)


def expire(venue: Venue, order: Order) -> None:
    """Ends an order whose time is over."""
    withdraw(venue, order)
    end(venue, order, OrdStatus.EXPIRED, ExecType.EXPIRED, Cause.SYSTEM, Reason.EXPIRED)


def withdraw(venue: Venue, order: Order) -> None:
    """Takes an order out of the book or out of the wait."""
    if order.stage == Stage.RESTING:
        leave_book(order)
    elif order.stage == Stage.WAITS_TRIGGER:
        triggers.stop_waiting(venue, order)


def end(
    venue: Venue, order: Order, status: int, exec_type: int, cause: int, reason: int, request: int = RequestKind.NONE
) -> OrderEvent:
    """Ends an order that is neither in the book nor waiting; tells it, and lets its list know."""
    order.leaves_qty_lots = 0
    order.shown_qty_lots = 0
    order.status = status
    close(venue, order)
    event = venue.tell(order, exec_type, cause, request)
    event.reason = reason
    if order.order_list is not None:
        ended(venue, order)
    return event


def close(venue: Venue, order: Order) -> None:
    """Strikes an order from everything that lists open ones."""
    order.stage = Stage.ENDED
    order_id = order.order_id
    account = order.account
    account.open_count -= 1
    if order.terms.expire_unix_ns:
        del venue.expiries[bisect_left(venue.expiries, (order.terms.expire_unix_ns, order_id))]
    if order.session_id:
        session = venue.sessions.get(order.session_id)
        if session is not None:
            session.orders.pop(order_id, None)
    if order.is_quote:
        position = order.position
        if position.bid_quote is order:
            position.bid_quote = None
        elif position.ask_quote is order:
            position.ask_quote = None
    if order.late_keys is not None or not order.keys_kept:
        forget_late(venue, order)


def traded(venue: Venue, order: Order) -> None:
    """What a trade of an order does to its list: the rival of an OCO ends."""
    order_list = order.order_list
    if order_list is not None and order_list.is_rivalry(order.terms.leg):
        decide(venue, order)


def ended(venue: Venue, order: Order) -> None:
    """What the end of an order does to its list: its rival ends, and its children come into line or end."""
    order_list = order.order_list
    assert order_list is not None, "only orders of a list are asked about"
    if order_list.is_rivalry(order.terms.leg):
        decide(venue, order)
    elif order.terms.leg == 1:
        for leg in sorted(order_list.legs):
            child = order_list.legs[leg]
            if child.stage == Stage.WAITS_PARENT:
                _release_child(venue, order, child)


def decide(venue: Venue, order: Order) -> None:
    """Decides an OCO for one of its legs: the other is cancelled."""
    order_list = order.order_list
    assert order_list is not None, "only orders of a list are decided about"
    if order_list.is_decided:
        return
    order_list.is_decided = True
    rival = order_list.rival(order)
    if rival is not None and rival.is_open:
        cancel(venue, rival, Cause.SYSTEM, Reason.CONTINGENCY)


def _release_child(venue: Venue, parent: Order, child: Order) -> None:
    if not parent.cum_qty_lots:
        cancel(venue, child, Cause.SYSTEM, Reason.CONTINGENCY)
        return
    if parent.status != OrdStatus.FILLED and child.qty_lots > parent.cum_qty_lots:
        child.qty_lots = child.leaves_qty_lots = parent.cum_qty_lots
        child.display_qty_lots = min(child.display_qty_lots, child.qty_lots)
        venue.tell_ended(child, ExecType.RESTATED, Cause.SYSTEM, Reason.CONTINGENCY)
    line_up(venue, child)


def line_up(venue: Venue, child: Order) -> None:
    """Puts a child whose parent is done into the line."""
    child.stage = Stage.IN_LINE
    venue.line.append(child)
