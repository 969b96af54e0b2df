"""What resting orders hold of their accounts, and count for in their limits.

Only orders in the book hold: a purchase the money it could cost with its fee, a
sale what it would deliver, a short sale the margin beyond its proceeds. An order
remembers what it holds, so that giving back never depends on rules that have
changed meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matching.core.ledger import Account
    from matching.core.orders import Order
    from matching.core.venue import Listing


def money_for(account: Account, listing: Listing, is_short: bool, lots: int, value_micro: int) -> int:
    """The money that a purchase, or a short sale, of that value can take; with its fees."""
    needed = account.short_margin_micro(listing, value_micro, lots) - value_micro if is_short else value_micro
    if account.fees is not None:
        needed = max(0, needed) + account.fees.most_micro(value_micro, lots)
    return max(0, needed)


def hold(order: Order) -> None:
    """Brings what a resting order holds in line with what it has open."""
    position, listing, lots = order.position, order.listing, order.leaves_qty_lots
    value_micro = lots * order.price_ticks * listing.micro_per_tick_lot
    cash = position.cash
    cash.open_micro += value_micro - order.counted_micro
    order.counted_micro = value_micro
    more_lots = lots - order.held_lots
    order.held_lots = lots
    if order.is_buy:
        position.open_buy_lots += more_lots
    elif order.is_short:
        position.open_short_lots += more_lots
    else:
        position.held_lots += more_lots
        if position.base is not None:
            position.base.held_micro += more_lots * listing.base_micro_per_lot
        return
    held_micro = money_for(order.account, listing, order.is_short, lots, value_micro)
    cash.held_micro += held_micro - order.held_micro
    order.held_micro = held_micro


def release(order: Order) -> None:
    """Gives back all that an order holds, when it leaves the book."""
    position, lots = order.position, order.held_lots
    cash = position.cash
    cash.open_micro -= order.counted_micro
    cash.held_micro -= order.held_micro
    if order.is_buy:
        position.open_buy_lots -= lots
    elif order.is_short:
        position.open_short_lots -= lots
    else:
        position.held_lots -= lots
        if position.base is not None:
            position.base.held_micro -= lots * order.listing.base_micro_per_lot
    order.counted_micro = order.held_micro = order.held_lots = 0
