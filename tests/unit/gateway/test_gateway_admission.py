"""Admission: every way in which a request can be malformed, with its exact reason and field."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import ORDER_ID_MAX, Admission, order_id_of
from gateway.shape import TIMES_IN_FORCE
from runtime.errors import Refused
from runtime.instruments import Instruments

RECEIVED = 1_700_000_000_000_000_000
GOOD: dict[str, Any] = {
    "account": "DEMO",
    "cl_ord_id": "a-1",
    "symbol": "AAPL",
    "side": types.SIDE_BUY,
    "ord_type": types.ORD_TYPE_LIMIT,
    "time_in_force": types.TIME_IN_FORCE_GTC,
    "qty": "5",
    "price": "101.25",
}


@pytest.fixture
def admission(instruments: Instruments) -> Admission:
    """The admission of a gateway."""
    return Admission(instruments, "gateway-7")


def submitted(admission: Admission, **changes: Any) -> wire.Command:
    """The command of a good order with changes."""
    terms = orders.OrderTerms(**(GOOD | changes))
    return wire.Command.FromString(admission.new_order(terms, admission.envelope("me", "session-3"), RECEIVED))


def replaced(admission: Admission, **fields: Any) -> wire.Command:
    """The command of a replace request."""
    request = entry.ReplaceOrderRequest(account="DEMO", **fields)
    return wire.Command.FromString(admission.replace_order(request, admission.envelope("me"), RECEIVED))


def cancelled(admission: Admission, **fields: Any) -> wire.Command:
    """The command of a cancel request."""
    request = entry.CancelOrderRequest(account="DEMO", **fields)
    return wire.Command.FromString(admission.cancel_order(request, admission.envelope("me"), RECEIVED))


def refused(make: Any, admission: Admission, fields: dict[str, Any]) -> tuple[types.Reason.ValueType, str]:
    """Reason and field that a request is refused with; the message stays short whatever was sent."""
    with pytest.raises(Refused) as error:
        make(admission, **fields)
    assert len(error.value.text) < 300
    return error.value.reason, error.value.field


def test_an_order_becomes_ticks_and_lots(admission: Admission) -> None:
    """The command says who asks, by what way, and the order in ticks and lots with every default filled in."""
    command = submitted(
        admission, time_in_force=types.TIME_IN_FORCE_UNSPECIFIED, decision_maker="algo-9", strategy_id="mean"
    )
    assert (command.actor, command.session_id, command.gateway_id) == ("me", "session-3", "gateway-7")
    assert command.received_unix_ns == RECEIVED
    assert command.new_order == wire.NewOrder(
        account="DEMO",
        cl_ord_id="a-1",
        symbol="AAPL",
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_DAY,
        qty_lots=5,
        price_ticks=10_125,
        self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        decision_maker="algo-9",
        strategy_id="mean",
    )


@pytest.mark.parametrize("side", [types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT])
@pytest.mark.parametrize("time_in_force", sorted(TIMES_IN_FORCE[types.ORD_TYPE_MARKET]))
@pytest.mark.parametrize("prevention", [mode for mode in types.SelfTradePrevention.values() if mode])
def test_plain_orders_pass(admission: Admission, side: Any, time_in_force: Any, prevention: Any) -> None:
    """Each side with each time in force and self-trade prevention, as a limit and as a market order."""
    kind = {"side": side, "time_in_force": time_in_force, "self_trade_prevention": prevention}
    limit = submitted(admission, **kind).new_order
    seen = (limit.side, limit.time_in_force, limit.self_trade_prevention, limit.price_ticks)
    assert seen == (side, time_in_force, prevention, 10_125)
    market = submitted(admission, **kind, ord_type=types.ORD_TYPE_MARKET, price="")
    assert market.new_order.price_ticks == 0


def test_empty_instructions_ask_for_nothing(admission: Admission) -> None:
    """An empty message of instructions, of a trail or of a contingency, is none."""
    empty = {"exec_inst": orders.ExecInst(), "trail": orders.Trail(), "contingency": orders.Contingency()}
    assert submitted(admission, **empty) == submitted(admission)


STOP, STOP_LIMIT = types.ORD_TYPE_STOP, types.ORD_TYPE_STOP_LIMIT
MARKET, TRAILING = types.ORD_TYPE_MARKET, types.ORD_TYPE_TRAILING_STOP
GTD = types.TIME_IN_FORCE_GTD
IOC, FOK = types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK
PRICE, BPS = types.TRAIL_UNIT_PRICE, types.TRAIL_UNIT_BPS
OCO, OTO, OTOCO = types.CONTINGENCY_TYPE_OCO, types.CONTINGENCY_TYPE_OTO, types.CONTINGENCY_TYPE_OTOCO
LATER = Timestamp(seconds=1_800_000_000, nanos=7)
TRAIL = orders.Trail(offset="0.05", unit=PRICE)
TRAILS = {"ord_type": TRAILING, "price": "", "trail": TRAIL}
STOPS = {"ord_type": STOP, "price": "", "stop_px": "99.5"}
FULL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stop": (STOPS, {"ord_type": STOP, "price_ticks": 0, "stop_px_ticks": 9_950}),
    "stop limit": (
        {"ord_type": STOP_LIMIT, "stop_px": "99.5"},
        {"ord_type": STOP_LIMIT, "stop_px_ticks": 9_950},
    ),
    "trailing stop by a price": (
        TRAILS,
        {"ord_type": TRAILING, "price_ticks": 0, "trail_offset": 5, "trail_unit": PRICE},
    ),
    "trailing stop by basis points": (
        TRAILS
        | {
            "trail": orders.Trail(offset="10000", unit=BPS, trigger_by=types.TRIGGER_BY_MARK),
            "stop_px": "99.5",
        },
        {
            "ord_type": TRAILING,
            "price_ticks": 0,
            "trail_offset": 10_000,
            "trail_unit": BPS,
            "trigger_by": types.TRIGGER_BY_MARK,
            "stop_px_ticks": 9_950,
        },
    ),
    "iceberg": ({"display_qty": "5"}, {"display_qty_lots": 5}),
    "smallest first fill": (
        {"time_in_force": IOC, "min_qty": "5"},
        {"time_in_force": IOC, "min_qty_lots": 5},
    ),
    "good till a date": (
        {"time_in_force": GTD, "expire_time": LATER},
        {"time_in_force": GTD, "expire_unix_ns": 1_800_000_000_000_000_007},
    ),
    "post-only iceberg stop limit": (
        {
            "ord_type": STOP_LIMIT,
            "stop_px": "99.5",
            "display_qty": "1",
            "exec_inst": orders.ExecInst(post_only=True, reduce_only=True),
        },
        {
            "ord_type": STOP_LIMIT,
            "stop_px_ticks": 9_950,
            "display_qty_lots": 1,
            "post_only": True,
            "reduce_only": True,
        },
    ),
    "reduce-only market order": (
        {"ord_type": MARKET, "price": "", "exec_inst": orders.ExecInst(reduce_only=True)},
        {"ord_type": MARKET, "price_ticks": 0, "reduce_only": True},
    ),
    "leg of a list": (
        {"contingency": orders.Contingency(type=OTO, list_id="l:1", leg=8)},
        {"contingency_type": OTO, "list_id": "l:1", "leg": 8},
    ),
    "the client's own time": ({"client_time": LATER}, {"client_unix_ns": 1_800_000_000_000_000_007}),
}


@pytest.mark.parametrize("case", FULL)
def test_every_term_reaches_the_command(admission: Admission, case: str) -> None:
    """Each field that only some orders have is there in the core's units, and no other is set."""
    asked, told = FULL[case]
    expected = submitted(admission).new_order
    for field, value in told.items():
        setattr(expected, field, value)
    assert submitted(admission, **asked).new_order == expected


MISSING, INVALID = types.REASON_FIELD_MISSING, types.REASON_FIELD_INVALID
UNKNOWN, CONFLICT = types.REASON_ENUM_UNKNOWN, types.REASON_FIELDS_CONFLICT
BAD_ORDERS: list[tuple[dict[str, Any], types.Reason.ValueType, str]] = [
    ({"cl_ord_id": ""}, MISSING, "cl_ord_id"),
    ({"cl_ord_id": "a" * 37}, INVALID, "cl_ord_id"),
    ({"cl_ord_id": "a" * 100_000}, INVALID, "cl_ord_id"),
    ({"cl_ord_id": "a b"}, INVALID, "cl_ord_id"),
    ({"cl_ord_id": "a\n"}, INVALID, "cl_ord_id"),
    ({"cl_ord_id": "ä"}, INVALID, "cl_ord_id"),
    ({"cl_ord_id": "a/b"}, INVALID, "cl_ord_id"),
    ({"symbol": ""}, MISSING, "symbol"),
    ({"symbol": "aapl"}, types.REASON_SYMBOL_UNKNOWN, "symbol"),
    ({"symbol": "AAPL "}, types.REASON_SYMBOL_UNKNOWN, "symbol"),
    ({"symbol": "A" * 100_000}, types.REASON_SYMBOL_UNKNOWN, "symbol"),
    ({"side": 0}, MISSING, "side"),
    ({"side": 3}, UNKNOWN, "side"),
    ({"side": -1}, UNKNOWN, "side"),
    ({"side": 2**31 - 1}, UNKNOWN, "side"),
    ({"ord_type": 0}, MISSING, "ord_type"),
    ({"ord_type": 99}, UNKNOWN, "ord_type"),
    ({"time_in_force": 5}, UNKNOWN, "time_in_force"),
    ({"self_trade_prevention": 9}, UNKNOWN, "self_trade_prevention"),
    ({"stop_px": "1"}, CONFLICT, "stop_px"),
    ({"ord_type": MARKET, "price": "", "stop_px": "1"}, CONFLICT, "stop_px"),
    ({"ord_type": STOP, "price": ""}, MISSING, "stop_px"),
    ({"ord_type": STOP_LIMIT}, MISSING, "stop_px"),
    ({"ord_type": STOP_LIMIT, "stop_px": "1", "price": ""}, MISSING, "price"),
    (STOPS | {"price": "1"}, CONFLICT, "price"),
    (STOPS | {"stop_px": "0.001"}, types.REASON_PRICE_OFF_TICK, "stop_px"),
    (STOPS | {"stop_px": "-1"}, types.REASON_NOT_POSITIVE, "stop_px"),
    (STOPS | {"stop_px": "1e3"}, types.REASON_DECIMAL_INVALID, "stop_px"),
    (STOPS | {"trail": TRAIL}, CONFLICT, "trail"),
    ({"trail": TRAIL}, CONFLICT, "trail"),
    ({"trail": orders.Trail(trigger_by=types.TRIGGER_BY_LAST)}, CONFLICT, "trail"),
    ({"contingency": orders.Contingency(list_id="l")}, CONFLICT, "contingency"),
    ({"contingency": orders.Contingency(leg=1)}, CONFLICT, "contingency"),
    ({"ord_type": TRAILING, "price": ""}, MISSING, "trail"),
    (TRAILS | {"price": "1"}, CONFLICT, "price"),
    (TRAILS | {"trail": orders.Trail()}, MISSING, "trail.unit"),
    (TRAILS | {"trail": orders.Trail(unit=PRICE)}, MISSING, "trail.offset"),
    (TRAILS | {"trail": orders.Trail(unit=BPS)}, MISSING, "trail.offset"),
    (TRAILS | {"trail": orders.Trail(unit=9, offset="1")}, UNKNOWN, "trail.unit"),  # type: ignore[arg-type]
    (TRAILS | {"trail": orders.Trail(unit=BPS, offset="1", trigger_by=9)}, UNKNOWN, "trail.trigger_by"),  # type: ignore[arg-type]
    (TRAILS | {"trail": orders.Trail(unit=PRICE, offset="0.001")}, types.REASON_PRICE_OFF_TICK, "trail.offset"),
    (TRAILS | {"trail": orders.Trail(unit=BPS, offset="0.5")}, INVALID, "trail.offset"),
    (TRAILS | {"trail": orders.Trail(unit=BPS, offset="10001")}, INVALID, "trail.offset"),
    (TRAILS | {"trail": orders.Trail(unit=BPS, offset="0")}, types.REASON_NOT_POSITIVE, "trail.offset"),
    (TRAILS | {"stop_px": "1.001"}, types.REASON_PRICE_OFF_TICK, "stop_px"),
    *(
        ({"ord_type": kind, "price": price, "stop_px": "1", "time_in_force": tif}, CONFLICT, "time_in_force")
        for kind, price in ((STOP, ""), (STOP_LIMIT, "1"), (TRAILING, ""))
        for tif in (IOC, FOK)
    ),
    (
        {"ord_type": MARKET, "price": "", "time_in_force": GTD, "expire_time": LATER},
        CONFLICT,
        "time_in_force",
    ),
    ({"time_in_force": GTD}, MISSING, "expire_time"),
    ({"expire_time": LATER}, CONFLICT, "expire_time"),
    ({"time_in_force": GTD, "expire_time": Timestamp()}, types.REASON_NOT_POSITIVE, "expire_time"),
    ({"time_in_force": GTD, "expire_time": Timestamp(seconds=-1)}, types.REASON_NOT_POSITIVE, "expire_time"),
    ({"time_in_force": GTD, "expire_time": Timestamp(seconds=1, nanos=-1)}, INVALID, "expire_time"),
    ({"time_in_force": GTD, "expire_time": Timestamp(seconds=1, nanos=10**9)}, INVALID, "expire_time"),
    ({"time_in_force": GTD, "expire_time": Timestamp(seconds=2**63 // 10**9 + 1)}, INVALID, "expire_time"),
    ({"client_time": Timestamp(seconds=-1)}, types.REASON_NOT_POSITIVE, "client_time"),
    ({"client_time": Timestamp(nanos=10**9)}, INVALID, "client_time"),
    ({"display_qty": "6"}, INVALID, "display_qty"),
    ({"display_qty": "0"}, types.REASON_NOT_POSITIVE, "display_qty"),
    ({"display_qty": "0.5"}, types.REASON_QTY_OFF_LOT, "display_qty"),
    ({"ord_type": MARKET, "price": "", "display_qty": "1"}, CONFLICT, "display_qty"),
    (STOPS | {"display_qty": "1"}, CONFLICT, "display_qty"),
    (TRAILS | {"display_qty": "1"}, CONFLICT, "display_qty"),
    ({"time_in_force": IOC, "display_qty": "1"}, CONFLICT, "display_qty"),
    ({"time_in_force": FOK, "display_qty": "1"}, CONFLICT, "display_qty"),
    ({"min_qty": "1"}, CONFLICT, "min_qty"),
    ({"time_in_force": FOK, "min_qty": "1"}, CONFLICT, "min_qty"),
    ({"time_in_force": IOC, "min_qty": "6"}, INVALID, "min_qty"),
    ({"time_in_force": IOC, "min_qty": "-1"}, types.REASON_NOT_POSITIVE, "min_qty"),
    ({"time_in_force": IOC, "min_qty": "0.1"}, types.REASON_QTY_OFF_LOT, "min_qty"),
    *(
        (terms | {"exec_inst": orders.ExecInst(post_only=True)}, CONFLICT, "exec_inst")
        for terms in ({"ord_type": MARKET, "price": ""}, STOPS, TRAILS, {"time_in_force": IOC}, {"time_in_force": FOK})
    ),
    *(
        ({"contingency": orders.Contingency(**contingency)}, reason, f"contingency.{field}")
        for contingency, reason, field in (
            ({"type": 9, "list_id": "l", "leg": 1}, UNKNOWN, "type"),
            ({"type": OCO, "leg": 1}, MISSING, "list_id"),
            ({"type": OCO, "list_id": "a b", "leg": 1}, INVALID, "list_id"),
            ({"type": OCO, "list_id": "l" * 37, "leg": 1}, INVALID, "list_id"),
            ({"type": OCO, "list_id": "l"}, INVALID, "leg"),
            ({"type": OCO, "list_id": "l", "leg": 3}, INVALID, "leg"),
            ({"type": OTOCO, "list_id": "l", "leg": 4}, INVALID, "leg"),
            ({"type": OTO, "list_id": "l", "leg": 9}, INVALID, "leg"),
        )
    ),
    ({"qty": ""}, MISSING, "qty"),
    ({"qty": "0"}, types.REASON_NOT_POSITIVE, "qty"),
    ({"qty": "-5"}, types.REASON_NOT_POSITIVE, "qty"),
    ({"qty": "0.5"}, types.REASON_QTY_OFF_LOT, "qty"),
    ({"symbol": "EURUSD", "price": "1.1", "qty": "1500"}, types.REASON_QTY_OFF_LOT, "qty"),
    ({"symbol": "BTCUSD", "qty": "0.00015"}, types.REASON_QTY_OFF_LOT, "qty"),
    ({"qty": "1000000000001"}, types.REASON_VALUE_TOO_LARGE, "qty"),
    ({"qty": "999999999999999999"}, types.REASON_VALUE_TOO_LARGE, "qty"),
    ({"price": ""}, MISSING, "price"),
    ({"price": "0"}, types.REASON_NOT_POSITIVE, "price"),
    ({"price": "-101.25"}, types.REASON_NOT_POSITIVE, "price"),
    ({"price": "101.255"}, types.REASON_PRICE_OFF_TICK, "price"),
    ({"price": "0.001"}, types.REASON_PRICE_OFF_TICK, "price"),
    ({"symbol": "EURUSD", "price": "1.000001", "qty": "1000"}, types.REASON_PRICE_OFF_TICK, "price"),
    ({"price": "10000000000.01"}, types.REASON_VALUE_TOO_LARGE, "price"),
    ({"ord_type": MARKET}, CONFLICT, "price"),
    ({"ord_type": MARKET, "price": "0"}, CONFLICT, "price"),
    ({"decision_maker": "a" * 37}, INVALID, "decision_maker"),
    ({"decision_maker": "two words"}, INVALID, "decision_maker"),
    ({"strategy_id": "ä"}, INVALID, "strategy_id"),
    ({"strategy_id": "a\x00"}, INVALID, "strategy_id"),
    *(
        ({field: text}, types.REASON_DECIMAL_INVALID, field)
        for field in ("qty", "price")
        for text in ("x", "1e3", "+1", " 1", ".5", "5.", "1,5", "NaN", "0x1", "1" * 19, "0." + "1" * 10, "9" * 10_000)
    ),
]


def short(value: object) -> str | None:
    """A test's name for a case that is not too long for one."""
    return text if isinstance(value, dict) and len(text := str(value)) < 60 else None


@pytest.mark.parametrize(("changes", "reason", "field"), BAD_ORDERS, ids=short)
def test_bad_orders_are_refused(
    admission: Admission, changes: dict[str, Any], reason: types.Reason.ValueType, field: str
) -> None:
    """One thing wrong with a good order gives its reason and names its field."""
    assert refused(submitted, admission, changes) == (reason, field)


def test_a_replace_keeps_what_it_does_not_name(admission: Admission) -> None:
    """New values travel in units of 10^-9, because only the core knows the order's instrument; 0 keeps the old one."""
    by_key = replaced(admission, cl_ord_id="a-2", orig_cl_ord_id="a-1", qty="7").replace_order
    assert by_key == wire.ReplaceOrder(
        account="DEMO", cl_ord_id="a-2", orig_cl_ord_id="a-1", qty_nano=7_000_000_000, price_nano=0
    )
    by_id = replaced(admission, cl_ord_id="a-2", order_id="17", price="0.000000001").replace_order
    assert by_id == wire.ReplaceOrder(account="DEMO", cl_ord_id="a-2", order_id=17, price_nano=1)
    others = replaced(admission, cl_ord_id="a-2", order_id="17", stop_px="2", display_qty="3").replace_order
    assert (others.stop_px_nano, others.display_qty_nano) == (2_000_000_000, 3_000_000_000)


REPLACE = {"cl_ord_id": "a-2", "orig_cl_ord_id": "a-1", "qty": "5"}
BAD_REPLACES: list[tuple[dict[str, Any], types.Reason.ValueType, str]] = [
    ({"cl_ord_id": ""}, MISSING, "cl_ord_id"),
    ({"cl_ord_id": "a b"}, INVALID, "cl_ord_id"),
    ({"orig_cl_ord_id": ""}, MISSING, "orig_cl_ord_id"),
    ({"orig_cl_ord_id": "a b"}, INVALID, "orig_cl_ord_id"),
    ({"order_id": ""}, MISSING, "orig_cl_ord_id"),
    ({"order_id": "x"}, INVALID, "order_id"),
    ({"qty": ""}, types.REASON_NOTHING_TO_REPLACE, "qty"),
    ({"qty": "0"}, types.REASON_NOT_POSITIVE, "qty"),
    ({"qty": "-1"}, types.REASON_NOT_POSITIVE, "qty"),
    ({"qty": "1e3"}, types.REASON_DECIMAL_INVALID, "qty"),
    ({"qty": "9223372037"}, types.REASON_VALUE_TOO_LARGE, "qty"),
    ({"price": "0"}, types.REASON_NOT_POSITIVE, "price"),
    ({"price": "ten"}, types.REASON_DECIMAL_INVALID, "price"),
    ({"price": "9223372037"}, types.REASON_VALUE_TOO_LARGE, "price"),
    ({"stop_px": "0"}, types.REASON_NOT_POSITIVE, "stop_px"),
    ({"display_qty": "one"}, types.REASON_DECIMAL_INVALID, "display_qty"),
]


@pytest.mark.parametrize(("changes", "reason", "field"), BAD_REPLACES, ids=short)
def test_bad_replaces_are_refused(
    admission: Admission, changes: dict[str, Any], reason: types.Reason.ValueType, field: str
) -> None:
    """One thing wrong with a good replace gives its reason and names its field."""
    fields = REPLACE | changes
    if "order_id" in changes:
        del fields["orig_cl_ord_id"]
    assert refused(replaced, admission, fields) == (reason, field)


def test_a_cancel_needs_no_key_of_its_own(admission: Admission) -> None:
    """The order is named by either id; the key of the request is optional."""
    assert cancelled(admission, order_id="17").cancel_order == wire.CancelOrder(account="DEMO", order_id=17)
    assert cancelled(admission, orig_cl_ord_id="a-1", cl_ord_id="c-1").cancel_order == wire.CancelOrder(
        account="DEMO", orig_cl_ord_id="a-1", cl_ord_id="c-1"
    )


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, MISSING, "orig_cl_ord_id"),
        ({"orig_cl_ord_id": "ä"}, INVALID, "orig_cl_ord_id"),
        ({"order_id": "-1"}, INVALID, "order_id"),
        ({"order_id": "1", "cl_ord_id": "a b"}, INVALID, "cl_ord_id"),
    ],
    ids=short,
)
def test_bad_cancels_are_refused(
    admission: Admission, fields: dict[str, Any], reason: types.Reason.ValueType, field: str
) -> None:
    """A cancel names an order, in the right form."""
    assert refused(cancelled, admission, fields) == (reason, field)


@given(st.integers(1, ORDER_ID_MAX))
def test_order_ids_are_numbers(number: int) -> None:
    """Every id that the venue can give is read."""
    assert order_id_of(str(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "+1",
        "1.0",
        " 1",
        "1 ",
        "007",
        "0x1",
        "x",
        "\u0661",
        "\u00b2",
        str(ORDER_ID_MAX + 1),
        "9" * 10_000,
    ],
    ids=short,
)
def test_other_order_ids_are_refused(text: str) -> None:
    """What the venue cannot have given is refused, however many digits it has."""
    with pytest.raises(Refused) as error:
        order_id_of(text)
    assert (error.value.reason, error.value.field) == (INVALID, "order_id")
    assert len(error.value.text) < 100
