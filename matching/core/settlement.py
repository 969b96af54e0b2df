"""What a trade does to the ledger: cash, lots, fees; and what risk counts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.limits import limits_of
from matching.core.words import Liquidity

if TYPE_CHECKING:
    from collections import deque

    from matching.core.orders import Order
    from matching.core.venue import Venue

SECOND_NS = 1_000_000_000


def settle(venue: Venue, order: Order, lots: int, price_ticks: int, liquidity: int) -> int:
    """Moves one side of a trade; gives its fee in 10^-6 of the currency."""
    position, account = order.position, order.account
    value_micro = lots * price_ticks * order.listing.micro_per_tick_lot
    cash = position.cash
    if order.is_buy:
        cash.cash_micro -= value_micro
        position.trade(lots, price_ticks)
        if position.base is not None:
            position.base.cash_micro += lots * order.listing.base_micro_per_lot
    else:
        cash.cash_micro += value_micro
        position.trade(-lots, price_ticks)
        if position.base is not None:
            position.base.cash_micro -= lots * order.listing.base_micro_per_lot
    account.sort_in(position)
    fees = account.fees
    if fees is None:
        return 0
    ppm = fees.taker_ppm if liquidity == Liquidity.TAKER else fees.maker_ppm
    fee_micro = fees.fee_micro(value_micro, lots, ppm)
    if fee_micro:
        cash.cash_micro -= fee_micro
        cash.fees_micro += fee_micro
        currency = order.listing.instrument.currency
        venue.fees_micro[currency] = venue.fees_micro.get(currency, 0) + fee_micro
    return fee_micro


def count_fill(venue: Venue, order: Order) -> None:
    """Notes a fill for the rule on repeated executions; too many latch the account in the instrument."""
    position = order.position
    limits = limits_of(venue, order.account, position)
    if limits is None or not limits.repeated_executions or position.is_throttled:
        return
    times = position.buys if order.is_buy else position.sells
    times.append(venue.time_unix_ns)
    _let_go(times, venue.time_unix_ns - (limits.repeated_window_ns or SECOND_NS))
    if len(times) > limits.repeated_executions:
        position.is_throttled = True
        position.throttle_fills = len(times)
        venue.newly_throttled.append(position)
        position.buys.clear()
        position.sells.clear()


def tell_throttled(venue: Venue) -> None:
    """Tells, at the end of a command, whom it has latched."""
    throttled, venue.newly_throttled = venue.newly_throttled, []
    for position in throttled:
        limits = position.limits
        fields: dict[str, object] = {
            "account": position.owner,
            "symbol": position.listing.symbol,
            "executions": position.throttle_fills,
            "limit": limits.repeated_executions if limits is not None else 0,
        }
        venue.say("throttle_engaged", fields)


def _let_go(times: deque[int], until_unix_ns: int) -> None:
    while times and times[0] <= until_unix_ns:
        times.popleft()
