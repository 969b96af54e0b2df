"""Orders that wait: what their triggers see, and the line of those whose turn comes (section 2)."""

from collections.abc import Sequence

from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain import book, lists, risk, trading
from tests.simulation.plain.state import BOUND, Order, Place, Venue

LAST, BID_ASK, MARK = types.TRIGGER_BY_LAST, types.TRIGGER_BY_BID_ASK, types.TRIGGER_BY_MARK


def watches(order: Order) -> int:
    """What an order's trigger looks at."""
    return order.body.trigger_by or LAST


def present(v: Venue, order: Order) -> int:
    """The price that an order watches, as it is now; 0 for none."""
    listing = v.listings[order.symbol]
    if watches(order) == LAST:
        return listing.last
    return listing.reference if watches(order) == MARK else book.best(v, order.symbol, buys=not order.buys)


def sees(v: Venue, order: Order, price: int) -> None:
    """A waiting order sees a price: it is triggered, or its trail moves."""
    if order.stop_px and (price >= order.stop_px if order.buys else price <= order.stop_px):
        order.is_fired = True
        lists.into_line(v, order)
    elif order.body.ord_type == types.ORD_TYPE_TRAILING_STOP:
        _trail(order, price)


def _trail(order: Order, price: int) -> None:
    offset = order.body.trail_offset
    if order.body.trail_unit == types.TRAIL_UNIT_BPS:
        offset = max(1, price * offset // 10_000)
    stop_px = max(1, min(BOUND, price + offset) if order.buys else price - offset)
    if not order.stop_px or (stop_px < order.stop_px if order.buys else stop_px > order.stop_px):
        order.stop_px = stop_px


def look(v: Venue, symbol: str, watched: int, price: int = 0) -> None:
    """All orders that watch something look at it, at a price or at the present one, by id."""
    if not v.listings[symbol].is_continuous:
        return
    for order in [order for order in v.live if order.symbol == symbol and order.place is Place.ARMED]:
        if watches(order) == watched and (seen := price or present(v, order)):
            sees(v, order, seen)


def look_at_once(v: Venue, order: Order) -> None:
    """A waiting order looks for the first time."""
    if order.place is Place.ARMED and v.listings[order.symbol].is_continuous and (price := present(v, order)):
        sees(v, order, price)


def look_around(v: Venue) -> None:
    """Everybody who watches best prices looks at them, by symbol."""
    waiting = {order.symbol for order in v.live if order.place is Place.ARMED and watches(order) == BID_ASK}
    for symbol in sorted(waiting):
        look(v, symbol, BID_ASK)


def prints(v: Venue, symbol: str, prices: Sequence[int]) -> None:
    """An order worked has traded at these prices: the first and the last are seen."""
    for price in dict.fromkeys((prices[0], prices[-1]) if prices else ()):
        look(v, symbol, LAST, price)


def work(v: Venue, order: Order) -> None:
    """An order is worked, and everybody looks at what it has traded and left."""
    prints(v, order.symbol, trading.work(v, order))
    look(v, order.symbol, BID_ASK)


def empty_line(v: Venue) -> None:
    """Each takes its turn behind those that came before."""
    while v.line:
        order = v.line.pop(0)
        if order.is_open:
            _take_turn(v, order)


def finish(v: Venue) -> None:
    """At the end of a command best prices are looked at, until nobody is triggered any more."""
    empty_line(v)
    look_around(v)
    while v.line:
        empty_line(v)
        look_around(v)


def _take_turn(v: Venue, order: Order) -> None:
    if order.is_stop and not order.is_fired:
        order.place = Place.ARMED
        v.tell(order, types.EXEC_TYPE_RESTATED, types.CAUSE_SYSTEM)
        look_at_once(v, order)
        return
    order.place, order.status, order.was_triggered = Place.AT_WORK, types.ORD_STATUS_NEW, order.is_fired
    v.tell(order, types.EXEC_TYPE_TRIGGERED, types.CAUSE_SYSTEM)
    if order.was_triggered:
        lists.cancel_other_leg(v, order)
    denied = risk.at_activation(v, order)
    if denied is not None:
        told = {name: denied.get(name) for name in ("risk", "field")}
        lists.cancel(v, order, types.CAUSE_SYSTEM, denied["reason"], 0, **told)
    elif would_take(v, order, order.price):
        lists.cancel(v, order, types.CAUSE_SYSTEM, types.REASON_WOULD_TAKE, field="price")
    else:
        work(v, order)


def would_take(v: Venue, order: Order, price: int) -> bool:
    """Whether a post-only order may not enter."""
    is_matched = v.listings[order.symbol].is_continuous
    return order.body.post_only and is_matched and book.crosses(v, order.symbol, price, buys=order.buys)
