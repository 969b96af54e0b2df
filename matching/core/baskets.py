"""Lists of orders: one cap over the whole, then one order after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core import trading
from matching.core.events import RiskNumbers
from matching.core.keys import differing_field, remember
from matching.core.ledger import MONEY_MICRO_MAX
from matching.core.limits import account_limits
from matching.core.refusals import Refusal, denied
from matching.core.requests import conflict
from matching.core.words import Reason, RequestKind, RiskUnit

if TYPE_CHECKING:
    from matching.core.commands import NewOrder, NewOrderList
    from matching.core.events import Event
    from matching.core.ledger import Account
    from matching.core.venue import Venue


def new_order_list(venue: Venue, command: NewOrderList) -> None:
    """Places several orders one by one, once the basket as a whole has passed."""
    account = venue.accounts.get(command.account)
    if account is None:
        venue.refuse(Reason.ACCOUNT_UNKNOWN, "account", command.account)
        return
    if not command.orders or any(order.account != command.account for order in command.orders):
        venue.refuse(Reason.FIELD_INVALID if command.orders else Reason.FIELD_MISSING, "orders", command.account)
        return
    refusal = _basket_notional(venue, account, command.orders)
    for order in command.orders:
        _place(venue, account, order, refusal)


def original(venue: Venue, command: NewOrderList) -> Event | None:
    """The event of the first order, when every order of the list has been carried out before."""
    account = venue.accounts.get(command.account)
    if account is None or not command.orders:
        return None
    for order in command.orders:
        known = account.keys.get(order.cl_ord_id)
        if known is None or differing_field(known.request, order):
            return None
    return account.keys[command.orders[0].cl_ord_id].event


def _place(venue: Venue, account: Account, order: NewOrder, refusal: Refusal | None) -> None:
    known = account.keys.get(order.cl_ord_id)
    if known is not None:
        if differing_field(known.request, order):
            conflict(venue, account, order, known)
        return
    if refusal is not None:
        outcome = trading.tell_new_refused(venue, account, order, RequestKind.SUBMIT, refusal)
        if order.cl_ord_id:
            remember(venue, account, order.cl_ord_id, outcome)
        return
    trading.place(venue, account, order, RequestKind.SUBMIT)
    trading.work_line(venue)


def _basket_notional(venue: Venue, account: Account, orders: list[NewOrder]) -> Refusal | None:
    """Rule `basket_notional`: the value of all orders together, in each currency; unknown symbols count nothing."""
    totals: dict[str, int] = {}
    for order in orders:
        listing = venue.listings.get(order.symbol)
        limits = account_limits(venue, account, order.symbol)
        if listing is None:
            continue
        currency = listing.instrument.currency
        price_ticks = order.price_ticks or order.stop_px_ticks or listing.mark_ticks()
        value = max(0, order.qty_lots) * max(0, price_ticks)
        total = totals.get(currency, 0) + value * listing.micro_per_tick_lot
        totals[currency] = total
        if limits is not None and limits.basket_notional_micro and total > limits.basket_notional_micro:
            unit, bound = RiskUnit.MONEY_MICRO, min(total, MONEY_MICRO_MAX)
            numbers = RiskNumbers("basket_notional", unit, limits.basket_notional_micro, 0, bound, venue.limits_version)
            return denied(Reason.ORDER_NOTIONAL_LIMIT, "orders", numbers)
    return None
