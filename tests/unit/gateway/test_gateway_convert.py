"""Events to what clients see: one report of each kind, and the errors of refusals."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.matching.v1 import matching_pb2 as link
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import balance_of, order_of, position_of, refusal, report
from runtime.instruments import Instruments

NS = 1_700_000_000_123_456_789
DURABLE_NS = NS + 1_000_000


def event(**changes: Any) -> wire.Event:
    """An accepted order's event with changes."""
    order: dict[str, Any] = {
        "account": "DEMO",
        "account_seq": 7,
        "cl_ord_id": "a-1",
        "order_id": 41,
        "exec_type": types.EXEC_TYPE_NEW,
        "ord_status": types.ORD_STATUS_NEW,
        "cause": types.CAUSE_CLIENT,
        "request": types.REQUEST_KIND_SUBMIT,
        "symbol": "AAPL",
        "side": types.SIDE_BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "qty_lots": 10,
        "price_ticks": 10_125,
        "leaves_qty_lots": 10,
        "received_unix_ns": NS - 5,
        "actor": "me",
    }
    return wire.Event(seq=42, command_seq=42, time_unix_ns=NS, order=wire.OrderEvent(**(order | changes)))


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
            "reason": types.ReasonDetail(code=types.REASON_EXPIRED, text="the order's time in force ended"),
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


@pytest.mark.parametrize(
    ("unit", "symbol", "text"),
    [
        (wire.RISK_UNIT_LOTS, "AAPL", "5"),
        (wire.RISK_UNIT_LOTS, "EURUSD", "5000"),
        (wire.RISK_UNIT_LOTS, "BTCUSD", "0.0005"),
        (wire.RISK_UNIT_TICKS, "AAPL", "0.05"),
        (wire.RISK_UNIT_TICKS, "EURUSD", "0.00005"),
        (wire.RISK_UNIT_MONEY_MICRO, "AAPL", "0.000005"),
        (wire.RISK_UNIT_COUNT, "AAPL", "5"),
        (wire.RISK_UNIT_UNSPECIFIED, "AAPL", "5"),
    ],
)
def test_numbers_of_a_denial_are_in_their_unit(instruments: Instruments, unit: Any, symbol: str, text: str) -> None:
    """Lots become quantities, ticks prices, money has its places; the client never sees ticks or lots."""
    risk = wire.RiskNumbers(rule="some_rule", unit=unit, limit=5, current=5, projected=5)
    denied = event(exec_type=types.EXEC_TYPE_DENIED, reason=types.REASON_POSITION_LIMIT, symbol=symbol, risk=risk)
    detail = report(denied, instruments, 1, 0).reason
    assert (detail.limit, detail.current, detail.projected) == (text, text, text)


def test_only_refusals_are_errors(instruments: Instruments) -> None:
    """A cancellation has a reason and is no error; what was denied or rejected is."""
    for exec_type in types.ExecType.values():
        error = refusal(event(exec_type=exec_type, reason=types.REASON_NO_LIQUIDITY), instruments)
        assert (error is not None) == (exec_type in (types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED))


def test_a_denial_is_an_error_with_its_numbers(instruments: Instruments) -> None:
    """The metadata name the request, its place in the journal, the rule and its numbers."""
    risk = wire.RiskNumbers(rule="position", unit=wire.RISK_UNIT_LOTS, limit=3, current=1, projected=11)
    denied = event(exec_type=types.EXEC_TYPE_DENIED, reason=types.REASON_POSITION_INSUFFICIENT, risk=risk)
    error = refusal(denied, instruments)
    assert error is not None
    assert error.reason == types.REASON_POSITION_INSUFFICIENT
    assert error.metadata == {
        "account": "DEMO",
        "cl_ord_id": "a-1",
        "seq": "42",
        "audit_index": "41",
        "exec_type": "DENIED",
        "rule": "position",
        "limit": "3",
        "current": "1",
        "projected": "11",
        "limits_version": "0",
    }


@pytest.mark.parametrize(
    ("field", "public"),
    [
        ("qty_lots", "qty"),
        ("qty_nano", "qty"),
        ("price_ticks", "price"),
        ("price_nano", "price"),
        ("side", "side"),
        ("time_in_force", "time_in_force"),
        ("request", "request"),
    ],
)
def test_a_conflict_names_the_clients_own_field(instruments: Instruments, field: str, public: str) -> None:
    """The field that differs has the contract's name, in the report, the text and the metadata."""
    conflict = event(exec_type=types.EXEC_TYPE_REJECTED, reason=types.REASON_CL_ORD_ID_CONFLICT, field=field)
    error = refusal(conflict, instruments)
    assert error is not None
    assert (error.field, error.metadata["field"]) == (public, public)
    assert error.text == f"the key was used before with another request: {public} differs"
    assert report(conflict, instruments, 1, 0).reason.field == public


def test_every_reason_has_a_sentence(instruments: Instruments) -> None:
    """Whatever the core's reason, people get words and not a number."""
    for reason in types.Reason.values():
        if reason:
            detail = report(event(reason=reason), instruments, 1, 0).reason
            assert len(detail.text) > 3
            assert not detail.text.startswith("REASON")


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


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (
            link.PositionState(
                symbol="AAPL", qty_lots=3, held_lots=1, cost_ticks_lots=30_001, realized_pnl_micro=-1_500_000
            ),
            portfolio.Position(
                symbol="AAPL", qty="3", held_qty="1", avg_cost="100.003333333", realized_pnl="-1.50", currency="USD"
            ),
        ),
        (
            link.PositionState(symbol="EURUSD", qty_lots=-2, cost_ticks_lots=-220_000),
            portfolio.Position(
                symbol="EURUSD", qty="-2000", held_qty="0", avg_cost="1.10000", realized_pnl="0.00", currency="USD"
            ),
        ),
        (
            link.PositionState(symbol="BTCUSD", realized_pnl_micro=1),
            portfolio.Position(
                symbol="BTCUSD", qty="0.0000", held_qty="0.0000", realized_pnl="0.000001", currency="USD"
            ),
        ),
    ],
)
def test_positions_have_decimals(instruments: Instruments, state: link.PositionState, seen: portfolio.Position) -> None:
    """Long, short and closed positions; a closed one has no average cost."""
    assert position_of(state, instruments) == seen


def test_buying_power_is_cash_less_what_is_held() -> None:
    """Cash, held and free, in the currency's units."""
    state = link.CashState(currency="USD", cash_micro=10_000_000, held_micro=2_500_000)
    assert balance_of(state) == portfolio.Balance(currency="USD", cash="10.00", held="2.50", buying_power="7.50")
