"""Section 2, waiting orders: what they watch, when they are looked at, how a trail moves, who follows whom."""

from typing import Any

import pytest

from matching.core.commands import AdjustPosition, CancelOrder, ListInstrument
from matching.core.words import (
    Cause,
    OrdStatus,
    OrdType,
    RequestKind,
    Side,
    TimeInForce,
    TradingSession,
    TriggerBy,
)
from tests.unit.matching.market import Market

LAST, BID_ASK, MARK = TriggerBy.LAST, TriggerBy.BID_ASK, TriggerBy.MARK
IOC = TimeInForce.IOC


def stop(stop_px: int, **terms: Any) -> dict[str, Any]:
    """The terms of a stop."""
    return {"ord_type": OrdType.STOP, "stop_px_ticks": stop_px} | terms


def stop_limit(stop_px: int, **terms: Any) -> dict[str, Any]:
    """The terms of a stop-limit."""
    return {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": stop_px} | terms


def trailing(offset: int, **terms: Any) -> dict[str, Any]:
    """The terms of a trailing stop."""
    return {"ord_type": OrdType.TRAILING_STOP, "trail_offset": offset, "trail_unit": 1} | terms


def test_a_waiting_order_is_pending_and_holds_nothing(market: Market) -> None:
    """PENDING_NEW, not in the book, no cash and no lots held."""
    (bid,) = market.buy("ALICE", 5, 120, key="buy", **stop_limit(110))
    (ask,) = market.sell("ALICE", 5, key="sell", **stop(90))
    assert (bid.ord_status, ask.ord_status) == (OrdStatus.PENDING_NEW, OrdStatus.PENDING_NEW)
    assert (market.bids(), market.asks()) == ([], [])
    assert (market.cash("ALICE").held_micro, market.position("ALICE").held_lots) == (0, 0)


@pytest.mark.parametrize(
    ("side", "price", "is_triggered"),
    [(Side.BUY, 104, False), (Side.BUY, 105, True), (Side.SELL, 96, False), (Side.SELL, 95, True)],
)
def test_a_trade_at_the_trigger_is_enough(market: Market, side: int, price: int, is_triggered: bool) -> None:
    """A purchase triggers at or above its stop_px, a sale at or below; one tick short of it nothing happens."""
    market.open("CAROL")
    market.tell(market.order("CAROL", side, 1, key="stop", **stop(105 if side == Side.BUY else 95)))
    market.sell("ALICE", 1, price)
    told = market.buy("BOB", 1, price, time_in_force=IOC)
    assert ("stop TRIGGERED" in told.story) == is_triggered


def test_what_is_triggered_is_activated_and_worked(market: Market) -> None:
    """TRIGGERED with status NEW and cause SYSTEM, behind the order at work; a STOP then goes as MARKET."""
    market.buy("BOB", 2, key="stop", **stop(101))
    market.sell("ALICE", 1, 101, key="ask")
    market.sell("ALICE", 1, 102, key="next")
    told = market.buy("BOB", 1, 101, key="bid")
    assert told.story == [
        "bid NEW", "ask TRADE 1@101", "bid TRADE 1@101",
        "stop TRIGGERED", "next TRADE 1@102", "stop TRADE 1@102", "stop CANCELED NO_LIQUIDITY",
    ]  # fmt: skip
    assert (told[3].ord_status, told[3].cause, told[3].request) == (OrdStatus.NEW, Cause.SYSTEM, RequestKind.NONE)


def test_a_stop_limit_goes_as_limit(market: Market) -> None:
    """It rests at its price."""
    market.buy("BOB", 2, 101, key="stop", **stop_limit(101))
    market.trade(101)
    assert market.bids() == ["stop 2@101"]
    assert market.cash("BOB").held_micro > 0


def test_a_stop_that_is_met_at_entry_goes_at_once(market: Market) -> None:
    """At entry it is looked at with the present watched price."""
    market.trade(101)
    assert market.buy("BOB", 1, key="stop", **stop(101)).story == [
        "stop PENDING_NEW", "stop TRIGGERED", "stop CANCELED NO_LIQUIDITY",
    ]  # fmt: skip
    assert market.buy("BOB", 1, key="later", **stop(102)).story == ["later PENDING_NEW"]


def test_a_stop_waits_when_there_is_no_price_yet(market: Market) -> None:
    """Without a last trade, a best price, a reference nothing is met, however the stop lies."""
    for trigger_by in (0, LAST, BID_ASK, MARK):
        key = f"K{trigger_by}"
        assert market.buy("BOB", 1, key=key, **stop(1, trigger_by=trigger_by)).story == [f"{key} PENDING_NEW"]


def test_triggers_by_bid_ask(market: Market) -> None:
    """A purchase watches the best ask, a sale the best bid; no trade is needed."""
    market.open("CAROL")
    market.buy("CAROL", 1, 105, key="buy", **stop_limit(103, trigger_by=BID_ASK))
    market.sell("CAROL", 1, 95, key="sell", **stop_limit(97, trigger_by=BID_ASK))
    assert market.sell("ALICE", 1, 103, key="ask").story == [
        "ask NEW",
        "buy TRIGGERED",
        "ask TRADE 1@103",
        "buy TRADE 1@103",
    ]
    assert market.buy("BOB", 1, 97, key="bid").story == [
        "bid NEW",
        "sell TRIGGERED",
        "bid TRADE 1@97",
        "sell TRADE 1@97",
    ]


def test_bid_ask_is_looked_at_with_the_best_price(market: Market) -> None:
    """A best ask below the stop does not trigger a purchase, one at the stop does, also when it appears by a cancel."""
    market.open("CAROL")
    (near,) = market.sell("ALICE", 1, 102)
    market.sell("ALICE", 1, 103, key="far")
    assert market.buy("CAROL", 1, 99, key="stop", **stop_limit(103, trigger_by=BID_ASK)).story == ["stop PENDING_NEW"]
    assert market.cancel(near).story[1:] == ["stop TRIGGERED"]


def test_bid_ask_is_met_at_entry(market: Market) -> None:
    """By the best opposite price of that moment."""
    market.sell("ALICE", 1, 103)
    assert market.buy("BOB", 1, 99, key="stop", **stop_limit(103, trigger_by=BID_ASK)).story[1:] == ["stop TRIGGERED"]


def test_triggers_by_mark(market: Market) -> None:
    """The reference price, and only it: a trade does not count."""
    market.buy("BOB", 1, 99, key="stop", **stop_limit(105, trigger_by=MARK))
    market.trade(110)
    assert market.reference(104).story == ["reference_price_set"]
    assert market.reference(105).story == ["reference_price_set", "stop TRIGGERED"]
    assert market.buy("BOB", 1, 99, key="now", **stop_limit(105, trigger_by=MARK)).story[1:] == ["now TRIGGERED"]


def test_nothing_triggers_outside_continuous(market: Market) -> None:
    """Neither at entry nor by a reference price; on entering CONTINUOUS it is looked at."""
    market.reference(105)
    market.session(TradingSession.CLOSED)
    market.session(TradingSession.PRE_OPEN)
    assert market.buy("BOB", 1, 99, key="mark", **stop_limit(105, trigger_by=MARK)).story == ["mark PENDING_NEW"]
    assert market.reference(106).story == ["reference_price_set"]
    market.sell("ALICE", 1, 107)
    assert market.buy("BOB", 1, 99, key="touch", **stop_limit(107, trigger_by=BID_ASK)).story == ["touch PENDING_NEW"]
    assert market.session(TradingSession.CONTINUOUS).story[1:] == ["touch TRIGGERED", "mark TRIGGERED"]


def test_on_entering_continuous_last_comes_before_bid_ask_and_mark(market: Market) -> None:
    """The last trade as one print, then BID_ASK, then MARK, whatever the ids."""
    market.trade(100)
    market.session(TradingSession.HALTED)
    market.session(TradingSession.OPENING_AUCTION)
    market.reference(100)
    market.sell("ALICE", 1, 100)
    for key, trigger_by in (("mark", MARK), ("touch", BID_ASK), ("last", LAST)):
        market.buy("BOB", 1, 90, key=key, **stop_limit(100, trigger_by=trigger_by))
    told = market.session(TradingSession.CONTINUOUS)
    assert told.story[1:] == ["last TRIGGERED", "touch TRIGGERED", "mark TRIGGERED"]


def test_all_triggered_by_one_print_follow_by_id(market: Market) -> None:
    """Purchases, sales and trails together, in the order of their ids and not of their prices."""
    market.open("CAROL")
    market.trade(100)
    market.buy("CAROL", 1, 90, key="1", **stop_limit(104))
    market.buy("CAROL", 1, key="2", **trailing(3))
    market.buy("CAROL", 1, 90, key="3", **stop_limit(102))
    market.sell("CAROL", 1, 190, key="4", **stop_limit(98))
    market.sell("CAROL", 1, 190, key="5", **stop_limit(99))
    market.sell("ALICE", 1, 105)
    told = market.buy("BOB", 1, 105)
    assert [line for line in told.story if "TRIGGERED" in line] == ["1 TRIGGERED", "2 TRIGGERED", "3 TRIGGERED"]
    market.sell("ALICE", 1, 98)
    told = market.buy("BOB", 1, 98)
    assert [line for line in told.story if "TRIGGERED" in line] == ["4 TRIGGERED", "5 TRIGGERED"]


def test_an_order_prints_its_first_and_its_last_trade_price(market: Market) -> None:
    """A sweep over 101, 102, 103 prints 101 and 103, in this order: 101's come first, whatever their id."""
    market.open("CAROL")
    market.buy("CAROL", 1, 90, key="late", **stop_limit(103))
    market.buy("CAROL", 1, 90, key="early", **stop_limit(101))
    for price in (101, 102, 103):
        market.sell("ALICE", 1, price)
    told = market.buy("BOB", 3, 103)
    assert told.story[-2:] == ["early TRIGGERED", "late TRIGGERED"]


def test_a_sale_s_stop_between_first_and_last_print_follows(market: Market) -> None:
    """Each print is applied in turn: a sale's stop above the first and a purchase's below the last both trigger."""
    market.open("CAROL")
    market.sell("CAROL", 1, 190, key="sell", **stop_limit(101))
    market.buy("CAROL", 1, 90, key="buy", **stop_limit(103))
    for price in (101, 103):
        market.sell("ALICE", 1, price)
    assert market.buy("BOB", 2, 103).story[-2:] == ["sell TRIGGERED", "buy TRIGGERED"]


def test_last_comes_before_bid_ask(market: Market) -> None:
    """After an order was worked: first who watches trades, then who watches the book."""
    market.open("CAROL")
    market.buy("CAROL", 1, 90, key="touch", **stop_limit(102, trigger_by=BID_ASK))
    market.buy("CAROL", 1, 90, key="last", **stop_limit(101))
    market.sell("ALICE", 1, 101)
    market.sell("ALICE", 1, 102)
    assert market.buy("BOB", 1, 101).story[-2:] == ["last TRIGGERED", "touch TRIGGERED"]


@pytest.mark.parametrize(
    ("unit", "offset", "prices", "expected"),
    [
        (1, 5, [100], 95),
        (1, 5, [100, 110], 105),
        (1, 5, [100, 110, 106], 105),
        (2, 250, [1000], 975),
        (2, 250, [1000, 1039], 1014),
        (2, 1, [100], 99),
        (1, 200, [100], 1),
    ],
)
def test_a_sale_s_trail_follows_upwards(
    market: Market, unit: int, offset: int, prices: list[int], expected: int
) -> None:
    """`price - offset` where that is higher; in BPS at least 1 tick off; never below 1 tick; no event for a move."""
    market.open("CAROL")
    (order,) = market.sell("CAROL", 1, **trailing(offset, trail_unit=unit))
    assert order.stop_px_ticks == 0
    for price in prices:
        market.sell("ALICE", 1, price)
        assert len(market.buy("BOB", 1, price)) == 3
    assert market.state(order).stop_px_ticks == expected


@pytest.mark.parametrize(
    ("unit", "offset", "prices", "expected"),
    [
        (1, 5, [100], 105),
        (1, 5, [100, 90], 95),
        (1, 5, [100, 90, 94], 95),
        (2, 250, [1000, 999], 1023),
        (2, 1, [9], 10),
    ],
)
def test_a_purchase_s_trail_follows_downwards(
    market: Market, unit: int, offset: int, prices: list[int], expected: int
) -> None:
    """`price + offset` where that is lower."""
    market.open("CAROL")
    (order,) = market.buy("CAROL", 1, **trailing(offset, trail_unit=unit))
    for price in prices:
        market.sell("ALICE", 1, price)
        assert len(market.buy("BOB", 1, price)) == 3
    assert market.state(order).stop_px_ticks == expected


def test_a_trail_begins_where_it_is_told_or_at_the_first_price_seen(market: Market) -> None:
    """With a stop_px it begins there, and moves on at entry already where the present price is better."""
    market.trade(100)
    given = market.sell("BOB", 1, **trailing(5, stop_px_ticks=97))[0]
    better = market.sell("BOB", 1, **trailing(5, stop_px_ticks=90))[0]
    seen = market.sell("BOB", 1, **trailing(5))[0]
    assert [market.state(order).stop_px_ticks for order in (given, better, seen)] == [97, 95, 95]


def test_a_trailing_stop_with_a_met_stop_goes_at_once(market: Market) -> None:
    """The trigger test comes first, against the stop_px that it has."""
    market.trade(100)
    told = market.sell("BOB", 1, key="trail", **trailing(5, stop_px_ticks=100))
    assert told.story[1:] == ["trail TRIGGERED", "trail CANCELED NO_LIQUIDITY"]


def test_a_print_tests_first_and_trails_then(market: Market) -> None:
    """100 then 94: the stop at 95 is met, as a MARKET order; a later rise does not bring it back."""
    market.open("CAROL")
    market.sell("CAROL", 1, key="trail", **trailing(5))
    market.trade(100)
    market.buy("BOB", 1, 93, key="bid")
    market.sell("ALICE", 1, 94, key="ask")
    told = market.buy("BOB", 1, 94, key="go")
    assert told.story[-3:] == ["trail TRIGGERED", "bid TRADE 1@93", "trail TRADE 1@93"]


def test_a_trail_may_follow_bid_and_ask(market: Market) -> None:
    """A sale's follows the best bid, a purchase's the best ask; an empty side moves nothing."""
    market.open("CAROL")
    (sale,) = market.sell("CAROL", 1, **trailing(5, trigger_by=BID_ASK))
    (purchase,) = market.buy("CAROL", 1, **trailing(5, trigger_by=BID_ASK))
    (bid,) = market.buy("ALICE", 1, 100)
    assert [market.state(order).stop_px_ticks for order in (sale, purchase)] == [95, 0]
    market.sell("ALICE", 1, 110)
    market.cancel(bid)
    assert [market.state(order).stop_px_ticks for order in (sale, purchase)] == [95, 115]


def test_a_trail_may_follow_the_mark(market: Market) -> None:
    """Each reference price moves it, and triggers it in the end."""
    (order,) = market.sell("BOB", 1, key="trail", **trailing(100, trail_unit=2, trigger_by=MARK))
    market.reference(1_000)
    assert market.state(order).stop_px_ticks == 990
    assert market.reference(990).story[1:] == ["trail TRIGGERED", "trail CANCELED NO_LIQUIDITY"]


def test_the_line_begins_again_with_bid_ask_of_every_instrument(market: Market) -> None:
    """When the line is empty, BID_ASK is looked at by symbol, and whoever is triggered is worked, and so on."""
    market.tell(ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    (low,) = market.sell("ALICE", 1, 101)
    market.sell("ALICE", 1, 102)
    market.buy("BOB", 1, 90, key="second", **stop_limit(102, trigger_by=BID_ASK))
    market.buy("BOB", 1, 90, key="never", symbol="ABC", **stop_limit(102, trigger_by=BID_ASK))
    assert market.tell(CancelOrder("ALICE", "", low.order_id)).story[1:] == ["second TRIGGERED"]


def test_funds_are_looked_at_when_it_is_its_turn(market: Market) -> None:
    """If a funds rule denies then, the order is CANCELED with its reason and numbers, cause SYSTEM."""
    market.open("CAROL", cash=1_000_000, lots=0)
    market.buy("CAROL", 10, 200, key="stop", **stop_limit(101))
    market.sell("ALICE", 1, 101)
    told = market.buy("BOB", 1, 101)
    assert told.story[-2:] == ["stop TRIGGERED", "stop CANCELED BUYING_POWER"]
    assert (told[-1].cause, told[-1].ord_status) == (Cause.SYSTEM, OrdStatus.CANCELED)
    assert (told[-1].risk.rule, told[-1].risk.limit, told[-1].risk.projected) == ("buying_power", 10**6, 20 * 10**6)


def test_a_stop_that_ends_before_its_turn_is_passed_over(market: Market) -> None:
    """Two stops of an OCO triggered by one print: the first to be activated cancels the other in the line."""
    market.open("CAROL")
    oco: dict[str, Any] = {"contingency_type": 1, "list_id": "L"}
    market.buy("CAROL", 1, 90, key="one", **stop_limit(101, **oco, leg=1))
    market.buy("CAROL", 1, 90, key="two", **stop_limit(101, **oco, leg=2))
    market.sell("ALICE", 1, 101)
    assert market.buy("BOB", 1, 101).story[-2:] == ["one TRIGGERED", "two CANCELED CONTINGENCY"]


def test_waiting_orders_can_be_cancelled_and_expire(market: Market) -> None:
    """From each of the three watches, with nothing left behind."""
    for trigger_by in (LAST, BID_ASK, MARK):
        (waiting,) = market.buy("BOB", 1, key=f"K{trigger_by}", **stop(105, trigger_by=trigger_by))
        (trail,) = market.sell("BOB", 1, key=f"T{trigger_by}", **trailing(5, trigger_by=trigger_by))
        assert market.cancel(waiting).story == [f"K{trigger_by} CANCELED"]
        assert market.cancel(trail).story == [f"T{trigger_by} CANCELED"]
    market.trade(105)
    assert market.reference(105).story == ["reference_price_set"]
    assert market.engine.venue.touch_watched == {}


def test_an_offset_counts_in_the_value_of_an_order(market: Market) -> None:
    """`qty × trail offset × worth` at most 2^62, in unit PRICE; basis points have their own bound."""
    at_most = 2**62 // 10_000
    assert market.buy("BOB", 1, key="A", **trailing(at_most + 1)).story == ["A REJECTED VALUE_TOO_LARGE qty"]
    assert market.buy("BOB", 1, key="B", **trailing(at_most)).story == ["B PENDING_NEW"]
    assert market.buy("BOB", at_most, key="C", **trailing(10_000, trail_unit=2)).story == ["C PENDING_NEW"]


def test_a_trail_never_goes_beyond_what_can_be_told(market: Market) -> None:
    """2^62 ticks at most, here of an instrument whose ticks are worth 10^-6."""
    market.tell(ListInstrument("ABC", 1, "USD", 10**3, 10**9))
    (order,) = market.buy("BOB", 1, symbol="ABC", **trailing(2**62))
    market.tell(AdjustPosition("ALICE", "ABC", 1, 1, "abc"))
    market.sell("ALICE", 1, 100, symbol="ABC")
    market.buy("BOB", 1, 100, symbol="ABC")
    assert market.state(order).stop_px_ticks == 2**62
