"""The floor: the plainest book that keeps price-time priority, with nothing around it.

No accounts, no risk, no ledger, no idempotency, no events: what any real venue
adds is measured against this. It also knows, while operations are made up,
which orders rest and where the market is. Standard library only; compiled by
mypyc for one of the rows.
"""

from bisect import bisect_left, insort

Fill = tuple[int, int, int]
"""The resting order's number, the quantity in lots, and what it has left."""


class PlainOrder:
    """An order that rests. Its rank is its price for bids and the negative for asks: the best is the largest."""

    __slots__ = ("is_buy", "number", "qty_lots", "rank")

    def __init__(self, number: int, is_buy: bool, rank: int, qty_lots: int) -> None:
        self.number = number
        self.is_buy = is_buy
        self.rank = rank
        self.qty_lots = qty_lots


class PlainSide:
    """One side: levels by rank, their ranks sorted, and in each level a dict as the queue."""

    __slots__ = ("levels", "ranks")

    def __init__(self) -> None:
        self.levels: dict[int, dict[int, PlainOrder]] = {}
        self.ranks: list[int] = []

    def add(self, order: PlainOrder) -> None:
        """Puts an order at the back of its level."""
        level = self.levels.get(order.rank)
        if level is None:
            level = self.levels[order.rank] = {}
            insort(self.ranks, order.rank)
        level[order.number] = order

    def remove(self, order: PlainOrder) -> None:
        """Takes an order out, and its level when nothing is left of it."""
        level = self.levels[order.rank]
        del level[order.number]
        if not level:
            del self.levels[order.rank]
            del self.ranks[bisect_left(self.ranks, order.rank)]


class PlainBook:
    """Bids and asks."""

    __slots__ = ("asks", "bids", "orders")

    def __init__(self) -> None:
        self.bids = PlainSide()
        self.asks = PlainSide()
        self.orders: dict[int, PlainOrder] = {}

    def place(self, number: int, is_buy: bool, price_ticks: int, qty_lots: int) -> list[Fill]:
        """Matches a limit order and lets the rest of it rest; gives its fills."""
        mine, theirs = (self.bids, self.asks) if is_buy else (self.asks, self.bids)
        rank = price_ticks if is_buy else -price_ticks
        fills: list[Fill] = []
        while qty_lots and theirs.ranks and -theirs.ranks[-1] <= rank:
            best = next(iter(theirs.levels[theirs.ranks[-1]].values()))
            taken = min(qty_lots, best.qty_lots)
            qty_lots -= taken
            best.qty_lots -= taken
            fills.append((best.number, taken, best.qty_lots))
            if not best.qty_lots:
                theirs.remove(best)
                del self.orders[best.number]
        if qty_lots:
            order = self.orders[number] = PlainOrder(number, is_buy, rank, qty_lots)
            mine.add(order)
        return fills

    def cancel(self, number: int) -> bool:
        """Takes an order out of the book, if it still rests."""
        order = self.orders.pop(number, None)
        if order is None:
            return False
        (self.bids if order.is_buy else self.asks).remove(order)
        return True
