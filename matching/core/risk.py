"""Pre-trade risk: each control is one small named rule with its numbers.

A rule gives None when the request passes, or why not; rules only look. The
boundary passes: `projected` beyond `limit` denies. SEC 15c3-5 (c)(1) asks for
these before an order enters. Which rules run when, docs/matching.md section 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from matching.core.events import RiskNumbers
from matching.core.holds import money_for
from matching.core.ledger import BPS, MONEY_MICRO_MAX, Recent, recent_key
from matching.core.limits import limits_of
from matching.core.refusals import Refusal, denied
from matching.core.words import Reason, RiskUnit

if TYPE_CHECKING:
    from matching.core.commands import Limits, NewOrder
    from matching.core.ledger import Account, Position
    from matching.core.orders import Order
    from matching.core.venue import Listing, Venue

SECOND_NS: Final = 1_000_000_000


@mypyc_attr(acyclic=True)
class Intent:
    """What a request wants, as the rules look at it: lots beyond those that it holds already, and their worst value."""

    def __init__(
        self,
        account: Account,
        position: Position,
        limits: Limits | None,
        version: int,
        is_buy: bool,
        is_short: bool,
        qty_lots: int,
        price_ticks: int,
        value_ticks_lots: int,
    ) -> None:
        self.account = account
        self.position = position
        self.listing: Listing = position.listing
        self.limits = limits
        self.version = version
        self.is_buy = is_buy
        self.is_short = is_short
        self.qty_lots = qty_lots
        self.price_ticks = price_ticks
        """The limit price; 0 without one."""
        self.value_micro = value_ticks_lots * self.listing.micro_per_tick_lot
        """The worst value of `open_lots`."""
        self.notional_micro = self.value_micro
        """The value of the whole order, what has traded of it included."""
        self.open_lots = qty_lots
        """What would be open."""
        self.resting: Order | None = None
        """The order in the book that it replaces."""

    def numbers(self, rule: str, unit: int, limit: int, current: int, projected: int) -> RiskNumbers:
        """The numbers of a denial, within 64 bits."""
        bound = MONEY_MICRO_MAX
        return RiskNumbers(
            rule, unit, limit, max(-bound, min(bound, current)), max(-bound, min(bound, projected)), self.version
        )


def intent_of(
    venue: Venue, account: Account, position: Position, command: NewOrder, is_buy: bool, is_short: bool
) -> Intent:
    """What a new order wants."""
    limits = limits_of(venue, account, position)
    qty_lots = command.qty_lots
    value = qty_lots * (command.price_ticks or command.stop_px_ticks or position.listing.worst_ticks(is_buy))
    return Intent(
        account,
        position,
        limits,
        venue.limits_version,
        is_buy,
        is_short,
        qty_lots,
        command.price_ticks,
        value,
    )


def check_request(venue: Venue, intent: Intent, command: NewOrder | None, reduces: bool, waits: bool) -> Refusal | None:
    """The rules for a new order, or without one for a replace, in their order.

    Those about money and position only when the order does not wait.
    """
    limits = intent.limits
    if limits is None:
        refusal = _repeated_execution(intent)
    else:
        refusal = (
            _restricted(limits)
            or _message_rate(venue, intent, limits)
            or _order_qty(intent, limits)
            or _order_notional(intent, limits)
            or _price_collar(venue, intent, limits)
            or (_duplicate_order(venue, intent, limits, command) if command is not None else None)
            or _repeated_execution(intent)
            or _daily_loss(intent, limits)
        )
    if refusal is not None:
        return refusal
    return None if waits else check_funds(intent, reduces)


def check_activation(venue: Venue, order: Order, value_ticks_lots: int) -> Refusal | None:
    """The rules for an order that has waited, when its turn comes."""
    limits = limits_of(venue, order.account, order.position)
    intent = Intent(
        order.account,
        order.position,
        limits,
        venue.limits_version,
        order.is_buy,
        order.is_short,
        order.leaves_qty_lots,
        order.price_ticks,
        value_ticks_lots,
    )
    return _repeated_execution(intent) or check_funds(intent, order.reduce_only)


def check_funds(intent: Intent, reduces: bool) -> Refusal | None:
    """The rules about positions and money."""
    limits = intent.limits
    if limits is not None:
        refusal = _open_notional(intent, limits) or _net_position(intent, limits) or _gross_position(intent, limits)
        if refusal is not None:
            return refusal
    if intent.is_short and not _may_sell_short(intent):
        return denied(Reason.SHORT_SALE_NOT_PERMITTED, "side")
    if reduces and not intent.position.reducible_lots(intent.is_buy):
        numbers = intent.numbers("reduce_only", RiskUnit.LOTS, 0, 0, intent.open_lots)
        return denied(Reason.POSITION_INSUFFICIENT, "", numbers)
    if intent.is_buy or intent.is_short:
        return _buying_power(intent)
    return _position(intent) if intent.position.base is None else _base_currency(intent)


def count_message(venue: Venue, account: Account) -> None:
    """Counts a request that came as far as the rules."""
    second = venue.time_unix_ns // SECOND_NS
    if account.rate_second != second:
        account.rate_second = second
        account.rate_messages = 0
    account.rate_messages += 1


def remember_order(venue: Venue, intent: Intent, command: NewOrder) -> None:
    """Notes an accepted order for the rule on duplicates."""
    limits = intent.limits
    if limits is None or not limits.duplicate_window_ns:
        return
    position, now_unix_ns = intent.position, venue.time_unix_ns
    line = position.recent_line
    while line and line[0].at_unix_ns <= now_unix_ns - limits.duplicate_window_ns:
        _let_go(position, line.popleft())
    order = Recent(
        now_unix_ns,
        command.side,
        command.ord_type,
        command.qty_lots,
        command.price_ticks,
        command.stop_px_ticks,
    )
    remember(position, order)


def remember(position: Position, order: Recent) -> None:
    """Notes an order as the newest."""
    key = order.key
    order.next = position.recent.get(key)
    position.recent[key] = order
    position.recent_line.append(order)


def _let_go(position: Position, order: Recent) -> None:
    """Forgets the oldest order; of those with its key it is the last."""
    key = order.key
    first = position.recent[key]
    if first is order:
        del position.recent[key]
        return
    while first.next is not order and first.next is not None:
        first = first.next
    first.next = None


def _restricted(limits: Limits) -> Refusal | None:
    return denied(Reason.RESTRICTED_INSTRUMENT, "symbol") if limits.restricted else None


def _message_rate(venue: Venue, intent: Intent, limits: Limits) -> Refusal | None:
    """`message_rate`: requests in the present second of engine time."""
    if not limits.message_rate:
        return None
    account = intent.account
    before = account.rate_messages if account.rate_second == venue.time_unix_ns // SECOND_NS else 0
    if before < limits.message_rate:
        return None
    numbers = intent.numbers("message_rate", RiskUnit.COUNT, limits.message_rate, before, before + 1)
    return denied(Reason.MESSAGE_RATE_LIMIT, "", numbers)


def _order_qty(intent: Intent, limits: Limits) -> Refusal | None:
    """`order_qty`: lots of one order."""
    if not limits.order_qty_lots or intent.qty_lots <= limits.order_qty_lots:
        return None
    numbers = intent.numbers("order_qty", RiskUnit.LOTS, limits.order_qty_lots, 0, intent.qty_lots)
    return denied(Reason.ORDER_QTY_LIMIT, "qty", numbers)


def _order_notional(intent: Intent, limits: Limits) -> Refusal | None:
    """`order_notional`: value of one order."""
    if not limits.order_notional_micro or intent.notional_micro <= limits.order_notional_micro:
        return None
    unit, limit = RiskUnit.MONEY_MICRO, limits.order_notional_micro
    return denied(
        Reason.ORDER_NOTIONAL_LIMIT, "qty", intent.numbers("order_notional", unit, limit, 0, intent.notional_micro)
    )


def _price_collar(venue: Venue, intent: Intent, limits: Limits) -> Refusal | None:
    """`price_collar`: the price against a fresh reference, on the side where it could hurt."""
    if not limits.price_collar_bps or not intent.price_ticks:
        return None
    listing = intent.listing
    reference = listing.reference_ticks
    age_ns = venue.time_unix_ns - listing.reference_unix_ns
    if not reference or (limits.reference_age_ns and age_ns > limits.reference_age_ns):
        return denied(Reason.REFERENCE_STALE, "price")
    price = intent.price_ticks
    if intent.is_buy:
        limit = reference * (BPS + limits.price_collar_bps) // BPS
        is_beyond = price > limit
    else:
        limit = -(-reference * (BPS - limits.price_collar_bps) // BPS)
        is_beyond = price < limit
    if not is_beyond:
        return None
    numbers = intent.numbers("price_collar", RiskUnit.TICKS, limit, reference, price)
    return denied(Reason.PRICE_COLLAR, "price", numbers)


def _duplicate_order(venue: Venue, intent: Intent, limits: Limits, command: NewOrder) -> Refusal | None:
    """`duplicate_order`: the same order again within its window."""
    if not limits.duplicate_window_ns:
        return None
    key = recent_key(command.side, command.ord_type, command.qty_lots, command.price_ticks, command.stop_px_ticks)
    order = intent.position.recent.get(key)
    while order is not None and not _is_same(order, command):
        order = order.next
    if order is None or venue.time_unix_ns - order.at_unix_ns >= limits.duplicate_window_ns:
        return None
    return denied(Reason.DUPLICATE_ORDER, "", intent.numbers("duplicate_order", RiskUnit.COUNT, 1, 1, 2))


def _is_same(order: Recent, command: NewOrder) -> bool:
    return (
        order.price_ticks == command.price_ticks
        and order.qty_lots == command.qty_lots
        and order.side == command.side
        and order.ord_type == command.ord_type
        and order.stop_px_ticks == command.stop_px_ticks
    )


def _repeated_execution(intent: Intent) -> Refusal | None:
    """`repeated_execution`: latched by too many fills, until a named person ends it."""
    position = intent.position
    if not position.is_throttled:
        return None
    fills = position.throttle_fills
    limit = intent.limits.repeated_executions if intent.limits is not None else 0
    numbers = intent.numbers("repeated_execution", RiskUnit.COUNT, limit, fills, fills)
    return denied(Reason.REPEATED_EXECUTION, "", numbers)


def _daily_loss(intent: Intent, limits: Limits) -> Refusal | None:
    """`daily_loss`: what was lost since the last close of day, realised and unrealised, fees included."""
    if not limits.daily_loss_micro:
        return None
    cash = intent.position.cash
    loss = cash.day_result_micro - cash.result_micro()
    if loss <= limits.daily_loss_micro:
        return None
    numbers = intent.numbers("daily_loss", RiskUnit.MONEY_MICRO, limits.daily_loss_micro, loss, loss)
    return denied(Reason.DAILY_LOSS_LIMIT, "", numbers)


def _open_notional(intent: Intent, limits: Limits) -> Refusal | None:
    """`open_notional`: value of the open orders of a currency."""
    if not limits.open_notional_micro:
        return None
    current = intent.position.cash.open_micro
    more = intent.value_micro - (intent.resting.counted_micro if intent.resting is not None else 0)
    if more <= 0 or current + more <= limits.open_notional_micro:
        return None
    unit, limit = RiskUnit.MONEY_MICRO, limits.open_notional_micro
    return denied(Reason.OPEN_NOTIONAL_LIMIT, "", intent.numbers("open_notional", unit, limit, current, current + more))


def _net_position(intent: Intent, limits: Limits) -> Refusal | None:
    """`net_position`: the position if every open order of this direction traded."""
    if not limits.position_lots:
        return None
    position = intent.position
    if intent.is_buy:
        current = position.qty_lots + position.open_buy_lots
    else:
        current = position.held_lots + position.open_short_lots - position.qty_lots
    more = intent.open_lots - (intent.resting.held_lots if intent.resting is not None else 0)
    if more <= 0 or current + more <= limits.position_lots:
        return None
    numbers = intent.numbers("net_position", RiskUnit.LOTS, limits.position_lots, current, current + more)
    return denied(Reason.POSITION_LIMIT, "", numbers)


def _gross_position(intent: Intent, limits: Limits) -> Refusal | None:
    """`gross_position`: the sizes of all positions of a currency, with the part of the order that does not reduce."""
    if not limits.gross_position_micro:
        return None
    if intent.resting is not None and intent.value_micro <= intent.resting.counted_micro:
        return None
    adding_lots = intent.open_lots - intent.position.reducible_lots(intent.is_buy)
    if adding_lots <= 0:
        return None
    current = intent.position.cash.gross_micro
    projected = current + intent.value_micro * adding_lots // intent.open_lots
    if projected <= limits.gross_position_micro:
        return None
    unit, limit = RiskUnit.MONEY_MICRO, limits.gross_position_micro
    return denied(Reason.POSITION_LIMIT, "", intent.numbers("gross_position", unit, limit, current, projected))


def _may_sell_short(intent: Intent) -> bool:
    position = intent.position
    return intent.account.short_sale_permitted and position.base is None and position.qty_lots <= 0


def _buying_power(intent: Intent) -> Refusal | None:
    """`buying_power`: money held by open orders may not exceed the cash that is there, less margin."""
    cash = intent.position.cash
    account = intent.account
    needed = money_for(account, intent.listing, intent.is_short, intent.open_lots, intent.value_micro)
    more = needed - (intent.resting.held_micro if intent.resting is not None else 0)
    if more <= 0:
        return None
    limit = cash.cash_micro - account.margin_micro(cash)
    projected = cash.held_micro + more
    if projected <= limit:
        return None
    numbers = intent.numbers("buying_power", RiskUnit.MONEY_MICRO, limit, cash.held_micro, projected)
    return denied(Reason.BUYING_POWER, "", numbers)


def _position(intent: Intent) -> Refusal | None:
    """`position`: lots held by open sales may not exceed the lots that are there."""
    position = intent.position
    current = position.held_lots + position.open_short_lots
    more = intent.open_lots - (intent.resting.held_lots if intent.resting is not None else 0)
    if more <= 0 or current + more <= position.qty_lots:
        return None
    numbers = intent.numbers("position", RiskUnit.LOTS, position.qty_lots, current, current + more)
    return denied(Reason.POSITION_INSUFFICIENT, "", numbers)


def _base_currency(intent: Intent) -> Refusal | None:
    """`buying_power` of a pair's base currency, for its sale."""
    base = intent.position.base
    assert base is not None, "a pair has a base currency"
    more_lots = intent.open_lots - (intent.resting.held_lots if intent.resting is not None else 0)
    more = more_lots * intent.listing.base_micro_per_lot
    limit = base.cash_micro - intent.account.margin_micro(base)
    projected = base.held_micro + more
    if more <= 0 or projected <= limit:
        return None
    numbers = intent.numbers("buying_power", RiskUnit.MONEY_MICRO, limit, base.held_micro, projected)
    return denied(Reason.BUYING_POWER, "", numbers)
