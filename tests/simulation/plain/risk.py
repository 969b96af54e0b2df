"""The plain venue's risk rules (section 6), in the order of their numbers; each gives None or why not."""

from collections.abc import Callable
from typing import NamedTuple

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain import money
from tests.simulation.plain.book import above, below, reaches, worst_price
from tests.simulation.plain.state import BOUND, Order, Said, Venue

LOTS, TICKS = wire.RISK_UNIT_LOTS, wire.RISK_UNIT_TICKS
MONEY, COUNT = wire.RISK_UNIT_MONEY_MICRO, wire.RISK_UNIT_COUNT
SECOND_NS = 10**9
WIDEST = ("duplicate_window_ns", "repeated_window_ns")
"""Limits that are the tighter the larger they are."""


class Wanted(NamedTuple):
    """What is to be decided: an order as it would be, and what it has in the book until now."""

    order: Order
    qty: int
    price: int
    stop_px: int
    display: int
    is_replace: bool = False

    @property
    def leaves(self) -> int:
        return self.qty - self.order.cum

    @property
    def standing(self) -> int:
        """The lots that it has in the book already."""
        return self.order.leaves if self.order.in_book else 0


def no(reason: int, **more: object) -> Said:
    """A refusal."""
    return {"reason": reason} | more


def denial(v: Venue, reason: int, rule: str, *numbers: int, field: str = "") -> Said:
    """Our no: unit, limit, current, projected; some rules have no numbers."""
    if not numbers:
        return no(reason, exec_type=types.EXEC_TYPE_DENIED, field=field)
    unit, limit, current, projected = numbers
    cut = {"current": current, "projected": projected}
    risk = {"rule": rule, "unit": unit, "limit": limit} | {
        name: max(-BOUND, min(BOUND, number)) for name, number in cut.items()
    }
    risk["limits_version"] = v.limits_version
    return no(reason, exec_type=types.EXEC_TYPE_DENIED, field=field, risk={n: x for n, x in risk.items() if x})


def limit(v: Venue, account: str, symbol: str, name: str) -> int:
    """The tightest limit that applies; 0 for none."""
    scopes = ((account, symbol), (account, ""), ("", symbol), ("", ""))
    values = [value for scope in scopes if scope in v.limits and (value := v.limits[scope].get(name, 0))]
    if not values:
        return 0
    return int(max(values) if name in WIDEST else min(values))


def limit_of(v: Venue, order: Order, name: str) -> int:
    """The same for an order."""
    return limit(v, order.account, order.symbol, name)


def value_of(v: Venue, want: Wanted, lots: int) -> int:
    """What the order is worth, in 10^-6: at its limit, else its trigger, else the worst that the book would give."""
    order = want.order
    price = want.price or want.stop_px or worst_price(v, order.symbol, buys=order.buys)
    return v.listings[order.symbol].worth * lots * price


def funds_value(v: Venue, want: Wanted, lots: int) -> int:
    """What the order would trade for now: at its limit, else the worst that the book would give."""
    order = want.order
    price = want.price or worst_price(v, order.symbol, buys=order.buys)
    return v.listings[order.symbol].worth * lots * price


def switched_off(v: Venue, account: str, symbol: str) -> Said | None:
    """Rule 1, kill_switch."""
    scopes = (
        (types.KILL_SWITCH_SCOPE_FIRM, "", "firm"),
        (types.KILL_SWITCH_SCOPE_ACCOUNT, account, "account"),
        (types.KILL_SWITCH_SCOPE_SYMBOL, symbol, "symbol"),
        (types.KILL_SWITCH_SCOPE_SESSION, v.command.session_id, "session"),
    )
    for scope, target, field in scopes:
        if (scope, target) in v.switches:
            return denial(v, types.REASON_KILL_SWITCH, "kill_switch", field=field)
    return None


def _restricted(v: Venue, want: Wanted) -> Said | None:
    if limit_of(v, want.order, "restricted"):
        return denial(v, types.REASON_RESTRICTED_INSTRUMENT, "restricted", field="symbol")
    return None


def _message_rate(v: Venue, want: Wanted) -> Said | None:
    most = limit_of(v, want.order, "message_rate")
    count = v.accounts[want.order.account].requests.get(v.now // SECOND_NS, 0)
    if most and count > most:
        return denial(v, types.REASON_MESSAGE_RATE_LIMIT, "message_rate", COUNT, most, count - 1, count)
    return None


def _order_qty(v: Venue, want: Wanted) -> Said | None:
    most = limit_of(v, want.order, "order_qty_lots")
    if most and want.qty > most:
        return denial(v, types.REASON_ORDER_QTY_LIMIT, "order_qty", LOTS, most, 0, want.qty, field="qty")
    return None


def _order_notional(v: Venue, want: Wanted) -> Said | None:
    most, value = limit_of(v, want.order, "order_notional_micro"), value_of(v, want, want.qty)
    if most and value > most:
        return denial(v, types.REASON_ORDER_NOTIONAL_LIMIT, "order_notional", MONEY, most, 0, value, field="qty")
    return None


def _price_collar(v: Venue, want: Wanted) -> Said | None:
    order, listing = want.order, v.listings[want.order.symbol]
    bps = limit_of(v, order, "price_collar_bps")
    if not bps or not want.price:
        return None
    age = limit_of(v, order, "reference_age_ns")
    if not listing.reference or (age and v.now - listing.reference_time > age):
        return denial(v, types.REASON_REFERENCE_STALE, "price_collar", field="price")
    furthest = above(listing.reference, bps) if order.buys else below(listing.reference, bps)
    if not reaches(want.price, furthest, buys=order.buys):
        numbers = (TICKS, furthest, listing.reference, want.price)
        return denial(v, types.REASON_PRICE_COLLAR, "price_collar", *numbers, field="price")
    return None


def likeness(want: Wanted) -> tuple[object, ...]:
    """What makes two orders the same to rule 7."""
    body = want.order.body
    return body.symbol, body.side, body.ord_type, want.qty, want.price, want.stop_px


def _duplicate(v: Venue, want: Wanted) -> Said | None:
    window = limit_of(v, want.order, "duplicate_window_ns")
    if not window or want.is_replace:
        return None
    for time, like in reversed(v.accounts[want.order.account].entered):
        if v.now - time >= window:
            break
        if like == likeness(want):
            return denial(v, types.REASON_DUPLICATE_ORDER, "duplicate_order", COUNT, 1, 1, 2)
    return None


def _repeated(v: Venue, want: Wanted) -> Said | None:
    latched = v.accounts[want.order.account].latched.get(want.order.symbol)
    if latched is None:
        return None
    most, fills = limit_of(v, want.order, "repeated_executions"), latched[1]
    return denial(v, types.REASON_REPEATED_EXECUTION, "repeated_execution", COUNT, most, fills, fills)


def _daily_loss(v: Venue, want: Wanted) -> Said | None:
    most = limit_of(v, want.order, "daily_loss_micro")
    if not most:
        return None
    account, currency = v.accounts[want.order.account], v.listings[want.order.symbol].terms.currency
    loss = account.at_close.get(currency, 0) - money.result(v, account, currency)
    if loss > most:
        return denial(v, types.REASON_DAILY_LOSS_LIMIT, "daily_loss", MONEY, most, loss, loss)
    return None


def _open_notional(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    most, listing = limit_of(v, order, "open_notional_micro"), v.listings[order.symbol]
    if not most:
        return None
    current = sum(
        other.leaves * other.price * v.listings[other.symbol].worth
        for other in money.orders_in_book(v, order.account)
        if v.listings[other.symbol].terms.currency == listing.terms.currency
    )
    projected = current - want.standing * order.price * listing.worth + funds_value(v, want, want.leaves)
    if projected > max(most, current):
        return denial(v, types.REASON_OPEN_NOTIONAL_LIMIT, "open_notional", MONEY, most, current, projected)
    return None


def _net_position(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    most = limit_of(v, order, "position_lots")
    if not most:
        return None
    mine = money.orders_in_book(v, order.account)
    standing = sum(other.leaves for other in mine if other.symbol == order.symbol and other.buys is order.buys)
    position, sign = v.accounts[order.account].lots(order.symbol), 1 if order.buys else -1
    current = sign * position + standing
    projected = current - want.standing + want.leaves
    if projected > max(most, current):
        return denial(v, types.REASON_POSITION_LIMIT, "net_position", LOTS, most, current, projected)
    return None


def _gross_position(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    most, currency = limit_of(v, order, "gross_position_micro"), v.listings[order.symbol].terms.currency
    if not most:
        return None
    current = sum(
        money.size_value(v, symbol, holding, v.listings[symbol].reference)
        for symbol, holding in v.accounts[order.account].holdings.items()
        if v.listings[symbol].terms.currency == currency
    )
    adding = max(0, want.leaves - money.reducible(v, order.account, order.symbol, buys=order.buys))
    value = funds_value(v, want, want.leaves)
    asks_more = not want.standing or value > want.standing * order.price * v.listings[order.symbol].worth
    projected = current + value * adding // want.leaves
    if projected > most and adding and asks_more:
        return denial(v, types.REASON_POSITION_LIMIT, "gross_position", MONEY, most, current, projected)
    return None


def _short_sale(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    if not order.is_short:
        return None
    account = v.accounts[order.account]
    may = account.short_sale_permitted and account.lots(order.symbol) <= 0 and not v.listings[order.symbol].is_fx
    return None if may else denial(v, types.REASON_SHORT_SALE_NOT_PERMITTED, "short_sale", field="side")


def _reduce_only(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    if not order.body.reduce_only or money.reducible(v, order.account, order.symbol, buys=order.buys):
        return None
    return denial(v, types.REASON_POSITION_INSUFFICIENT, "reduce_only", LOTS, 0, 0, want.leaves)


def _resources(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    if not (order.buys or order.is_short or v.listings[order.symbol].is_fx):
        return _position(v, want)
    currency, cash = money.need_of_value(v, order, want.leaves, funds_value(v, want, want.leaves))
    standing = order.hold[1] if want.standing else 0
    owned = v.accounts[order.account].cash.get(currency, 0) - money.margin(v, order.account, currency)
    held = money.held_cash(v, order.account, currency)
    projected = held - standing + cash
    if projected > max(owned, held):
        return denial(v, types.REASON_BUYING_POWER, "buying_power", MONEY, owned, held, projected)
    return None


def _position(v: Venue, want: Wanted) -> Said | None:
    order = want.order
    owned = v.accounts[order.account].lots(order.symbol)
    held = money.held_lots(v, order.account, order.symbol, shorts=True)
    projected = held - want.standing + want.leaves
    if projected > max(owned, held):
        return denial(v, types.REASON_POSITION_INSUFFICIENT, "position", LOTS, owned, held, projected)
    return None


def count_request(v: Venue, account: str) -> None:
    """A new order or a replace has come to the risk rules: it counts for rule 3."""
    second, requests = v.now // SECOND_NS, v.accounts[account].requests
    v.accounts[account].requests = {second: requests.get(second, 0) + 1}


Rule = Callable[[Venue, Wanted], Said | None]
ENTRY: tuple[Rule, ...] = (
    _restricted,
    _message_rate,
    _order_qty,
    _order_notional,
    _price_collar,
    _duplicate,
    _repeated,
    _daily_loss,
)
FUNDS: tuple[Rule, ...] = (_open_notional, _net_position, _gross_position, _short_sale, _reduce_only, _resources)


def first(v: Venue, want: Wanted, rules: tuple[Rule, ...]) -> Said | None:
    """The first rule that denies."""
    for rule in rules:
        if (refusal := rule(v, want)) is not None:
            return refusal
    return None


def at_entry(v: Venue, want: Wanted, *, waits: bool) -> Said | None:
    """All rules for a new or replaced order."""
    count_request(v, want.order.account)
    return first(v, want, ENTRY if waits else ENTRY + FUNDS)


def at_activation(v: Venue, order: Order) -> Said | None:
    """The rules for an order that has waited and now goes to the book."""
    want = Wanted(order, order.qty, order.price, 0, order.display)
    return first(v, want, (_repeated, *FUNDS))
