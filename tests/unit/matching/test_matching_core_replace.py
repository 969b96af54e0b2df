"""Section 2, replaces and cancels of one order: what may change, in which order it is checked, who keeps the place."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import (
    Cause,
    ContingencyType,
    ExecType,
    KillSwitchScope,
    OrdStatus,
    OrdType,
    RequestKind,
    TimeInForce,
    TradingSession,
)
from tests.unit.matching.market import Market

STOP: dict[str, Any] = {"ord_type": OrdType.STOP, "stop_px_ticks": 105}
STOP_LIMIT: dict[str, Any] = {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 105}


def test_a_replace_is_told_with_its_keys(market: Market) -> None:
    """REPLACED: the new key, the one before, the order's own id, the new terms; the order carries the new key."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    (replaced,) = market.replace(first, qty=7, price=98, key="B")
    assert (replaced.cl_ord_id, replaced.orig_cl_ord_id, replaced.order_id) == ("B", "A", first.order_id)
    assert (replaced.exec_type, replaced.request, replaced.cause) == (
        ExecType.REPLACED, RequestKind.REPLACE, Cause.CLIENT,
    )  # fmt: skip
    assert (replaced.qty_lots, replaced.price_ticks, replaced.leaves_qty_lots) == (7, 98, 7)
    assert market.bids() == ["B 7@98"]


def test_an_order_may_be_named_by_any_key_that_it_has_carried(market: Market) -> None:
    """Or by its id."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.replace(first, qty=4, key="B", order_id=0, orig_cl_ord_id="A")
    told = market.replace(first, qty=3, key="C", order_id=0, orig_cl_ord_id="A")
    assert (told[0].orig_cl_ord_id, told.story) == ("B", ["C REPLACED 3"])


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({"qty": 4}, ["key 4@101", "behind 5@101"]),
        ({"qty": 6}, ["behind 5@101", "key 6@101"]),
        ({"price": 100}, ["key 5@100", "behind 5@101"]),
        ({"price": 102}, ["behind 5@101", "key 5@102"]),
        ({"qty": 4, "price": 102}, ["behind 5@101", "key 4@102"]),
    ],
)
def test_only_lowering_the_quantity_keeps_the_place(market: Market, changes: dict[str, Any], asks: list[str]) -> None:
    """Any other change goes to the back."""
    (first,) = market.sell("ALICE", 5, 101)
    market.sell("ALICE", 5, 101, key="behind")
    market.replace(first, key="key", **changes)
    assert market.asks() == asks


def test_the_back_is_behind_its_own_level_too(market: Market) -> None:
    """A replace there and back leaves the order behind."""
    (first,) = market.sell("ALICE", 5, 101)
    market.sell("ALICE", 5, 101, key="behind")
    market.replace(first, price=102)
    market.replace(first, price=101, key="key")
    assert market.asks() == ["behind 5@101", "key 5@101"]


def test_an_order_that_loses_its_place_is_worked_again(market: Market) -> None:
    """Like a new one: it takes what its new price reaches."""
    market.sell("BOB", 3, 101, key="ask")
    (first,) = market.buy("ALICE", 5, 99)
    told = market.replace(first, price=101, key="B")
    assert told.story == ["B REPLACED 5", "ask TRADE 3@101", "B TRADE 3@101"]
    assert market.bids() == ["B 2@101"]


def test_quantity_counts_what_has_traded(market: Market) -> None:
    """`qty` is the whole: of 7 with 2 traded, 5 are open; and its status stays."""
    (first,) = market.buy("ALICE", 5, 99)
    market.sell("BOB", 2, 99)
    (replaced,) = market.replace(first, qty=7)
    assert (replaced.leaves_qty_lots, replaced.cum_qty_lots) == (5, 2)
    assert replaced.ord_status == OrdStatus.PARTIALLY_FILLED
    assert market.replace(first, qty=3, key="B").story == ["B REPLACED 3"]
    assert market.bids() == ["B 1@99"]


@pytest.mark.parametrize(
    ("terms", "changes", "why"),
    [
        ({}, {"order_id": 999, "key": "K"}, "ORDER_UNKNOWN"),
        ({}, {"order_id": 0, "orig_cl_ord_id": "none"}, "ORDER_UNKNOWN"),
        ({}, {"qty_nano": 10**9 + 1}, "QTY_OFF_LOT qty"),
        ({}, {"display_qty_nano": 1}, "QTY_OFF_LOT display_qty"),
        ({}, {"price_nano": 10**7 + 1}, "PRICE_OFF_TICK price"),
        ({}, {"stop_px_nano": 1}, "PRICE_OFF_TICK stop_px"),
        ({}, {"qty_nano": 1, "display_qty_nano": 1, "price_nano": 1, "stop_px_nano": 1}, "QTY_OFF_LOT qty"),
        ({}, {"display_qty_nano": 1, "price_nano": 1, "stop_px_nano": 1}, "QTY_OFF_LOT display_qty"),
        ({}, {"price_nano": 1, "stop_px_nano": 1}, "PRICE_OFF_TICK price"),
        ({}, {"stop_px": 100}, "FIELDS_CONFLICT stop_px"),
        ({}, {"display_qty": 2}, "FIELDS_CONFLICT display_qty"),
        (STOP | {"price": 0}, {"price": 100}, "FIELDS_CONFLICT price"),
        (STOP | {"price": 0}, {"display_qty": 1}, "FIELDS_CONFLICT display_qty"),
        ({}, {}, "NOTHING_TO_REPLACE"),
        ({}, {"qty": 5, "price": 99}, "NOTHING_TO_REPLACE"),
        ({}, {"qty": -1}, "NOT_POSITIVE qty"),
        ({}, {"price": -1}, "NOT_POSITIVE price"),
        (STOP_LIMIT, {"stop_px": -1}, "NOT_POSITIVE stop_px"),
        ({"display_qty_lots": 2}, {"display_qty": -1}, "NOT_POSITIVE display_qty"),
        ({"display_qty_lots": 2}, {"display_qty": 6}, "FIELD_INVALID display_qty"),
        ({"display_qty_lots": 2}, {"qty": 3, "display_qty": 4}, "FIELD_INVALID display_qty"),
        ({}, {"qty": 2**62 // 990_000 + 1}, "VALUE_TOO_LARGE qty"),
        (STOP_LIMIT, {"qty": 2**62 // 1_050_000 + 1}, "VALUE_TOO_LARGE qty"),
        ({"post_only": True}, {"price": 110}, "WOULD_TAKE price"),
    ],
)
def test_a_replace_that_cannot_be_is_rejected_and_changes_nothing(
    market: Market, terms: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    """With the reason and the field at fault."""
    market.sell("BOB", 5, 110)
    given = {"price": 99} | terms
    (first,) = market.buy("ALICE", 5, **given)
    order = market.state(first)
    before = (order.qty_lots, order.price_ticks, order.stop_px_ticks, order.display_qty_lots, order.cl_ord_id)
    assert market.replace(first, **({"key": "R"} | changes)).story[0] == f"{changes.get('key', 'R')} REJECTED {why}"
    assert before == (
        order.qty_lots, order.price_ticks, order.stop_px_ticks, order.display_qty_lots, order.cl_ord_id,
    )  # fmt: skip


def test_a_replace_needs_a_key(market: Market) -> None:
    """FIELD_MISSING, told under the order's own key; before the grid is looked at."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    command = commands.ReplaceOrder("ALICE", "", first.order_id, qty_nano=1)
    (refused,) = told = market.tell(command)
    assert told.story == ["A REJECTED FIELD_MISSING cl_ord_id"]
    assert refused.orig_cl_ord_id == ""


def test_a_refused_replace_is_told_with_the_order_as_it_is(market: Market) -> None:
    """Its state, the request's key, the order's key as the one before, and the kind of the request."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    (refused,) = market.replace(first, price=-1, key="B")
    assert (refused.cl_ord_id, refused.orig_cl_ord_id, refused.order_id) == ("B", "A", first.order_id)
    assert (refused.ord_status, refused.leaves_qty_lots, refused.price_ticks) == (OrdStatus.NEW, 5, 99)
    assert (refused.request, refused.cause) == (RequestKind.REPLACE, Cause.CLIENT)


def test_what_has_traded_cannot_be_taken_back(market: Market) -> None:
    """QTY_BELOW_CUM at the traded quantity already: nothing would be open."""
    (first,) = market.buy("ALICE", 5, 99)
    market.sell("BOB", 2, 99)
    assert market.replace(first, qty=2, key="B").story == ["B REJECTED QTY_BELOW_CUM qty"]
    assert market.replace(first, qty=1, key="C").story == ["C REJECTED QTY_BELOW_CUM qty"]


def test_an_order_that_has_ended_cannot_be_replaced(market: Market) -> None:
    """ORDER_NOT_OPEN; but what is off the grid is said first."""
    (first,) = market.buy("ALICE", 5, 99)
    market.cancel(first)
    assert market.replace(first, qty=4, key="B").story == ["B REJECTED ORDER_NOT_OPEN"]
    assert market.replace(first, qty_nano=1, key="C").story == ["C REJECTED QTY_OFF_LOT qty"]


def test_the_order_of_another_account_is_unknown(market: Market) -> None:
    """Whoever knows its id."""
    (first,) = market.buy("ALICE", 5, 99)
    assert market.tell(commands.ReplaceOrder("BOB", "B", first.order_id)).story == ["B REJECTED ORDER_UNKNOWN"]
    assert market.tell(commands.CancelOrder("BOB", "C", first.order_id)).story == ["C REJECTED ORDER_UNKNOWN"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (commands.ReplaceOrder("NOBODY", "B", 1, "A"), RequestKind.REPLACE),
        (commands.CancelOrder("NOBODY", "B", 1, "A"), RequestKind.CANCEL),
    ],
)
def test_an_unknown_account_is_denied(market: Market, body: commands.Body, kind: int) -> None:
    """ACCOUNT_UNKNOWN, with no account sequence and no terms of any order."""
    (refused,) = told = market.tell(body)
    assert told.story == ["B DENIED ACCOUNT_UNKNOWN"]
    assert (refused.account_seq, refused.request, refused.orig_cl_ord_id) == (0, kind, "A")
    terms = refused.terms
    assert (terms.account, terms.side, terms.ord_type, terms.time_in_force) == ("NOBODY", 0, 0, 0)
    assert terms.self_trade_prevention == 0


def test_lowering_skips_session_and_risk_but_not_the_gates(market: Market) -> None:
    """In a halt and over its limits an order may still be lowered, while a kill switch holds it."""
    (first,) = market.buy("ALICE", 9, 99)
    market.limit(order_qty_lots=1, restricted=True)
    market.session(TradingSession.HALTED)
    assert market.replace(first, qty=8, key="B").story == ["B REPLACED 8"]
    market.session(TradingSession.CONTINUOUS)
    assert market.replace(first, price=98, key="C").story == ["C DENIED RESTRICTED_INSTRUMENT symbol"]
    market.tell(commands.EngageKillSwitch(KillSwitchScope.SESSION, "S", "kill"))
    told = market.replace(first, qty=7, key="D", origin={"session_id": "S"})
    assert told.story == ["D DENIED KILL_SWITCH session"]
    assert market.replace(first, qty=7, key="E", origin={"session_id": "T"}).story == ["E REPLACED 7"]


@pytest.mark.parametrize(
    ("trading_session", "why"),
    [
        (TradingSession.HALTED, "REJECTED HALTED symbol"),
        (TradingSession.CLOSED, "REJECTED SESSION_CLOSED symbol"),
        (TradingSession.CLOSING_AUCTION, "REPLACED 9"),
    ],
)
def test_a_replace_needs_a_session_that_takes_it(market: Market, trading_session: int, why: str) -> None:
    """As a new order of its type and time in force would."""
    (first,) = market.buy("ALICE", 5, 99)
    market.session(trading_session)
    assert market.replace(first, qty=9, key="B").story == [f"B {why}"]


def test_an_order_of_the_day_stays_one(market: Market) -> None:
    """The time in force never changes in an order's life."""
    (first,) = market.buy("ALICE", 5, 99, time_in_force=TimeInForce.DAY)
    market.replace(first, qty=9, key="B")
    assert market.tell(commands.CloseDay(20261122)).story == ["B EXPIRED EXPIRED", "day_closed"]


def test_lowering_under_the_shown_quantity_lowers_that_too(market: Market) -> None:
    """Whether the order rests or waits."""
    (resting,) = market.sell("ALICE", 9, 110, display_qty_lots=5)
    (waiting,) = market.sell("ALICE", 9, 110, display_qty_lots=5, ord_type=OrdType.STOP_LIMIT, stop_px_ticks=90)
    assert market.replace(resting, qty=3)[0].display_qty_lots == 3
    assert market.replace(waiting, qty=3)[0].display_qty_lots == 3


def test_a_waiting_order_keeps_waiting(market: Market) -> None:
    """Price, stop and quantity change where it waits; it holds nothing, and risk's funds rules are not asked."""
    (waiting,) = market.buy("ALICE", 5, 99, **STOP_LIMIT)
    told = market.replace(waiting, qty=1_000_000, price=1_000, stop_px=106, key="B")
    assert told.story == ["B REPLACED 1000000"]
    assert (told[0].ord_status, told[0].stop_px_ticks, told[0].price_ticks) == (OrdStatus.PENDING_NEW, 106, 1_000)
    assert market.cash("ALICE").held_micro == 0


def test_a_triggered_stop_limit_has_no_trigger_any_more(market: Market) -> None:
    """`stop_px` only while it waits; its price may change."""
    (waiting,) = market.buy("BOB", 5, 99, **STOP_LIMIT)
    market.trade(105)
    assert market.replace(waiting, stop_px=106, key="B").story == ["B REJECTED FIELDS_CONFLICT stop_px"]
    assert market.replace(waiting, price=98, key="C").story == ["C REPLACED 5"]


def test_a_quantity_has_its_bound_without_a_price_too(market: Market) -> None:
    """2^62 lots, as for a new order, where an order has nothing to be worth something with."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**12, 1))
    terms: dict[str, Any] = {"ord_type": OrdType.TRAILING_STOP, "trail_offset": 1, "trail_unit": 2, "symbol": "ABC"}
    (waiting,) = market.sell("ALICE", 5, **terms)
    assert market.replace(waiting, qty_nano=2**62 + 1, key="A").story == ["A REJECTED VALUE_TOO_LARGE qty"]
    assert market.replace(waiting, qty_nano=2**62, key="B")[0].exec_type == ExecType.REPLACED


def test_a_child_that_waits_for_its_parent_may_be_replaced(market: Market) -> None:
    """It changes, is not worked, and comes to its turn with its new terms."""
    oto: dict[str, Any] = {"contingency_type": ContingencyType.OTO, "list_id": "L"}
    market.buy("BOB", 5, 99, leg=1, **oto)
    (child,) = market.sell("BOB", 5, 110, leg=2, **oto)
    assert market.replace(child, price=98, key="B").story == ["B REPLACED 5"]
    told = market.sell("ALICE", 5, 99)
    assert told.story[-1] == "B TRIGGERED"
    assert market.asks() == ["B 5@98"]


def test_a_post_only_order_may_not_be_moved_to_take(market: Market) -> None:
    """One tick short of the best opposite price it may; waiting, its trigger is what counts."""
    market.sell("BOB", 5, 110)
    (first,) = market.buy("ALICE", 5, 99, post_only=True)
    assert market.replace(first, price=109, key="B").story == ["B REPLACED 5"]
    (waiting,) = market.buy("ALICE", 5, 99, post_only=True, ord_type=OrdType.STOP_LIMIT, stop_px_ticks=120)
    assert market.replace(waiting, price=110, key="C").story == ["C REPLACED 5"]


def test_a_cancel_is_told_with_its_keys(market: Market) -> None:
    """With a key of its own it names the order's as the one before; without one the order's key stays."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    (second,) = market.buy("ALICE", 5, 99, key="B")
    (ended,) = market.cancel(first, key="C")
    assert (ended.cl_ord_id, ended.orig_cl_ord_id, ended.order_id) == ("C", "A", first.order_id)
    assert (ended.exec_type, ended.ord_status, ended.leaves_qty_lots) == (ExecType.CANCELED, OrdStatus.CANCELED, 0)
    assert (ended.cause, ended.reason, ended.request) == (Cause.CLIENT, 0, RequestKind.CANCEL)
    (ended,) = market.cancel(second)
    assert (ended.cl_ord_id, ended.orig_cl_ord_id) == ("B", "")


@pytest.mark.parametrize("trading_session", [TradingSession.HALTED, TradingSession.CLOSED])
def test_cancels_always_pass(market: Market, trading_session: int) -> None:
    """In a halt, after the close, and whatever the limits are."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.limit(restricted=True)
    market.session(trading_session)
    assert market.cancel(first).story == ["A CANCELED"]


def test_what_has_ended_cannot_be_cancelled(market: Market) -> None:
    """ORDER_NOT_OPEN, with and without a key."""
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.cancel(first)
    assert market.cancel(first).story == ["A REJECTED ORDER_NOT_OPEN"]
    assert market.cancel(first, key="C").story == ["C REJECTED ORDER_NOT_OPEN"]
