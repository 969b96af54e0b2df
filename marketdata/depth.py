"""The book of one symbol by price: what rests, summed level by level.

Fed with the resting state of each order that an event touched. Only between
commands is it whole; whoever publishes it does so at the end of a command.
There it is never crossed in continuous trading, and may be in any other
session: the two sides know nothing of each other. Prices are ticks, quantities lots. Pure; `marketdata.market`
feeds it, `marketdata.books` publishes it.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple


class Level(NamedTuple):
    """One price level: quantity in lots over all its orders. A quantity of 0 removes the level."""

    price_ticks: int
    qty_lots: int
    orders: int


class Depth(NamedTuple):
    """Levels of both sides, best first."""

    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()


class Quote(NamedTuple):
    """The best bid and ask; 0 where there is none."""

    bid_px_ticks: int = 0
    bid_qty_lots: int = 0
    ask_px_ticks: int = 0
    ask_qty_lots: int = 0

    @property
    def crossed(self) -> bool:
        """Whether a bid is at or above an ask; in continuous trading never true between commands."""
        return bool(self.bid_px_ticks and self.ask_px_ticks) and self.bid_px_ticks >= self.ask_px_ticks


class DepthBook:
    """The levels of one symbol.

    A level's key is its price for bids and minus its price for asks. So the
    keys of either side ascend towards the best level, which is where books
    change most and where a list changes cheapest.
    """

    __slots__ = ("_ask_keys", "_bid_keys", "_levels", "_orders")

    def __init__(self) -> None:
        self._orders: dict[int, tuple[int, int]] = {}
        self._levels: dict[int, list[int]] = {}
        self._bid_keys: list[int] = []
        self._ask_keys: list[int] = []

    def __len__(self) -> int:
        """The number of resting orders."""
        return len(self._orders)

    def rest(self, order_id: int, is_bid: bool, price_ticks: int, leaves_lots: int) -> None:
        """The order now rests with `leaves_lots` (above 0) at `price_ticks` (above 0)."""
        key = price_ticks if is_bid else -price_ticks
        old = self._orders.get(order_id)
        if old is not None:
            if old[0] == key:
                self._orders[order_id] = (key, leaves_lots)
                self._levels[key][0] += leaves_lots - old[1]
                return
            self._reduce(*old)
        self._orders[order_id] = (key, leaves_lots)
        level = self._levels.get(key)
        if level is None:
            self._levels[key] = [leaves_lots, 1]
            insort(self._keys(key), key)
        else:
            level[0] += leaves_lots
            level[1] += 1

    def remove(self, order_id: int) -> None:
        """The order no longer rests; nothing happens if it did not."""
        old = self._orders.pop(order_id, None)
        if old is not None:
            self._reduce(*old)

    def quote(self) -> Quote:
        """The best bid and ask."""
        bid_px = bid_qty = ask_px = ask_qty = 0
        if self._bid_keys:
            bid_px = self._bid_keys[-1]
            bid_qty = self._levels[bid_px][0]
        if self._ask_keys:
            ask_px = -self._ask_keys[-1]
            ask_qty = self._levels[-ask_px][0]
        return Quote(bid_px, bid_qty, ask_px, ask_qty)

    def depth(self, levels_max: int) -> Depth:
        """Up to `levels_max` levels of each side, best first."""
        return Depth(self._best(self._bid_keys, levels_max), self._best(self._ask_keys, levels_max))

    def _best(self, keys: list[int], levels_max: int) -> tuple[Level, ...]:
        levels = self._levels
        return tuple(Level(abs(key), *levels[key]) for key in keys[: -levels_max - 1 : -1])

    def _keys(self, key: int) -> list[int]:
        return self._bid_keys if key > 0 else self._ask_keys

    def _reduce(self, key: int, lots: int) -> None:
        level = self._levels[key]
        level[0] -= lots
        level[1] -= 1
        if not level[1]:
            del self._levels[key]
            keys = self._keys(key)
            del keys[bisect_left(keys, key)]


def changed_levels(before: Depth, after: Depth) -> Depth:
    """What turns `before` into `after`: new and changed levels as they are, gone ones with quantity 0."""
    return Depth(_changed_side(before.bids, after.bids), _changed_side(before.asks, after.asks))


def with_changes(before: Depth, changes: Depth) -> Depth:
    """`before` after `changes`: what a reader of the depth stream does with them."""
    return Depth(
        _with_side_changes(before.bids, changes.bids, descending=True),
        _with_side_changes(before.asks, changes.asks, descending=False),
    )


def _changed_side(before: Sequence[Level], after: Sequence[Level]) -> tuple[Level, ...]:
    if before == after:
        return ()
    known = set(before)
    kept = {level.price_ticks for level in after}
    gone = tuple(Level(level.price_ticks, 0, 0) for level in before if level.price_ticks not in kept)
    return gone + tuple(level for level in after if level not in known)


def _with_side_changes(before: Sequence[Level], changes: Sequence[Level], *, descending: bool) -> tuple[Level, ...]:
    levels = {level.price_ticks: level for level in before}
    levels.update({level.price_ticks: level for level in changes})
    return tuple(levels[price] for price in sorted(levels, reverse=descending) if levels[price].qty_lots)
