"""Replace and cancel: what keeps priority, what is refused, and what the events say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from matching.core import commands
from matching.core.words import Cause, ExecType, OrdStatus, Reason, RequestKind

if TYPE_CHECKING:
    from tests.unit.matching.conftest import Floor


def test_lowering_the_quantity_keeps_priority(floor: Floor) -> None:
    """An order that only gets smaller stays where it is in the queue."""
    (first,) = floor.sell("ALICE", 5, 101)
    (second,) = floor.sell("ALICE", 5, 101)
    (replaced,) = floor.replace(first, qty=2)
    assert (replaced.exec_type, replaced.ord_status, replaced.leaves_qty_lots) == (ExecType.REPLACED, OrdStatus.NEW, 2)
    assert floor.asks() == [(101, 7, [first.order_id, second.order_id])]


def test_raising_the_quantity_loses_priority(floor: Floor) -> None:
    """An order that gets larger goes to the back of its price."""
    (first,) = floor.sell("ALICE", 5, 101)
    (second,) = floor.sell("ALICE", 5, 101)
    floor.replace(first, qty=6)
    assert floor.asks() == [(101, 11, [second.order_id, first.order_id])]


def test_a_new_price_loses_priority(floor: Floor) -> None:
    """An order at a new price goes to the back of that price, even when it also gets smaller."""
    (first,) = floor.sell("ALICE", 5, 101)
    (second,) = floor.sell("ALICE", 5, 102)
    floor.replace(first, qty=3, price=102)
    assert floor.asks() == [(102, 8, [second.order_id, first.order_id])]


def test_a_replace_to_a_price_that_crosses_trades(floor: Floor) -> None:
    """The replaced order takes like a new one; the replacement is told before the trades."""
    (ask,) = floor.sell("ALICE", 5, 101)
    (bid,) = floor.buy("BOB", 8, 99)
    replaced, made, took = floor.replace(bid, price=101)
    assert [event.exec_type for event in (replaced, made, took)] == [ExecType.REPLACED, ExecType.TRADE, ExecType.TRADE]
    assert (made.order_id, took.order_id, took.leaves_qty_lots) == (ask.order_id, bid.order_id, 3)
    assert floor.bids() == [(101, 3, [bid.order_id])]


def test_a_replace_into_an_own_order_is_cancelled(floor: Floor) -> None:
    """Self-trade prevention also guards a replaced order."""
    floor.sell("ALICE", 5, 101)
    (bid,) = floor.buy("ALICE", 5, 99)
    replaced, ended = floor.replace(bid, price=101)
    assert (replaced.exec_type, ended.exec_type, ended.reason) == (
        ExecType.REPLACED,
        ExecType.CANCELED,
        Reason.SELF_TRADE,
    )
    assert floor.bids() == []
    assert floor.cash("ALICE").held_micro == 0


def test_a_replaced_order_carries_the_new_key_and_names_the_old(floor: Floor) -> None:
    """FIX chains ClOrdID: the event has the request's key and, as original, the one before."""
    (first,) = floor.sell("ALICE", 5, 101, cl_ord_id="A1")
    (replaced,) = floor.replace(first, qty=4, cl_ord_id="A2")
    assert (replaced.cl_ord_id, replaced.orig_cl_ord_id, replaced.order_id) == ("A2", "A1", first.order_id)
    assert (replaced.cause, replaced.request, replaced.qty_lots, replaced.price_ticks) == (
        Cause.CLIENT,
        RequestKind.REPLACE,
        4,
        101,
    )
    (again,) = floor.replace(first, qty=3, cl_ord_id="A3")
    assert (again.cl_ord_id, again.orig_cl_ord_id) == ("A3", "A2")


def test_any_key_that_an_order_has_carried_finds_it(floor: Floor) -> None:
    """A replace or cancel may name the order by its first key or by a later one."""
    (first,) = floor.sell("ALICE", 5, 101, cl_ord_id="A1")
    floor.replace(first, qty=4, cl_ord_id="A2", order_id=0, orig_cl_ord_id="A1")
    (replaced,) = floor.replace(first, qty=3, cl_ord_id="A3", order_id=0, orig_cl_ord_id="A1")
    assert replaced.orig_cl_ord_id == "A2"
    (ended,) = floor.cancel(first, order_id=0, orig_cl_ord_id="A2")
    assert (ended.order_id, ended.exec_type) == (first.order_id, ExecType.CANCELED)


def test_quantity_is_the_total_with_what_has_traded(floor: Floor) -> None:
    """A replace to 6 of an order that traded 2 of 5 leaves 4 open, and the order is still partially filled."""
    (first,) = floor.sell("ALICE", 5, 101)
    floor.buy("BOB", 2, 101)
    (replaced,) = floor.replace(first, qty=6)
    assert (replaced.qty_lots, replaced.cum_qty_lots, replaced.leaves_qty_lots) == (6, 2, 4)
    assert replaced.ord_status == OrdStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("qty", [1, 2])
def test_a_quantity_that_has_traded_already_is_refused(floor: Floor, qty: int) -> None:
    """A replace may not leave less than has traded, nor nothing open: that is a cancel."""
    (first,) = floor.sell("ALICE", 5, 101)
    floor.buy("BOB", 2, 101)
    (refused,) = floor.replace(first, qty=qty)
    assert (refused.exec_type, refused.reason, refused.field) == (ExecType.REJECTED, Reason.QTY_BELOW_CUM, "qty")
    assert (refused.ord_status, refused.leaves_qty_lots) == (OrdStatus.PARTIALLY_FILLED, 3)
    assert floor.asks() == [(101, 3, [first.order_id])]


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"qty_nano": 3 * 10**9 + 1}, Reason.QTY_OFF_LOT, "qty"),
        ({"qty_nano": 5 * 10**8}, Reason.QTY_OFF_LOT, "qty"),
        ({"price_nano": 101 * 10**7 + 1}, Reason.PRICE_OFF_TICK, "price"),
        ({"price_nano": -(10**7)}, Reason.NOT_POSITIVE, "price"),
        ({"qty_nano": -(10**9)}, Reason.QTY_BELOW_CUM, "qty"),
        ({}, Reason.NOTHING_TO_REPLACE, ""),
        ({"qty_nano": 5 * 10**9, "price_nano": 101 * 10**7}, Reason.NOTHING_TO_REPLACE, ""),
    ],
)
def test_a_replace_that_makes_no_sense_changes_nothing(
    floor: Floor, changes: dict[str, int], reason: Reason, field: str
) -> None:
    """Off the grid, not positive or without a change: rejected, and the order stays as it was."""
    (first,) = floor.sell("ALICE", 5, 101)
    (refused,) = floor.told(commands.ReplaceOrder("ALICE", "R1", first.order_id, "", **changes))
    assert (refused.exec_type, refused.reason, refused.field) == (ExecType.REJECTED, reason, field)
    assert (refused.ord_status, refused.qty_lots, refused.price_ticks) == (OrdStatus.NEW, 5, 101)
    assert (refused.cl_ord_id, refused.orig_cl_ord_id) == ("R1", first.cl_ord_id)
    assert floor.asks() == [(101, 5, [first.order_id])]


def test_a_replace_without_a_key_is_refused(floor: Floor) -> None:
    """The order would carry an empty key, which stands for "not given": refused, and cancels without a key go on."""
    (first,) = floor.sell("ALICE", 5, 101)
    (refused,) = floor.replace(first, qty=4, cl_ord_id="")
    assert (refused.exec_type, refused.reason, refused.field) == (
        ExecType.REJECTED,
        Reason.FIELD_MISSING,
        "cl_ord_id",
    )
    (ended,) = floor.cancel(first)
    assert ended.exec_type == ExecType.CANCELED


def test_a_cancel_ends_what_is_open(floor: Floor) -> None:
    """The order leaves the book; what had traded stays told, nothing is left."""
    (first,) = floor.sell("ALICE", 5, 101, cl_ord_id="A1")
    floor.buy("BOB", 2, 101)
    (ended,) = floor.cancel(first, cl_ord_id="C1")
    assert (ended.exec_type, ended.ord_status, ended.cause) == (ExecType.CANCELED, OrdStatus.CANCELED, Cause.CLIENT)
    assert (ended.cum_qty_lots, ended.leaves_qty_lots, ended.request) == (2, 0, RequestKind.CANCEL)
    assert (ended.cl_ord_id, ended.orig_cl_ord_id) == ("C1", "A1")
    assert floor.asks() == []


def test_a_cancel_needs_no_key(floor: Floor) -> None:
    """A cancel without a key of its own tells the order's key and no original."""
    (first,) = floor.sell("ALICE", 5, 101, cl_ord_id="A1")
    (ended,) = floor.cancel(first)
    assert (ended.cl_ord_id, ended.orig_cl_ord_id) == ("A1", "")


def test_too_late_to_cancel(floor: Floor) -> None:
    """A filled order cannot be cancelled or replaced: ORDER_NOT_OPEN, with the order's final state."""
    (first,) = floor.sell("ALICE", 5, 101)
    floor.buy("BOB", 5, 101)
    for refused in (*floor.cancel(first, cl_ord_id="C1"), *floor.replace(first, qty=9)):
        assert (refused.exec_type, refused.reason) == (ExecType.REJECTED, Reason.ORDER_NOT_OPEN)
        assert (refused.ord_status, refused.cum_qty_lots, refused.order_id) == (OrdStatus.FILLED, 5, first.order_id)


def test_an_order_of_another_account_is_unknown(floor: Floor) -> None:
    """Nobody can touch, or learn of, the orders of others."""
    (first,) = floor.sell("ALICE", 5, 101, cl_ord_id="A1")
    by_id = floor.told(commands.CancelOrder("BOB", "C1", first.order_id))
    by_key = floor.told(commands.ReplaceOrder("BOB", "C2", 0, "A1", 10**9))
    for refused in (*by_id, *by_key):
        assert (refused.exec_type, refused.reason, refused.order_id) == (ExecType.REJECTED, Reason.ORDER_UNKNOWN, 0)
    assert floor.asks() == [(101, 5, [first.order_id])]


def test_an_unknown_account_is_named_as_such(floor: Floor) -> None:
    """A cancel for an account that does not exist is refused with ACCOUNT_UNKNOWN and has no account sequence."""
    (refused,) = floor.told(commands.CancelOrder("NOBODY", "C1", 8))
    assert (refused.reason, refused.account_seq, refused.terms.account) == (Reason.ACCOUNT_UNKNOWN, 0, "NOBODY")
