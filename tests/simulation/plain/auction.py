"""The uncross of an auction (section 3): one price for all that can trade."""

from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain import book, trading
from tests.simulation.plain.state import Listing, Venue


def executable(v: Venue, symbol: str, price: int) -> tuple[int, int]:
    """What could be bought and what could be sold at a price."""
    bids = sum(order.leaves for order in book.resting(v, symbol, buys=True) if order.price >= price)
    asks = sum(order.leaves for order in book.resting(v, symbol, buys=False) if order.price <= price)
    return bids, asks


def auction_price(v: Venue, listing: Listing) -> tuple[int, int]:
    """The price of a crossed book and its quantity, by the four rules in their order."""
    symbol = listing.terms.symbol
    prices = sorted({order.price for buys in (True, False) for order in book.resting(v, symbol, buys=buys)})
    at = {price: executable(v, symbol, price) for price in prices}
    most = max(min(sides) for sides in at.values())
    prices = [price for price in prices if min(at[price]) == most]
    least = min(abs(at[price][0] - at[price][1]) for price in prices)
    prices = [price for price in prices if abs(at[price][0] - at[price][1]) == least]
    if all(at[price][0] > at[price][1] for price in prices):
        return prices[-1], most
    if all(at[price][0] < at[price][1] for price in prices) or not listing.mark:
        return prices[0], most
    return min(prices, key=lambda price: (abs(price - listing.mark), -price)), most


def uncross(v: Venue, listing: Listing, price: int, qty: int) -> bool:
    """Best bid meets best ask at one price; whether anything has traded."""
    symbol, left = listing.terms.symbol, qty
    while left:
        bids, asks = book.resting(v, symbol, buys=True), book.resting(v, symbol, buys=False)
        if not bids or not asks or bids[0].price < price or asks[0].price > price:
            break
        older, newer = sorted((bids[0], asks[0]), key=lambda order: order.arrival)
        if trading.meet(v, older, newer, newer.body.self_trade_prevention):
            lots = min(left, trading.allowed(v, older), trading.allowed(v, newer))
            trading.trade(v, older, newer, price, lots, is_auction=True)
            left -= lots
    return left < qty


def change_session(v: Venue, listing: Listing, session: int) -> list[int]:
    """Enters a session, with an uncross where it belongs; gives the prices that it prints."""
    symbol, previous = listing.terms.symbol, listing.session
    ends_auction = (previous, session) == (types.TRADING_SESSION_CLOSING_AUCTION, types.TRADING_SESSION_CLOSED)
    is_due = session == types.TRADING_SESSION_CONTINUOUS or ends_auction
    listing.session = session
    price, qty = auction_price(v, listing) if is_due and book.is_crossed(v, symbol) else (0, 0)
    v.record(
        "trading_session_changed",
        symbol=symbol,
        previous=previous,
        trading_session=session,
        auction_px_ticks=price,
        auction_qty_lots=qty,
        cause=types.CAUSE_OPERATOR,
    )
    prices = []
    while price:
        if uncross(v, listing, price, qty):
            listing.band_center = price
            prices.append(price)
        price, qty = auction_price(v, listing) if book.is_crossed(v, symbol) else (0, 0)
    return prices
