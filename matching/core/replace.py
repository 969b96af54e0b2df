"""Replaces: what may change, whether the order keeps its place, and what risk says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core import lifecycle, risk, triggers
from matching.core.gates import check_gates, check_trading_session
from matching.core.holds import hold
from matching.core.keys import Outcome, remember
from matching.core.ledger import LOTS_MAX, MONEY_MICRO_MAX
from matching.core.limits import limits_of
from matching.core.orders import Order, Stage
from matching.core.refusals import Refusal, rejected
from matching.core.requests import find, refuse, refuse_unknown
from matching.core.trading import work, work_line, would_take
from matching.core.words import Cause, ExecType, OrdType, Reason, RequestKind

if TYPE_CHECKING:
    from matching.core.commands import ReplaceOrder
    from matching.core.venue import Venue


class Change:
    """What an order would have after a replace."""

    def __init__(
        self, order: Order, qty_lots: int, price_ticks: int, stop_px_ticks: int, display_qty_lots: int
    ) -> None:
        self.qty_lots = qty_lots or order.qty_lots
        self.price_ticks = price_ticks or order.price_ticks
        self.stop_px_ticks = stop_px_ticks or order.stop_px_ticks
        self.display_qty_lots = display_qty_lots or order.display_qty_lots
        self.is_nothing = (
            self.qty_lots == order.qty_lots
            and self.price_ticks == order.price_ticks
            and self.stop_px_ticks == order.stop_px_ticks
            and self.display_qty_lots == order.display_qty_lots
        )
        self.only_lowers = (
            self.qty_lots < order.qty_lots
            and self.price_ticks == order.price_ticks
            and self.stop_px_ticks == order.stop_px_ticks
            and self.display_qty_lots == order.display_qty_lots
        )
        if not display_qty_lots and self.display_qty_lots > self.qty_lots:
            self.display_qty_lots = self.qty_lots

    def apply(self, order: Order) -> None:
        """Gives an order its new terms."""
        order.qty_lots = self.qty_lots
        order.leaves_qty_lots = self.qty_lots - order.cum_qty_lots
        order.price_ticks = self.price_ticks
        order.stop_px_ticks = self.stop_px_ticks
        order.display_qty_lots = self.display_qty_lots


def replace_order(venue: Venue, command: ReplaceOrder) -> None:
    """Changes an open order. Only lowering the quantity keeps its place in the queue."""
    account = venue.accounts.get(command.account)
    order = find(account, venue, command) if account is not None else None
    if account is None or order is None:
        refuse_unknown(venue, account, command)
        return
    refusal = _grid(order, command)
    if refusal is not None:
        refuse(venue, order, command, refusal)
        return
    instrument = order.listing.instrument
    change = Change(
        order,
        command.qty_nano // instrument.lot_size_nano,
        command.price_nano // instrument.tick_size_nano,
        command.stop_px_nano // instrument.tick_size_nano,
        command.display_qty_nano // instrument.lot_size_nano,
    )
    refusal = _applicable(order, command, change) or _market(venue, order, change)
    if refusal is None and not change.only_lowers:
        refusal = _risk(venue, order, change)
    if refusal is not None:
        refuse(venue, order, command, refusal)
        return
    carry_out(venue, order, change, command)
    work_line(venue)


def carry_out(venue: Venue, order: Order, change: Change, command: ReplaceOrder) -> None:
    """Makes the change, tells it, and works the order again where it loses its place."""
    stage = order.stage
    keeps_place = stage == Stage.RESTING and change.only_lowers
    if keeps_place:
        lower(order, change.qty_lots)
    else:
        lifecycle.withdraw(venue, order)
        change.apply(order)
    orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, command.cl_ord_id
    event = venue.tell(order, ExecType.REPLACED, Cause.CLIENT, RequestKind.REPLACE)
    event.orig_cl_ord_id = orig_cl_ord_id
    remember(venue, order.account, command.cl_ord_id, Outcome(command, event, order))
    if stage == Stage.WAITS_TRIGGER:
        triggers.wait(venue, order)
    elif stage == Stage.RESTING and not keeps_place:
        work(venue, order)


def lower(order: Order, qty_lots: int) -> None:
    """Lowers the quantity of a resting order in its place."""
    less_lots = order.qty_lots - qty_lots
    order.listing.book.side(order.is_buy).lower(order, less_lots)
    order.qty_lots = qty_lots
    order.leaves_qty_lots -= less_lots
    if order.display_qty_lots:
        order.display_qty_lots = min(order.display_qty_lots, qty_lots)
        order.shown_qty_lots = min(order.shown_qty_lots, order.leaves_qty_lots)
    hold(order)


def _grid(order: Order, command: ReplaceOrder) -> Refusal | None:
    """Whether the new values are multiples of the order's lot and tick."""
    if not command.cl_ord_id:
        return rejected(Reason.FIELD_MISSING, "cl_ord_id")
    instrument = order.listing.instrument
    for nano, field in ((command.qty_nano, "qty"), (command.display_qty_nano, "display_qty")):
        if nano % instrument.lot_size_nano:
            return rejected(Reason.QTY_OFF_LOT, field)
    for nano, field in ((command.price_nano, "price"), (command.stop_px_nano, "stop_px")):
        if nano % instrument.tick_size_nano:
            return rejected(Reason.PRICE_OFF_TICK, field)
    return None


def _applicable(order: Order, command: ReplaceOrder, change: Change) -> Refusal | None:
    ord_type = order.terms.ord_type
    if not order.is_open:
        return rejected(Reason.ORDER_NOT_OPEN)
    if command.price_nano and ord_type not in (OrdType.LIMIT, OrdType.STOP_LIMIT):
        return rejected(Reason.FIELDS_CONFLICT, "price")
    if command.stop_px_nano and not order.has_trigger:
        return rejected(Reason.FIELDS_CONFLICT, "stop_px")
    if command.display_qty_nano and not order.display_qty_lots:
        return rejected(Reason.FIELDS_CONFLICT, "display_qty")
    if change.is_nothing:
        return rejected(Reason.NOTHING_TO_REPLACE)
    for value, field in (
        (change.qty_lots, "qty"),
        (change.price_ticks, "price"),
        (change.stop_px_ticks, "stop_px"),
        (change.display_qty_lots, "display_qty"),
    ):
        if value < 0:
            return rejected(Reason.NOT_POSITIVE, field)
    if change.qty_lots <= order.cum_qty_lots:
        return rejected(Reason.QTY_BELOW_CUM, "qty")
    if change.display_qty_lots > change.qty_lots:
        return rejected(Reason.FIELD_INVALID, "display_qty")
    price_ticks = max(change.price_ticks, change.stop_px_ticks)
    if change.qty_lots > LOTS_MAX or change.qty_lots * price_ticks * order.listing.micro_per_tick_lot > MONEY_MICRO_MAX:
        return rejected(Reason.VALUE_TOO_LARGE, "qty")
    return None


def _market(venue: Venue, order: Order, change: Change) -> Refusal | None:
    """Gates and trading session; lowering the quantity passes the latter."""
    refusal = check_gates(venue, order.account, order.listing, venue.session_id)
    if refusal is not None or change.only_lowers:
        return refusal
    terms = order.terms
    refusal = check_trading_session(order.listing, terms.ord_type, terms.time_in_force)
    if refusal is not None:
        return refusal
    is_taking = order.stage == Stage.RESTING and would_take(order.listing, order.is_buy, change.price_ticks)
    return rejected(Reason.WOULD_TAKE, "price") if terms.post_only and is_taking else None


def _risk(venue: Venue, order: Order, change: Change) -> Refusal | None:
    price_ticks = change.price_ticks or change.stop_px_ticks
    open_lots = change.qty_lots - order.cum_qty_lots
    intent = risk.Intent(
        order.account,
        order.position,
        limits_of(venue, order.account, order.position),
        venue.limits_version,
        order.is_buy,
        order.is_short,
        change.qty_lots,
        change.price_ticks,
        open_lots * price_ticks,
    )
    intent.open_lots = open_lots
    intent.notional_micro = change.qty_lots * price_ticks * order.listing.micro_per_tick_lot
    waits = order.stage != Stage.RESTING
    if not waits:
        intent.resting = order
    refusal = risk.check_request(venue, intent, None, order.reduce_only, waits)
    risk.count_message(venue, order.account)
    return refusal
