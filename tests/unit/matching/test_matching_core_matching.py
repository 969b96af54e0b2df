"""Matching: price-time priority, who trades with whom, at what price, and what becomes of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.words import (
    Cause,
    ExecType,
    Liquidity,
    OrdStatus,
    Reason,
    RequestKind,
    TimeInForce,
)

if TYPE_CHECKING:
    from matching.core.events import OrderEvent
    from tests.unit.matching.conftest import Floor


def fills(events: list[OrderEvent]) -> list[tuple[int, int, int]]:
    """Maker, price and quantity of each trade among the events of a taker."""
    return [
        (event.contra_order_id, event.last_px_ticks, event.last_qty_lots)
        for event in events
        if event.liquidity == Liquidity.TAKER
    ]


def test_an_order_that_meets_nobody_rests(floor: Floor) -> None:
    """A limit order that nothing matches is accepted as NEW and stands in the book with all its lots."""
    (accepted,) = floor.buy("ALICE", 10, 99, cl_ord_id="A1", decision_maker="ann", strategy_id="s1")
    assert (accepted.seq, accepted.command_seq, accepted.order_id, accepted.account_seq) == (8, 8, 8, 1)
    assert (accepted.exec_type, accepted.ord_status) == (ExecType.NEW, OrdStatus.NEW)
    assert (accepted.cause, accepted.request, accepted.reason) == (Cause.CLIENT, RequestKind.SUBMIT, Reason.NONE)
    assert (accepted.qty_lots, accepted.price_ticks, accepted.leaves_qty_lots, accepted.cum_qty_lots) == (10, 99, 10, 0)
    assert (accepted.cl_ord_id, accepted.terms.decision_maker, accepted.terms.strategy_id) == ("A1", "ann", "s1")
    assert floor.bids() == [(99, 10, [8])]
    assert floor.asks() == []


def test_the_best_price_trades_first(floor: Floor) -> None:
    """A buyer takes the lowest ask first, whatever came first in time."""
    (dear,) = floor.sell("ALICE", 5, 102)
    (cheap,) = floor.sell("ALICE", 5, 101)
    assert fills(floor.buy("BOB", 8, 102)) == [(cheap.order_id, 101, 5), (dear.order_id, 102, 3)]
    assert floor.asks() == [(102, 2, [dear.order_id])]


def test_the_highest_bid_trades_first(floor: Floor) -> None:
    """A seller hits the highest bid first."""
    (low,) = floor.buy("ALICE", 5, 98)
    (high,) = floor.buy("ALICE", 5, 99)
    assert fills(floor.sell("BOB", 8, 98)) == [(high.order_id, 99, 5), (low.order_id, 98, 3)]
    assert floor.bids() == [(98, 2, [low.order_id])]


def test_at_one_price_the_oldest_trades_first(floor: Floor) -> None:
    """Orders at the same price trade in the order of their arrival."""
    ids = [floor.sell("ALICE", 5, 101)[0].order_id for _ in range(3)]
    assert fills(floor.buy("BOB", 11, 101)) == [(ids[0], 101, 5), (ids[1], 101, 5), (ids[2], 101, 1)]
    assert floor.asks() == [(101, 4, [ids[2]])]


def test_a_trade_is_at_the_price_of_the_order_that_rested(floor: Floor) -> None:
    """Whoever comes with a better limit than needed gets the better price."""
    (maker,) = floor.sell("ALICE", 5, 101)
    assert fills(floor.buy("BOB", 5, 110)) == [(maker.order_id, 101, 5)]


def test_an_order_at_a_worse_price_does_not_trade(floor: Floor) -> None:
    """A bid one tick below the ask leaves both in the book."""
    (ask,) = floor.sell("ALICE", 5, 101)
    (bid,) = floor.buy("BOB", 5, 100)
    assert (floor.bids(), floor.asks()) == ([(100, 5, [bid.order_id])], [(101, 5, [ask.order_id])])


def test_the_rest_of_a_limit_order_rests_at_its_own_limit(floor: Floor) -> None:
    """What a limit order could not trade becomes the best price of its side."""
    floor.sell("ALICE", 5, 101)
    first = floor.buy("BOB", 8, 103)[0]
    assert floor.bids() == [(103, 3, [first.order_id])]
    assert floor.asks() == []


def test_a_trade_is_told_from_both_sides(floor: Floor) -> None:
    """The maker's event comes first; both carry the taker's seq as the trade, and the state of their own order."""
    (maker,) = floor.sell("ALICE", 5, 101)
    accepted, made, took = floor.buy("BOB", 8, 101)
    assert [event.seq for event in (maker, accepted, made, took)] == [8, 9, 10, 11]
    assert {event.command_seq for event in (accepted, made, took)} == {9}
    assert (made.trade_id, took.trade_id) == (11, 11)
    assert (made.order_id, made.contra_order_id, made.terms.account, made.liquidity) == (8, 9, "ALICE", Liquidity.MAKER)
    assert (took.order_id, took.contra_order_id, took.terms.account, took.liquidity) == (9, 8, "BOB", Liquidity.TAKER)
    assert (made.ord_status, made.cum_qty_lots, made.leaves_qty_lots) == (OrdStatus.FILLED, 5, 0)
    assert (took.ord_status, took.cum_qty_lots, took.leaves_qty_lots) == (OrdStatus.PARTIALLY_FILLED, 5, 3)
    assert (made.exec_type, made.cause, made.request) == (ExecType.TRADE, Cause.TRADE, RequestKind.NONE)


def test_the_traded_value_adds_up_over_the_fills(floor: Floor) -> None:
    """`cum_value` is the sum of price times quantity, from which the average price comes."""
    floor.sell("ALICE", 2, 101)
    floor.sell("ALICE", 3, 102)
    last = floor.buy("BOB", 5, 102)[-1]
    assert (last.cum_qty_lots, last.cum_value_ticks_lots, last.ord_status) == (5, 2 * 101 + 3 * 102, OrdStatus.FILLED)


def test_account_sequences_are_dense_for_each_account(floor: Floor) -> None:
    """Every event of an account's orders has the account's next number, a counterparty's trade included."""
    alice = [floor.sell("ALICE", 5, 101)[0]]
    accepted, made, took = floor.buy("BOB", 5, 101)
    alice.append(made)
    assert [event.account_seq for event in alice] == [1, 2]
    assert [event.account_seq for event in (accepted, took)] == [1, 2]


def test_a_market_order_takes_every_level_it_needs(floor: Floor) -> None:
    """A market order has no limit: it goes up the book until it is filled."""
    floor.sell("ALICE", 1, 101)
    floor.sell("ALICE", 1, 150)
    accepted, *_, last = floor.buy("BOB", 2)
    assert (accepted.price_ticks, last.ord_status, last.cum_value_ticks_lots) == (0, OrdStatus.FILLED, 251)


def test_the_rest_of_a_market_order_is_cancelled(floor: Floor) -> None:
    """A market order never rests: what the book cannot give ends with NO_LIQUIDITY, even when it is GTC."""
    floor.sell("ALICE", 3, 101)
    last = floor.buy("BOB", 5, time_in_force=TimeInForce.GTC)[-1]
    assert (last.exec_type, last.ord_status, last.reason) == (
        ExecType.CANCELED,
        OrdStatus.CANCELED,
        Reason.NO_LIQUIDITY,
    )
    assert (last.cause, last.cum_qty_lots, last.leaves_qty_lots) == (Cause.SYSTEM, 3, 0)
    assert floor.bids() == []


def test_a_market_order_in_an_empty_book_is_accepted_and_cancelled(floor: Floor) -> None:
    """Two events: the acceptance, and the end for want of liquidity."""
    accepted, ended = floor.sell("BOB", 5)
    assert (accepted.exec_type, ended.exec_type, ended.reason) == (
        ExecType.NEW,
        ExecType.CANCELED,
        Reason.NO_LIQUIDITY,
    )


def test_an_ioc_order_trades_within_its_limit_and_never_rests(floor: Floor) -> None:
    """IOC takes what its limit allows at once; the rest is cancelled."""
    floor.sell("ALICE", 3, 101)
    floor.sell("ALICE", 3, 102)
    events = floor.buy("BOB", 5, 101, time_in_force=TimeInForce.IOC)
    assert [event.last_qty_lots for event in events if event.liquidity == Liquidity.TAKER] == [3]
    assert (events[-1].ord_status, events[-1].cum_qty_lots, events[-1].reason) == (
        OrdStatus.CANCELED,
        3,
        Reason.NO_LIQUIDITY,
    )
    assert floor.bids() == []


def test_a_filled_ioc_order_has_no_cancel(floor: Floor) -> None:
    """Nothing is left to cancel when all of it has traded."""
    floor.sell("ALICE", 3, 101)
    events = floor.buy("BOB", 3, 101, time_in_force=TimeInForce.IOC)
    assert [event.exec_type for event in events] == [ExecType.NEW, ExecType.TRADE, ExecType.TRADE]


def test_self_trade_prevention_cancels_the_newest(floor: Floor) -> None:
    """CANCEL_NEWEST ends the incoming order when the next to trade is its own account's; the resting one stays."""
    (own,) = floor.sell("ALICE", 5, 101)
    accepted, ended = floor.buy("ALICE", 5, 101)
    assert accepted.exec_type == ExecType.NEW
    assert (ended.exec_type, ended.reason, ended.cause) == (
        ExecType.CANCELED,
        Reason.SELF_TRADE,
        Cause.SELF_TRADE_PREVENTION,
    )
    assert (floor.bids(), floor.asks()) == ([], [(101, 5, [own.order_id])])


def test_self_trade_prevention_lets_older_orders_of_others_trade_first(floor: Floor) -> None:
    """Only the own order itself stops the taker: what stands before it still trades, what stands behind does not."""
    (others,) = floor.sell("BOB", 2, 101)
    floor.sell("ALICE", 2, 101)
    floor.sell("BOB", 2, 101)
    events = floor.buy("ALICE", 6, 101)
    assert fills(events) == [(others.order_id, 101, 2)]
    assert (events[-1].reason, events[-1].cum_qty_lots, events[-1].leaves_qty_lots) == (Reason.SELF_TRADE, 2, 0)


def test_an_own_order_that_is_not_reached_does_no_harm(floor: Floor) -> None:
    """An own order beyond the limit or behind the fill is no self-trade."""
    floor.sell("BOB", 2, 101)
    floor.sell("ALICE", 2, 102)
    assert floor.buy("ALICE", 2, 101)[-1].ord_status == OrdStatus.FILLED


def test_a_level_that_is_used_up_is_gone(floor: Floor) -> None:
    """After its last order has traded, a price is no longer in the book, and can come back."""
    floor.sell("ALICE", 2, 101)
    floor.buy("BOB", 2, 101)
    assert floor.asks() == []
    (again,) = floor.sell("ALICE", 2, 101)
    assert floor.asks() == [(101, 2, [again.order_id])]
