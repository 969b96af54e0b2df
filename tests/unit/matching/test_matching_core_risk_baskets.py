"""Section 4 and 6, lists of orders: one cap over the whole, then one order after the other."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import OrdType, Side
from tests.unit.matching.market import TICK_MICRO, Market, Told, numbers

BUY = Side.BUY


def basket(market: Market, *orders: tuple[int, int], key: str = "K", **terms: Any) -> Told:
    """A list of ALICE's purchases, (lots, price)."""
    made = [market.order("ALICE", BUY, lots, price, key=f"{key}{n}", **terms) for n, (lots, price) in enumerate(orders)]
    return market.tell(commands.NewOrderList("ALICE", made))


def test_a_list_is_carried_out_one_by_one(market: Market) -> None:
    """As if its orders had come so: each is worked before the next."""
    market.sell("BOB", 3, 101, key="ask")
    told = basket(market, (2, 101), (0, 99), (2, 101))
    assert told.story == [
        "K0 NEW", "ask TRADE 2@101", "K0 TRADE 2@101",
        "K1 REJECTED NOT_POSITIVE qty",
        "K2 NEW", "ask TRADE 1@101", "K2 TRADE 1@101",
    ]  # fmt: skip
    assert {event.command_seq for event in told} == {told[0].seq}


def test_basket_notional(market: Market) -> None:
    """basket_notional: the sum at the limit passes, beyond it every order is DENIED with the numbers."""
    market.limit(basket_notional_micro=1_000 * TICK_MICRO)
    assert basket(market, (5, 100), (5, 100), key="A").story == ["A0 NEW", "A1 NEW"]
    told = basket(market, (5, 100), (1, 501), key="B")
    assert told.story == ["B0 DENIED ORDER_NOTIONAL_LIMIT orders", "B1 DENIED ORDER_NOTIONAL_LIMIT orders"]
    for event in told:
        assert numbers(event.risk) == (
            "basket_notional", "MONEY_MICRO", 1_000 * TICK_MICRO, 0, 1_001 * TICK_MICRO, 1,
        )  # fmt: skip


def test_the_value_of_a_basket_is_price_else_stop_else_mark(market: Market) -> None:
    """A market order counts with the reference price, or the last trade; without either with nothing."""
    market.limit(basket_notional_micro=1_000 * TICK_MICRO - 1)
    assert basket(market, (100, 0), key="A").story[0] == "A0 NEW"
    stop: dict[str, Any] = {"ord_type": OrdType.STOP, "stop_px_ticks": 100}
    assert numbers(basket(market, (10, 0), key="B", **stop)[0].risk)[4] == 1_000 * TICK_MICRO
    market.trade(200)
    assert numbers(basket(market, (5, 0), key="C")[0].risk)[4] == 1_000 * TICK_MICRO
    market.reference(500)
    assert numbers(basket(market, (2, 0), key="D")[0].risk)[4] == 1_000 * TICK_MICRO


def test_a_malformed_order_hides_nothing_of_a_basket(market: Market) -> None:
    """A negative quantity or price counts nothing; an unknown symbol neither."""
    market.limit(basket_notional_micro=1_000 * TICK_MICRO)
    told = basket(market, (-50, 100), (50, -100), (11, 100))
    assert {event.reason for event in told} == {404}
    orders = [market.order("ALICE", BUY, 11, 100, symbol="NONE", key="none"), market.order("ALICE", BUY, 10, 100)]
    told = market.tell(commands.NewOrderList("ALICE", orders))
    assert told.story[0] == "none REJECTED SYMBOL_UNKNOWN symbol"
    assert told[1].reason == 0


def test_a_basket_is_counted_by_currency(market: Market) -> None:
    """Each against the limits of its own instruments."""
    market.tell(commands.ListInstrument("DAX", 1, "EUR", 10**7, 10**9))
    market.limit(symbol="XYZ", basket_notional_micro=1_000 * TICK_MICRO)
    euros = market.order("ALICE", BUY, 99, 100, symbol="DAX", key="eur")
    orders = [euros, market.order("ALICE", BUY, 10, 100, key="usd")]
    told = market.tell(commands.NewOrderList("ALICE", orders))
    assert told.story == ["eur DENIED BUYING_POWER", "usd NEW"]


def test_a_repeated_list_is_a_repetition_of_its_first(market: Market) -> None:
    """Nothing changes; a list that was carried out in part goes on with the rest."""
    orders = [market.order("ALICE", BUY, 1, 90 + n, key=f"K{n}") for n in range(3)]
    (first,) = market.tell(orders[0])
    told = market.tell(commands.NewOrderList("ALICE", orders))
    assert told.story == ["K1 NEW", "K2 NEW"]
    assert market.repeat(commands.NewOrderList("ALICE", orders)) is first
    other = market.order("ALICE", BUY, 2, 91, key="K1")
    assert market.tell(commands.NewOrderList("ALICE", [orders[0], other])).story == [
        "K1 REJECTED CL_ORD_ID_CONFLICT qty_lots",
    ]  # fmt: skip


def test_a_denied_basket_is_denied_again(market: Market) -> None:
    """Its keys are used up, those without a key are told each time."""
    market.limit(basket_notional_micro=1)
    keyed = commands.NewOrderList("ALICE", [market.order("ALICE", BUY, 1, 90, key="K")])
    (denied,) = market.tell(keyed)
    market.limit(basket_notional_micro=0)
    assert market.repeat(keyed) is denied
    market.limit(basket_notional_micro=1)
    plain = commands.NewOrderList("ALICE", [commands.NewOrder("ALICE", "", "XYZ", qty_lots=1, price_ticks=90)])
    for _ in range(2):
        assert market.tell(plain).story == ["DENIED ORDER_NOTIONAL_LIMIT orders"]


@pytest.mark.parametrize(
    ("account", "of", "why"),
    [("NOBODY", ["NOBODY"], "ACCOUNT_UNKNOWN account"), ("ALICE", [], "FIELD_MISSING orders"),
     ("ALICE", ["ALICE", "BOB"], "FIELD_INVALID orders")],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused(market: Market, account: str, of: list[str], why: str) -> None:
    """An unknown account, no orders, another's order."""
    orders = [market.order(name, BUY, 1, 90) for name in of]
    assert market.tell(commands.NewOrderList(account, orders)).story == [f"command_refused {why}"]
