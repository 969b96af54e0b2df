"""Whether an order could trade a quantity at once: what FOK and a minimum quantity ask before anything happens.

It walks the book as a sweep would and counts what each resting order could give,
the consequences of the trades before it included.
"""

from __future__ import annotations

from collections import deque

from matching.core.orders import Order
from matching.core.sweep import is_outside, is_own
from matching.core.words import SelfTradePrevention


class _Walk:
    """What the trades so far have done: positions moved, lists decided."""

    def __init__(self, taker: Order, needed_lots: int) -> None:
        self.taker = taker
        self.needed_lots = needed_lots
        self.moved: dict[str, int] = {}
        self.winners: dict[int, bool] = {}
        """The legs that have decided their OCO."""

    def reducible(self, order: Order) -> int:
        """Lots that an order which may only reduce could still trade."""
        qty_lots = order.position.qty_lots + self.moved.get(order.account.account, 0)
        return max(0, -qty_lots if order.is_buy else qty_lots)

    def take(self, maker: Order, lots: int) -> int:
        """Trades up to `lots` of a resting order in thought; gives what traded."""
        if maker.reduce_only:
            lots = min(lots, self.reducible(maker))
        if self.taker.reduce_only:
            lots = min(lots, self.reducible(self.taker))
        lots = min(lots, self.needed_lots)
        if lots:
            self._move(maker, lots)
            self._move(self.taker, lots)
            self._decide(maker)
            self._decide(self.taker)
            self.needed_lots -= lots
        return lots

    def is_gone(self, order: Order) -> bool:
        """Whether an order has ended as the rival of one that traded before."""
        order_list = order.order_list
        rival = order_list.rival(order) if order_list is not None else None
        return rival is not None and rival.order_id in self.winners

    def _move(self, order: Order, lots: int) -> None:
        account = order.account.account
        self.moved[account] = self.moved.get(account, 0) + (lots if order.is_buy else -lots)

    def _decide(self, order: Order) -> None:
        order_list = order.order_list
        if order_list is not None and order_list.is_rivalry(order.terms.leg):
            self.winners[order.order_id] = True


def can_fill(taker: Order, needed_lots: int, worst_ticks: int) -> bool:
    """Whether `needed_lots` could trade at `worst_ticks` or better, within the price band."""
    walk = _Walk(taker, needed_lots)
    opposite = taker.listing.book.opposite(taker.is_buy)
    worst_rank = worst_ticks * opposite.sign
    for rank in reversed(opposite.ranks):
        if rank < worst_rank or is_outside(taker.listing, rank * opposite.sign):
            return False
        if not _walk_level(walk, opposite.levels[rank].orders()):
            return False
        if not walk.needed_lots:
            return True
    return False


def _walk_level(walk: _Walk, orders: list[Order]) -> bool:
    """Takes a level in thought; False when the walk ends with it."""
    line: deque[tuple[Order, int, int]] = deque(
        (order, order.leaves_qty_lots, order.shown_qty_lots or order.leaves_qty_lots) for order in orders
    )
    while line and walk.needed_lots:
        maker, left_lots, part_lots = line.popleft()
        if walk.is_gone(maker):
            continue
        if is_own(walk.taker, maker):
            if walk.taker.terms.self_trade_prevention != SelfTradePrevention.CANCEL_OLDEST:
                return False
            continue
        traded_lots = walk.take(maker, part_lots)
        if walk.taker.reduce_only and walk.needed_lots and not walk.reducible(walk.taker):
            return False
        left_lots -= traded_lots
        if traded_lots == part_lots and left_lots:
            line.append((maker, left_lots, min(maker.display_qty_lots, left_lots)))
    return True
