"""Auctions: the one price at which most can trade, and the trades at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core import lifecycle
from matching.core.book import BookSide
from matching.core.holds import hold, release
from matching.core.orders import Order
from matching.core.settlement import settle
from matching.core.sweep import after_trade, fill, is_own, prevent, tell_fill
from matching.core.words import Cause, Liquidity, Reason

if TYPE_CHECKING:
    from matching.core.venue import Listing, Venue


def uncross_price(listing: Listing) -> tuple[int, int]:
    """The price in ticks and the quantity in lots at which a crossed book trades; (0, 0) for one that is not.

    Most executable quantity; then the smallest surplus; then the side that presses;
    then the nearest to the reference.
    """
    book = listing.book
    if not book.is_crossed():
        return 0, 0
    candidates = _candidates(book.bids, book.asks)
    most = max(min(bid, ask) for _, bid, ask in candidates)
    candidates = [c for c in candidates if min(c[1], c[2]) == most]
    least = min(abs(bid - ask) for _, bid, ask in candidates)
    candidates = [c for c in candidates if abs(c[1] - c[2]) == least]
    prices = [price_ticks for price_ticks, _, _ in candidates]
    if all(bid > ask for _, bid, ask in candidates):
        return max(prices), most
    if all(ask > bid for _, bid, ask in candidates):
        return min(prices), most
    reference = listing.mark_ticks()
    if not reference:
        return min(prices), most
    return min(prices, key=lambda price_ticks: (abs(price_ticks - reference), -price_ticks)), most


def uncross(venue: Venue, listing: Listing, price_ticks: int, lots: int) -> None:
    """Trades `lots` at the auction's price: best bid with best ask, price then time."""
    bids, asks = listing.book.bids, listing.book.asks
    while lots and bids.ranks and asks.ranks and bids.ranks[-1] >= price_ticks >= -asks.ranks[-1]:
        bid, ask = bids.levels[bids.ranks[-1]].first, asks.levels[asks.ranks[-1]].first
        assert bid is not None, "a level has an order"
        assert ask is not None, "a level has an order"
        older, newer = (bid, ask) if bid.arrival < ask.arrival else (ask, bid)
        if is_own(older, newer):
            if prevent(venue, newer, older) and newer.is_open:
                lifecycle.cancel(venue, newer, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
            continue
        traded_lots = min(lots, bid.leaves_qty_lots, ask.leaves_qty_lots)
        exhausted = _exhausted(older) or _exhausted(newer)
        if exhausted is not None:
            lifecycle.cancel(venue, exhausted, Cause.SYSTEM, Reason.POSITION_INSUFFICIENT)
            continue
        for order in (older, newer):
            if order.reduce_only:
                traded_lots = min(traded_lots, order.position.reducible_lots(order.is_buy))
        _trade(venue, older, newer, price_ticks, traded_lots)
        lots -= traded_lots


def _exhausted(order: Order) -> Order | None:
    """The order itself, when it may only reduce and there is nothing to reduce."""
    return order if order.reduce_only and not order.position.reducible_lots(order.is_buy) else None


def _candidates(bids: BookSide, asks: BookSide) -> list[tuple[int, int, int]]:
    """Every limit price with the bids at or above and the asks at or below it."""
    prices = sorted(set(bids.ranks) | {-rank for rank in asks.ranks})
    bid_lots = [0] * len(prices)
    ask_lots = [0] * len(prices)
    total = 0
    for place in range(len(prices) - 1, -1, -1):
        level = bids.levels.get(prices[place])
        total += level.qty_lots if level is not None else 0
        bid_lots[place] = total
    total = 0
    for place, price_ticks in enumerate(prices):
        level = asks.levels.get(-price_ticks)
        total += level.qty_lots if level is not None else 0
        ask_lots[place] = total
    return list(zip(prices, bid_lots, ask_lots, strict=True))


def _trade(venue: Venue, older: Order, newer: Order, price_ticks: int, lots: int) -> None:
    """One trade of an auction; both orders rest in the book."""
    listing = older.listing
    listing.last_ticks = listing.band_ticks = price_ticks
    fees = []
    for order in (older, newer):
        side = order.listing.book.side(order.is_buy)
        side.lower(order, lots)
        fill(order, lots, price_ticks)
        if order.leaves_qty_lots:
            hold(order)
            order.shown_qty_lots = min(order.display_qty_lots, order.leaves_qty_lots)
        else:
            side.remove(order)
            release(order)
    for order in (older, newer):
        fees.append(settle(venue, order, lots, price_ticks, Liquidity.AUCTION))
    trade_id = venue.seq + 2
    tell_fill(venue, older, newer, trade_id, price_ticks, lots, Liquidity.AUCTION, fees[0])
    tell_fill(venue, newer, older, trade_id, price_ticks, lots, Liquidity.AUCTION, fees[1])
    after_trade(venue, older)
    after_trade(venue, newer)
