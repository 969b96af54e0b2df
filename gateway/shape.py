"""What each order type needs, and what it cannot have: the shape of an order beyond its plain terms.

The table is that of docs/matching.md, section 2. The core holds every order
against it too; here it is found before the order travels, with the client's own
names of the fields. Plain market and limit orders never come here but for
`is_plain`. Pure but for the generated message types; `gateway.admission` calls it.
"""

from itertools import product
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.clock import NANOS_PER_SECOND
from runtime.decimals import NANO
from runtime.errors import Refused
from runtime.instruments import Instrument, parse_positive_nano

UNIX_NS_MAX = 2**63 - 1
BPS_MAX = 10_000

DAY, GTC, GTD = types.TIME_IN_FORCE_DAY, types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_GTD
IOC, FOK = types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK
MARKET, LIMIT = types.ORD_TYPE_MARKET, types.ORD_TYPE_LIMIT
STOP, STOP_LIMIT, TRAILING_STOP = types.ORD_TYPE_STOP, types.ORD_TYPE_STOP_LIMIT, types.ORD_TYPE_TRAILING_STOP

AT_ONCE = frozenset({IOC, FOK})
"""Times in force of orders that never rest."""
PRICED = frozenset({LIMIT, STOP_LIMIT})
"""Types with a limit price: they can rest, be an iceberg, and be post-only."""
TRIGGERED = frozenset({STOP, STOP_LIMIT, TRAILING_STOP})
TIMES_IN_FORCE = {
    MARKET: frozenset({DAY, GTC, IOC, FOK}),
    LIMIT: frozenset({DAY, GTC, GTD, IOC, FOK}),
    STOP: frozenset({DAY, GTC, GTD}),
    STOP_LIMIT: frozenset({DAY, GTC, GTD}),
    TRAILING_STOP: frozenset({DAY, GTC, GTD}),
}
LEGS_MAX = {types.CONTINGENCY_TYPE_OCO: 2, types.CONTINGENCY_TYPE_OTO: 8, types.CONTINGENCY_TYPE_OTOCO: 3}


class Kind(NamedTuple):
    """The enums of an order, with their defaults filled in."""

    side: int
    ord_type: types.OrdType.ValueType
    time_in_force: types.TimeInForce.ValueType
    self_trade_prevention: int


PLAIN_KINDS = frozenset(
    product(
        (types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT),
        (MARKET, LIMIT),
        (DAY, GTC, IOC, FOK),
        (
            types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
            types.SELF_TRADE_PREVENTION_CANCEL_OLDEST,
            types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
            types.SELF_TRADE_PREVENTION_DECREMENT,
        ),
    )
)
"""Sides, types, times in force and self-trade preventions that need nothing beyond a quantity and a price."""


def is_plain(order: orders.OrderTerms) -> bool:
    """Whether it has none of the fields that `extras` reads."""
    return not (
        order.stop_px
        or order.display_qty
        or order.min_qty
        or order.HasField("trail")
        or order.HasField("expire_time")
        or order.HasField("exec_inst")
        or order.HasField("contingency")
        or order.HasField("client_time")
    )


def check_time_in_force(order: orders.OrderTerms, kind: Kind) -> None:
    """Holds the time in force against the order type, and `expire_time` against both.

    Raises:
        Refused: FIELDS_CONFLICT or FIELD_MISSING.
    """
    if kind.time_in_force not in TIMES_IN_FORCE[kind.ord_type]:
        tif, ord_type = types.TimeInForce.Name(kind.time_in_force), types.OrdType.Name(kind.ord_type)
        raise _conflict("time_in_force", f"{ord_type} and {tif} do not go together")
    if kind.time_in_force == GTD and not order.HasField("expire_time"):
        raise _missing("expire_time")
    if kind.time_in_force != GTD and order.HasField("expire_time"):
        raise _conflict("expire_time", "only a GTD order has an expire_time")


def extras(order: orders.OrderTerms, kind: Kind, qty_lots: int, instrument: Instrument) -> wire.NewOrder:
    """What an order has beyond its plain terms; nothing else is set.

    Raises:
        Refused: a need is missing, or fields contradict each other or the order type.
    """
    check_time_in_force(order, kind)
    made = wire.NewOrder(
        stop_px_ticks=_stop_px(order, kind, instrument),
        display_qty_lots=_display_qty(order, kind, qty_lots, instrument),
        min_qty_lots=_min_qty(order, kind, qty_lots, instrument),
        expire_unix_ns=_expire_unix_ns(order),
        client_unix_ns=_unix_ns(order.client_time, "client_time"),
        post_only=_post_only(order, kind),
        reduce_only=order.exec_inst.reduce_only,
    )
    _add_trail(made, order, kind, instrument)
    _add_contingency(made, order.contingency)
    return made


def _stop_px(order: orders.OrderTerms, kind: Kind, instrument: Instrument) -> int:
    if order.stop_px:
        if kind.ord_type not in TRIGGERED:
            raise _conflict("stop_px", f"{types.OrdType.Name(kind.ord_type)} has no stop_px")
        return instrument.ticks(order.stop_px, "stop_px")
    if kind.ord_type in (STOP, STOP_LIMIT):
        raise _missing("stop_px")
    return 0


def _display_qty(order: orders.OrderTerms, kind: Kind, qty_lots: int, instrument: Instrument) -> int:
    if not order.display_qty:
        return 0
    if kind.ord_type not in PRICED or kind.time_in_force in AT_ONCE:
        raise _conflict("display_qty", "only what rests at a price shows a part of its quantity")
    display_qty_lots = instrument.lots(order.display_qty, "display_qty")
    if display_qty_lots > qty_lots:
        raise _invalid("display_qty", f"display_qty {order.display_qty} is above qty {order.qty}")
    return display_qty_lots


def _min_qty(order: orders.OrderTerms, kind: Kind, qty_lots: int, instrument: Instrument) -> int:
    if not order.min_qty:
        return 0
    if kind.time_in_force != IOC:
        raise _conflict("min_qty", "only an IOC order has a min_qty")
    min_qty_lots = instrument.lots(order.min_qty, "min_qty")
    if min_qty_lots > qty_lots:
        raise _invalid("min_qty", f"min_qty {order.min_qty} is above qty {order.qty}")
    return min_qty_lots


def _expire_unix_ns(order: orders.OrderTerms) -> int:
    """When a GTD order ends; that it lies ahead is the core's to say, whose clock counts."""
    if not order.HasField("expire_time"):
        return 0
    expire_unix_ns = _unix_ns(order.expire_time, "expire_time")
    if expire_unix_ns == 0:
        raise Refused(types.REASON_NOT_POSITIVE, "expire_time must be after 1970", field="expire_time")
    return expire_unix_ns


def _post_only(order: orders.OrderTerms, kind: Kind) -> bool:
    if order.exec_inst.post_only and (kind.ord_type not in PRICED or kind.time_in_force in AT_ONCE):
        raise _conflict("exec_inst", "only what rests at a price can be post_only")
    return order.exec_inst.post_only


def _add_trail(made: wire.NewOrder, order: orders.OrderTerms, kind: Kind, instrument: Instrument) -> None:
    trail = order.trail
    if kind.ord_type != TRAILING_STOP:
        if trail.offset or trail.unit or trail.trigger_by:
            raise _conflict("trail", f"{types.OrdType.Name(kind.ord_type)} has no trail")
        return
    if not order.HasField("trail"):
        raise _missing("trail")
    _known(trail.unit, types.TrailUnit, "trail.unit")
    if trail.trigger_by not in types.TriggerBy.values():
        raise Refused(types.REASON_ENUM_UNKNOWN, f"{trail.trigger_by} is not known", field="trail.trigger_by")
    made.trail_unit, made.trigger_by = trail.unit, trail.trigger_by
    if trail.unit == types.TRAIL_UNIT_PRICE:
        made.trail_offset = instrument.ticks(trail.offset, "trail.offset")
    else:
        made.trail_offset = _bps(trail.offset, "trail.offset")


def _bps(text: str, field: str) -> int:
    bps, rest = divmod(parse_positive_nano(text, field), NANO)
    if rest or bps > BPS_MAX:
        raise _invalid(field, f"{field} is a whole number of basis points from 1 to {BPS_MAX}, not {text}")
    return bps


def _add_contingency(made: wire.NewOrder, contingency: orders.Contingency) -> None:
    """An empty message ties the order to nothing."""
    if not contingency.type:
        if contingency.list_id or contingency.leg:
            raise _conflict("contingency", "a list_id or leg needs a type")
        return
    _known(contingency.type, types.ContingencyType, "contingency.type")
    if not contingency.list_id:
        raise _missing("contingency.list_id")
    legs_max = LEGS_MAX[contingency.type]
    if not 1 <= contingency.leg <= legs_max:
        name = types.ContingencyType.Name(contingency.type).removeprefix("CONTINGENCY_TYPE_")
        raise _invalid("contingency.leg", f"{name} has legs 1 to {legs_max}, not {contingency.leg}")
    made.contingency_type, made.list_id, made.leg = contingency.type, contingency.list_id, contingency.leg


def _unix_ns(time: Timestamp, field: str) -> int:
    """A time as unix ns; 0 for none."""
    unix_ns = time.seconds * NANOS_PER_SECOND + time.nanos
    if not 0 <= time.nanos < NANOS_PER_SECOND or unix_ns > UNIX_NS_MAX:
        raise _invalid(field, f"{field} is not a time that can be represented")
    if unix_ns < 0:
        raise Refused(types.REASON_NOT_POSITIVE, f"{field} must not be before 1970", field=field)
    return unix_ns


def _known(value: int, enum: type[types.TrailUnit] | type[types.ContingencyType], field: str) -> None:
    if not value:
        raise _missing(field)
    if value not in enum.values():
        raise Refused(types.REASON_ENUM_UNKNOWN, f"{field} {value} is not known", field=field)


def _missing(field: str) -> Refused:
    return Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)


def _conflict(field: str, text: str) -> Refused:
    return Refused(types.REASON_FIELDS_CONFLICT, text, field=field)


def _invalid(field: str, text: str) -> Refused:
    return Refused(types.REASON_FIELD_INVALID, text, field=field)
