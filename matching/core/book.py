"""The order book of one instrument: price, then time.

Each side is a dict of levels and a sorted list of their ranks. A rank is the
price on the bid side and its negative on the ask side, so that on both sides
the best level is the last of the list. A level keeps its orders in the order of
their arrival, in a dict.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from matching.core.orders import Order


class Level:
    """The orders at one price, oldest first, and their open quantity in lots."""

    __slots__ = ("orders", "qty_lots")

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.qty_lots = 0


class BookSide:
    """All bids, or all asks. `sign` is 1 for bids and -1 for asks."""

    __slots__ = ("levels", "ranks", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}
        self.ranks: list[int] = []

    def best_ticks(self) -> int:
        """The best price in ticks; 0 for an empty side."""
        return self.ranks[-1] * self.sign if self.ranks else 0

    def add(self, order: Order) -> None:
        """Puts an order at the back of its price's queue."""
        rank = order.price_ticks * self.sign
        level = self.levels.get(rank)
        if level is None:
            level = self.levels[rank] = Level()
            insort(self.ranks, rank)
        level.orders[order.order_id] = order
        level.qty_lots += order.leaves_qty_lots

    def remove(self, order: Order) -> None:
        """Takes an order out, with all that it has open."""
        rank = order.price_ticks * self.sign
        level = self.levels[rank]
        del level.orders[order.order_id]
        level.qty_lots -= order.leaves_qty_lots
        if not level.orders:
            self.drop(rank)

    def drop(self, rank: int) -> None:
        """Removes an empty level."""
        del self.levels[rank]
        ranks = self.ranks
        if ranks[-1] == rank:
            ranks.pop()
        else:
            del ranks[bisect_left(ranks, rank)]

    def best_first(self) -> Iterator[tuple[int, Level]]:
        """Prices in ticks and their levels, best first."""
        for rank in reversed(self.ranks):
            yield rank * self.sign, self.levels[rank]

    def sweep_value(self, qty_lots: int) -> int:
        """What taking up to `qty_lots` would trade for, in ticks times lots."""
        value = 0
        for price_ticks, level in self.best_first():
            taken = min(qty_lots, level.qty_lots)
            value += taken * price_ticks
            qty_lots -= taken
            if not qty_lots:
                break
        return value


class Book:
    """Bids and asks of one instrument. Never crossed between two commands."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)

    def side(self, is_buy: bool) -> BookSide:
        """The side on which an order of that direction rests."""
        return self.bids if is_buy else self.asks

    def opposite(self, is_buy: bool) -> BookSide:
        """The side that an order of that direction takes from."""
        return self.asks if is_buy else self.bids
