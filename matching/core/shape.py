"""The shape of a new order: what its type, time in force and flags need, and what they exclude.

The gateway finds all of this first; the core does not rely on it. The checks run
in the order of docs/matching.md, and the first that fails answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matching.core.ledger import BPS, LOTS_MAX, MONEY_MICRO_MAX
from matching.core.refusals import Refusal, rejected
from matching.core.words import (
    ContingencyType,
    OrdType,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TrailUnit,
    TriggerBy,
)

if TYPE_CHECKING:
    from matching.core.commands import NewOrder
    from matching.core.venue import Listing

LEGS_MAX: Final = {ContingencyType.OCO: 2, ContingencyType.OTO: 8, ContingencyType.OTOCO: 3}


def check_shape(listing: Listing, command: NewOrder, now_unix_ns: int) -> Refusal | None:
    """What is wrong with an order before anything is known of the market."""
    if not Side.BUY <= command.side <= Side.SELL and command.side != Side.SELL_SHORT:
        return rejected(Reason.ENUM_UNKNOWN, "side")
    if not OrdType.MARKET <= command.ord_type <= OrdType.TRAILING_STOP:
        return rejected(Reason.ENUM_UNKNOWN, "ord_type")
    tif = command.time_in_force
    if not TimeInForce.DAY <= tif <= TimeInForce.FOK and tif != TimeInForce.GTD:
        return rejected(Reason.ENUM_UNKNOWN, "time_in_force")
    if not SelfTradePrevention.CANCEL_NEWEST <= command.self_trade_prevention <= SelfTradePrevention.DECREMENT:
        return rejected(Reason.ENUM_UNKNOWN, "self_trade_prevention")
    if not command.is_plain:
        refusal = _more_enums(command)
        if refusal is not None:
            return refusal
    if not command.cl_ord_id:
        return rejected(Reason.FIELD_MISSING, "cl_ord_id")
    if command.qty_lots <= 0:
        return rejected(Reason.NOT_POSITIVE, "qty")
    if command.qty_lots > LOTS_MAX:
        return rejected(Reason.VALUE_TOO_LARGE, "qty")
    refusal = _fields(command, now_unix_ns)
    if refusal is not None:
        return refusal
    price_ticks = max(command.price_ticks, command.stop_px_ticks)
    if command.trail_unit == TrailUnit.PRICE:
        price_ticks = max(price_ticks, command.trail_offset)
    if command.qty_lots * price_ticks * listing.micro_per_tick_lot > MONEY_MICRO_MAX:
        return rejected(Reason.VALUE_TOO_LARGE, "qty")
    return None


def _more_enums(command: NewOrder) -> Refusal | None:
    if not TriggerBy.NONE <= command.trigger_by <= TriggerBy.MARK:
        return rejected(Reason.ENUM_UNKNOWN, "trail.trigger_by")
    if not TrailUnit.NONE <= command.trail_unit <= TrailUnit.BPS:
        return rejected(Reason.ENUM_UNKNOWN, "trail.unit")
    if not ContingencyType.NONE <= command.contingency_type <= ContingencyType.OTOCO:
        return rejected(Reason.ENUM_UNKNOWN, "contingency.type")
    return None


def _fields(command: NewOrder, now_unix_ns: int) -> Refusal | None:
    refusal = _negative(command) or _prices(command) or _trail(command) or _time(command)
    if refusal is not None or command.is_plain:
        return refusal
    return _quantities(command) or _flags(command) or _contingency(command) or _expiry(command, now_unix_ns)


def _negative(command: NewOrder) -> Refusal | None:
    if command.is_plain:
        return rejected(Reason.NOT_POSITIVE, "price") if command.price_ticks < 0 else None
    for value, field in (
        (command.price_ticks, "price"),
        (command.stop_px_ticks, "stop_px"),
        (command.trail_offset, "trail.offset"),
        (command.display_qty_lots, "display_qty"),
        (command.min_qty_lots, "min_qty"),
        (command.expire_unix_ns, "expire_time"),
    ):
        if value < 0:
            return rejected(Reason.NOT_POSITIVE, field)
    return None


def _prices(command: NewOrder) -> Refusal | None:
    ord_type = command.ord_type
    needs_price = ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
    if needs_price != bool(command.price_ticks):
        return rejected(Reason.FIELD_MISSING if needs_price else Reason.FIELDS_CONFLICT, "price")
    if (ord_type in (OrdType.STOP, OrdType.STOP_LIMIT)) and not command.stop_px_ticks:
        return rejected(Reason.FIELD_MISSING, "stop_px")
    if ord_type < OrdType.STOP and command.stop_px_ticks:
        return rejected(Reason.FIELDS_CONFLICT, "stop_px")
    return None


def _trail(command: NewOrder) -> Refusal | None:
    if command.ord_type == OrdType.TRAILING_STOP:
        if not command.trail_offset or not command.trail_unit:
            return rejected(Reason.FIELD_MISSING, "trail")
        if command.trail_unit == TrailUnit.BPS and command.trail_offset > BPS:
            return rejected(Reason.FIELD_INVALID, "trail.offset")
        return None
    if command.trail_offset or command.trail_unit or (command.trigger_by and command.ord_type < OrdType.STOP):
        return rejected(Reason.FIELDS_CONFLICT, "trail")
    return None


def _time(command: NewOrder) -> Refusal | None:
    tif = command.time_in_force
    if command.ord_type == OrdType.MARKET and tif == TimeInForce.GTD:
        return rejected(Reason.FIELDS_CONFLICT, "time_in_force")
    if command.ord_type >= OrdType.STOP and (tif in (TimeInForce.IOC, TimeInForce.FOK)):
        return rejected(Reason.FIELDS_CONFLICT, "time_in_force")
    if (tif == TimeInForce.GTD) != bool(command.expire_unix_ns):
        reason = Reason.FIELD_MISSING if tif == TimeInForce.GTD else Reason.FIELDS_CONFLICT
        return rejected(reason, "expire_time")
    return None


def _quantities(command: NewOrder) -> Refusal | None:
    if command.display_qty_lots:
        if not _may_rest_at_a_price(command):
            return rejected(Reason.FIELDS_CONFLICT, "display_qty")
        if command.display_qty_lots > command.qty_lots:
            return rejected(Reason.FIELD_INVALID, "display_qty")
    if command.min_qty_lots:
        if command.time_in_force != TimeInForce.IOC:
            return rejected(Reason.FIELDS_CONFLICT, "min_qty")
        if command.min_qty_lots > command.qty_lots:
            return rejected(Reason.FIELD_INVALID, "min_qty")
    return None


def _flags(command: NewOrder) -> Refusal | None:
    if command.post_only and not _may_rest_at_a_price(command):
        return rejected(Reason.FIELDS_CONFLICT, "exec_inst")
    return None


def _may_rest_at_a_price(command: NewOrder) -> bool:
    tif = command.time_in_force
    priced = command.ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
    return priced and tif not in (TimeInForce.IOC, TimeInForce.FOK)


def _contingency(command: NewOrder) -> Refusal | None:
    if not command.contingency_type:
        if command.list_id or command.leg:
            return rejected(Reason.FIELDS_CONFLICT, "contingency")
        return None
    if not command.list_id:
        return rejected(Reason.FIELD_MISSING, "contingency.list_id")
    if not 1 <= command.leg <= LEGS_MAX[command.contingency_type]:
        return rejected(Reason.FIELD_INVALID, "contingency.leg")
    return None


def _expiry(command: NewOrder, now_unix_ns: int) -> Refusal | None:
    if command.expire_unix_ns and command.expire_unix_ns <= now_unix_ns:
        return rejected(Reason.EXPIRED, "expire_time")
    return None
