"""Section 8, interactions: for each row of the table a test whose docstring begins with the row's first cell."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import (
    Cause,
    ContingencyType,
    KillSwitchScope,
    OrdType,
    SelfTradePrevention,
    TimeInForce,
    TradingSession,
)
from tests.unit.matching.market import Market

FOK: dict[str, Any] = {"time_in_force": TimeInForce.FOK}
IOC: dict[str, Any] = {"time_in_force": TimeInForce.IOC}
OLDEST = SelfTradePrevention.CANCEL_OLDEST


def stop(stop_px: int, **terms: Any) -> dict[str, Any]:
    """The terms of a stop."""
    return {"ord_type": OrdType.STOP, "stop_px_ticks": stop_px} | terms


def leg(number: int, kind: int = ContingencyType.OCO, list_id: str = "L") -> dict[str, Any]:
    """The terms of a leg."""
    return {"contingency_type": kind, "list_id": list_id, "leg": number}


def short(market: Market, account: str, lots: int) -> None:
    """Opens an account that is short of some lots."""
    market.open(account, lots=0)
    market.configure(account, short_sale_permitted=True)
    market.buy("ALICE", lots, 100)
    market.short(account, lots, 100)


@pytest.mark.parametrize(
    ("mode", "story"),
    [
        (SelfTradePrevention.CANCEL_NEWEST, ["fok CANCELED NOT_FILLABLE"]),
        (SelfTradePrevention.CANCEL_BOTH, ["fok CANCELED NOT_FILLABLE"]),
        (SelfTradePrevention.DECREMENT, ["fok CANCELED NOT_FILLABLE"]),
        (OLDEST, ["own CANCELED SELF_TRADE", "behind TRADE 5@101", "fok TRADE 5@101"]),
    ],
)
def test_fok_and_self_trade_prevention(market: Market, mode: int, story: list[str]) -> None:
    """FOK + self-trade prevention: what lies behind an own order counts only with CANCEL_OLDEST."""
    market.sell("ALICE", 5, 101, key="own")
    market.sell("BOB", 5, 101, key="behind")
    assert market.buy("ALICE", 5, 101, key="fok", self_trade_prevention=mode, **FOK).story[1:] == story


def test_fok_does_not_count_the_own_order(market: Market) -> None:
    """FOK + self-trade prevention: the own order itself never counts, and then nothing is cancelled."""
    market.sell("ALICE", 5, 101, key="own")
    market.sell("BOB", 4, 101, key="behind")
    told = market.buy("ALICE", 5, 101, key="fok", self_trade_prevention=OLDEST, **FOK)
    assert told.story == ["fok NEW", "fok CANCELED NOT_FILLABLE"]
    assert market.asks() == ["own 5@101", "behind 4@101"]


def test_fok_is_fillable_in_front_of_an_own_order(market: Market) -> None:
    """FOK + self-trade prevention: an own order that is not reached does not matter."""
    market.sell("BOB", 5, 101, key="front")
    market.sell("ALICE", 5, 101, key="own")
    assert market.buy("ALICE", 5, 101, key="fok", **FOK).story[1:] == ["front TRADE 5@101", "fok TRADE 5@101"]


def test_fok_and_iceberg(market: Market) -> None:
    """FOK + iceberg: hidden quantity counts; each refill trades in its turn, and one lot more is not there."""
    market.sell("ALICE", 10, 101, key="ice", display_qty_lots=3)
    market.sell("ALICE", 2, 101, key="plain")
    assert market.buy("BOB", 13, 101, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    told = market.buy("BOB", 12, 101, key="fok", **FOK)
    assert told.story[1::2] == [f"ice TRADE {n}@101" if n != 2 else "plain TRADE 2@101" for n in (3, 2, 3, 3, 1)]
    assert market.asks() == []


def test_fok_and_reduce_only_makers(market: Market) -> None:
    """FOK + reduce-only makers: only what they may still trade counts, fills before them included."""
    short(market, "CAROL", 5)
    market.buy("CAROL", 4, 101, key="first", reduce_only=True)
    market.buy("CAROL", 4, 101, key="second", reduce_only=True)
    assert market.sell("BOB", 6, 101, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    assert market.sell("BOB", 5, 101, key="fok", **FOK).story == [
        "fok NEW", "first TRADE 4@101", "fok TRADE 4@101", "second TRADE 1@101", "fok TRADE 1@101",
    ]  # fmt: skip


def test_fok_and_a_maker_with_nothing_left_to_reduce(market: Market) -> None:
    """FOK + reduce-only makers: one whose account is out by then gives nothing, and the walk goes on behind it."""
    short(market, "CAROL", 5)
    market.buy("CAROL", 5, 101, key="first", reduce_only=True)
    market.buy("CAROL", 5, 101, key="second", reduce_only=True)
    market.buy("ALICE", 1, 101, key="third")
    assert market.sell("BOB", 7, 101, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    assert market.sell("BOB", 6, 101, key="fok", **FOK).story[1::2] == [
        "first TRADE 5@101", "second CANCELED POSITION_INSUFFICIENT", "fok TRADE 1@101",
    ]  # fmt: skip


def test_fok_that_may_only_reduce(market: Market) -> None:
    """FOK + reduce-only makers: the same holds for the incoming order itself."""
    short(market, "CAROL", 5)
    market.sell("BOB", 9, 101, key="ask")
    more = market.buy("CAROL", 6, 101, key="more", reduce_only=True, **FOK)
    assert more.story[1:] == ["more CANCELED NOT_FILLABLE"]
    told = market.buy("CAROL", 5, 101, key="fok", reduce_only=True, **FOK)
    assert told.story[1:] == ["ask TRADE 5@101", "fok TRADE 5@101"]


def test_fok_and_oco_makers(market: Market) -> None:
    """FOK + OCO makers: of two legs in the same sweep only the first met counts."""
    market.sell("ALICE", 5, 101, key="near", **leg(1))
    market.sell("ALICE", 5, 102, key="far", **leg(2))
    market.sell("ALICE", 2, 103, key="last")
    assert market.buy("BOB", 8, 103, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    assert market.buy("BOB", 7, 103, key="fok", **FOK).story == [
        "fok NEW",
        "near TRADE 5@101", "fok TRADE 5@101", "far CANCELED CONTINGENCY",
        "last TRADE 2@103", "fok TRADE 2@103",
    ]  # fmt: skip


def test_fok_and_makers_of_other_lists(market: Market) -> None:
    """FOK + OCO makers: the parent of a bracket is no leg of its OCO, and an OTO has none: all of them count."""
    market.sell("ALICE", 5, 101, key="parent", **leg(1, ContingencyType.OTOCO, "B"))
    market.sell("ALICE", 5, 101, key="first", **leg(1, ContingencyType.OTO, "O"))
    told = market.buy("BOB", 10, 101, key="fok", **FOK)
    assert told.story[1:] == ["parent TRADE 5@101", "fok TRADE 5@101", "first TRADE 5@101", "fok TRADE 5@101"]


@pytest.mark.parametrize("price", [120, 0], ids=["LIMIT", "MARKET"])
def test_fok_and_band(market: Market, price: int) -> None:
    """FOK, MARKET + band or collar: what lies outside the band does not count, and halts nothing."""
    market.reference(100)
    market.configure_instrument(price_band_bps=500)
    market.sell("ALICE", 5, 105, key="inside")
    market.sell("ALICE", 5, 106, key="outside")
    assert market.buy("BOB", 6, price, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    assert market.buy("BOB", 5, price, key="fok", **FOK).story[1:] == ["inside TRADE 5@105", "fok TRADE 5@105"]


def test_market_and_collar(market: Market) -> None:
    """FOK, MARKET + band or collar: what lies beyond the collar does not count."""
    market.sell("ALICE", 5, 100, key="inside")
    market.sell("ALICE", 5, 111, key="outside")
    assert market.buy("BOB", 6, key="more", **FOK).story[1:] == ["more CANCELED NOT_FILLABLE"]
    assert market.buy("BOB", 5, key="fok", **FOK).story[1:] == ["inside TRADE 5@100", "fok TRADE 5@100"]


def test_iceberg_and_replace_that_lowers(market: Market) -> None:
    """iceberg + replace: lowering `qty` keeps the place and the shown part, at most what is left."""
    (ice,) = market.sell("ALICE", 10, 101, key="ice", display_qty_lots=4)
    market.sell("ALICE", 1, 101, key="behind")
    market.buy("BOB", 1, 101)
    (replaced,) = market.replace(ice, qty=7, key="ice1")
    assert (replaced.display_qty_lots, replaced.shown_qty_lots) == (4, 3)
    (replaced,) = market.replace(ice, qty=3, key="ice2")
    assert (replaced.display_qty_lots, replaced.shown_qty_lots, replaced.leaves_qty_lots) == (3, 2, 2)
    assert market.asks() == ["ice2 2@101", "behind 1@101"]


def test_iceberg_and_replace_of_what_it_shows(market: Market) -> None:
    """iceberg + replace: a new `display_qty` goes to the back."""
    (ice,) = market.sell("ALICE", 10, 101, key="ice", display_qty_lots=4)
    market.sell("ALICE", 1, 101, key="behind")
    market.replace(ice, display_qty=2, key="ice2")
    assert market.asks() == ["behind 1@101", "ice2 10@101"]
    assert market.state(ice).shown_qty_lots == 2


def test_iceberg_and_decrement(market: Market) -> None:
    """iceberg + DECREMENT: the whole open quantity counts, and shown = min(shown, left)."""
    (ice,) = market.sell("ALICE", 10, 101, key="ice", display_qty_lots=4)
    told = market.buy("ALICE", 7, 101, key="bid", self_trade_prevention=SelfTradePrevention.DECREMENT)
    assert told.story[1:] == ["ice RESTATED 3 SELF_TRADE", "bid CANCELED SELF_TRADE"]
    assert (told[1].shown_qty_lots, market.state(ice).leaves_qty_lots) == (3, 3)


def test_stop_cascade(market: Market) -> None:
    """stop cascade: each stop is activated after the order before it is done, and its trades trigger the next."""
    for account in ("CAROL", "DAVE", "ERIN"):
        market.open(account)
    market.sell("ERIN", 1, key="third", **stop(97))
    market.sell("DAVE", 1, key="second", **stop(98))
    market.sell("CAROL", 1, key="first", **stop(99))
    for price in (99, 98, 97, 96):
        market.buy("BOB", 1, price, key=str(price))
    assert market.sell("ALICE", 1, 99, key="push").story == [
        "push NEW", "99 TRADE 1@99", "push TRADE 1@99",
        "first TRIGGERED", "98 TRADE 1@98", "first TRADE 1@98",
        "second TRIGGERED", "97 TRADE 1@97", "second TRADE 1@97",
        "third TRIGGERED", "96 TRADE 1@96", "third TRADE 1@96",
    ]  # fmt: skip


def test_a_stop_cascade_ends(market: Market) -> None:
    """stop cascade: it ends because a stop triggers once, also when two sides push each other."""
    market.open("CAROL")
    market.open("DAVE")
    market.sell("CAROL", 1, key="sell", **stop(100))
    market.buy("DAVE", 1, key="buy", **stop(100))
    market.buy("BOB", 2, 99, key="bid")
    market.sell("BOB", 1, 101, key="ask")
    told = market.sell("ALICE", 1, 99, key="push")
    assert told.story[3:] == ["sell TRIGGERED", "bid TRADE 1@99", "sell TRADE 1@99"]
    told = market.buy("ALICE", 1, 101, key="push2")
    assert told.story[3:] == ["buy TRIGGERED", "buy CANCELED NO_LIQUIDITY"]


def test_stop_and_halt(market: Market) -> None:
    """stop + halt: nothing triggers in a halt; on resuming the last trade is looked at."""
    market.open("CAROL")
    market.reference(100)
    market.configure_instrument(price_band_bps=500)
    market.buy("CAROL", 1, 90, key="stop", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=105)
    market.sell("ALICE", 1, 105, key="inside")
    market.sell("ALICE", 1, 106, key="outside")
    assert market.buy("BOB", 2, 106, key="bid").story == [
        "bid NEW", "inside TRADE 1@105", "bid TRADE 1@105", "trading_session_changed HALTED PRICE_BAND",
    ]  # fmt: skip
    told = market.session(TradingSession.CONTINUOUS)
    assert told.story == [
        "trading_session_changed CONTINUOUS", "outside TRADE 1@106", "bid TRADE 1@106", "stop TRIGGERED",
    ]  # fmt: skip


def test_reduce_only_at_the_fill(market: Market) -> None:
    """reduce-only at the fill: measured before each fill, also when a fill in the same sweep changed it."""
    short(market, "CAROL", 5)
    market.buy("CAROL", 5, 102, key="first", reduce_only=True)
    market.buy("CAROL", 5, 101, key="second", reduce_only=True)
    market.buy("ALICE", 5, 101, key="third")
    assert market.sell("BOB", 10, 101, key="ask").story == [
        "ask NEW", "first TRADE 5@102", "ask TRADE 5@102",
        "second CANCELED POSITION_INSUFFICIENT",
        "third TRADE 5@101", "ask TRADE 5@101",
    ]  # fmt: skip


def test_oco_with_both_legs_in_one_sweep(market: Market) -> None:
    """OCO, both legs in one sweep: the first trade cancels the other leg before the sweep reaches it."""
    market.sell("ALICE", 5, 101, key="near", **leg(1))
    market.sell("ALICE", 5, 102, key="far", **leg(2))
    told = market.buy("BOB", 8, 102, key="bid")
    assert told.story == ["bid NEW", "near TRADE 5@101", "bid TRADE 5@101", "far CANCELED CONTINGENCY"]
    assert (told[-1].cause, market.bids()) == (Cause.SYSTEM, ["bid 3@102"])


def test_oco_with_both_legs_in_one_level(market: Market) -> None:
    """OCO, both legs in one sweep: a trade of a part is enough, within the same level too."""
    market.sell("ALICE", 5, 101, key="one", **leg(1))
    market.sell("ALICE", 5, 101, key="two", **leg(2))
    told = market.buy("BOB", 3, 101, key="bid")
    assert told.story[1:] == ["one TRADE 3@101", "bid TRADE 3@101", "two CANCELED CONTINGENCY"]
    assert market.asks() == ["one 2@101"]


def test_bracket_whose_parent_is_cancelled_in_part(market: Market) -> None:
    """bracket, parent partly filled then cancelled: the legs protect what was filled."""
    otoco = ContingencyType.OTOCO
    (parent,) = market.buy("BOB", 10, 100, key="parent", **leg(1, otoco))
    market.sell("BOB", 10, 110, key="profit", **leg(2, otoco))
    market.sell("BOB", 10, key="loss", **stop(90), **leg(3, otoco))
    market.sell("ALICE", 4, 100)
    told = market.cancel(parent)
    assert told.story == [
        "parent CANCELED",
        "profit RESTATED 4 CONTINGENCY", "loss RESTATED 4 CONTINGENCY",
        "profit TRIGGERED", "loss RESTATED 4",
    ]  # fmt: skip
    assert market.asks() == ["profit 4@110"]


def test_post_only_and_uncross(market: Market) -> None:
    """post-only + uncross: joins the auction like any other, also where it would take."""
    market.session(TradingSession.CLOSED)
    market.session(TradingSession.PRE_OPEN)
    market.sell("ALICE", 5, 100, key="ask")
    assert market.buy("BOB", 5, 101, key="post", post_only=True).story == ["post NEW"]
    told = market.session(TradingSession.CONTINUOUS)
    assert told.story[1:] == ["ask TRADE 5@100", "post TRADE 5@100"]


def test_kill_switch_and_contingent_orders(market: Market) -> None:
    """kill switch + contingent orders: all legs in scope end, by id as KILL_SWITCH or earlier as CONTINGENCY."""
    market.sell("ALICE", 5, 110, key="one", **leg(1))
    market.buy("ALICE", 5, 90, key="parent", **leg(1, ContingencyType.OTO, "M"))
    market.sell("ALICE", 5, 111, key="two", **leg(2))
    market.sell("ALICE", 5, 120, key="child", **leg(2, ContingencyType.OTO, "M"))
    market.buy("ALICE", 5, 91, key="plain")
    told = market.tell(commands.EngageKillSwitch(KillSwitchScope.ACCOUNT, "ALICE", "kill"))
    assert told.story == [
        "kill_switch_engaged",
        "one CANCELED KILL_SWITCH", "two CANCELED CONTINGENCY",
        "parent CANCELED KILL_SWITCH", "child CANCELED CONTINGENCY",
        "plain CANCELED KILL_SWITCH",
    ]  # fmt: skip
    assert told[0].fields["canceled_orders"] == 5


def test_replace_and_trigger(market: Market) -> None:
    """replace + trigger: a replaced waiting order is looked at again at once."""
    market.trade(100)
    (waiting,) = market.buy("BOB", 5, key="stop", **stop(105))
    assert market.replace(waiting, stop_px=101, key="stop2").story == ["stop2 REPLACED 5"]
    told = market.replace(waiting, stop_px=100, key="stop3")
    assert told.story == ["stop3 REPLACED 5", "stop3 TRIGGERED", "stop3 CANCELED NO_LIQUIDITY"]


@pytest.mark.parametrize("trading_session", [TradingSession.PRE_OPEN, TradingSession.OPENING_AUCTION])
def test_ioc_and_market_are_rejected_at_entry(market: Market, trading_session: int) -> None:
    """IOC, MARKET outside CONTINUOUS: rejected at entry."""
    market.session(TradingSession.CLOSED)
    market.session(trading_session)
    assert market.buy("ALICE", 5, 99, key="ioc", **IOC).story == ["ioc REJECTED SESSION_CLOSED time_in_force"]
    assert market.buy("ALICE", 5, 99, key="fok", **FOK).story == ["fok REJECTED SESSION_CLOSED time_in_force"]
    assert market.buy("ALICE", 5, key="market").story == ["market REJECTED SESSION_CLOSED ord_type"]


def test_ioc_and_market_are_cancelled_at_activation(market: Market) -> None:
    """IOC, MARKET outside CONTINUOUS: cancelled at activation, here by an uncross that ends in CLOSED."""
    oto = ContingencyType.OTO
    market.buy("BOB", 5, 90, key="parent", **leg(1, oto))
    market.sell("BOB", 2, key="market", **leg(2, oto))
    market.sell("BOB", 2, 90, key="ioc", **leg(3, oto), **IOC)
    market.session(TradingSession.CLOSING_AUCTION)
    market.sell("ALICE", 5, 90, key="ask")
    assert market.session(TradingSession.CLOSED).story == [
        "trading_session_changed CLOSED", "parent TRADE 5@90", "ask TRADE 5@90",
        "market TRIGGERED", "market CANCELED SESSION_CLOSED",
        "ioc TRIGGERED", "ioc CANCELED SESSION_CLOSED",
    ]  # fmt: skip
