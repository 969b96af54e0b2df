"""What has happened to others, and would not here: Knight, 1 August 2012, and the Nordic basket, 2 May 2022.

Knight: dead code of a router sent child orders for parents that had long been filled: 4 million executions in 154
instruments within 45 minutes, 460 million dollars. Nordic: a trader at a London desk typed 58 million, meant as
dollars, into the quantity field of a basket; it was built as one of 444 billion dollars.
"""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import ContingencyType, KillSwitchScope, OrdStatus, OrdType, Side, TimeInForce
from tests.unit.matching.market import SECOND_NS, TICK_MICRO, Market, Told, numbers

OTO = ContingencyType.OTO


def child(market: Market, number: int, qty: int = 100, **terms: Any) -> Told:
    """One more of the children that the router sends: BOB buys at what the market asks."""
    market.now_unix_ns += SECOND_NS // 1_000
    return market.buy("BOB", qty, 100, key=f"child{number}", time_in_force=TimeInForce.IOC, **terms)


@pytest.mark.parametrize("filled", range(0, 11, 2))
def test_knight_fills_of_children_never_exceed_the_parent(market: Market, filled: int) -> None:
    """However much of a bracket's parent has traded, and whatever flows against its children: they trade as much."""
    bracket: dict[str, Any] = {"contingency_type": ContingencyType.OTOCO, "list_id": "P"}
    (parent,) = market.buy("BOB", 10, 99, key="parent", leg=1, **bracket)
    market.sell("BOB", 10, 100, key="child2", leg=2, **bracket)
    market.sell("BOB", 10, key="child3", leg=3, ord_type=OrdType.STOP, stop_px_ticks=98, **bracket)
    market.open("CAROL")
    if filled:
        market.sell("ALICE", filled, 99)
    market.cancel(parent)
    sold = 0
    for number in range(20):
        for told in (market.buy("CAROL", 3, 100, key=f"flood{number}"), market.sell("ALICE", 2, 98)):
            sold += sum(event.last_qty_lots for event in told if event.terms.account == "BOB")
    assert sold == filled
    assert market.position("BOB").qty_lots == 1_000


def test_knight_children_that_come_late_are_refused(market: Market) -> None:
    """A router that goes on sending children for a parent that is done is told so, each time."""
    (parent,) = market.buy("BOB", 10, 99, contingency_type=OTO, list_id="P", leg=1)
    market.sell("ALICE", 3, 99)
    market.cancel(parent)
    for number in range(100):
        told = child(market, number, contingency_type=OTO, list_id="P", leg=2)
        assert told.story == [f"child{number} REJECTED ORDER_NOT_OPEN contingency.list_id"]


def test_knight_children_that_may_only_reduce_stop_with_the_position(market: Market) -> None:
    """Sent over and over, reduce-only children trade what the parent left open and not a lot more."""
    market.open("CAROL", lots=0)
    market.configure("CAROL", short_sale_permitted=True)
    market.buy("ALICE", 250, 100)
    market.short("CAROL", 250, 100, key="parent")
    market.sell("ALICE", 1_000, 100)
    traded = 0
    for number in range(50):
        told = market.buy("CAROL", 100, 100, key=f"cover{number}", time_in_force=TimeInForce.IOC, reduce_only=True)
        traded += sum(event.last_qty_lots for event in told if event.terms.account == "CAROL")
    assert traded == 250
    assert market.position("CAROL").qty_lots == 0


def test_knight_the_throttle_stops_the_flow_until_a_named_person_ends_it(market: Market) -> None:
    """2,000 children a second: the ninth fill latches, everything behind it is denied, in the next seconds too."""
    market.limit("BOB", repeated_executions=8, repeated_window_ns=SECOND_NS)
    market.sell("ALICE", 1_000, 100, key="ask")
    outcomes = [child(market, number, qty=1) for number in range(2_000)]
    assert [told[0].reason for told in outcomes].count(0) == 9
    assert outcomes[8].story[-1] == "throttle_engaged"
    assert market.position("BOB").qty_lots == 1_009
    for told in outcomes[9:]:
        assert told.story[0].endswith("DENIED REPEATED_EXECUTION")
        assert numbers(told[0].risk) == ("repeated_execution", "COUNT", 8, 9, 9, 1)
    release = commands.ReleaseThrottle("BOB", "XYZ", "again")
    assert market.tell(release, actor="system").story == ["command_refused FIELD_MISSING actor"]
    assert market.tell(release, actor="head.of.desk").story == ["throttle_released"]
    assert child(market, 2_000, qty=1)[-1].ord_status == OrdStatus.FILLED


def test_knight_other_limits_would_have_stopped_it_as_well(market: Market) -> None:
    """The rate of messages, the position, the same order again, the loss of the day: each on its own is enough."""
    controls: list[tuple[dict[str, Any], str, int]] = [
        ({"message_rate": 20}, "MESSAGE_RATE_LIMIT", 20),
        ({"position_lots": 1_050}, "POSITION_LIMIT", 50),
        ({"duplicate_window_ns": SECOND_NS}, "DUPLICATE_ORDER", 1),
    ]
    for limits, reason, passed in controls:
        venue = Market().opened()
        venue.limit("BOB", **limits)
        venue.sell("ALICE", 1_000, 100)
        told = [child(venue, number, qty=1) for number in range(100)]
        assert [len(events) for events in told].count(3) == passed
        assert told[-1].story == [f"child99 DENIED {reason}"]


def test_knight_one_person_stops_all_of_it_at_once(market: Market) -> None:
    """The kill switch takes what rests with it, and nothing enters until two people open it again."""
    for number in range(50):
        market.buy("BOB", 1, 90, key=f"rest{number}")
    told = market.tell(commands.EngageKillSwitch(KillSwitchScope.ACCOUNT, "BOB", "stop", "runaway router"), actor="ann")
    assert told[0].fields["canceled_orders"] == len(told) - 1 == 50
    assert child(market, 1).story == ["child1 DENIED KILL_SWITCH account"]
    alone = commands.ReleaseKillSwitch(KillSwitchScope.ACCOUNT, "BOB", "go", "ann")
    assert market.tell(alone, actor="ann").story == ["command_refused FIELD_INVALID approver"]


SHARES = 349
"""Shares of the basket, over several countries; here of one venue."""
MEANT_USD = 58_000_000
TYPED_UNITS = 58_000_000
BUILT_USD = 444_000_000_000


@pytest.fixture(scope="module")
def nordic() -> Market:
    """A desk with 500 billion dollars, so that no money stops it, and 349 shares at a mark of 21.93 each."""
    market = Market()
    for number in range(SHARES):
        market.tell(commands.ListInstrument(f"S{number}", 1, "USD", 10**7, 10**9))
    market.tell(commands.OpenAccount("DESK"))
    market.tell(commands.AdjustCash("DESK", "USD", 500 * 10**15, "desk"))
    return market


def basket(market: Market, units: int, key: str) -> list[commands.NewOrder]:
    """`units` of the basket, spread over its shares, at 21.93 a share and some hundred shares a unit."""
    price_ticks = 2_193
    total_ticks = BUILT_USD * 100 * units // TYPED_UNITS
    lots = total_ticks // SHARES // price_ticks
    return [
        market.order("DESK", Side.BUY, lots, price_ticks, symbol=f"S{number}", key=f"{key}-{number}")
        for number in range(SHARES)
    ]


def value_micro(orders: list[commands.NewOrder]) -> int:
    """The money of some orders."""
    return sum(order.qty_lots * order.price_ticks for order in orders) * TICK_MICRO


def test_nordic_each_order_alone_would_pass(nordic: Market) -> None:
    """A limit of 2 billion an order lets each 1.27 billion of the 444 billion through: only the whole is absurd."""
    orders = basket(nordic, TYPED_UNITS, "alone")
    assert BUILT_USD - 10**9 < value_micro(orders) // 10**6 <= BUILT_USD
    nordic.limit("DESK", order_notional_micro=2 * 10**15, basket_notional_micro=10**15)
    for order in orders:
        assert nordic.check(order) is None


def test_nordic_the_basket_cap_denies_the_whole(nordic: Market) -> None:
    """A cap of a billion: not one order of the 349 reaches the market, each is told why, with the numbers."""
    nordic.limit("DESK", order_notional_micro=2 * 10**15, basket_notional_micro=10**15)
    version = nordic.engine.venue.limits_version
    told = nordic.tell(commands.NewOrderList("DESK", basket(nordic, TYPED_UNITS, "typed")))
    assert len(told) == SHARES
    assert {line.split(" ", 1)[1] for line in told.story} == {"DENIED ORDER_NOTIONAL_LIMIT orders"}
    rule, unit, limit, current, projected, of_version = told.numbers
    assert (rule, unit, limit, current, of_version) == ("basket_notional", "MONEY_MICRO", 10**15, 0, version)
    assert projected > limit
    assert all(nordic.bids(f"S{number}") == [] for number in range(SHARES))
    assert nordic.cash("DESK").held_micro == 0


def test_nordic_what_was_meant_passes(nordic: Market) -> None:
    """58 million dollars over the same shares are within the cap."""
    nordic.limit("DESK", order_notional_micro=2 * 10**15, basket_notional_micro=10**15)
    meant = basket(nordic, TYPED_UNITS * MEANT_USD // BUILT_USD, "meant")
    assert 0 < value_micro(meant) <= MEANT_USD * 10**6
    told = nordic.tell(commands.NewOrderList("DESK", meant))
    assert len(told) == SHARES
    assert {event.reason for event in told} == {0}
    nordic.tell(commands.MassCancel("DESK"))


def test_nordic_a_limit_on_each_order_denies_it_too(nordic: Market) -> None:
    """Without any cap over the basket, 100 million an order by `order_notional` stops every one of them."""
    nordic.limit("DESK", order_notional_micro=10**14, basket_notional_micro=0)
    told = nordic.tell(commands.NewOrderList("DESK", basket(nordic, TYPED_UNITS, "each")))
    assert {line.split(" ", 1)[1] for line in told.story} == {"DENIED ORDER_NOTIONAL_LIMIT qty"}
    assert {event.risk.rule for event in told} == {"order_notional"}
    assert nordic.cash("DESK").held_micro == 0
