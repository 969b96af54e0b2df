"""Section 2, the shape of an order: what each type needs and refuses, and in which order it is looked at."""

from typing import Any

import pytest

from matching.core.commands import EngageKillSwitch, NewOrder
from matching.core.words import (
    ContingencyType,
    KillSwitchScope,
    OrdType,
    SelfTradePrevention,
    TimeInForce,
    TradingSession,
    TrailUnit,
    TriggerBy,
)
from tests.unit.matching.market import Market

MARKET: dict[str, Any] = {"ord_type": OrdType.MARKET}
LIMIT: dict[str, Any] = {"ord_type": OrdType.LIMIT, "price_ticks": 99}
STOP: dict[str, Any] = {"ord_type": OrdType.STOP, "stop_px_ticks": 101}
STOP_LIMIT: dict[str, Any] = {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 101, "price_ticks": 102}
TRAILING: dict[str, Any] = {"ord_type": OrdType.TRAILING_STOP, "trail_offset": 5, "trail_unit": TrailUnit.PRICE}
TYPES = {"MARKET": MARKET, "LIMIT": LIMIT, "STOP": STOP, "STOP_LIMIT": STOP_LIMIT, "TRAILING_STOP": TRAILING}
IOC: dict[str, Any] = {"time_in_force": TimeInForce.IOC}
FOK: dict[str, Any] = {"time_in_force": TimeInForce.FOK}
GTD: dict[str, Any] = {"time_in_force": TimeInForce.GTD, "expire_unix_ns": 2**62}
DISPLAY: dict[str, Any] = {"display_qty_lots": 2}
POST: dict[str, Any] = {"post_only": True}
TRAIL: dict[str, Any] = {"trail_offset": 5, "trail_unit": TrailUnit.PRICE}
MAX = 2**62


def answer(market: Market, **terms: Any) -> str:
    """What the venue says first to a purchase of 10 lots with these terms, by its key `K`."""
    given: dict[str, Any] = {
        "cl_ord_id": "K",
        "symbol": "XYZ",
        "time_in_force": TimeInForce.GTC,
        "qty_lots": 10,
    } | terms
    return market.tell(NewOrder(given.pop("account", "ALICE"), **given)).story[0]


@pytest.mark.parametrize("name", TYPES)
def test_each_type_passes_with_what_it_needs(market: Market, name: str) -> None:
    """MARKET needs nothing, LIMIT a price, STOP a stop_px, STOP_LIMIT both, TRAILING_STOP a trail."""
    waits = name not in ("MARKET", "LIMIT")
    assert answer(market, **TYPES[name]) == ("K PENDING_NEW" if waits else "K NEW")


@pytest.mark.parametrize(
    ("name", "missing", "field"),
    [
        ("LIMIT", "price_ticks", "price"),
        ("STOP", "stop_px_ticks", "stop_px"),
        ("STOP_LIMIT", "stop_px_ticks", "stop_px"),
        ("STOP_LIMIT", "price_ticks", "price"),
        ("TRAILING_STOP", "trail_offset", "trail"),
        ("TRAILING_STOP", "trail_unit", "trail"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"client_unix_ns": 1}], ids=["plain", "with client_time"])
def test_a_missing_need_is_field_missing(
    market: Market, name: str, missing: str, field: str, more: dict[str, Any]
) -> None:
    """Whatever else the order has."""
    assert answer(market, **TYPES[name] | {missing: 0} | more) == f"K REJECTED FIELD_MISSING {field}"


def test_a_trailing_stop_without_a_trail_is_missing_it(market: Market) -> None:
    """Both parts of the trail absent."""
    assert answer(market, ord_type=OrdType.TRAILING_STOP) == "K REJECTED FIELD_MISSING trail"


@pytest.mark.parametrize(
    ("name", "more", "field"),
    [
        ("MARKET", {"price_ticks": 99}, "price"),
        ("MARKET", {"stop_px_ticks": 99}, "stop_px"),
        ("MARKET", DISPLAY, "display_qty"),
        ("MARKET", POST, "exec_inst"),
        ("MARKET", GTD, "time_in_force"),
        ("MARKET", {"time_in_force": TimeInForce.GTD}, "time_in_force"),
        ("MARKET", {"trigger_by": TriggerBy.LAST}, "trail"),
        ("LIMIT", {"stop_px_ticks": 99}, "stop_px"),
        ("LIMIT", {"trigger_by": TriggerBy.MARK}, "trail"),
        ("LIMIT", DISPLAY | IOC, "display_qty"),
        ("LIMIT", DISPLAY | FOK, "display_qty"),
        ("LIMIT", POST | IOC, "exec_inst"),
        ("LIMIT", POST | FOK, "exec_inst"),
        ("STOP", {"price_ticks": 99}, "price"),
        ("STOP", DISPLAY, "display_qty"),
        ("STOP", POST, "exec_inst"),
        ("STOP", IOC, "time_in_force"),
        ("STOP", FOK, "time_in_force"),
        ("STOP_LIMIT", IOC, "time_in_force"),
        ("STOP_LIMIT", FOK, "time_in_force"),
        ("TRAILING_STOP", {"price_ticks": 99}, "price"),
        ("TRAILING_STOP", DISPLAY, "display_qty"),
        ("TRAILING_STOP", POST, "exec_inst"),
        ("TRAILING_STOP", IOC, "time_in_force"),
        ("TRAILING_STOP", FOK, "time_in_force"),
        *[(name, TRAIL, "trail") for name in ("MARKET", "LIMIT", "STOP", "STOP_LIMIT")],
        *[(name, {"trail_unit": TrailUnit.BPS}, "trail") for name in ("MARKET", "STOP_LIMIT")],
        *[(name, {"min_qty_lots": 2}, "min_qty") for name in TYPES],
        *[(name, {"expire_unix_ns": MAX}, "expire_time") for name in TYPES],
        *[(name, {"list_id": "L"}, "contingency") for name in TYPES],
        *[(name, {"leg": 1}, "contingency") for name in TYPES],
    ],
)
def test_what_a_type_refuses_is_a_conflict(market: Market, name: str, more: dict[str, Any], field: str) -> None:
    """FIELDS_CONFLICT names what does not belong to the type."""
    assert answer(market, **TYPES[name] | more) == f"K REJECTED FIELDS_CONFLICT {field}"


@pytest.mark.parametrize(
    ("name", "more", "line"),
    [
        ("MARKET", IOC, "K NEW"),
        ("MARKET", FOK, "K NEW"),
        ("MARKET", IOC | {"min_qty_lots": 10}, "K NEW"),
        ("LIMIT", IOC, "K NEW"),
        ("LIMIT", FOK, "K NEW"),
        ("LIMIT", GTD, "K NEW"),
        ("LIMIT", IOC | {"min_qty_lots": 10}, "K NEW"),
        ("LIMIT", DISPLAY | POST, "K NEW"),
        ("LIMIT", {"display_qty_lots": 10}, "K NEW"),
        ("STOP", GTD | {"trigger_by": TriggerBy.BID_ASK}, "K PENDING_NEW"),
        ("STOP_LIMIT", DISPLAY | POST | GTD, "K PENDING_NEW"),
        ("TRAILING_STOP", {"stop_px_ticks": 120, "trigger_by": TriggerBy.MARK}, "K PENDING_NEW"),
        ("TRAILING_STOP", {"trail_unit": TrailUnit.BPS, "trail_offset": 10_000}, "K PENDING_NEW"),
    ],
)
def test_what_a_type_takes(market: Market, name: str, more: dict[str, Any], line: str) -> None:
    """What the table does not refuse passes."""
    assert answer(market, **TYPES[name] | more) == line


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"side": 0}, "ENUM_UNKNOWN side"),
        ({"side": 3}, "ENUM_UNKNOWN side"),
        ({"ord_type": 0}, "ENUM_UNKNOWN ord_type"),
        ({"ord_type": 6}, "ENUM_UNKNOWN ord_type"),
        ({"time_in_force": 0}, "ENUM_UNKNOWN time_in_force"),
        ({"time_in_force": 5}, "ENUM_UNKNOWN time_in_force"),
        ({"self_trade_prevention": 0}, "ENUM_UNKNOWN self_trade_prevention"),
        ({"self_trade_prevention": 5}, "ENUM_UNKNOWN self_trade_prevention"),
        ({"trigger_by": 4}, "ENUM_UNKNOWN trail.trigger_by"),
        ({"trail_unit": 3}, "ENUM_UNKNOWN trail.unit"),
        ({"contingency_type": 4}, "ENUM_UNKNOWN contingency.type"),
        ({"cl_ord_id": ""}, "FIELD_MISSING cl_ord_id"),
        ({"qty_lots": 0}, "NOT_POSITIVE qty"),
        ({"qty_lots": -1}, "NOT_POSITIVE qty"),
        ({"qty_lots": MAX + 1}, "VALUE_TOO_LARGE qty"),
        ({"price_ticks": -1}, "NOT_POSITIVE price"),
        ({"price_ticks": -1, "client_unix_ns": 1}, "NOT_POSITIVE price"),
        ({"stop_px_ticks": -1}, "NOT_POSITIVE stop_px"),
        ({"trail_offset": -1}, "NOT_POSITIVE trail.offset"),
        ({"display_qty_lots": -1}, "NOT_POSITIVE display_qty"),
        ({"min_qty_lots": -1}, "NOT_POSITIVE min_qty"),
        ({"expire_unix_ns": -1}, "NOT_POSITIVE expire_time"),
        (
            TRAILING | {"price_ticks": 0, "trail_unit": TrailUnit.BPS, "trail_offset": 10_001},
            "FIELD_INVALID trail.offset",
        ),
        ({"time_in_force": TimeInForce.GTD}, "FIELD_MISSING expire_time"),
        ({"time_in_force": TimeInForce.GTD, "client_unix_ns": 1}, "FIELD_MISSING expire_time"),
        ({"time_in_force": TimeInForce.GTD, "expire_unix_ns": 1}, "EXPIRED expire_time"),
        ({"display_qty_lots": 11}, "FIELD_INVALID display_qty"),
        (IOC | {"min_qty_lots": 11}, "FIELD_INVALID min_qty"),
        ({"contingency_type": ContingencyType.OCO, "leg": 1}, "FIELD_MISSING contingency.list_id"),
        ({"qty_lots": MAX, "price_ticks": 1}, "VALUE_TOO_LARGE qty"),
    ],
)
def test_a_malformed_order_is_rejected(market: Market, terms: dict[str, Any], why: str) -> None:
    """With the reason and the field at fault; nothing is held for it."""
    key = str(terms.get("cl_ord_id", "K"))
    assert answer(market, **LIMIT | terms) == f"{key} REJECTED {why}".strip()
    assert market.cash("ALICE").held_micro == 0


def test_an_order_at_the_bound_of_values_is_taken_and_one_beyond_it_is_not(market: Market) -> None:
    """`qty × max(price, stop_px) × worth` up to 2^62: the boundary itself is no longer the shape's business."""
    at_most = MAX // 10_000 // 99
    assert answer(market, qty_lots=at_most, price_ticks=99, cl_ord_id="A") == "A DENIED BUYING_POWER"
    assert answer(market, qty_lots=at_most + 1, price_ticks=99, cl_ord_id="B") == "B REJECTED VALUE_TOO_LARGE qty"
    stop = STOP_LIMIT | {"price_ticks": 1, "stop_px_ticks": 99}
    assert answer(market, **stop, qty_lots=at_most + 1, cl_ord_id="C") == "C REJECTED VALUE_TOO_LARGE qty"
    assert answer(market, **stop, qty_lots=at_most, cl_ord_id="D") == "D PENDING_NEW"


def test_as_many_lots_as_there_can_be_are_a_quantity(market: Market) -> None:
    """2^62 lots pass the shape where they have no value."""
    assert answer(market, qty_lots=MAX, ord_type=OrdType.MARKET) == "K NEW"


def test_an_order_expires_after_now(market: Market) -> None:
    """`expire_time` at the command's own time is over; one nanosecond later is not."""
    gtd = LIMIT | {"time_in_force": TimeInForce.GTD}
    assert answer(market, **gtd, expire_unix_ns=market.now_unix_ns + 1) == "K REJECTED EXPIRED expire_time"
    assert answer(market, **gtd, expire_unix_ns=market.now_unix_ns + 2, cl_ord_id="L") == "L NEW"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"account": "NOBODY"}, "DENIED ACCOUNT_UNKNOWN account"),
    ({"symbol": "NONE"}, "REJECTED SYMBOL_UNKNOWN symbol"),
    ({"side": 9}, "REJECTED ENUM_UNKNOWN side"),
    ({"ord_type": 9}, "REJECTED ENUM_UNKNOWN ord_type"),
    ({"time_in_force": 9}, "REJECTED ENUM_UNKNOWN time_in_force"),
    ({"self_trade_prevention": 9}, "REJECTED ENUM_UNKNOWN self_trade_prevention"),
    ({"trigger_by": 9}, "REJECTED ENUM_UNKNOWN trail.trigger_by"),
    ({"trail_unit": 9}, "REJECTED ENUM_UNKNOWN trail.unit"),
    ({"contingency_type": 9}, "REJECTED ENUM_UNKNOWN contingency.type"),
    ({"cl_ord_id": ""}, "REJECTED FIELD_MISSING cl_ord_id"),
    ({"qty_lots": MAX + 1}, "REJECTED VALUE_TOO_LARGE qty"),
    ({"min_qty_lots": -1}, "REJECTED NOT_POSITIVE min_qty"),
    ({"price_ticks": 0}, "REJECTED FIELD_MISSING price"),
    ({"stop_px_ticks": 1}, "REJECTED FIELDS_CONFLICT stop_px"),
    ({"trail_unit": 1}, "REJECTED FIELDS_CONFLICT trail"),
    ({"time_in_force": TimeInForce.GTD, "expire_unix_ns": 0}, "REJECTED FIELD_MISSING expire_time"),
    ({"display_qty_lots": 2}, "REJECTED FIELDS_CONFLICT display_qty"),
    ({"min_qty_lots": MAX + 1}, "REJECTED FIELD_INVALID min_qty"),
    ({"post_only": True, "time_in_force": TimeInForce.IOC, "expire_unix_ns": 0}, "REJECTED FIELDS_CONFLICT exec_inst"),
    ({"contingency_type": 0, "list_id": "L", "leg": 2}, "REJECTED FIELDS_CONFLICT contingency"),
    ({"expire_unix_ns": 1, "time_in_force": TimeInForce.GTD}, "REJECTED EXPIRED expire_time"),
    ({"qty_lots": MAX, "price_ticks": 99}, "REJECTED VALUE_TOO_LARGE qty"),
    ({"killed": True}, "DENIED KILL_SWITCH symbol"),
    ({"closed": True}, "REJECTED SESSION_CLOSED symbol"),
    ({"contingency_type": ContingencyType.OCO, "list_id": "L", "leg": 2}, "REJECTED ORDER_UNKNOWN contingency.list_id"),
    ({"crossed": True, "post_only": True}, "REJECTED WOULD_TAKE price"),
    ({"qty_lots": 10**9}, "DENIED BUYING_POWER"),
]
"""One fault for each step of the checks, in the order of section 1 and of section 2."""


@pytest.mark.parametrize("step", range(len(FAULTS)), ids=lambda step: f"{step}-{FAULTS[step][1].replace(' ', '-')}")
def test_the_checks_run_in_their_order(market: Market, step: int) -> None:
    """An order with the fault of one step and of every later one that goes together with it is told the first."""
    terms: dict[str, Any] = LIMIT
    for fault, _ in reversed(FAULTS[step:]):
        terms = terms | fault
    if terms.pop("crossed", False):
        market.sell("BOB", 5, 98)
    if terms.pop("killed", False):
        market.tell(EngageKillSwitch(KillSwitchScope.SYMBOL, "XYZ", "kill"))
    if terms.pop("closed", False):
        market.session(TradingSession.CLOSED)
    key = terms.get("cl_ord_id", "K")
    assert answer(market, **terms) == f"{key} {FAULTS[step][1]}".strip()


def test_client_time_is_recorded_and_changes_nothing(market: Market) -> None:
    """An order that has nothing but its client's time is an ordinary order."""
    (accepted,) = market.buy("ALICE", 5, 99, client_unix_ns=7, self_trade_prevention=SelfTradePrevention.CANCEL_BOTH)
    assert accepted.terms.client_unix_ns == 7
