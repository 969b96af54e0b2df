"""Section 4, contingent orders: lists and their legs, OCO, OTO, brackets, and when each leg comes to its turn."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import Cause, ContingencyType, OrdStatus, OrdType, SelfTradePrevention, TimeInForce
from tests.unit.matching.market import Market

OCO, OTO, OTOCO = ContingencyType.OCO, ContingencyType.OTO, ContingencyType.OTOCO


def leg(number: int, kind: int = OCO, list_id: str = "L") -> dict[str, Any]:
    """The terms of a leg."""
    return {"contingency_type": kind, "list_id": list_id, "leg": number}


def stop(stop_px: int, **terms: Any) -> dict[str, Any]:
    """The terms of a stop."""
    return {"ord_type": OrdType.STOP, "stop_px_ticks": stop_px} | terms


def test_leg_1_opens_a_list(market: Market) -> None:
    """ALREADY_EXISTS when it is known, whatever its type."""
    market.buy("ALICE", 1, 90, **leg(1))
    for kind in (OCO, OTO, OTOCO):
        told = market.buy("ALICE", 1, 90, key=f"K{kind}", **leg(1, kind))
        assert told.story == [f"K{kind} REJECTED ALREADY_EXISTS contingency.list_id"]


def test_a_list_belongs_to_an_account(market: Market) -> None:
    """Another's list of the same name is another list."""
    market.buy("ALICE", 1, 90, **leg(1))
    assert market.buy("BOB", 1, 90, key="two", **leg(2)).story == ["two REJECTED ORDER_UNKNOWN contingency.list_id"]
    assert market.buy("BOB", 1, 90, key="one", **leg(1)).story == ["one NEW"]


def test_other_legs_need_the_list(market: Market) -> None:
    """Known, of the same type, with that leg free."""
    assert market.buy("ALICE", 1, 90, key="A", **leg(2)).story == ["A REJECTED ORDER_UNKNOWN contingency.list_id"]
    market.buy("ALICE", 1, 90, **leg(1, OTO))
    assert market.buy("ALICE", 1, 90, key="B", **leg(2, OTOCO)).story == ["B REJECTED FIELDS_CONFLICT contingency.type"]
    market.buy("ALICE", 1, 90, **leg(2, OTO))
    assert market.buy("ALICE", 1, 90, key="C", **leg(2, OTO)).story == ["C REJECTED ALREADY_EXISTS contingency.leg"]


@pytest.mark.parametrize(("kind", "legs"), [(OCO, 2), (OTOCO, 3), (OTO, 8)])
def test_each_type_has_its_legs(market: Market, kind: int, legs: int) -> None:
    """OCO 1-2, OTOCO 1-3, OTO 1-8; the last one passes, one more and 0 are FIELD_INVALID."""
    market.buy("ALICE", 1, 90, **leg(1, kind))
    assert market.buy("ALICE", 1, 90, key="last", **leg(legs, kind))[0].reason == 0
    for number in (0, legs + 1):
        told = market.buy("ALICE", 1, 90, key=f"K{number}", **leg(number, kind))
        assert told.story == [f"K{number} REJECTED FIELD_INVALID contingency.leg"]


def test_a_rejected_leg_1_opens_nothing(market: Market) -> None:
    """The list is known once its first leg is an order."""
    market.buy("ALICE", 10**9, 90, **leg(1))
    assert market.buy("ALICE", 1, 90, key="A", **leg(1)).story == ["A NEW"]


def test_close_day_forgets_lists_without_open_orders(market: Market) -> None:
    """A name is free again then, that of a list with an open order is not."""
    market.buy("ALICE", 1, 90, **leg(1, list_id="over"), time_in_force=TimeInForce.DAY)
    market.buy("ALICE", 1, 90, **leg(1, list_id="open"))
    market.tell(commands.CloseDay(20261122))
    assert market.buy("ALICE", 1, 90, key="A", **leg(1, list_id="over")).story == ["A NEW"]
    assert "ALREADY_EXISTS" in market.buy("ALICE", 1, 90, **leg(1, list_id="open")).story[0]


def oco(market: Market) -> tuple[Any, Any]:
    """ALICE sells at 110, or at a stop of 90."""
    (profit,) = market.sell("ALICE", 5, 110, key="profit", **leg(1))
    (loss,) = market.sell("ALICE", 5, key="loss", **stop(90), **leg(2))
    return profit, loss


def test_oco_a_trade_of_any_part_cancels_the_other_leg(market: Market) -> None:
    """CANCELED with cause SYSTEM and reason CONTINGENCY, right after the trade."""
    oco(market)
    told = market.buy("BOB", 1, 110, key="bid")
    assert told.story == ["bid NEW", "profit TRADE 1@110", "bid TRADE 1@110", "loss CANCELED CONTINGENCY"]
    assert (told[-1].cause, told[-1].ord_status) == (Cause.SYSTEM, OrdStatus.CANCELED)
    assert market.asks() == ["profit 4@110"]


def test_oco_a_trade_of_the_incoming_order_counts_as_well(market: Market) -> None:
    """After the trade, the resting order's consequences first, then the incoming one's, before the next trade."""
    market.open("CAROL")
    market.buy("CAROL", 1, 100, key="c1", **leg(1))
    market.sell("CAROL", 1, 120, key="c2", **leg(2))
    market.buy("BOB", 1, 99, key="bid")
    market.buy("ALICE", 5, 90, key="a1", **leg(1))
    told = market.sell("ALICE", 2, 99, key="a2", **leg(2))
    assert told.story == [
        "a2 NEW", "c1 TRADE 1@100", "a2 TRADE 1@100", "c2 CANCELED CONTINGENCY", "a1 CANCELED CONTINGENCY",
        "bid TRADE 1@99", "a2 TRADE 1@99",
    ]  # fmt: skip


def test_oco_a_triggered_stop_cancels_the_other_leg(market: Market) -> None:
    """Right after TRIGGERED, before it is worked."""
    oco(market)
    market.open("CAROL")
    market.buy("CAROL", 1, 90, key="bid")
    market.buy("CAROL", 9, 89, key="below")
    assert market.sell("BOB", 1, 90, key="push").story == [
        "push NEW", "bid TRADE 1@90", "push TRADE 1@90",
        "loss TRIGGERED", "profit CANCELED CONTINGENCY", "below TRADE 5@89", "loss TRADE 5@89",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 1])
def test_oco_any_end_of_a_leg_cancels_the_other(market: Market, number: int) -> None:
    """Here by the client."""
    legs = oco(market)
    names = ("profit", "loss")
    assert market.cancel(legs[number]).story == [
        f"{names[number]} CANCELED", f"{names[1 - number]} CANCELED CONTINGENCY",
    ]  # fmt: skip


def test_oco_a_leg_that_expires_takes_the_other_along(market: Market) -> None:
    """Which is passed over then, although it would have expired itself."""
    market.sell("ALICE", 5, 110, key="one", time_in_force=TimeInForce.DAY, **leg(1))
    market.sell("ALICE", 5, 120, key="two", time_in_force=TimeInForce.DAY, **leg(2))
    told = market.tell(commands.CloseDay(20261122))
    assert told.story == ["one EXPIRED EXPIRED", "two CANCELED CONTINGENCY", "day_closed"]
    assert told[-1].fields["expired_orders"] == 1


@pytest.mark.parametrize("how", ["traded", "triggered", "ended"])
def test_oco_a_leg_that_arrives_late_is_rejected(market: Market, how: str) -> None:
    """ORDER_NOT_OPEN when the other has traded, triggered or ended."""
    if how == "triggered":
        market.trade(90)
        market.sell("ALICE", 5, 89, ord_type=OrdType.STOP_LIMIT, stop_px_ticks=90, **leg(1))
    else:
        (first,) = market.sell("ALICE", 5, 110, **leg(1))
        if how == "traded":
            market.buy("BOB", 1, 110)
        else:
            market.cancel(first)
    told = market.sell("ALICE", 5, 120, key="late", **leg(2))
    assert told.story == ["late REJECTED ORDER_NOT_OPEN contingency.list_id"]


def test_oco_own_legs_that_meet(market: Market) -> None:
    """The cancelled resting leg takes the incoming one along, in each mode that cancels it."""
    for mode in (SelfTradePrevention.CANCEL_OLDEST, SelfTradePrevention.CANCEL_BOTH, SelfTradePrevention.DECREMENT):
        for lots in (5, 8):
            name = f"{mode}-{lots}"
            market.sell("ALICE", 5, 101, key=f"ask{name}", **leg(1, list_id=name))
            told = market.buy("ALICE", lots, 101, key="bid" + name, self_trade_prevention=mode, **leg(2, list_id=name))
            assert told.story[1:] == [f"ask{name} CANCELED SELF_TRADE", f"bid{name} CANCELED CONTINGENCY"]
    assert (market.bids(), market.asks()) == ([], [])


def test_oto_children_wait_for_their_parent(market: Market) -> None:
    """PENDING_NEW, not in the book, nothing held, whatever their type."""
    market.buy("BOB", 5, 99, **leg(1, OTO))
    for number, terms in enumerate(({"price": 110}, {}, stop(90)), start=2):
        (child,) = market.sell("BOB", 5, **terms, **leg(number, OTO))
        assert child.ord_status == OrdStatus.PENDING_NEW
    assert market.asks() == []
    assert market.position("BOB").held_lots == 0


def test_oto_a_filled_parent_brings_its_children_into_line(market: Market) -> None:
    """By leg and not by id, behind the order at work; a LIMIT or MARKET is TRIGGERED, a stop is armed: RESTATED."""
    market.buy("BOB", 5, 99, key="parent", **leg(1, OTO))
    market.sell("BOB", 5, 110, key="four", **leg(4, OTO))
    market.sell("BOB", 5, key="two", **stop(90), **leg(2, OTO))
    market.sell("BOB", 5, key="three", **leg(3, OTO))
    told = market.sell("ALICE", 5, 99, key="ask")
    assert told.story == [
        "ask NEW", "parent TRADE 5@99", "ask TRADE 5@99",
        "two RESTATED 5", "three TRIGGERED", "three CANCELED NO_LIQUIDITY", "four TRIGGERED",
    ]  # fmt: skip
    armed = told[3]
    assert (armed.ord_status, armed.cause, armed.reason) == (OrdStatus.PENDING_NEW, Cause.SYSTEM, 0)


def test_oto_a_filled_parent_leaves_larger_children_as_they_are(market: Market) -> None:
    """Only a parent that ended otherwise lowers them."""
    market.buy("BOB", 5, 99, **leg(1, OTO))
    market.sell("BOB", 9, 110, key="child", **leg(2, OTO))
    market.sell("ALICE", 5, 99)
    assert market.asks() == ["child 9@110"]


def test_oto_a_part_of_the_parent_activates_nothing(market: Market) -> None:
    """Children wait until it is filled, or ends."""
    market.buy("BOB", 5, 99, **leg(1, OTO))
    market.sell("BOB", 5, 110, **leg(2, OTO))
    assert len(market.sell("ALICE", 4, 99)) == 3
    assert market.asks() == []


def test_oto_a_parent_that_ends_with_something_traded(market: Market) -> None:
    """`qty` is lowered to that, RESTATED only where it is higher, what is shown as well; then they come into line."""
    (parent,) = market.buy("BOB", 5, 99, key="parent", **leg(1, OTO))
    market.sell("BOB", 5, 110, key="large", display_qty_lots=4, **leg(2, OTO))
    market.sell("BOB", 3, 110, key="equal", **leg(3, OTO))
    market.sell("BOB", 2, 110, key="small", **leg(4, OTO))
    market.sell("ALICE", 3, 99)
    told = market.cancel(parent)
    assert told.story == [
        "parent CANCELED", "large RESTATED 3 CONTINGENCY", "large TRIGGERED", "equal TRIGGERED", "small TRIGGERED",
    ]  # fmt: skip
    assert (told[1].cause, told[1].display_qty_lots, told[1].leaves_qty_lots) == (Cause.SYSTEM, 3, 3)
    assert market.asks() == ["large 3@110", "equal 3@110", "small 2@110"]


def test_oto_a_parent_that_ends_with_nothing_traded(market: Market) -> None:
    """Its children are CANCELED, cause SYSTEM, reason CONTINGENCY, by leg."""
    (parent,) = market.buy("BOB", 5, 99, key="parent", **leg(1, OTO))
    market.sell("BOB", 5, 110, key="three", **leg(3, OTO))
    market.sell("BOB", 5, 110, key="two", **leg(2, OTO))
    told = market.cancel(parent)
    assert told.story == ["parent CANCELED", "two CANCELED CONTINGENCY", "three CANCELED CONTINGENCY"]
    assert {event.cause for event in told[1:]} == {Cause.SYSTEM}


def test_oto_children_are_orders_of_their_own(market: Market) -> None:
    """A child that is cancelled while it waits concerns nobody else."""
    market.buy("BOB", 5, 99, **leg(1, OTO))
    (child,) = market.sell("BOB", 5, 110, key="child", **leg(2, OTO))
    assert market.cancel(child).story == ["child CANCELED"]
    assert len(market.sell("ALICE", 5, 99)) == 3


def test_oto_a_leg_after_the_parent_is_filled_comes_into_line_at_once(market: Market) -> None:
    """Accepted as waiting, then TRIGGERED, or armed."""
    market.buy("BOB", 5, 99, **leg(1, OTO))
    market.sell("ALICE", 5, 99)
    assert market.sell("BOB", 5, 110, key="limit", **leg(2, OTO)).story == ["limit PENDING_NEW", "limit TRIGGERED"]
    assert market.sell("BOB", 5, key="stop", **stop(90), **leg(3, OTO)).story == ["stop PENDING_NEW", "stop RESTATED 5"]
    assert market.sell("BOB", 5, key="met", **stop(99), **leg(4, OTO)).story == [
        "met PENDING_NEW", "met RESTATED 5", "met TRIGGERED", "met CANCELED NO_LIQUIDITY",
    ]  # fmt: skip


@pytest.mark.parametrize("traded", [0, 2])
def test_oto_a_leg_after_the_parent_ended_otherwise_is_rejected(market: Market, traded: int) -> None:
    """ORDER_NOT_OPEN, whether or not something had traded."""
    (parent,) = market.buy("BOB", 5, 99, **leg(1, OTO))
    if traded:
        market.sell("ALICE", traded, 99)
    market.cancel(parent)
    told = market.sell("BOB", 5, 110, key="late", **leg(2, OTO))
    assert told.story == ["late REJECTED ORDER_NOT_OPEN contingency.list_id"]


def bracket(market: Market) -> Any:
    """BOB buys at 99, to sell at 110 or at a stop of 90."""
    (parent,) = market.buy("BOB", 5, 99, key="parent", **leg(1, OTOCO))
    market.sell("BOB", 5, 110, key="profit", **leg(2, OTOCO))
    market.sell("BOB", 5, key="loss", **stop(90), **leg(3, OTOCO))
    return parent


def test_otoco_the_legs_are_an_oco_once_active(market: Market) -> None:
    """The parent's fill activates both, a trade of one cancels the other."""
    bracket(market)
    assert market.sell("ALICE", 5, 99).story[3:] == ["profit TRIGGERED", "loss RESTATED 5"]
    told = market.buy("ALICE", 1, 110, key="bid")
    assert told.story[1:] == ["profit TRADE 1@110", "bid TRADE 1@110", "loss CANCELED CONTINGENCY"]


def test_otoco_being_activated_decides_nothing(market: Market) -> None:
    """The limit leg's TRIGGERED by its parent is not the trigger of a stop: both stay."""
    bracket(market)
    market.sell("ALICE", 5, 99)
    assert market.asks() == ["profit 5@110"]
    market.open("CAROL")
    market.buy("CAROL", 1, 90, key="bid")
    assert market.sell("ALICE", 1, 90).story[3:] == [
        "loss TRIGGERED", "profit CANCELED CONTINGENCY", "loss CANCELED NO_LIQUIDITY",
    ]  # fmt: skip


def test_otoco_the_parent_is_no_rival_of_its_legs(market: Market) -> None:
    """Its trades cancel nobody; its end with nothing traded cancels both, each once."""
    parent = bracket(market)
    assert market.cancel(parent).story == [
        "parent CANCELED",
        "profit CANCELED CONTINGENCY",
        "loss CANCELED CONTINGENCY",
    ]


def test_otoco_a_late_leg_is_rejected_when_the_other_has_traded(market: Market) -> None:
    """As with an OCO, although the parent is filled."""
    market.buy("BOB", 5, 99, **leg(1, OTOCO))
    market.sell("ALICE", 5, 99)
    market.sell("BOB", 5, 110, **leg(2, OTOCO))
    market.buy("ALICE", 1, 110)
    assert market.sell("BOB", 5, key="late", **stop(90), **leg(3, OTOCO)).story == [
        "late REJECTED ORDER_NOT_OPEN contingency.list_id",
    ]  # fmt: skip


def test_the_line_is_settled_after_the_order_at_work(market: Market) -> None:
    """A parent filled in the middle of a sweep: its children come when the sweep is over."""
    market.buy("BOB", 2, 101, key="parent", **leg(1, OTO))
    market.buy("BOB", 2, 95, key="child", **leg(2, OTO))
    market.buy("BOB", 2, 100, key="other")
    assert market.sell("ALICE", 4, 100, key="ask").story == [
        "ask NEW", "parent TRADE 2@101", "ask TRADE 2@101", "other TRADE 2@100", "ask TRADE 2@100", "child TRIGGERED",
    ]  # fmt: skip


def test_funds_are_looked_at_when_a_child_is_activated(market: Market) -> None:
    """Not when it arrives: a purchase that nobody could pay waits, and is cancelled at its turn."""
    market.buy("BOB", 1, 99, **leg(1, OTO))
    assert market.buy("BOB", 10**6, 10**5, key="child", **leg(2, OTO)).story == ["child PENDING_NEW"]
    assert market.sell("ALICE", 1, 99).story[3:] == ["child TRIGGERED", "child CANCELED BUYING_POWER"]


def test_a_minimum_above_what_is_left_is_not_fillable(market: Market) -> None:
    """A child whose quantity was lowered below its `min_qty` cannot trade that much at once: nothing trades."""
    (parent,) = market.buy("BOB", 10, 99, key="parent", **leg(1, OTO))
    ioc: dict[str, Any] = {"time_in_force": TimeInForce.IOC, "min_qty_lots": 10}
    market.sell("BOB", 10, 90, key="child", **ioc, **leg(2, OTO))
    market.sell("ALICE", 3, 99)
    market.buy("ALICE", 50, 95)
    told = market.cancel(parent)
    assert told.story[1:] == ["child RESTATED 3 CONTINGENCY", "child TRIGGERED", "child CANCELED NOT_FILLABLE"]
