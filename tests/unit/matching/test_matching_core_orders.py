"""Section 2, orders at work: price-time priority, times in force, collar, post-only, reduce-only, icebergs."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import Cause, ExecType, Liquidity, OrdStatus, OrdType, Reason, TimeInForce, TradingSession
from tests.unit.matching.market import Market

IOC, FOK, DAY, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY, TimeInForce.GTD


def test_an_order_that_meets_nobody_rests(market: Market) -> None:
    """NEW, all of it open, at its price."""
    (accepted,) = market.buy("ALICE", 5, 99, key="bid")
    assert (accepted.ord_status, accepted.qty_lots, accepted.leaves_qty_lots) == (OrdStatus.NEW, 5, 5)
    assert (accepted.cause, accepted.order_id) == (Cause.CLIENT, accepted.seq)
    assert market.bids() == ["bid 5@99"]


def test_price_comes_before_time(market: Market) -> None:
    """The better price trades first, at equal prices the older order; each at the resting order's price."""
    for key, price in (("dear", 103), ("old", 102), ("young", 102), ("cheap", 101)):
        market.sell("ALICE", 1, price, key=key)
    assert market.buy("BOB", 3, 103, key="bid").story == [
        "bid NEW",
        "cheap TRADE 1@101", "bid TRADE 1@101",
        "old TRADE 1@102", "bid TRADE 1@102",
        "young TRADE 1@102", "bid TRADE 1@102",
    ]  # fmt: skip
    assert market.asks() == ["dear 1@103"]


def test_bids_are_taken_from_the_highest(market: Market) -> None:
    """The same on the other side."""
    for key, price in (("low", 97), ("old", 98), ("young", 98)):
        market.buy("ALICE", 1, price, key=key)
    told = market.sell("BOB", 5, 98, key="ask")
    assert told.story[1::2] == ["old TRADE 1@98", "young TRADE 1@98"]
    assert (market.bids(), market.asks()) == (["low 1@97"], ["ask 3@98"])


def test_a_trade_is_two_events(market: Market) -> None:
    """The resting order's first; `trade_id` is the seq of the second, and each names the other order."""
    (ask,) = market.sell("ALICE", 5, 101)
    bid, maker, taker = market.buy("BOB", 3, 102)
    assert (maker.order_id, taker.order_id) == (ask.order_id, bid.order_id)
    assert (maker.trade_id, taker.trade_id) == (taker.seq, taker.seq)
    assert (maker.contra_order_id, taker.contra_order_id) == (bid.order_id, ask.order_id)
    assert (maker.liquidity, taker.liquidity) == (Liquidity.MAKER, Liquidity.TAKER)
    assert (maker.ord_status, maker.cum_qty_lots, maker.leaves_qty_lots) == (OrdStatus.PARTIALLY_FILLED, 3, 2)
    assert (taker.ord_status, taker.cum_qty_lots, taker.leaves_qty_lots) == (OrdStatus.FILLED, 3, 0)
    assert maker.cum_value_ticks_lots == taker.cum_value_ticks_lots == 303
    assert {maker.cause, taker.cause} == {Cause.TRADE}
    assert {maker.request, taker.request} == {0}


@pytest.mark.parametrize(("bps", "furthest"), [(1_000, 222), (100, 204), (99, 203), (10_000, 404)])
def test_a_market_purchase_goes_as_far_as_its_collar(market: Market, bps: int, furthest: int) -> None:
    """`floor(best * (10,000 + bps) / 10,000)`: trades at it, not a tick beyond; the rest is cancelled."""
    market.configure_instrument(market_collar_bps=bps)
    for price in (202, furthest, furthest + 1):
        market.sell("ALICE", 1, price, key=str(price))
    told = market.buy("BOB", 3, key="bid")
    assert told.story[1::2] == ["202 TRADE 1@202", f"{furthest} TRADE 1@{furthest}", "bid CANCELED NO_LIQUIDITY"]
    assert (told[-1].cause, told[-1].leaves_qty_lots, told[-1].cum_qty_lots) == (Cause.SYSTEM, 0, 2)
    assert market.asks() == [f"{furthest + 1} 1@{furthest + 1}"]


@pytest.mark.parametrize(("bps", "furthest"), [(1_000, 182), (100, 200), (99, 201)])
def test_a_market_sale_goes_as_far_as_its_collar(market: Market, bps: int, furthest: int) -> None:
    """`ceil(best * (10,000 - bps) / 10,000)`: at it, not a tick below."""
    market.configure_instrument(market_collar_bps=bps)
    for price in (202, furthest, furthest - 1):
        market.buy("ALICE", 1, price, key=str(price))
    told = market.sell("BOB", 3, key="ask")
    assert told.story[1::2] == ["202 TRADE 1@202", f"{furthest} TRADE 1@{furthest}", "ask CANCELED NO_LIQUIDITY"]


def test_a_market_sale_with_a_collar_of_everything_takes_every_bid(market: Market) -> None:
    """10,000 bps reach down to nothing: also a bid of one tick trades."""
    market.configure_instrument(market_collar_bps=10_000)
    market.buy("ALICE", 1, 202, key="best")
    market.buy("ALICE", 1, 1, key="worst")
    assert market.sell("BOB", 2, key="ask").story[1::2] == ["best TRADE 1@202", "worst TRADE 1@1"]


def test_a_market_order_that_meets_nobody_is_cancelled(market: Market) -> None:
    """NO_LIQUIDITY; it never rests, whatever its time in force."""
    assert market.buy("ALICE", 5, key="bid").story == ["bid NEW", "bid CANCELED NO_LIQUIDITY"]
    assert market.sell("ALICE", 5, key="ask", time_in_force=DAY).story == ["ask NEW", "ask CANCELED NO_LIQUIDITY"]


def test_day_ends_with_close_day_and_gtc_stays(market: Market) -> None:
    """EXPIRED, cause SYSTEM, nothing open."""
    market.buy("ALICE", 5, 98, key="day", time_in_force=DAY)
    market.buy("ALICE", 5, 99, key="gtc")
    told = market.tell(commands.CloseDay(20261122))
    assert told.story == ["day EXPIRED EXPIRED", "day_closed"]
    assert (told[0].ord_status, told[0].cause, told[0].leaves_qty_lots) == (OrdStatus.EXPIRED, Cause.SYSTEM, 0)
    assert market.bids() == ["gtc 5@99"]


def test_gtd_ends_with_the_first_time_tick_at_or_after_its_time(market: Market) -> None:
    """Not a nanosecond before, and not with the day."""
    at = market.now_unix_ns + 1_000
    market.buy("ALICE", 5, 99, key="gtd", time_in_force=GTD, expire_unix_ns=at)
    assert market.engine.due_unix_ns == at
    assert market.tell(commands.CloseDay(20261122)).story == ["day_closed"]
    assert market.wait_until(at - 1).story == ["time_advanced"]
    assert market.wait_until(at).story == ["time_advanced", "gtd EXPIRED EXPIRED"]
    assert market.engine.due_unix_ns == 0


@pytest.mark.parametrize("kind", ["LIMIT", "MARKET"])
def test_ioc_cancels_its_rest(market: Market, kind: str) -> None:
    """What can trade trades, the rest is CANCELED NO_LIQUIDITY."""
    market.sell("ALICE", 3, 101, key="ask")
    told = market.buy("BOB", 5, 101 if kind == "LIMIT" else 0, key="bid", time_in_force=IOC)
    assert told.story == ["bid NEW", "ask TRADE 3@101", "bid TRADE 3@101", "bid CANCELED NO_LIQUIDITY"]
    assert market.bids() == []


@pytest.mark.parametrize("price", [102, 0], ids=["LIMIT", "MARKET"])
def test_fok_trades_all_or_nothing(market: Market, price: int) -> None:
    """With one lot too few nothing has happened; with exactly enough all of it trades."""
    market.sell("ALICE", 3, 101, key="first")
    market.sell("ALICE", 2, 102, key="second")
    market.sell("ALICE", 9, 120, key="far")
    assert market.buy("BOB", 6, price, key="big", time_in_force=FOK).story == ["big NEW", "big CANCELED NOT_FILLABLE"]
    assert market.buy("BOB", 5, price, key="bid", time_in_force=FOK)[-1].ord_status == OrdStatus.FILLED
    assert market.asks() == ["far 9@120"]


def test_fok_without_anybody_is_not_fillable(market: Market) -> None:
    """Neither at a price nor at any."""
    for price in (99, 0):
        told = market.buy("BOB", 5, price, key=f"bid{price}", time_in_force=FOK)
        assert told.story[1:] == [f"bid{price} CANCELED NOT_FILLABLE"]


def test_min_qty_is_fok_for_that_much_and_then_ioc(market: Market) -> None:
    """One lot short of it nothing happens; with it the rest is IOC."""
    market.sell("ALICE", 3, 101, key="ask")
    few = market.buy("BOB", 9, 101, key="few", time_in_force=IOC, min_qty_lots=4)
    assert few.story == ["few NEW", "few CANCELED NOT_FILLABLE"]
    told = market.buy("BOB", 9, 101, key="bid", time_in_force=IOC, min_qty_lots=3)
    assert told.story == ["bid NEW", "ask TRADE 3@101", "bid TRADE 3@101", "bid CANCELED NO_LIQUIDITY"]


@pytest.mark.parametrize(("price", "line"), [(100, "bid REJECTED WOULD_TAKE price"), (99, "bid NEW")])
def test_post_only_rejects_instead_of_taking(market: Market, price: int, line: str) -> None:
    """At the best opposite price it would take, one tick away it rests."""
    market.sell("ALICE", 5, 100)
    assert market.buy("BOB", 5, price, key="bid", post_only=True).story == [line]


@pytest.mark.parametrize(("price", "line"), [(98, "ask REJECTED WOULD_TAKE price"), (99, "ask NEW")])
def test_a_post_only_sale_rejects_instead_of_taking(market: Market, price: int, line: str) -> None:
    """The same on the other side; an empty side takes everything."""
    assert market.sell("BOB", 5, price, key="first", post_only=True).story == ["first NEW"]
    market.cancel(market.engine.lookup("BOB", 0, "first")[0])  # type: ignore[index, arg-type]
    market.buy("ALICE", 5, 98)
    assert market.sell("BOB", 5, price, key="ask", post_only=True).story == [line]


def test_post_only_asks_not_who_rests_there(market: Market) -> None:
    """Also the own order would be taken."""
    market.sell("ALICE", 5, 100)
    told = market.buy("ALICE", 5, 100, key="bid", post_only=True, self_trade_prevention=2)
    assert told.story == ["bid REJECTED WOULD_TAKE price"]


def test_a_post_only_stop_limit_that_would_take_is_cancelled_at_its_turn(market: Market) -> None:
    """A triggered order that would take: CANCELED WOULD_TAKE, nothing traded."""
    terms: dict[str, Any] = {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 105, "post_only": True}
    market.buy("ALICE", 1, 110, key="stop", **terms)
    market.sell("BOB", 2, 105)
    told = market.buy("ALICE", 1, 105, time_in_force=IOC, key="go")
    assert told.story[-2:] == ["stop TRIGGERED", "stop CANCELED WOULD_TAKE price"]
    assert told[-1].cause == Cause.SYSTEM


def test_reduce_only_needs_something_to_reduce(market: Market) -> None:
    """A purchase with nothing short and a sale with nothing long: DENIED POSITION_INSUFFICIENT by `reduce_only`."""
    market.open("CAROL", lots=0)
    for told in (market.buy("CAROL", 5, 99, reduce_only=True), market.sell("CAROL", 5, 99, reduce_only=True)):
        assert (told[0].exec_type, told[0].reason) == (ExecType.DENIED, Reason.POSITION_INSUFFICIENT)
        assert told.numbers == ("reduce_only", "LOTS", 0, 0, 5, 0)


def test_reduce_only_trades_no_more_than_there_is(market: Market) -> None:
    """Short of 3, an incoming purchase of 5 trades 3; its turn is over then: CANCELED POSITION_INSUFFICIENT."""
    short_of_three(market)
    market.sell("ALICE", 9, 101, key="ask")
    told = market.buy("CAROL", 5, 101, key="cover", reduce_only=True)
    assert told.story == [
        "cover NEW", "ask TRADE 3@101", "cover TRADE 3@101", "cover CANCELED POSITION_INSUFFICIENT",
    ]  # fmt: skip
    assert (told[-1].cause, market.position("CAROL").qty_lots) == (Cause.SYSTEM, 0)


def test_a_resting_reduce_only_order_trades_no_more_than_there_is(market: Market) -> None:
    """Its rest is cancelled when it is its turn again, and the next in line goes on."""
    short_of_three(market)
    market.buy("CAROL", 5, 101, key="cover", reduce_only=True)
    market.buy("ALICE", 5, 101, key="behind")
    assert market.sell("BOB", 5, 101, key="ask").story == [
        "ask NEW",
        "cover TRADE 3@101", "ask TRADE 3@101",
        "cover CANCELED POSITION_INSUFFICIENT",
        "behind TRADE 2@101", "ask TRADE 2@101",
    ]  # fmt: skip


def test_reduce_only_is_not_asked_of_orders_that_wait(market: Market) -> None:
    """A stop may wait with nothing to reduce; at its turn it is cancelled with the rule's numbers."""
    market.open("CAROL", lots=0)
    stop: dict[str, Any] = {"ord_type": OrdType.STOP, "stop_px_ticks": 90, "reduce_only": True}
    assert market.sell("CAROL", 5, key="stop", **stop).story == ["stop PENDING_NEW"]
    market.sell("ALICE", 1, 90)
    told = market.buy("BOB", 1, 90)
    assert told.story[-2:] == ["stop TRIGGERED", "stop CANCELED POSITION_INSUFFICIENT"]
    assert (told[-1].risk.rule, told[-1].risk.projected, told[-1].cause) == ("reduce_only", 5, Cause.SYSTEM)


def short_of_three(market: Market) -> None:
    """CAROL is short of 3 lots."""
    market.open("CAROL", lots=0)
    market.configure("CAROL", short_sale_permitted=True)
    market.buy("ALICE", 3, 100)
    market.short("CAROL", 3, 100)


def test_an_iceberg_shows_a_part(market: Market) -> None:
    """`min(display_qty, leaves)` while it rests; its acceptance says 0, as it was not in the book then."""
    (accepted,) = market.sell("ALICE", 10, 101, key="ice", display_qty_lots=3)
    assert (accepted.display_qty_lots, accepted.shown_qty_lots) == (3, 0)
    assert market.state(accepted).shown_qty_lots == 3


def test_only_what_is_shown_trades_at_its_turn(market: Market) -> None:
    """Used up, it is filled up from the hidden part and goes to the back; the event shows the state after that."""
    market.sell("ALICE", 7, 101, key="ice", display_qty_lots=3)
    market.sell("ALICE", 2, 101, key="behind")
    told = market.buy("BOB", 8, 101, key="bid")
    assert told.story[1::2] == [
        "ice TRADE 3@101", "behind TRADE 2@101", "ice TRADE 3@101",
    ]  # fmt: skip
    assert [event.shown_qty_lots for event in told[1::4]] == [3, 1]
    assert market.asks() == ["ice 1@101"]


def test_a_part_of_what_is_shown_keeps_the_place(market: Market) -> None:
    """An iceberg of which something is still shown stays at the front."""
    (ice,) = market.sell("ALICE", 7, 101, key="ice", display_qty_lots=3)
    market.sell("ALICE", 2, 101, key="behind")
    told = market.buy("BOB", 2, 101)
    assert (told[1].shown_qty_lots, market.state(ice).shown_qty_lots) == (1, 1)
    assert market.asks() == ["ice 5@101", "behind 2@101"]


def test_an_iceberg_that_is_filled_shows_nothing(market: Market) -> None:
    """0 while it is not in the book."""
    market.sell("ALICE", 3, 101, display_qty_lots=3)
    assert market.buy("BOB", 3, 101)[1].shown_qty_lots == 0


def test_an_arriving_iceberg_trades_with_all_of_its_quantity(market: Market) -> None:
    """What it shows matters only once it rests."""
    market.buy("BOB", 6, 101, key="bid")
    told = market.sell("ALICE", 10, 101, key="ice", display_qty_lots=3)
    assert told.story == ["ice NEW", "bid TRADE 6@101", "ice TRADE 6@101"]
    assert (told[-1].shown_qty_lots, market.state(told[0]).shown_qty_lots) == (0, 3)


@pytest.mark.parametrize(
    ("trading_session", "reason"),
    [(TradingSession.CLOSED, "SESSION_CLOSED"), (TradingSession.HALTED, "HALTED")],
)
def test_nothing_is_matched_outside_continuous(market: Market, trading_session: int, reason: str) -> None:
    """An activated order that may rest rests, the others are cancelled: SESSION_CLOSED, or HALTED in a halt."""
    market.sell("ALICE", 5, 101, key="ask")
    (parent,) = market.buy("BOB", 5, 90, key="parent", contingency_type=2, list_id="L", leg=1)
    market.buy("BOB", 2, 101, key="limit", contingency_type=2, list_id="L", leg=2)
    market.buy("BOB", 2, key="market", contingency_type=2, list_id="L", leg=3)
    market.buy("BOB", 2, 101, key="ioc", contingency_type=2, list_id="L", leg=4, time_in_force=IOC)
    market.sell("ALICE", 1, 90)
    market.session(trading_session)
    assert market.cancel(parent).story == [
        "parent CANCELED",
        *[f"{key} RESTATED 1 CONTINGENCY" for key in ("limit", "market", "ioc")],
        "limit TRIGGERED",
        "market TRIGGERED", f"market CANCELED {reason}",
        "ioc TRIGGERED", f"ioc CANCELED {reason}",
    ]  # fmt: skip
    assert (market.bids(), market.asks()) == (["limit 1@101"], ["ask 5@101"])
