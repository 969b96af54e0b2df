"""What a new order must look like (the table of section 2), in the order in which it is looked at."""

from collections.abc import Iterator

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import BOUND, Said, Venue

Fault = tuple[bool, int, str]
"""Whether something is wrong, the reason, and the field."""

MARKET, LIMIT, STOP = types.ORD_TYPE_MARKET, types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP
STOP_LIMIT, TRAILING = types.ORD_TYPE_STOP_LIMIT, types.ORD_TYPE_TRAILING_STOP
IOC, FOK, GTD = types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK, types.TIME_IN_FORCE_GTD
SERVED = {
    "side": (types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT),
    "ord_type": (MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING),
    "time_in_force": (types.TIME_IN_FORCE_DAY, types.TIME_IN_FORCE_GTC, IOC, FOK, GTD),
    "self_trade_prevention": (1, 2, 3, 4),
    "trigger_by": (0, 1, 2, 3),
    "trail_unit": (0, 1, 2),
    "contingency_type": (0, 1, 2, 3),
}
FIELDS = {"trigger_by": "trail.trigger_by", "trail_unit": "trail.unit", "contingency_type": "contingency.type"}
CONFLICT, MISSING, INVALID = types.REASON_FIELDS_CONFLICT, types.REASON_FIELD_MISSING, types.REASON_FIELD_INVALID
TOO_LARGE = types.REASON_VALUE_TOO_LARGE
TRAIL_BPS_MAX = 10_000
LEGS_MAX: dict[int, int] = {
    types.CONTINGENCY_TYPE_OCO: 2,
    types.CONTINGENCY_TYPE_OTO: 8,
    types.CONTINGENCY_TYPE_OTOCO: 3,
}


def wrong_shape(v: Venue, body: c.NewOrder) -> Said | None:
    """The first thing that is wrong with a new order."""
    for faults in (_words(body), _numbers(body), _prices(body), _times(body), _parts(body), _late(v, body)):
        for is_wrong, reason, field in faults:
            if is_wrong:
                return no(reason, field=field)
    return None


def _words(body: c.NewOrder) -> Iterator[Fault]:
    for name, served in SERVED.items():
        yield getattr(body, name) not in served, types.REASON_ENUM_UNKNOWN, FIELDS.get(name, name)
    yield not body.cl_ord_id, MISSING, "cl_ord_id"


def _numbers(body: c.NewOrder) -> Iterator[Fault]:
    yield body.qty_lots <= 0, types.REASON_NOT_POSITIVE, "qty"
    yield body.qty_lots > BOUND, TOO_LARGE, "qty"
    numbers = {
        "price": body.price_ticks,
        "stop_px": body.stop_px_ticks,
        "trail.offset": body.trail_offset,
        "display_qty": body.display_qty_lots,
        "min_qty": body.min_qty_lots,
        "expire_time": body.expire_unix_ns,
    }
    for name, number in numbers.items():
        yield number < 0, types.REASON_NOT_POSITIVE, name


def _prices(body: c.NewOrder) -> Iterator[Fault]:
    kind = body.ord_type
    has_limit = kind in (LIMIT, STOP_LIMIT)
    yield has_limit and not body.price_ticks, MISSING, "price"
    yield not has_limit and body.price_ticks > 0, CONFLICT, "price"
    yield kind in (STOP, STOP_LIMIT) and not body.stop_px_ticks, MISSING, "stop_px"
    yield kind in (MARKET, LIMIT) and body.stop_px_ticks > 0, CONFLICT, "stop_px"
    yield kind in (MARKET, LIMIT) and body.trigger_by > 0, CONFLICT, "trail"
    yield kind == TRAILING and not (body.trail_offset and body.trail_unit), MISSING, "trail"
    yield kind != TRAILING and bool(body.trail_offset or body.trail_unit), CONFLICT, "trail"
    too_far = body.trail_unit == types.TRAIL_UNIT_BPS and body.trail_offset > TRAIL_BPS_MAX
    yield too_far, INVALID, "trail.offset"


def _times(body: c.NewOrder) -> Iterator[Fault]:
    kind, time_in_force = body.ord_type, body.time_in_force
    yield kind in (STOP, STOP_LIMIT, TRAILING) and time_in_force in (IOC, FOK), CONFLICT, "time_in_force"
    yield kind == MARKET and time_in_force == GTD, CONFLICT, "time_in_force"
    yield time_in_force != GTD and body.expire_unix_ns > 0, CONFLICT, "expire_time"
    yield time_in_force == GTD and not body.expire_unix_ns, MISSING, "expire_time"


def _parts(body: c.NewOrder) -> Iterator[Fault]:
    may_rest = body.ord_type in (LIMIT, STOP_LIMIT) and body.time_in_force not in (IOC, FOK)
    legs_max = LEGS_MAX.get(body.contingency_type, 0)
    yield body.display_qty_lots > 0 and not may_rest, CONFLICT, "display_qty"
    yield body.display_qty_lots > body.qty_lots, INVALID, "display_qty"
    yield body.min_qty_lots > 0 and body.time_in_force != IOC, CONFLICT, "min_qty"
    yield body.min_qty_lots > body.qty_lots, INVALID, "min_qty"
    yield body.post_only and not may_rest, CONFLICT, "exec_inst"
    yield not body.contingency_type and bool(body.list_id or body.leg), CONFLICT, "contingency"
    yield bool(body.contingency_type) and not body.list_id, MISSING, "contingency.list_id"
    yield bool(body.contingency_type) and not 1 <= body.leg <= legs_max, INVALID, "contingency.leg"


def _late(v: Venue, body: c.NewOrder) -> Iterator[Fault]:
    yield 0 < body.expire_unix_ns <= v.now, types.REASON_EXPIRED, "expire_time"
    trail = body.trail_offset if body.trail_unit == types.TRAIL_UNIT_PRICE else 0
    prices = (body.price_ticks, body.stop_px_ticks, trail)
    yield is_too_large(v, body.symbol, body.qty_lots, *prices), TOO_LARGE, "qty"


def is_too_large(v: Venue, symbol: str, qty: int, *prices: int) -> bool:
    """Whether an order is worth more than can be represented."""
    return qty * max(prices) * v.listings[symbol].worth > BOUND


def wrong_session(v: Venue, symbol: str, ord_type: int, time_in_force: int) -> Said | None:
    """Whether the trading session takes an order of this kind."""
    session = v.listings[symbol].session
    if session == types.TRADING_SESSION_CONTINUOUS:
        return None
    if session == types.TRADING_SESSION_HALTED:
        return no(types.REASON_HALTED, field="symbol")
    closed = types.REASON_SESSION_CLOSED
    if session == types.TRADING_SESSION_CLOSED:
        return no(closed, field="symbol")
    if ord_type == MARKET:
        return no(closed, field="ord_type")
    return no(closed, field="time_in_force") if time_in_force in (IOC, FOK) else None
