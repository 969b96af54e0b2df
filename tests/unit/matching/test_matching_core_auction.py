"""Section 3, the uncross: rules 1 to 4 of its price with hand-made books, and the trades at it."""

from typing import Any

import pytest

from matching.core.words import Cause, Liquidity, OrdType, SelfTradePrevention, TradingSession, TriggerBy
from tests.unit.matching.market import Market, Told

CLOSED, PRE_OPEN, CONTINUOUS = TradingSession.CLOSED, TradingSession.PRE_OPEN, TradingSession.CONTINUOUS
OLDEST = SelfTradePrevention.CANCEL_OLDEST


@pytest.fixture
def auction(market: Market) -> Market:
    """The market before its opening."""
    market.session(CLOSED)
    market.session(PRE_OPEN)
    return market


def uncrossed(market: Market, bids: dict[int, int], asks: dict[int, int]) -> tuple[int, int]:
    """The price and quantity of the auction of a book, as the event says; BOB buys, ALICE sells (price: lots)."""
    for price, lots in bids.items():
        market.buy("BOB", lots, price)
    for price, lots in asks.items():
        market.sell("ALICE", lots, price)
    told = market.session(CONTINUOUS)
    fields = told[0].fields
    traded = sum(event.last_qty_lots for event in told[1:]) // 2
    assert {event.last_px_ticks for event in told[1:]} == {fields["auction_px_ticks"]}
    assert traded == fields["auction_qty_lots"]
    assert not market.listing().book.is_crossed()
    return fields["auction_px_ticks"], traded


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        # At 100: 10 against 10, at 101: 5 against 12, at 102: 5 against 20.
        ({102: 5, 100: 5}, {100: 10, 101: 2, 102: 8}, (100, 10)),
        # At 99: 14 against 4, at 100: 9 against 4, at 101: 9 against 9, at 103: 3 against 9.
        ({99: 5, 101: 6, 103: 3}, {98: 4, 101: 5}, (101, 9)),
        ({100: 7}, {100: 7}, (100, 7)),
    ],
)
def test_rule_1_the_largest_executable_quantity(
    auction: Market, bids: dict[int, int], asks: dict[int, int], expected: tuple[int, int]
) -> None:
    """The smaller of bids at or above and asks at or below."""
    assert uncrossed(auction, bids, asks) == expected


def test_rule_2_the_smallest_surplus(auction: Market) -> None:
    """At 100 to 102 five can trade: 9 bids against 5 at 100, 6 at 101, 5 at 102 leaves a surplus of none there."""
    assert uncrossed(auction, {102: 5, 101: 1, 100: 3}, {100: 5}) == (102, 5)


def test_rule_2_counts_both_ways(auction: Market) -> None:
    """A surplus of asks is as bad as one of bids: 5 against 6 at 101 is nearer than 9 against 5 at 100."""
    assert uncrossed(auction, {101: 5, 100: 4}, {100: 5, 101: 1}) == (101, 5)


def test_rule_3_the_highest_where_bids_press(auction: Market) -> None:
    """Five can trade at 100 and at 102, each with 3 more bids: the highest."""
    assert uncrossed(auction, {102: 8}, {100: 5}) == (102, 5)


def test_rule_3_the_lowest_where_asks_press(auction: Market) -> None:
    """Each with 3 more asks: the lowest."""
    assert uncrossed(auction, {102: 5}, {100: 8}) == (100, 5)


@pytest.mark.parametrize(("reference", "price"), [(0, 100), (99, 100), (100, 100), (101, 102), (102, 102), (150, 102)])
def test_rule_4_the_nearest_to_the_reference_price(auction: Market, reference: int, price: int) -> None:
    """The higher of two equally near; without a reference the lowest."""
    if reference:
        auction.reference(reference)
    assert uncrossed(auction, {102: 5}, {100: 5}) == (price, 5)


def test_rule_4_the_reference_is_else_the_last_trade(market: Market) -> None:
    """A reference price comes before it."""
    market.trade(102)
    market.session(TradingSession.HALTED)
    market.session(TradingSession.OPENING_AUCTION)
    assert uncrossed(market, {102: 5}, {100: 5}) == (102, 5)
    market.session(TradingSession.HALTED)
    market.session(TradingSession.OPENING_AUCTION)
    market.reference(99)
    assert uncrossed(market, {102: 5}, {100: 5}) == (100, 5)


def test_rule_4_also_decides_between_opposite_surpluses(auction: Market) -> None:
    """One price with more bids, one with as many more asks: neither side presses, the reference decides."""
    auction.reference(101)
    assert uncrossed(auction, {100: 3, 101: 5}, {100: 5, 101: 3}) == (101, 5)


@pytest.mark.parametrize(("bids", "asks"), [({}, {}), ({99: 5}, {}), ({}, {101: 5}), ({99: 5}, {100: 5})])
def test_a_book_that_is_not_crossed_has_no_auction(auction: Market, bids: dict[int, int], asks: dict[int, int]) -> None:
    """Price and quantity are 0, nothing trades, and there is no last trade."""
    for price, lots in bids.items():
        auction.buy("BOB", lots, price)
    for price, lots in asks.items():
        auction.sell("ALICE", lots, price)
    (told,) = auction.session(CONTINUOUS)
    assert (told.fields["auction_px_ticks"], told.fields["auction_qty_lots"]) == (0, 0)
    assert auction.listing().last_ticks == 0


def test_best_bid_meets_best_ask_price_time_at_one_price(auction: Market) -> None:
    """The older order is the resting one; liquidity is AUCTION on both; cause TRADE; one trade_id a pair."""
    auction.buy("BOB", 2, 101, key="b1")
    auction.sell("ALICE", 3, 100, key="a1")
    auction.buy("BOB", 2, 102, key="b2")
    auction.sell("ALICE", 3, 101, key="a2")
    auction.buy("BOB", 2, 101, key="b3")
    told = auction.session(CONTINUOUS)
    assert told.story == [
        "trading_session_changed CONTINUOUS",
        "a1 TRADE 2@101", "b2 TRADE 2@101",
        "b1 TRADE 1@101", "a1 TRADE 1@101",
        "b1 TRADE 1@101", "a2 TRADE 1@101",
        "a2 TRADE 2@101", "b3 TRADE 2@101",
    ]  # fmt: skip
    assert {event.liquidity for event in told[1:]} == {Liquidity.AUCTION}
    assert {event.cause for event in told[1:]} == {Cause.TRADE}
    assert [event.trade_id for event in told[1::2]] == [event.seq for event in told[2::2]]
    assert (auction.bids(), auction.asks()) == ([], [])


def test_the_rest_stays_with_its_hold(auction: Market) -> None:
    """What has not traded is as if it had rested all the time."""
    auction.buy("BOB", 5, 102, key="bid")
    auction.sell("ALICE", 3, 100, key="ask")
    auction.session(CONTINUOUS)
    assert auction.bids() == ["bid 2@102"]
    assert auction.cash("BOB").held_micro == 2 * 102 * 10_000
    assert (auction.position("ALICE").held_lots, auction.cash("ALICE").held_micro) == (0, 0)


def test_whole_quantities_trade_hidden_ones_included(auction: Market) -> None:
    """Without refills in between: an iceberg keeps its place in the auction, and shows a part again afterwards."""
    (ice,) = auction.sell("ALICE", 10, 100, key="ice", display_qty_lots=2)
    auction.sell("ALICE", 5, 100, key="behind")
    auction.buy("BOB", 8, 100, key="bid")
    told = auction.session(CONTINUOUS)
    assert told.story[1:] == ["ice TRADE 8@100", "bid TRADE 8@100"]
    assert (told[1].shown_qty_lots, auction.state(ice).shown_qty_lots) == (2, 2)


def test_an_iceberg_with_less_left_than_it_shows(auction: Market) -> None:
    """`min(display_qty, leaves)`, and 0 when it is filled."""
    auction.sell("ALICE", 10, 100, display_qty_lots=4)
    auction.buy("BOB", 7, 100)
    assert auction.session(CONTINUOUS)[1].shown_qty_lots == 3


@pytest.mark.parametrize(
    ("mode", "story"),
    [
        (SelfTradePrevention.CANCEL_NEWEST, ["new CANCELED SELF_TRADE"]),
        (OLDEST, ["old CANCELED SELF_TRADE"]),
        (SelfTradePrevention.CANCEL_BOTH, ["old CANCELED SELF_TRADE", "new CANCELED SELF_TRADE"]),
        (SelfTradePrevention.DECREMENT, ["old CANCELED SELF_TRADE", "new RESTATED 3 SELF_TRADE"]),
    ],
)
def test_the_younger_order_s_self_trade_mode_applies(auction: Market, mode: int, story: list[str]) -> None:
    """The older one, by its arrival in the book, is the resting one."""
    auction.sell("ALICE", 5, 100, key="old", self_trade_prevention=SelfTradePrevention.CANCEL_BOTH)
    auction.buy("ALICE", 8, 100, key="new", self_trade_prevention=mode)
    assert auction.session(CONTINUOUS).story[1:] == story


def test_a_decremented_younger_order_ends_when_the_older_is_larger(auction: Market) -> None:
    """The older is RESTATED in its place, the younger CANCELED; the others go on."""
    auction.sell("ALICE", 5, 100, key="old")
    auction.buy("ALICE", 3, 100, key="new", self_trade_prevention=SelfTradePrevention.DECREMENT)
    auction.buy("BOB", 2, 100, key="bid")
    told = auction.session(CONTINUOUS)
    assert told.story[1:] == [
        "old RESTATED 2 SELF_TRADE", "new CANCELED SELF_TRADE", "old TRADE 2@100", "bid TRADE 2@100",
    ]  # fmt: skip


def test_arrival_is_that_in_the_book(auction: Market) -> None:
    """An order that has lost its place by a replace is the younger one."""
    (first,) = auction.sell("ALICE", 5, 100, key="ask")
    auction.buy("BOB", 5, 100, key="bid")
    auction.replace(first, qty=6, key="ask2")
    assert auction.session(CONTINUOUS).story[1:] == ["bid TRADE 5@100", "ask2 TRADE 5@100"]


def test_own_legs_of_an_oco_that_meet(auction: Market) -> None:
    """The cancelled older leg takes the younger one along: CONTINGENCY."""
    oco: dict[str, Any] = {"contingency_type": 1, "list_id": "L"}
    mode = SelfTradePrevention.CANCEL_BOTH
    auction.sell("ALICE", 5, 100, key="one", leg=1, **oco)
    auction.buy("ALICE", 5, 100, key="two", leg=2, self_trade_prevention=mode, **oco)
    assert auction.session(CONTINUOUS).story[1:] == ["one CANCELED SELF_TRADE", "two CANCELED CONTINGENCY"]


def test_within_continuous_the_book_is_never_crossed(auction: Market) -> None:
    """An uncross whose quantity falls to self-trade prevention is done once more from the beginning."""
    auction.sell("ALICE", 100, 100, key="own")
    auction.sell("BOB", 10, 105, key="other")
    auction.buy("ALICE", 100, 105, key="bid", self_trade_prevention=OLDEST)
    told = auction.session(CONTINUOUS)
    assert (told[0].fields["auction_px_ticks"], told[0].fields["auction_qty_lots"]) == (100, 100)
    assert told.story[1:] == ["own CANCELED SELF_TRADE", "other TRADE 10@105", "bid TRADE 10@105"]
    assert (auction.bids(), auction.asks()) == (["bid 90@105"], [])


def test_an_auction_without_a_trade_prints_nothing(auction: Market) -> None:
    """Where self-trade prevention takes all of it, there is no last trade and the band stays where it was."""
    auction.reference(50)
    auction.sell("ALICE", 5, 100, key="old")
    auction.buy("ALICE", 5, 100, key="new", self_trade_prevention=SelfTradePrevention.CANCEL_BOTH)
    told = auction.session(CONTINUOUS)
    assert told.story[1:] == ["old CANCELED SELF_TRADE", "new CANCELED SELF_TRADE"]
    assert (auction.listing().last_ticks, auction.listing().band_ticks) == (0, 50)


def test_reduce_only_orders_trade_what_they_may(auction: Market) -> None:
    """Measured before each trade; with nothing to reduce they are cancelled, the older one first."""
    auction.open("CAROL", lots=0)
    auction.configure("CAROL", short_sale_permitted=True)
    auction.buy("ALICE", 3, 100)
    auction.tell(auction.order("CAROL", 5, 3, 100))
    auction.session(CONTINUOUS)
    auction.session(TradingSession.HALTED)
    auction.session(TradingSession.OPENING_AUCTION)
    auction.buy("CAROL", 5, 101, key="c1", reduce_only=True)
    auction.buy("CAROL", 5, 101, key="c2", reduce_only=True)
    auction.sell("BOB", 5, 101, key="ask")
    auction.buy("ALICE", 1, 101, key="bid")
    assert auction.session(CONTINUOUS).story[1:] == [
        "c1 TRADE 3@101", "ask TRADE 3@101",
        "c1 CANCELED POSITION_INSUFFICIENT", "c2 CANCELED POSITION_INSUFFICIENT",
        "ask TRADE 1@101", "bid TRADE 1@101",
    ]  # fmt: skip


def test_a_trade_of_the_auction_settles_its_lists(auction: Market) -> None:
    """The other leg ends before the next trade, a parent's children come into line behind the auction."""
    auction.sell("ALICE", 2, 100, key="one", contingency_type=1, list_id="L", leg=1)
    auction.sell("ALICE", 2, 101, key="two", contingency_type=1, list_id="L", leg=2)
    auction.buy("BOB", 2, 102, key="parent", contingency_type=2, list_id="L", leg=1)
    auction.buy("BOB", 1, 90, key="child", contingency_type=2, list_id="L", leg=2)
    told = auction.session(CONTINUOUS)
    assert told.story[1:] == [
        "one TRADE 2@100", "parent TRADE 2@100", "two CANCELED CONTINGENCY", "child TRIGGERED",
    ]  # fmt: skip


def test_the_price_prints_and_triggers_are_looked_at(auction: Market) -> None:
    """After the trades, as one print, when the new session is CONTINUOUS."""
    auction.open("CAROL")
    auction.buy("CAROL", 1, 90, key="stop", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=100)
    auction.buy("CAROL", 1, 90, key="mark", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=1, trigger_by=TriggerBy.MARK)
    auction.sell("ALICE", 1, 100, key="ask")
    auction.buy("BOB", 1, 100, key="bid")
    assert auction.session(CONTINUOUS).story[1:] == ["ask TRADE 1@100", "bid TRADE 1@100", "stop TRIGGERED"]
    assert auction.listing().last_ticks == 100


def closing(market: Market, after: int) -> Told:
    """A closing auction with a crossed book and a stop, and what comes after it."""
    market.session(TradingSession.CLOSING_AUCTION)
    market.buy("ALICE", 1, 90, key="stop", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=100)
    market.sell("ALICE", 1, 100, key="ask")
    market.buy("BOB", 1, 100, key="bid")
    return market.session(after)


def test_the_closing_auction_uncrosses_into_closed(market: Market) -> None:
    """It trades, prints, and triggers nothing."""
    told = closing(market, CLOSED)
    assert told.story[1:] == ["ask TRADE 1@100", "bid TRADE 1@100"]
    assert market.listing().last_ticks == 100


def test_a_closing_auction_that_is_halted_does_not_uncross(market: Market) -> None:
    """Only into CLOSED."""
    told = closing(market, TradingSession.HALTED)
    assert len(told) == 1
    assert market.listing().book.is_crossed()
    assert len(market.session(CLOSED)) == 1


def test_the_opening_does_not_uncross_into_closed(auction: Market) -> None:
    """A pre-opening that ends closed leaves the book as it is."""
    auction.sell("ALICE", 1, 100)
    auction.buy("BOB", 1, 100)
    (told,) = auction.session(CLOSED)
    assert told.fields["auction_qty_lots"] == 0
