"""Requests about many orders: mass cancels, quotes and lists of orders (sections 6 and 7)."""

from typing import Any

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain import keys, lists, orders, risk, triggers
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import Order, Said, Venue

QUOTE = types.REQUEST_KIND_QUOTE


def refuse_command(v: Venue, body: Any, refusal: Said, key: str) -> Said:
    """A command other than an order is refused."""
    account = getattr(body, "account", "")
    field = refusal.get("field", "")
    return v.record("command_refused", account=account, reason=refusal["reason"], field=field, request_id=key)


def _is_refused(v: Venue, body: Any, key: str, request: int) -> bool:
    unknown = orders.account_unknown(v, body.account)
    if unknown is not None:
        refuse_command(v, body, unknown, key)
        return True
    clash = orders.conflict(v, body, key)
    if clash is not None:
        orders.refuse_about(v, body.account, key, request, clash)
    return clash is not None


def mass_cancel(v: Venue, body: c.MassCancel) -> None:
    """Cancels the open orders of an account that match all that is given."""
    if _is_refused(v, body, body.cl_ord_id, types.REQUEST_KIND_MASS_CANCEL):
        return
    sides: tuple[int, ...] = (body.side,)
    if body.side == types.SIDE_SELL:
        sides = (types.SIDE_SELL, types.SIDE_SELL_SHORT)
    chosen = [
        order
        for order in v.live
        if order.account == body.account
        and body.symbol in ("", order.symbol)
        and body.session_id in ("", order.session_id)
        and (not body.side or order.body.side in sides)
    ]
    names = ("account", "cl_ord_id", "symbol", "side", "session_id")
    terms = {name: getattr(body, name) for name in names}
    said = v.record("orders_mass_canceled", **terms, canceled_orders=len(chosen))
    if body.cl_ord_id:
        keys.remember(v, v.accounts[body.account], body.cl_ord_id, body, said)
    lists.cancel_all(v, chosen, types.CAUSE_CLIENT)


def mass_quote(v: Venue, body: c.MassQuote) -> None:
    """Replaces the standing quotes of an account, entry by entry."""
    if _is_refused(v, body, body.quote_id, QUOTE):
        return
    for name in ("quote_id", "entries"):
        if not getattr(body, name):
            said = refuse_command(v, body, no(types.REASON_FIELD_MISSING, field=name), body.quote_id)
            if body.quote_id:
                keys.remember(v, v.accounts[body.account], body.quote_id, body, said)
            return
    told = {"account": body.account, "quote_id": body.quote_id, "entries": len(body.entries)}
    said = v.record("mass_quote_accepted", **told)
    keys.remember(v, v.accounts[body.account], body.quote_id, body, said)
    for entry in body.entries:
        _quote(v, body, entry)
        triggers.finish(v)


def _quote(v: Venue, body: c.MassQuote, entry: c.QuoteEntry) -> None:
    if 0 < entry.ask_px_ticks <= entry.bid_px_ticks:
        bid = (entry.bid_qty_lots, entry.bid_px_ticks)
        wrong = c.NewOrder(body.account, body.quote_id, entry.symbol, qty_lots=bid[0], price_ticks=bid[1])
        refusal = no(types.REASON_FIELDS_CONFLICT, field="ask_px")
        orders.refuse(v, wrong, QUOTE, refusal, takes_key=False)
        return
    sides = (
        (types.SIDE_BUY, entry.bid_px_ticks, entry.bid_qty_lots),
        (types.SIDE_SELL, entry.ask_px_ticks, entry.ask_qty_lots),
    )
    wanted = [side for side in sides if not _stands(v, body, entry.symbol, *side)]
    for side, price, qty in wanted:
        if price:
            terms = c.NewOrder(body.account, body.quote_id, entry.symbol, side, qty_lots=qty, price_ticks=price)
            orders.new_order(v, terms, QUOTE)


def standing_quote(v: Venue, account: str, symbol: str, side: int) -> Order | None:
    """What an account quotes on a side."""
    mine = (order for order in v.live if order.is_open and order.is_quote and order.account == account)
    return next((order for order in mine if order.symbol == symbol and order.body.side == side), None)


def _stands(v: Venue, body: c.MassQuote, symbol: str, side: int, price: int, qty: int) -> bool:
    """Whether the standing quote will do; otherwise it is withdrawn."""
    order = standing_quote(v, body.account, symbol, side)
    if order is None:
        return False
    is_stopped = risk.switched_off(v, body.account, symbol) is not None
    if (price, qty) == (order.price, order.leaves) and not is_stopped:
        return True
    if price == order.price and 0 < qty < order.leaves and not is_stopped:
        orders.lower_in_place(v, order, order.cum + qty, body.quote_id, QUOTE)
        return True
    lists.cancel(v, order, types.CAUSE_CLIENT, request=QUOTE)
    return False


def new_order_list(v: Venue, body: c.NewOrderList) -> None:
    """Carries out several orders one by one, after a look at the whole."""
    unknown = orders.account_unknown(v, body.account)
    if unknown is None and not body.orders:
        unknown = no(types.REASON_FIELD_MISSING, field="orders")
    if unknown is None and any(order.account != body.account for order in body.orders):
        unknown = no(types.REASON_FIELD_INVALID, field="orders")
    if unknown is not None:
        refuse_command(v, body, unknown, "")
        return
    denied = _basket_denied(v, body)
    for order in body.orders:
        if _is_repeated(v, order):
            continue
        is_other = orders.conflict(v, order, order.cl_ord_id) is not None
        if denied is None or is_other:
            orders.new_order(v, order)
            triggers.finish(v)
        else:
            orders.refuse(v, order, orders.SUBMIT, dict(denied))


def _is_repeated(v: Venue, order: c.NewOrder) -> bool:
    account = v.accounts.get(order.account)
    found = keys.known(v, account, order.cl_ord_id) if account is not None else None
    return found is not None and not keys.difference(found.body, order)


def _basket_denied(v: Venue, body: c.NewOrderList) -> Said | None:
    """Rule basket_notional: what the orders are worth together, currency by currency."""
    totals: dict[str, int] = {}
    for order in body.orders:
        listing = v.listings.get(order.symbol)
        if listing is None:
            continue
        price = order.price_ticks or order.stop_px_ticks or listing.mark
        currency = listing.terms.currency
        totals[currency] = totals.get(currency, 0) + order.qty_lots * price * listing.worth
        most = risk.limit(v, body.account, order.symbol, "basket_notional_micro")
        if most and totals[currency] > most:
            numbers = (wire.RISK_UNIT_MONEY_MICRO, most, 0, totals[currency])
            return risk.denial(v, types.REASON_ORDER_NOTIONAL_LIMIT, "basket_notional", *numbers, field="orders")
    return None
