"""Section 2, self-trade prevention: the incoming order's mode decides, one test for each row of the table."""

import pytest

from matching.core.words import Cause, OrdStatus, Reason, SelfTradePrevention
from tests.unit.matching.market import Market

NEWEST = SelfTradePrevention.CANCEL_NEWEST
OLDEST = SelfTradePrevention.CANCEL_OLDEST
BOTH = SelfTradePrevention.CANCEL_BOTH
DECREMENT = SelfTradePrevention.DECREMENT


def crossing(market: Market, mode: int, own: int = 5, incoming: int = 8) -> list[str]:
    """ALICE's sale rests in front of BOB's; her purchase arrives. What is told after its acceptance."""
    market.sell("ALICE", own, 101, key="own", self_trade_prevention=BOTH)
    market.sell("BOB", 2, 101, key="other")
    return market.buy("ALICE", incoming, 101, key="bid", self_trade_prevention=mode).story[1:]


def test_cancel_newest(market: Market) -> None:
    """Row CANCEL_NEWEST: the resting order stays, the incoming order's rest is CANCELED."""
    assert crossing(market, NEWEST) == ["bid CANCELED SELF_TRADE"]
    assert market.asks() == ["own 5@101", "other 2@101"]


def test_cancel_newest_cancels_only_the_rest(market: Market) -> None:
    """What has traded before the own order was met stays traded."""
    market.sell("BOB", 2, 100, key="first")
    told = crossing(market, NEWEST)
    assert told == ["first TRADE 2@100", "bid TRADE 2@100", "bid CANCELED SELF_TRADE"]


def test_cancel_oldest(market: Market) -> None:
    """Row CANCEL_OLDEST: the resting order is CANCELED, the incoming one goes on."""
    assert crossing(market, OLDEST) == ["own CANCELED SELF_TRADE", "other TRADE 2@101", "bid TRADE 2@101"]
    assert (market.bids(), market.asks()) == (["bid 6@101"], [])


def test_cancel_both(market: Market) -> None:
    """Row CANCEL_BOTH: the resting order is CANCELED first, then the incoming one's rest."""
    assert crossing(market, BOTH) == ["own CANCELED SELF_TRADE", "bid CANCELED SELF_TRADE"]
    assert market.asks() == ["other 2@101"]


def test_decrement_with_more_coming_than_resting(market: Market) -> None:
    """Row DECREMENT: both lose the smaller quantity; the resting order has nothing left, the incoming one goes on."""
    assert crossing(market, DECREMENT) == [
        "own CANCELED SELF_TRADE", "bid RESTATED 3 SELF_TRADE", "other TRADE 2@101", "bid TRADE 2@101",
    ]  # fmt: skip
    assert market.bids() == ["bid 1@101"]


def test_decrement_with_more_resting_than_coming(market: Market) -> None:
    """Row DECREMENT: who has more left is RESTATED in its place, who has nothing left CANCELED; resting one first."""
    assert crossing(market, DECREMENT, incoming=3) == ["own RESTATED 2 SELF_TRADE", "bid CANCELED SELF_TRADE"]
    assert market.asks() == ["own 2@101", "other 2@101"]
    assert market.position("ALICE").held_lots == 2


def test_decrement_of_equals_leaves_neither(market: Market) -> None:
    """Row DECREMENT: both CANCELED, the resting one first."""
    assert crossing(market, DECREMENT, incoming=5) == ["own CANCELED SELF_TRADE", "bid CANCELED SELF_TRADE"]
    assert market.asks() == ["other 2@101"]


def test_decrement_takes_off_quantity_and_open_quantity(market: Market) -> None:
    """`qty` and `leaves` are lower by n; what has traded stays."""
    market.sell("ALICE", 6, 101, key="own")
    market.buy("BOB", 1, 101)
    restated = market.buy("ALICE", 2, 101, self_trade_prevention=DECREMENT)[1]
    assert (restated.qty_lots, restated.cum_qty_lots, restated.leaves_qty_lots) == (4, 1, 3)
    assert restated.ord_status == OrdStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("mode", [NEWEST, OLDEST, BOTH, DECREMENT])
def test_cause_and_reason_say_so(market: Market, mode: int) -> None:
    """Cause SELF_TRADE_PREVENTION, reason SELF_TRADE, on every event of it."""
    market.sell("ALICE", 5, 101)
    _, *told = market.buy("ALICE", 8, 101, self_trade_prevention=mode)
    assert {(event.cause, event.reason) for event in told} == {(Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)}


@pytest.mark.parametrize(
    ("alice", "bob", "is_own"), [("G", "G", True), ("G", "H", False), ("", "", False), ("G", "", False)]
)
def test_accounts_of_a_group_do_not_trade_with_each_other(market: Market, alice: str, bob: str, is_own: bool) -> None:
    """Own orders are those of the same account, or of accounts with the same group that is not empty."""
    market.configure("ALICE", self_trade_group=alice)
    market.configure("BOB", self_trade_group=bob)
    market.sell("ALICE", 5, 101, key="ask")
    told = market.buy("BOB", 5, 101, key="bid")
    expected = ["bid CANCELED SELF_TRADE"] if is_own else ["ask TRADE 5@101", "bid TRADE 5@101"]
    assert told.story[1:] == expected


def test_an_own_order_behind_others_is_no_matter(market: Market) -> None:
    """It decides when the order meets one at the front of a level, not before."""
    market.sell("BOB", 5, 101, key="first")
    market.sell("ALICE", 5, 101, key="own")
    assert market.buy("ALICE", 5, 101, key="bid").story[1:] == ["first TRADE 5@101", "bid TRADE 5@101"]
