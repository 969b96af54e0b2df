"""Refusals: reasons with their words and numbers, in reports and as errors."""

from typing import Any

import pytest
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import refusal, report
from runtime.instruments import Instruments
from tests.unit.gateway.conftest import event


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
        ("stop_px_nano", "stop_px"),
        ("display_qty_lots", "display_qty"),
        ("min_qty_lots", "min_qty"),
        ("trail_offset", "trail.offset"),
        ("expire_unix_ns", "expire_time"),
        ("post_only", "exec_inst.post_only"),
        ("leg", "contingency.leg"),
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
