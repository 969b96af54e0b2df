"""Pre-trade risk: each control is one small named rule with its numbers.

A rule gives None when the order passes, or why not. Rules only look; holds are
taken by `hold` once all of them have passed. `projected` above `limit` denies.
"""

from typing import NamedTuple

from matching.core.commands import NewOrder
from matching.core.events import RiskNumbers
from matching.core.ledger import LOTS_MAX, MONEY_MICRO_MAX, Account, Cash, Position
from matching.core.orders import Order
from matching.core.venue import Listing
from matching.core.words import OrdType, Reason, RiskUnit, Side

NO_CASH = Cash()
NO_POSITION = Position()
"""What an account has where it has nothing; only ever read."""


class Denial(NamedTuple):
    """Our risk's no, with its numbers."""

    reason: Reason
    risk: RiskNumbers | None = None
    field: str = ""


def check_new(account: Account, listing: Listing, command: NewOrder) -> Denial | None:
    """All rules for a new order, the first that denies; SEC 15c3-5 (c)(1)(i) asks for them before entry."""
    if command.side == Side.BUY:
        value = _worst_value(listing, command)
        return _value_bound(listing, command, value) or _buying_power(account, listing, value)
    if command.side == Side.SELL_SHORT:
        return Denial(Reason.SHORT_SALE_NOT_PERMITTED, field="side")
    value = command.price_ticks * command.qty_lots
    return _value_bound(listing, command, value) or _position(account, listing, command.qty_lots)


def check_replace(order: Order, qty_lots: int, price_ticks: int) -> Denial | None:
    """The rules for an order's new quantity and price; only what it needs beyond its present hold counts."""
    leaves_lots = qty_lots - order.cum_qty_lots
    if price_ticks * qty_lots * order.listing.micro_per_tick_lot > MONEY_MICRO_MAX:
        return Denial(Reason.VALUE_TOO_LARGE, field="qty")
    if order.is_buy:
        more = leaves_lots * price_ticks - order.leaves_qty_lots * order.price_ticks
        return _buying_power(order.account, order.listing, more)
    return _position(order.account, order.listing, leaves_lots - order.leaves_qty_lots)


def hold(order: Order) -> None:
    """Holds what the open part of a limit order could cost or deliver."""
    _change_hold(order, order.leaves_qty_lots)


def release(order: Order, qty_lots: int) -> None:
    """Gives back the hold of `qty_lots` of a limit order."""
    _change_hold(order, -qty_lots)


def _change_hold(order: Order, qty_lots: int) -> None:
    listing = order.listing
    if order.is_buy:
        cash = order.account.cash_in(listing.instrument.currency)
        cash.held_micro += qty_lots * order.price_ticks * listing.micro_per_tick_lot
    else:
        order.account.position_in(listing.instrument.symbol).held_lots += qty_lots


def _worst_value(listing: Listing, command: NewOrder) -> int:
    """The most a buy order can cost, in ticks times lots: at its limit, or what the book asks now."""
    if command.ord_type == OrdType.MARKET:
        return listing.book.asks.sweep_value(command.qty_lots)
    return command.price_ticks * command.qty_lots


def _value_bound(listing: Listing, command: NewOrder, value_ticks_lots: int) -> Denial | None:
    if value_ticks_lots * listing.micro_per_tick_lot > MONEY_MICRO_MAX:
        return Denial(Reason.VALUE_TOO_LARGE, field="price" if command.price_ticks else "qty")
    return None


def _buying_power(account: Account, listing: Listing, value_ticks_lots: int) -> Denial | None:
    """Rule `buying_power`: cash held by open orders may not exceed the cash that is there."""
    cash = account.cash.get(listing.instrument.currency, NO_CASH)
    projected = cash.held_micro + value_ticks_lots * listing.micro_per_tick_lot
    if projected <= cash.cash_micro or value_ticks_lots <= 0:
        return None
    projected = min(projected, MONEY_MICRO_MAX)
    numbers = RiskNumbers("buying_power", RiskUnit.MONEY_MICRO, cash.cash_micro, cash.held_micro, projected)
    return Denial(Reason.BUYING_POWER, numbers)


def _position(account: Account, listing: Listing, qty_lots: int) -> Denial | None:
    """Rule `position`: lots held by open sell orders may not exceed the lots that are there."""
    position = account.positions.get(listing.instrument.symbol, NO_POSITION)
    projected = position.held_lots + qty_lots
    if projected <= position.qty_lots or qty_lots <= 0:
        return None
    projected = min(projected, LOTS_MAX)
    numbers = RiskNumbers("position", RiskUnit.LOTS, position.qty_lots, position.held_lots, projected)
    return Denial(Reason.POSITION_INSUFFICIENT, numbers)
