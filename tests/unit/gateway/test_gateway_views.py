"""Orders that are looked up, as clients see them."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.matching.v1 import matching_pb2 as link
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission
from gateway.convert import order_of
from runtime.instruments import Instruments
from tests.unit.gateway.conftest import NS, event


def test_an_order_is_as_its_last_event_left_it(instruments: Instruments) -> None:
    """Terms, progress and times of a looked-up order."""
    last = event(
        cum_qty_lots=4,
        leaves_qty_lots=6,
        cum_value_ticks_lots=40_500,
        ord_status=types.ORD_STATUS_PARTIALLY_FILLED,
        decision_maker="algo",
        strategy_id="s",
        self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
    )
    state = link.OrderState(last_event=last.SerializeToString(), accepted_unix_ns=NS - 10**9)
    assert order_of(state, instruments) == orders.Order(
        terms=orders.OrderTerms(
            account="DEMO",
            cl_ord_id="a-1",
            symbol="AAPL",
            side=types.SIDE_BUY,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty="10",
            price="101.25",
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
            decision_maker="algo",
            strategy_id="s",
        ),
        order_id="41",
        ord_status=types.ORD_STATUS_PARTIALLY_FILLED,
        cum_qty="4",
        leaves_qty="6",
        avg_px="101.25",
        accepted_time=Timestamp(seconds=1_699_999_999, nanos=123_456_789),
        updated_time=Timestamp(seconds=1_700_000_000, nanos=123_456_789),
        last_seq=42,
    )


TERMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stop limit": (
        {"ord_type": types.ORD_TYPE_STOP_LIMIT, "stop_px_ticks": 9_950},
        {"ord_type": types.ORD_TYPE_STOP_LIMIT, "stop_px": "99.5"},
    ),
    "trailing by a price": (
        {
            "ord_type": types.ORD_TYPE_TRAILING_STOP,
            "price_ticks": 0,
            "stop_px_ticks": 9_950,
            "trail_offset": 50,
            "trail_unit": types.TRAIL_UNIT_PRICE,
        },
        {
            "ord_type": types.ORD_TYPE_TRAILING_STOP,
            "price": "",
            "stop_px": "99.5",
            "trail": orders.Trail(offset="0.50", unit=types.TRAIL_UNIT_PRICE),
        },
    ),
    "trailing by basis points": (
        {
            "ord_type": types.ORD_TYPE_TRAILING_STOP,
            "price_ticks": 0,
            "trail_offset": 50,
            "trail_unit": types.TRAIL_UNIT_BPS,
            "trigger_by": types.TRIGGER_BY_MARK,
        },
        {
            "ord_type": types.ORD_TYPE_TRAILING_STOP,
            "price": "",
            "trail": orders.Trail(offset="50", unit=types.TRAIL_UNIT_BPS, trigger_by=types.TRIGGER_BY_MARK),
        },
    ),
    "iceberg": ({"display_qty_lots": 3, "shown_qty_lots": 2}, {"display_qty": "3"}),
    "smallest first fill": (
        {"time_in_force": types.TIME_IN_FORCE_IOC, "min_qty_lots": 2},
        {"time_in_force": types.TIME_IN_FORCE_IOC, "min_qty": "2"},
    ),
    "good till a date": (
        {"time_in_force": types.TIME_IN_FORCE_GTD, "expire_unix_ns": NS},
        {
            "time_in_force": types.TIME_IN_FORCE_GTD,
            "expire_time": Timestamp(seconds=1_700_000_000, nanos=123_456_789),
        },
    ),
    "instructions": (
        {"post_only": True, "reduce_only": True},
        {"exec_inst": orders.ExecInst(post_only=True, reduce_only=True)},
    ),
    "leg of a list": (
        {"contingency_type": types.CONTINGENCY_TYPE_OCO, "list_id": "l", "leg": 2},
        {"contingency": orders.Contingency(type=types.CONTINGENCY_TYPE_OCO, list_id="l", leg=2)},
    ),
    "the client's own time": (
        {"client_unix_ns": NS},
        {"client_time": Timestamp(seconds=1_700_000_000, nanos=123_456_789)},
    ),
}


@pytest.mark.parametrize("case", TERMS)
def test_a_looked_up_order_could_be_placed_again(instruments: Instruments, case: str) -> None:
    """The terms of an order are what the client has asked for, and admission makes the same order of them."""
    told, asked = TERMS[case]
    last = event(self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_BOTH, **told)
    state = link.OrderState(last_event=last.SerializeToString(), accepted_unix_ns=NS)
    terms = order_of(state, instruments).terms
    plain: dict[str, Any] = {
        "account": "DEMO",
        "cl_ord_id": "a-1",
        "symbol": "AAPL",
        "side": types.SIDE_BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "qty": "10",
        "price": "101.25",
        "self_trade_prevention": types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    }
    admission = Admission(instruments, "g")
    envelope = admission.envelope("me")
    expected_terms = orders.OrderTerms(**(plain | asked))
    assert admission.new_order(terms, envelope, 1) == admission.new_order(expected_terms, envelope, 1)
