"""Section 8 of docs/matching.md, row by row, counted by hand and held against the plain venue and the core alike."""

import pytest
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.story import (
    BID_ASK,
    CANCEL_NEWEST,
    CANCEL_OLDEST,
    CLOSED,
    CLOSING,
    CONTINUOUS,
    DECREMENT,
    FOK,
    GTC,
    HALTED,
    IOC,
    OCO,
    OPENING,
    OTO,
    OTOCO,
    STOP,
    STOP_LIMIT,
    Story,
)


@pytest.fixture
def story() -> Story:
    """A new market."""
    return Story()


def test_fok_and_self_trade_prevention(story: Story) -> None:
    """What lies behind an own order counts only with CANCEL_OLDEST; otherwise nothing happens at all."""
    story.sell("B", 5, 100)
    story.sell("A", 5, 100)
    story.sell("C", 5, 100)
    for mode in (CANCEL_NEWEST, 3, DECREMENT):
        key = story.key("A")
        told = story.buy("A", 10, 100, key=key, time_in_force=FOK, self_trade_prevention=mode)
        assert told == [f"{key} NEW", f"{key} CANCELED NOT_FILLABLE"]
    assert story.buy("A", 11, 100, key="no", time_in_force=FOK, self_trade_prevention=CANCEL_OLDEST)[1:] == [
        "no CANCELED NOT_FILLABLE"
    ], "the own order itself never counts"
    assert story.buy("A", 10, 100, key="yes", time_in_force=FOK, self_trade_prevention=CANCEL_OLDEST) == [
        "yes NEW",
        "b1 TRADE 5@100",
        "yes TRADE 5@100",
        "a1 CANCELED SELF_TRADE",
        "c1 TRADE 5@100",
        "yes TRADE 5@100",
    ]


def test_fok_and_iceberg(story: Story) -> None:
    """Hidden quantity counts; what is hidden behind an own order does not."""
    story.sell("B", 10, 100, display_qty_lots=2)
    assert story.buy("A", 11, 100, key="no", time_in_force=FOK)[1:] == ["no CANCELED NOT_FILLABLE"]
    told = story.buy("A", 10, 100, key="yes", time_in_force=FOK)
    assert told[0] == "yes NEW"
    assert told[1:] == ["b1 TRADE 2@100", "yes TRADE 2@100"] * 5
    story.sell("B", 10, 100, key="ice", display_qty_lots=2)
    story.sell("A", 1, 100, key="own")
    assert story.buy("A", 3, 100, key="behind", time_in_force=FOK)[1:] == ["behind CANCELED NOT_FILLABLE"]


def test_fok_and_reduce_only_makers(story: Story) -> None:
    """A reduce-only sale counts with what is held when it is reached: 1,000 lots less the 990 sold before it."""
    story.sell("B", 990, 100)
    story.sell("B", 10, 101, reduce_only=True)
    story.sell("C", 5, 102)
    story.do(c.AdjustPosition("B", "ABC", 1, 1, "unrelated"))
    assert story.buy("A", 1_006, 102, key="no", time_in_force=FOK)[1:] == ["no CANCELED NOT_FILLABLE"]
    told = story.buy("A", 1_005, 102, key="yes", time_in_force=FOK)
    assert told[1::2] == ["b1 TRADE 990@100", "b2 TRADE 10@101", "c1 TRADE 5@102"]


def test_fok_and_oco_makers(story: Story) -> None:
    """Of two legs in the same sweep only the first met counts: 5 of the 10."""
    story.sell("B", 5, 100, contingency_type=OCO, list_id="l", leg=1)
    story.sell("B", 5, 101, contingency_type=OCO, list_id="l", leg=2)
    assert story.buy("A", 6, 101, key="no", time_in_force=FOK)[1:] == ["no CANCELED NOT_FILLABLE"]
    assert story.buy("A", 5, 101, key="yes", time_in_force=FOK) == [
        "yes NEW",
        "b1 TRADE 5@100",
        "yes TRADE 5@100",
        "b2 CANCELED CONTINGENCY",
    ]


def test_fok_and_market_within_band_and_collar(story: Story) -> None:
    """What is outside band or collar does not count for a FOK, and it halts nothing."""
    story.reference(100)
    story.instrument(price_band_bps=200)
    story.sell("B", 5, 102)
    story.sell("B", 5, 103)
    assert story.buy("A", 6, 110, key="no", time_in_force=FOK)[1:] == ["no CANCELED NOT_FILLABLE"]
    assert story.pair.plain.listings["XYZ"].is_continuous
    story.instrument(price_band_bps=0, market_collar_bps=90)
    assert story.buy("A", 6, key="collar", time_in_force=FOK)[1:] == ["collar CANCELED NOT_FILLABLE"]
    assert story.buy("A", 6, key="rest") == [
        "rest NEW",
        "b1 TRADE 5@102",
        "rest TRADE 5@102",
        "rest CANCELED NO_LIQUIDITY",
    ], "102 and 0.9 % are 102.918: down to 102"


def test_iceberg_and_replace(story: Story) -> None:
    """Lowering `qty` keeps the place and the shown part; a new `display_qty` goes to the back."""
    story.sell("B", 10, 100, display_qty_lots=4)
    story.sell("C", 5, 100)
    story.buy("A", 1, 100)
    assert story.shown("b1") == 3
    assert story.replace("b1", qty=6) == ["b2 REPLACED 6"]
    assert (story.shown("b2"), story.queue(100, buys=False)) == (3, ["b2", "c1"])
    assert story.replace("b2", qty=3) == ["b3 REPLACED 3"]
    assert (story.shown("b3"), story.leaves("b3"), story.queue(100, buys=False)) == (2, 2, ["b3", "c1"])
    assert story.replace("b3", display_qty=1) == ["b4 REPLACED 3"]
    assert (story.shown("b4"), story.queue(100, buys=False)) == (1, ["c1", "b4"])


def test_iceberg_and_decrement(story: Story) -> None:
    """The whole open quantity counts: 10 less 7 are 3, of which the 4 that were shown can show 3."""
    story.sell("A", 10, 100, display_qty_lots=4)
    assert story.buy("A", 7, 100, self_trade_prevention=DECREMENT) == [
        "a2 NEW",
        "a1 RESTATED 3 SELF_TRADE",
        "a2 CANCELED SELF_TRADE",
    ]
    assert (story.leaves("a1"), story.shown("a1")) == (3, 3)


def test_stop_cascade(story: Story) -> None:
    """Each stop is activated after the order before it is done, and its trades trigger the next; each triggers once."""
    story.trade(100)
    for price in (99, 98, 97):
        story.buy("B", 5, price)
    story.sell("C", 5, ord_type=STOP, stop_px_ticks=99)
    story.sell("D", 5, ord_type=STOP, stop_px_ticks=98)
    assert story.sell("A", 5, 99) == [
        "a1 NEW",
        "b1 TRADE 5@99",
        "a1 TRADE 5@99",
        "c1 TRIGGERED",
        "b2 TRADE 5@98",
        "c1 TRADE 5@98",
        "d1 TRIGGERED",
        "b3 TRADE 5@97",
        "d1 TRADE 5@97",
    ]


def test_stop_and_halt(story: Story) -> None:
    """Nothing triggers in a halt; on resuming the last trade is looked at."""
    story.trade(100)
    story.session(HALTED)
    story.session(OPENING)
    assert story.sell("C", 5, ord_type=STOP, stop_px_ticks=100) == ["c1 PENDING_NEW"]
    assert story.session(CONTINUOUS) == ["XYZ CONTINUOUS", "c1 TRIGGERED", "c1 CANCELED NO_LIQUIDITY"]


def test_reduce_only_at_the_fill(story: Story) -> None:
    """The position is measured before each fill: 5 short, of which an own purchase in the same sweep takes 3."""
    story.without_lots("A")
    story.buy("B", 5, 100)
    story.short("A", 5, 100)
    story.buy("A", 3, 99, key="first")
    story.buy("A", 10, 98, key="second", reduce_only=True)
    story.buy("B", 4, 97, key="third")
    assert story.sell("C", 8, 97) == [
        "c1 NEW",
        "first TRADE 3@99",
        "c1 TRADE 3@99",
        "second TRADE 2@98",
        "c1 TRADE 2@98",
        "second CANCELED POSITION_INSUFFICIENT",
        "third TRADE 3@97",
        "c1 TRADE 3@97",
    ]
    assert story.position("A")[0] == 0
    assert story.buy("A", 1, 97, key="none", reduce_only=True) == ["none DENIED POSITION_INSUFFICIENT"]


def test_oco_with_both_legs_in_one_sweep(story: Story) -> None:
    """The first trade cancels the other leg before the sweep reaches it, also when it was partial."""
    story.sell("B", 5, 100, contingency_type=OCO, list_id="l", leg=1)
    story.sell("B", 5, 101, contingency_type=OCO, list_id="l", leg=2)
    story.sell("C", 5, 102)
    assert story.buy("A", 8, 102) == [
        "a1 NEW",
        "b1 TRADE 5@100",
        "a1 TRADE 5@100",
        "b2 CANCELED CONTINGENCY",
        "c1 TRADE 3@102",
        "a1 TRADE 3@102",
    ]


def bracket(story: Story, qty: int, price: int) -> None:
    """A purchase with a profit at 110 and a loss at 90."""
    story.trade(100)
    story.buy("A", qty, price, key="parent", contingency_type=OTOCO, list_id="l", leg=1)
    story.sell("A", qty, 110, key="profit", contingency_type=OTOCO, list_id="l", leg=2, time_in_force=GTC)
    story.sell("A", qty, ord_type=STOP, stop_px_ticks=90, key="loss", contingency_type=OTOCO, list_id="l", leg=3)


def test_bracket_with_a_parent_partly_filled_then_cancelled(story: Story) -> None:
    """The legs protect what was filled: 4 of 10."""
    bracket(story, 10, 100)
    story.sell("B", 4, 100)
    assert story.cancel("A", "parent") == [
        "parent CANCELED",
        "profit RESTATED 4 CONTINGENCY",
        "loss RESTATED 4 CONTINGENCY",
        "profit TRIGGERED",
        "loss RESTATED 4",
    ]
    story.buy("B", 3, 90)
    assert story.sell("C", 1, 90) == [
        "c1 NEW",
        "b2 TRADE 1@90",
        "c1 TRADE 1@90",
        "loss TRIGGERED",
        "profit CANCELED CONTINGENCY",
        "b2 TRADE 2@90",
        "loss TRADE 2@90",
        "loss CANCELED NO_LIQUIDITY",
    ]


def test_bracket_without_a_fill_falls_with_its_parent(story: Story) -> None:
    """With nothing traded the legs are cancelled, and no leg can come later."""
    bracket(story, 10, 99)
    told = story.cancel("A", "parent")
    assert told == ["parent CANCELED", "profit CANCELED CONTINGENCY", "loss CANCELED CONTINGENCY"]
    story.buy("A", 1, 99, key="other", contingency_type=OTO, list_id="m", leg=1)
    story.cancel("A", "other")
    late = story.sell("A", 1, 120, key="late", contingency_type=OTO, list_id="m", leg=2)
    assert late == ["late REJECTED ORDER_NOT_OPEN contingency.list_id"]


def test_post_only_and_uncross(story: Story) -> None:
    """A post-only order joins the auction like any other."""
    story.session(HALTED)
    story.session(OPENING)
    assert story.buy("A", 5, 101, post_only=True) == ["a1 NEW"]
    assert story.sell("B", 5, 99, post_only=True) == ["b1 NEW"]
    told = story.session(CONTINUOUS)
    assert told == ["XYZ CONTINUOUS 99 x 5", "a1 TRADE 5@99", "b1 TRADE 5@99"], "without a reference the lowest"


def test_kill_switch_and_contingent_orders(story: Story) -> None:
    """All legs in scope end by id as KILL_SWITCH, or before that with the leg that they are tied to."""
    bracket(story, 10, 100)
    story.sell("B", 4, 100)
    story.sell("A", 1, 120, key="one", contingency_type=OCO, list_id="m", leg=1)
    story.sell("A", 1, 121, key="two", contingency_type=OCO, list_id="m", leg=2)
    told = story.do(c.EngageKillSwitch(types.KILL_SWITCH_SCOPE_ACCOUNT, "A", "kill"))
    assert told == [
        "kill_switch_engaged 5",
        "parent CANCELED KILL_SWITCH",
        "profit RESTATED 4 CONTINGENCY",
        "loss RESTATED 4 CONTINGENCY",
        "profit CANCELED KILL_SWITCH",
        "loss CANCELED CONTINGENCY",
        "one CANCELED KILL_SWITCH",
        "two CANCELED CONTINGENCY",
    ]
    assert story.buy("A", 1, 99, key="later") == ["later DENIED KILL_SWITCH account"]


def test_replace_and_trigger(story: Story) -> None:
    """A replaced waiting order is looked at again at once."""
    story.trade(100)
    story.sell("A", 5, ord_type=STOP, stop_px_ticks=95)
    assert story.replace("a1", stop_px=100) == ["a2 REPLACED 5", "a2 TRIGGERED", "a2 CANCELED NO_LIQUIDITY"]
    story.buy("A", 5, 90, ord_type=STOP_LIMIT, stop_px_ticks=105, trigger_by=BID_ASK, key="a9")
    story.sell("B", 5, 104)
    assert story.replace("a9", stop_px=104, price=91) == ["a3 REPLACED 5", "a3 TRIGGERED"]
    assert story.queue(91, buys=True) == ["a3"]


def test_at_once_outside_continuous_trading(story: Story) -> None:
    """IOC and MARKET are rejected at entry outside CONTINUOUS, and cancelled at activation."""
    story.session(CLOSING)
    assert story.buy("A", 1, key="m") == ["m REJECTED SESSION_CLOSED ord_type"]
    assert story.buy("A", 1, 99, key="i", time_in_force=IOC) == ["i REJECTED SESSION_CLOSED time_in_force"]
    story.buy("A", 5, 101, key="parent", contingency_type=OTO, list_id="l", leg=1)
    story.sell("A", 5, 120, key="rests", contingency_type=OTO, list_id="l", leg=2)
    story.sell("A", 5, symbol="ABC", key="leaves", contingency_type=OTO, list_id="l", leg=3)
    story.session(CLOSED, "ABC")
    story.sell("D", 5, 101)
    assert story.session(CLOSED) == [
        "XYZ CLOSED 101 x 5",
        "parent TRADE 5@101",
        "d1 TRADE 5@101",
        "rests TRIGGERED",
        "leaves TRIGGERED",
        "leaves CANCELED SESSION_CLOSED",
    ]
    assert story.queue(120, buys=False) == ["rests"]
    assert story.buy("A", 1, 99, key="late") == ["late REJECTED SESSION_CLOSED symbol"]


def test_a_halt_in_a_cascade_cancels_what_may_not_rest(story: Story) -> None:
    """The order that meets the band halts the market; a stop behind it in line is activated and cancelled, HALTED."""
    story.trade(100)
    story.reference(100)
    story.instrument(price_band_bps=300)
    story.buy("B", 1, 99)
    story.buy("B", 5, 96)
    story.sell("C", 2, ord_type=STOP, stop_px_ticks=99)
    story.sell("D", 2, ord_type=STOP, stop_px_ticks=99)
    assert story.sell("A", 1, 99) == [
        "a1 NEW",
        "b1 TRADE 1@99",
        "a1 TRADE 1@99",
        "c1 TRIGGERED",
        "XYZ HALTED PRICE_BAND",
        "c1 CANCELED HALTED",
        "d1 TRIGGERED",
        "d1 CANCELED HALTED",
    ]
