"""The order book of one instrument: price, then time.

Each side is a dict of levels and a sorted list of their ranks. A rank is the
price on the bid side and its negative on the ask side, so that on both sides
the best level is the last of the list. A level chains its orders in the order
of their arrival; an order knows its neighbours, so that it leaves from anywhere
at once.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from mypy_extensions import mypyc_attr

from matching.core.orders import Order


@mypyc_attr(acyclic=True)
class Level:
    """The orders at one price, oldest first, and their open quantity in lots, hidden parts included."""

    def __init__(self) -> None:
        self.first: Order | None = None
        self.last: Order | None = None
        self.qty_lots = 0

    def append(self, order: Order) -> None:
        """Puts an order at the back."""
        last = self.last
        order.level_before = last
        if last is None:
            self.first = order
        else:
            last.level_after = order
        self.last = order

    def unlink(self, order: Order) -> None:
        """Takes an order out of the chain."""
        before, after = order.level_before, order.level_after
        if before is None:
            self.first = after
        else:
            before.level_after = after
        if after is None:
            self.last = before
        else:
            after.level_before = before
        order.level_before = order.level_after = None

    def orders(self) -> list[Order]:
        """The orders, oldest first."""
        found = []
        order = self.first
        while order is not None:
            found.append(order)
            order = order.level_after
        return found


class BookSide:
    """All bids, or all asks. `sign` is 1 for bids and -1 for asks."""

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
        level.append(order)
        level.qty_lots += order.leaves_qty_lots

    def remove(self, order: Order) -> None:
        """Takes an order out, with all that it has open."""
        rank = order.price_ticks * self.sign
        level = self.levels[rank]
        level.unlink(order)
        level.qty_lots -= order.leaves_qty_lots
        if level.first is None:
            self._drop(rank)

    def requeue(self, order: Order) -> None:
        """Sends an order to the back of its level."""
        level = self.levels[order.price_ticks * self.sign]
        level.unlink(order)
        level.append(order)

    def lower(self, order: Order, qty_lots: int) -> None:
        """Takes `qty_lots` off an order's level; the order itself is the caller's."""
        self.levels[order.price_ticks * self.sign].qty_lots -= qty_lots

    def _drop(self, rank: int) -> None:
        del self.levels[rank]
        ranks = self.ranks
        if ranks[-1] == rank:
            ranks.pop()
        else:
            del ranks[bisect_left(ranks, rank)]

    def best_first(self) -> list[tuple[int, Level]]:
        """Prices in ticks and their levels, best first."""
        return [(rank * self.sign, self.levels[rank]) for rank in reversed(self.ranks)]


class Book:
    """Bids and asks of one instrument. Never crossed between two commands of continuous trading."""

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)

    def side(self, is_buy: bool) -> BookSide:
        """The side on which an order of that direction rests."""
        return self.bids if is_buy else self.asks

    def opposite(self, is_buy: bool) -> BookSide:
        """The side that an order of that direction takes from."""
        return self.asks if is_buy else self.bids

    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask."""
        bids, asks = self.bids.ranks, self.asks.ranks
        return bool(bids) and bool(asks) and bids[-1] >= -asks[-1]
