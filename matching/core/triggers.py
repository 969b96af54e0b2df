"""Stops and trails: who waits for which price, and who is triggered by it.

Only orders of one instrument, in continuous trading. What is triggered goes to
the venue's line, in the order of ids; `trading.work_line` takes it from there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

from matching.core.orders import Order, Stage, id_of
from matching.core.words import OrdType, TradingSession, TrailUnit, TriggerBy

if TYPE_CHECKING:
    from matching.core.venue import Listing, Venue

BPS: Final = 10_000
PRICE_TICKS_MAX: Final = 2**62


class Watch:
    """The orders that wait for one kind of price; by trigger price, those that trail apart."""

    def __init__(self) -> None:
        self.buys: list[tuple[int, int]] = []
        self.sells: list[tuple[int, int]] = []
        """(stop_px_ticks, order_id), ascending."""
        self.orders: dict[int, Order] = {}
        self.trailing: dict[int, Order] = {}

    def add(self, order: Order) -> None:
        """Lets an order wait."""
        self.orders[order.order_id] = order
        if order.terms.ord_type == OrdType.TRAILING_STOP:
            self.trailing[order.order_id] = order
        else:
            insort(self.buys if order.is_buy else self.sells, (order.stop_px_ticks, order.order_id))

    def remove(self, order: Order) -> None:
        """Lets an order wait no more; its `stop_px_ticks` is still the one it waited with."""
        del self.orders[order.order_id]
        if order.terms.ord_type == OrdType.TRAILING_STOP:
            del self.trailing[order.order_id]
        else:
            waiting = self.buys if order.is_buy else self.sells
            del waiting[bisect_left(waiting, (order.stop_px_ticks, order.order_id))]

    def triggered(self, buy_ticks: int, sell_ticks: int) -> list[Order]:
        """The orders that are triggered by the price that purchases, and that sales watch; 0 for none."""
        found: list[Order] = []
        if buy_ticks:
            for stop_px_ticks, order_id in self.buys:
                if stop_px_ticks > buy_ticks:
                    break
                found.append(self.orders[order_id])
        if sell_ticks:
            for stop_px_ticks, order_id in reversed(self.sells):
                if stop_px_ticks < sell_ticks:
                    break
                found.append(self.orders[order_id])
        for order in self.trailing.values():
            price_ticks = buy_ticks if order.is_buy else sell_ticks
            if price_ticks and is_met(order, price_ticks):
                found.append(order)
        found.sort(key=id_of)
        return found

    def trail(self, buy_ticks: int, sell_ticks: int) -> None:
        """Moves the trails after a price."""
        for order in self.trailing.values():
            price_ticks = buy_ticks if order.is_buy else sell_ticks
            if price_ticks:
                follow(order, price_ticks)


def is_met(order: Order, price_ticks: int) -> bool:
    """Whether a price triggers a stop."""
    if not order.stop_px_ticks:
        return False
    return price_ticks >= order.stop_px_ticks if order.is_buy else price_ticks <= order.stop_px_ticks


def follow(order: Order, price_ticks: int) -> None:
    """Moves an order's trail after a price, in its favour only."""
    terms = order.terms
    offset = terms.trail_offset
    if terms.trail_unit == TrailUnit.BPS:
        offset = max(1, price_ticks * offset // BPS)
    if order.is_buy:
        stop_px_ticks = min(price_ticks + offset, PRICE_TICKS_MAX)
        if not order.stop_px_ticks or stop_px_ticks < order.stop_px_ticks:
            order.stop_px_ticks = stop_px_ticks
    else:
        stop_px_ticks = max(1, price_ticks - offset)
        order.stop_px_ticks = max(order.stop_px_ticks, stop_px_ticks)


def watch_of(order: Order) -> Watch:
    """Where an order waits."""
    trigger_by = order.terms.trigger_by
    if trigger_by == TriggerBy.BID_ASK:
        return order.listing.touch_watch
    return order.listing.mark_watch if trigger_by == TriggerBy.MARK else order.listing.last_watch


def wait(venue: Venue, order: Order) -> None:
    """Lets a stop wait for its trigger; it may be met at once."""
    order.stage = Stage.WAITS_TRIGGER
    listing = order.listing
    watch = watch_of(order)
    watch.add(order)
    if watch is listing.touch_watch:
        venue.touch_watched[listing.symbol] = listing
    if listing.trading_session != TradingSession.CONTINUOUS:
        return
    price_ticks = _watched_ticks(order)
    if not price_ticks:
        return
    if is_met(order, price_ticks):
        _trigger(venue, [order])
    elif order.terms.ord_type == OrdType.TRAILING_STOP:
        follow(order, price_ticks)


def stop_waiting(venue: Venue, order: Order) -> None:
    """Takes an order out of the wait."""
    listing = order.listing
    watch = watch_of(order)
    watch.remove(order)
    if watch is listing.touch_watch and not watch.orders:
        del venue.touch_watched[listing.symbol]


def after_work(venue: Venue, listing: Listing) -> None:
    """Looks at the triggers after an order was worked: its first and last trade, then bid and ask."""
    first_ticks = listing.first_print_ticks
    listing.first_print_ticks = 0
    if listing.trading_session != TradingSession.CONTINUOUS:
        return
    if first_ticks and listing.last_watch.orders:
        _apply(venue, listing.last_watch, first_ticks, first_ticks)
        if listing.last_ticks != first_ticks:
            _apply(venue, listing.last_watch, listing.last_ticks, listing.last_ticks)
    if listing.touch_watch.orders:
        look_at_touch(venue, listing)


def look_at_touch(venue: Venue, listing: Listing) -> None:
    """Looks at the triggers that watch bid and ask."""
    if listing.trading_session == TradingSession.CONTINUOUS:
        book = listing.book
        _apply(venue, listing.touch_watch, book.asks.best_ticks(), book.bids.best_ticks())


def look_at_mark(venue: Venue, listing: Listing) -> None:
    """Looks at the triggers that watch the reference price."""
    if listing.trading_session == TradingSession.CONTINUOUS and listing.mark_watch.orders:
        _apply(venue, listing.mark_watch, listing.reference_ticks, listing.reference_ticks)


def look_at_all(venue: Venue, listing: Listing) -> None:
    """Looks at every trigger when continuous trading begins."""
    if listing.trading_session == TradingSession.CONTINUOUS:
        _apply(venue, listing.last_watch, listing.last_ticks, listing.last_ticks)
        look_at_touch(venue, listing)
        look_at_mark(venue, listing)


def _apply(venue: Venue, watch: Watch, buy_ticks: int, sell_ticks: int) -> None:
    found = watch.triggered(buy_ticks, sell_ticks)
    if found:
        _trigger(venue, found)
    if watch.trailing:
        watch.trail(buy_ticks, sell_ticks)


def _trigger(venue: Venue, found: list[Order]) -> None:
    for order in found:
        stop_waiting(venue, order)
        order.is_triggered = True
        order.stage = Stage.IN_LINE
        venue.line.append(order)


def _watched_ticks(order: Order) -> int:
    listing = order.listing
    trigger_by = order.terms.trigger_by
    if trigger_by == TriggerBy.BID_ASK:
        return listing.book.opposite(order.is_buy).best_ticks()
    return listing.reference_ticks if trigger_by == TriggerBy.MARK else listing.last_ticks
