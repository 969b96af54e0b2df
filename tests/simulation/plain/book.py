"""What rests, in the order in which it would trade; prices that bound a sweep. Found by sorting, each time."""

from tests.simulation.plain import money
from tests.simulation.plain.money import ceil_div
from tests.simulation.plain.state import Listing, Order, Place, Venue


def resting(v: Venue, symbol: str, *, buys: bool) -> list[Order]:
    """A side of a book, best price first, then by time."""
    side = [order for order in v.live if order.symbol == symbol and order.buys is buys and order.in_book]
    return sorted(side, key=lambda order: (-order.price if buys else order.price, order.arrival))


def best(v: Venue, symbol: str, *, buys: bool) -> int:
    """The best price of a side; 0 for none."""
    prices = [order.price for order in v.live if order.symbol == symbol and order.buys is buys and order.in_book]
    return (max(prices) if buys else min(prices)) if prices else 0


def enter(v: Venue, order: Order) -> None:
    """An order comes to rest, at the back of its level."""
    v.arrivals += 1
    order.arrival, order.place = v.arrivals, Place.BOOK
    order.shown = min(order.display, order.leaves)
    money.hold(v, order)


def reaches(price: int, limit: int, *, buys: bool) -> bool:
    """Whether an order with a limit takes a price."""
    return price <= limit if buys else price >= limit


def crosses(v: Venue, symbol: str, price: int, *, buys: bool) -> bool:
    """Whether an order at a price would take."""
    opposite = best(v, symbol, buys=not buys)
    return bool(opposite) and reaches(opposite, price, buys=buys)


def is_crossed(v: Venue, symbol: str) -> bool:
    """Whether the book's own sides reach each other."""
    bid, ask = best(v, symbol, buys=True), best(v, symbol, buys=False)
    return bool(bid and ask) and bid >= ask


def above(price: int, bps: int) -> int:
    """The highest price that is within `bps`."""
    return price * (10_000 + bps) // 10_000


def below(price: int, bps: int) -> int:
    """The lowest price that is within `bps`."""
    return ceil_div(price * (10_000 - bps), 10_000)


def collar(v: Venue, listing: Listing, *, buys: bool) -> int | None:
    """How far a market order goes now; None without an opposite side."""
    opposite = best(v, listing.terms.symbol, buys=not buys)
    if not opposite:
        return None
    return above(opposite, listing.collar_bps) if buys else below(opposite, listing.collar_bps)


def in_band(listing: Listing, price: int) -> bool:
    """Whether a trade at a price is within the instrument's band."""
    if not listing.band_bps or not listing.band_center:
        return True
    return below(listing.band_center, listing.band_bps) <= price <= above(listing.band_center, listing.band_bps)


def worst_price(v: Venue, symbol: str, *, buys: bool) -> int:
    """What an order without a price is valued at: a purchase at the end of the collar, a sale at the best bid."""
    if buys:
        return collar(v, v.listings[symbol], buys=True) or 0
    return best(v, symbol, buys=True)
