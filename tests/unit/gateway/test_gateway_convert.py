"""Events to reports: one of each kind."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import report
from runtime.instruments import Instruments
from tests.unit.gateway.conftest import NS, event

DURABLE_NS = NS + 1_000_000


def expected(**changes: Any) -> orders.ExecutionReport:
    """The report of the accepted order's event with changes."""
    made: dict[str, Any] = {
        "seq": 42,
        "epoch": 3,
        "account_seq": 7,
        "prev_account_seq": 6,
        "account": "DEMO",
        "cl_ord_id": "a-1",
        "order_id": "41",
        "exec_id": "42",
        "exec_type": types.EXEC_TYPE_NEW,
        "ord_status": types.ORD_STATUS_NEW,
        "cause": types.CAUSE_CLIENT,
        "request": types.REQUEST_KIND_SUBMIT,
        "symbol": "AAPL",
        "side": types.SIDE_BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "qty": "10",
        "price": "101.25",
        "cum_qty": "0",
        "leaves_qty": "10",
        "audit_index": 41,
        "transact_time": Timestamp(seconds=1_700_000_000, nanos=123_456_789),
        "received_unix_ns": NS - 5,
        "sequenced_unix_ns": NS,
        "durable_unix_ns": DURABLE_NS,
    }
    return orders.ExecutionReport(**(made | changes))


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "accepted": ({}, {}),
    "market order": (
        {"ord_type": types.ORD_TYPE_MARKET, "price_ticks": 0},
        {"ord_type": types.ORD_TYPE_MARKET, "price": ""},
    ),
    "fill": (
        {
            "exec_type": types.EXEC_TYPE_TRADE,
            "ord_status": types.ORD_STATUS_PARTIALLY_FILLED,
            "cause": types.CAUSE_TRADE,
            "request": 0,
            "cum_qty_lots": 3,
            "leaves_qty_lots": 7,
            "cum_value_ticks_lots": 30_001,
            "trade_id": 43,
            "last_px_ticks": 10_001,
            "last_qty_lots": 1,
            "liquidity": types.LIQUIDITY_MAKER,
            "contra_order_id": 40,
            "received_unix_ns": 0,
        },
        {
            "exec_type": types.EXEC_TYPE_TRADE,
            "ord_status": types.ORD_STATUS_PARTIALLY_FILLED,
            "cause": types.CAUSE_TRADE,
            "request": 0,
            "cum_qty": "3",
            "leaves_qty": "7",
            "avg_px": "100.003333333",
            "trade_id": "43",
            "last_px": "100.01",
            "last_qty": "1",
            "liquidity": types.LIQUIDITY_MAKER,
            "received_unix_ns": 0,
        },
    ),
    "fill with a fee": (
        {
            "exec_type": types.EXEC_TYPE_TRADE,
            "trade_id": 42,
            "last_px_ticks": 10_001,
            "last_qty_lots": 1,
            "liquidity": types.LIQUIDITY_AUCTION,
            "fee_micro": 1_234_500,
        },
        {
            "exec_type": types.EXEC_TYPE_TRADE,
            "trade_id": "42",
            "last_px": "100.01",
            "last_qty": "1",
            "liquidity": types.LIQUIDITY_AUCTION,
            "fee": "1.2345",
            "fee_currency": "USD",
        },
    ),
    "fill with a rebate": (
        {"last_qty_lots": 1, "last_px_ticks": 1, "trade_id": 7, "fee_micro": -20_000},
        {"last_qty": "1", "last_px": "0.01", "trade_id": "7", "fee": "-0.02", "fee_currency": "USD"},
    ),
    "waiting leg of a list": (
        {
            "ord_status": types.ORD_STATUS_PENDING_NEW,
            "ord_type": types.ORD_TYPE_STOP_LIMIT,
            "stop_px_ticks": 9_950,
            "display_qty_lots": 3,
            "shown_qty_lots": 3,
            "contingency_type": types.CONTINGENCY_TYPE_OTO,
            "list_id": "l-1",
            "leg": 2,
        },
        {
            "ord_status": types.ORD_STATUS_PENDING_NEW,
            "ord_type": types.ORD_TYPE_STOP_LIMIT,
            "stop_px": "99.50",
            "display_qty": "3",
            "list_id": "l-1",
        },
    ),
    "triggered": (
        {
            "exec_type": types.EXEC_TYPE_TRIGGERED,
            "cause": types.CAUSE_SYSTEM,
            "request": 0,
            "ord_type": types.ORD_TYPE_STOP,
            "price_ticks": 0,
            "stop_px_ticks": 9_950,
            "received_unix_ns": 0,
        },
        {
            "exec_type": types.EXEC_TYPE_TRIGGERED,
            "cause": types.CAUSE_SYSTEM,
            "request": 0,
            "ord_type": types.ORD_TYPE_STOP,
            "price": "",
            "stop_px": "99.50",
            "received_unix_ns": 0,
        },
    ),
    "restated": (
        {
            "exec_type": types.EXEC_TYPE_RESTATED,
            "cause": types.CAUSE_SYSTEM,
            "request": 0,
            "reason": types.REASON_CONTINGENCY,
            "qty_lots": 4,
            "leaves_qty_lots": 4,
        },
        {
            "exec_type": types.EXEC_TYPE_RESTATED,
            "cause": types.CAUSE_SYSTEM,
            "request": 0,
            "reason": types.ReasonDetail(
                code=types.REASON_CONTINGENCY,
                text="an order that it is tied to has traded, was triggered or has ended",
            ),
            "qty": "4",
            "leaves_qty": "4",
        },
    ),
    "replaced": (
        {
            "exec_type": types.EXEC_TYPE_REPLACED,
            "request": types.REQUEST_KIND_REPLACE,
            "cl_ord_id": "a-2",
            "orig_cl_ord_id": "a-1",
            "qty_lots": 8,
            "leaves_qty_lots": 8,
        },
        {
            "exec_type": types.EXEC_TYPE_REPLACED,
            "request": types.REQUEST_KIND_REPLACE,
            "cl_ord_id": "a-2",
            "orig_cl_ord_id": "a-1",
            "qty": "8",
            "leaves_qty": "8",
        },
    ),
    "cancelled by a client": (
        {
            "exec_type": types.EXEC_TYPE_CANCELED,
            "ord_status": types.ORD_STATUS_CANCELED,
            "request": types.REQUEST_KIND_CANCEL,
            "leaves_qty_lots": 0,
        },
        {
            "exec_type": types.EXEC_TYPE_CANCELED,
            "ord_status": types.ORD_STATUS_CANCELED,
            "request": types.REQUEST_KIND_CANCEL,
            "leaves_qty": "0",
        },
    ),
    "cancelled by the system": (
        {
            "exec_type": types.EXEC_TYPE_CANCELED,
            "ord_status": types.ORD_STATUS_CANCELED,
            "cause": types.CAUSE_SYSTEM,
            "reason": types.REASON_NO_LIQUIDITY,
            "leaves_qty_lots": 0,
        },
        {
            "exec_type": types.EXEC_TYPE_CANCELED,
            "ord_status": types.ORD_STATUS_CANCELED,
            "cause": types.CAUSE_SYSTEM,
            "reason": types.ReasonDetail(code=types.REASON_NO_LIQUIDITY, text="nothing left in the book to trade with"),
            "leaves_qty": "0",
        },
    ),
    "expired": (
        {
            "exec_type": types.EXEC_TYPE_EXPIRED,
            "ord_status": types.ORD_STATUS_EXPIRED,
            "cause": types.CAUSE_SYSTEM,
            "reason": types.REASON_EXPIRED,
            "leaves_qty_lots": 0,
        },
        {
            "exec_type": types.EXEC_TYPE_EXPIRED,
            "ord_status": types.ORD_STATUS_EXPIRED,
            "cause": types.CAUSE_SYSTEM,
            "reason": types.ReasonDetail(code=types.REASON_EXPIRED, text="the order's time in force has ended"),
            "leaves_qty": "0",
        },
    ),
    "rejected without an order": (
        {
            "exec_type": types.EXEC_TYPE_REJECTED,
            "ord_status": types.ORD_STATUS_REJECTED,
            "order_id": 0,
            "account_seq": 0,
            "symbol": "",
            "qty_lots": 0,
            "price_ticks": 0,
            "leaves_qty_lots": 0,
            "reason": types.REASON_ORDER_UNKNOWN,
        },
        {
            "exec_type": types.EXEC_TYPE_REJECTED,
            "ord_status": types.ORD_STATUS_REJECTED,
            "order_id": "",
            "account_seq": 0,
            "prev_account_seq": 0,
            "symbol": "",
            "qty": "0",
            "price": "",
            "leaves_qty": "0",
            "reason": types.ReasonDetail(code=types.REASON_ORDER_UNKNOWN, text="there is no such order"),
        },
    ),
    "denied with its numbers": (
        {
            "exec_type": types.EXEC_TYPE_DENIED,
            "ord_status": types.ORD_STATUS_REJECTED,
            "order_id": 0,
            "leaves_qty_lots": 0,
            "reason": types.REASON_BUYING_POWER,
            "risk": wire.RiskNumbers(
                rule="buying_power",
                unit=wire.RISK_UNIT_MONEY_MICRO,
                limit=1_000_000,
                current=250_000,
                projected=1_262_500,
                limits_version=4,
            ),
        },
        {
            "exec_type": types.EXEC_TYPE_DENIED,
            "ord_status": types.ORD_STATUS_REJECTED,
            "order_id": "",
            "leaves_qty": "0",
            "reason": types.ReasonDetail(
                code=types.REASON_BUYING_POWER,
                text="the account has not enough free cash",
                rule="buying_power",
                limit="1.00",
                current="0.25",
                projected="1.2625",
                limits_version=4,
            ),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_event_has_its_report(instruments: Instruments, case: str) -> None:
    """Every field of the report follows from the event, and no other is set."""
    told, seen = CASES[case]
    assert report(event(**told), instruments, 3, DURABLE_NS) == expected(**seen)


def test_the_answer_to_a_command_carries_its_number(instruments: Instruments) -> None:
    """The correlation id comes back, and history has no time of durability."""
    made = report(event(), instruments, 3, 0, correlation_id=9)
    assert (made.correlation_id, made.durable_unix_ns) == (9, 0)
