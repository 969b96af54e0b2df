"""Sections 5 and 6 of docs/matching.md: fees, holds, margin, profit and each rule at its boundary, counted by hand."""

import pytest
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.story import (
    BUY,
    CASH_MICRO,
    LOTS,
    SECOND_NS,
    SELL,
    STOP,
    TICK_MICRO,
    Story,
)

MILLION = 1_000_000


@pytest.fixture
def story() -> Story:
    """A new market."""
    return Story()


def test_fees(story: Story) -> None:
    """7 at 103 are 7.21: the taker pays 150 ppm rounded up and 3 a lot, the maker is given 20 ppm and pays 3 a lot."""
    story.fees("F", -20, 150, 3)
    for account in "AB":
        story.configure(account, fee_schedule="F")
    story.sell("B", 7, 103)
    story.buy("A", 7, 103)
    assert [event.get("fee_micro", 0) for event in story.events[1:]] == [-144 + 21, 1_082 + 21]
    assert story.cash("A") == -7_210_000 - 1_103
    assert story.cash("B") == 7_210_000 + 123
    assert story.pair.plain.pot == {"USD": 1_103 - 123}


def test_holds_of_a_purchase(story: Story) -> None:
    """Value, the fee on it at the higher rate, and 10^-6 a lot for rounding; counted when it comes to rest."""
    story.fees("F", 50, 150, 3)
    story.configure("A", fee_schedule="F")
    story.buy("A", 7, 103)
    assert story.held("A") == 7_210_000 + 1_082 + 21 + 7
    story.sell("B", 2, 103)
    assert story.held("A") == 5_150_000 + 773 + 15 + 5, "5 at 103: 772.5 rounded up"
    story.fees("F", 0, 0, 0)
    assert story.held("A") == 5_150_000 + 773 + 15 + 5
    story.replace("a1", qty=6)
    assert story.held("A") == 4_120_000
    story.cancel("A", "a2")
    assert story.held("A") == 0


def test_average_cost_and_profit(story: Story) -> None:
    """1,000 at 100 and 1 at 103 cost 100,103; three of them cost 300.009, rounded down."""
    story.sell("B", 1, 103)
    story.buy("A", 1, 103)
    assert story.position("A") == (1_001, 100_103, 0)
    story.buy("B", 3, 101)
    story.sell("A", 3, 101)
    assert story.position("A") == (998, 99_803, 3 * TICK_MICRO)


def test_a_short_position_and_its_way_back(story: Story) -> None:
    """5 sold short at 100; 8 bought at 99 close them with 5 ticks of profit and open 3."""
    story.without_lots("A")
    story.short("A", 5, 100)
    assert story.held("A") == 2_500_000, "half of the 5.00 of proceeds again: 15,000 basis points"
    story.buy("B", 5, 100)
    assert (story.position("A"), story.held("A"), story.cash("A")) == ((-5, -500, 0), 0, 5_000_000)
    story.reference(110)
    assert story.buy("A", 10**7, 100, key="k") == ["k DENIED BUYING_POWER"]
    assert story.risk()[1:3] == (CASH_MICRO + 5_000_000 - 8_250_000, 0), "margin: 5 x 1.10 x 150 %"
    story.sell("B", 8, 99)
    story.buy("A", 8, 99)
    assert story.position("A") == (3, 297, 5 * TICK_MICRO)


def test_short_options(story: Story) -> None:
    """An option written needs 20 % of its strike beyond its proceeds: 2 lots of 100 at 50.00 are 10,000.00."""
    story.configure("A", short_sale_permitted=True)
    story.short("A", 2, 30, symbol="OPT")
    assert story.held("A") == 2_000 * MILLION
    story.buy("B", 2, 30, symbol="OPT")
    assert story.cash("A") == 60 * MILLION
    story.buy("A", 10**6, 200, symbol="OPT", key="k")
    assert story.risk()[1] == CASH_MICRO + 60 * MILLION - 2_060 * MILLION


def test_currency_pairs(story: Story) -> None:
    """Two lots of 1,000 EUR at 1.0800: both currencies move; a sale holds euros; there is no short sale."""
    story.sell("B", 3, 10_800, symbol="EURUSD")
    assert story.held("B", "EUR") == 3_000 * MILLION
    story.buy("A", 2, 10_800, symbol="EURUSD")
    assert (story.cash("A"), story.cash("A", "EUR")) == (-2_160 * MILLION, 2_000 * MILLION)
    assert (story.cash("B"), story.cash("B", "EUR")) == (2_160 * MILLION, -2_000 * MILLION)
    assert (story.held("B", "EUR"), story.position("B", "EURUSD")) == (1_000 * MILLION, (-2, -21_600, 0))
    story.configure("A", short_sale_permitted=True)
    assert story.short("A", 1, 10_800, symbol="EURUSD", key="k") == ["k DENIED SHORT_SALE_NOT_PERMITTED side"]
    assert story.sell("C", 1_001, 10_800, symbol="EURUSD", key="much") == ["much DENIED BUYING_POWER"]
    assert story.risk() == ("buying_power", CASH_MICRO, 0, 1_001_000 * MILLION)


def test_buying_power_and_position(story: Story) -> None:
    """All the cash can be bid and all the lots can be offered, and no more."""
    assert story.buy("A", MILLION, 100) == ["a1 NEW"]
    assert story.buy("A", 1, 1, key="k") == ["k DENIED BUYING_POWER"]
    assert story.risk() == ("buying_power", CASH_MICRO, CASH_MICRO, CASH_MICRO + TICK_MICRO)
    assert story.sell("A", LOTS, 200) == ["a2 NEW"]
    assert story.sell("A", 1, 200, key="l") == ["l DENIED POSITION_INSUFFICIENT"]
    assert story.risk() == ("position", LOTS, LOTS, LOTS + 1)


def test_market_orders_are_valued_at_their_worst(story: Story) -> None:
    """A purchase at the end of its collar, a sale at the best bid."""
    story.limit("A", "XYZ", order_notional_micro=10 * MILLION)
    story.sell("B", 100, 100)
    story.buy("B", 100, 90)
    assert story.buy("A", 10, key="k") == ["k DENIED ORDER_NOTIONAL_LIMIT qty"]
    assert story.risk() == ("order_notional", 10 * MILLION, 0, 11 * MILLION)
    assert story.sell("A", 12, key="s") == ["s DENIED ORDER_NOTIONAL_LIMIT qty"]
    assert story.risk()[3] == 10_800_000


def test_short_sale_rule(story: Story) -> None:
    """Not without permission, and not of what is held."""
    assert story.short("A", 1, 100, key="k") == ["k DENIED SHORT_SALE_NOT_PERMITTED side"]
    story.configure("A", short_sale_permitted=True)
    assert story.short("A", 1, 100, key="l") == ["l DENIED SHORT_SALE_NOT_PERMITTED side"]


def test_restricted_and_order_limits(story: Story) -> None:
    """The limit itself passes; the tightest of the scopes counts, and a narrower one never loosens a wider one."""
    story.limit("A", "XYZ", restricted=True)
    assert story.buy("A", 1, 100, key="r") == ["r DENIED RESTRICTED_INSTRUMENT symbol"]
    story.limit("A", "XYZ", restricted=False)
    story.limit("", "", order_qty_lots=10)
    story.limit("A", "XYZ", order_qty_lots=50)
    assert story.buy("A", 10, 100) == ["a1 NEW"]
    assert story.buy("A", 11, 100, key="k") == ["k DENIED ORDER_QTY_LIMIT qty"]
    assert story.risk() == ("order_qty", 10, 0, 11)
    assert story.events[-1]["risk"]["limits_version"] == 4
    story.limit("", "", order_qty_lots=0)
    story.limit("A", "", order_notional_micro=10 * MILLION)
    assert story.buy("A", 10, 100) == ["a2 NEW"]
    assert story.place("A", BUY, 11, ord_type=STOP, stop_px_ticks=100, key="s") == ["s DENIED ORDER_NOTIONAL_LIMIT qty"]
    assert story.risk() == ("order_notional", 10 * MILLION, 0, 11 * MILLION)


def test_message_rate(story: Story) -> None:
    """Two requests in a second; the third is denied and counts too; the next second begins anew."""
    story.limit("A", message_rate=2)
    story.now += SECOND_NS - story.now % SECOND_NS
    assert story.buy("A", 1, 90) == ["a1 NEW"]
    assert story.buy("A", 1, 90) == ["a2 NEW"]
    assert story.buy("A", 1, 90, key="k") == ["k DENIED MESSAGE_RATE_LIMIT"]
    assert story.risk() == ("message_rate", 2, 2, 3)
    assert story.cancel("A", "a1") == ["a1 CANCELED"]
    assert story.buy("A", 1, 90, after_ns=SECOND_NS) == ["a3 NEW"]


def test_price_collar(story: Story) -> None:
    """5 % of a reference of 100 on the aggressive side; stale after a second."""
    story.limit("A", "XYZ", price_collar_bps=500, reference_age_ns=SECOND_NS)
    assert story.buy("A", 1, 105, key="n") == ["n DENIED REFERENCE_STALE price"]
    story.reference(100)
    assert story.buy("A", 1, 105) == ["a1 NEW"]
    assert story.buy("A", 1, 106, key="k") == ["k DENIED PRICE_COLLAR price"]
    assert story.risk() == ("price_collar", 105, 100, 106)
    story.cancel("A", "a1")
    assert story.sell("A", 1, 95) == ["a2 NEW"]
    assert story.sell("A", 1, 94, key="l") == ["l DENIED PRICE_COLLAR price"]
    assert story.risk() == ("price_collar", 95, 100, 94)
    assert story.buy("A", 1, 1, key="late", after_ns=2 * SECOND_NS) == ["late DENIED REFERENCE_STALE price"]


def test_duplicate_order(story: Story) -> None:
    """The same order within a second is denied; another quantity is another order; later it passes."""
    story.limit("A", duplicate_window_ns=SECOND_NS)
    assert story.buy("A", 1, 90) == ["a1 NEW"]
    assert story.buy("A", 1, 90, key="k") == ["k DENIED DUPLICATE_ORDER"]
    assert story.risk() == ("duplicate_order", 1, 1, 2)
    assert story.buy("A", 2, 90) == ["a2 NEW"]
    assert story.buy("A", 1, 90, after_ns=SECOND_NS) == ["a3 NEW"]


def test_repeated_execution(story: Story) -> None:
    """The third fill in a second latches the account in the instrument until a named person releases it."""
    story.limit("A", repeated_executions=2)
    story.sell("B", 1, 100)
    story.sell("C", 1, 100)
    story.sell("D", 1, 100)
    told = story.buy("A", 3, 100)
    assert told[-1] == "throttle_engaged"
    assert story.buy("A", 1, 90, key="k", after_ns=60 * SECOND_NS) == ["k DENIED REPEATED_EXECUTION"]
    assert story.risk() == ("repeated_execution", 2, 3, 3)
    assert story.buy("A", 1, 90, symbol="ABC", key="other") == ["other NEW"]
    assert story.do(c.ReleaseThrottle("A", "XYZ", "free")) == ["throttle_released"]
    assert story.buy("A", 1, 90, key="again") == ["again NEW"]


def test_daily_loss(story: Story) -> None:
    """1,000 lots that cost 100 and are worth 99 have lost 10.00: the limit itself; a new day begins at 0."""
    story.limit("A", "XYZ", daily_loss_micro=10 * MILLION)
    story.reference(99)
    assert story.buy("A", 1, 90) == ["a1 NEW"]
    story.reference(98)
    assert story.buy("A", 1, 90, key="k") == ["k DENIED DAILY_LOSS_LIMIT"]
    assert story.risk() == ("daily_loss", 10 * MILLION, 20 * MILLION, 20 * MILLION)
    story.do(c.CloseDay(20270104))
    assert story.buy("A", 1, 90) == ["a2 NEW"]


def test_open_notional(story: Story) -> None:
    """5.00 and 5.00 are the limit of 10.00; a replace counts what its order is worth already."""
    story.limit("A", open_notional_micro=10 * MILLION)
    story.buy("A", 5, 100)
    assert story.sell("A", 5, 100, symbol="ABC") == ["a2 NEW"]
    assert story.buy("A", 1, 1, key="k") == ["k DENIED OPEN_NOTIONAL_LIMIT"]
    assert story.risk() == ("open_notional", 10 * MILLION, 10 * MILLION, 10 * MILLION + TICK_MICRO)
    assert story.replace("a1", price=99) == ["a3 REPLACED 5"]
    assert story.replace("a3", price=101) == ["a4 DENIED OPEN_NOTIONAL_LIMIT"]
    assert story.risk() == ("open_notional", 10 * MILLION, 9_950_000, 10_050_000)


def test_net_position(story: Story) -> None:
    """1,000 lots and 10 bid are the limit of 1,010; sales reduce and pass."""
    story.limit("A", "XYZ", position_lots=1_010)
    assert story.buy("A", 10, 90) == ["a1 NEW"]
    assert story.buy("A", 1, 90, key="k") == ["k DENIED POSITION_LIMIT"]
    assert story.risk() == ("net_position", 1_010, 1_010, 1_011)
    assert story.sell("A", 1_000, 110) == ["a2 NEW"]


def test_gross_position(story: Story) -> None:
    """Two positions of 1,000.00 at cost and 10.00 more are the limit; what reduces passes."""
    story.limit("A", gross_position_micro=2_010 * MILLION)
    assert story.buy("A", 11, 100, key="k") == ["k DENIED POSITION_LIMIT"]
    assert story.risk() == ("gross_position", 2_010 * MILLION, 2_000 * MILLION, 2_011 * MILLION)
    assert story.buy("A", 10, 100) == ["a1 NEW"]
    story.reference(110)
    assert story.sell("A", 1_000, 120) == ["a2 NEW"]


def test_a_basket_is_looked_at_as_a_whole(story: Story) -> None:
    """Each order is small, and together they are above the cap: none of them is placed (the Nordic story of 2022)."""
    story.limit("A", basket_notional_micro=20 * MILLION)

    def basket(*qty: int) -> list[str]:
        return story.do(c.NewOrderList("A", [story.terms("A", BUY, lots, 100) for lots in qty]))

    assert basket(10, 10) == ["a1 NEW", "a2 NEW"]
    assert basket(10, 10, 1) == [f"a{number} DENIED ORDER_NOTIONAL_LIMIT orders" for number in (3, 4, 5)]
    assert story.risk() == ("basket_notional", 20 * MILLION, 0, 21 * MILLION)


def test_kill_switches(story: Story) -> None:
    """Each scope stops and cancels what is its own; cancels pass; a release takes two people."""
    firm, account = types.KILL_SWITCH_SCOPE_FIRM, types.KILL_SWITCH_SCOPE_ACCOUNT
    symbol, session = types.KILL_SWITCH_SCOPE_SYMBOL, types.KILL_SWITCH_SCOPE_SESSION
    story.do(c.OpenSession("s", "gw"))
    story.buy("A", 1, 90)
    story.buy("B", 1, 90, symbol="ABC")
    story.buy("C", 1, 90, session_id="s")
    assert story.do(c.EngageKillSwitch(session, "s", "1")) == ["kill_switch_engaged 1", "c1 CANCELED KILL_SWITCH"]
    assert story.place("C", SELL, 1, 99, session_id="s", key="k") == ["k DENIED KILL_SWITCH session"]
    assert story.do(c.EngageKillSwitch(symbol, "ABC", "2")) == ["kill_switch_engaged 1", "b1 CANCELED KILL_SWITCH"]
    assert story.do(c.EngageKillSwitch(account, "A", "3")) == ["kill_switch_engaged 1", "a1 CANCELED KILL_SWITCH"]
    assert story.do(c.ReleaseKillSwitch(account, "A", "4", "ann")) == ["refused FIELD_INVALID approver"]
    assert story.do(c.ReleaseKillSwitch(account, "A", "4", "olga")) == ["kill_switch_released"]
    assert story.do(c.EngageKillSwitch(firm, "", "5")) == ["kill_switch_engaged"]
    assert story.buy("D", 1, 90, key="l") == ["l DENIED KILL_SWITCH firm"]


def test_a_repeated_request_is_not_carried_out_again(story: Story) -> None:
    """The same key and content give the original event; another content is a conflict that names the field."""
    story.buy("A", 1, 90, key="k")
    cash = story.cash("A")
    assert story.buy("A", 1, 90, key="k") == []
    assert story.buy("A", 2, 90, key="k") == ["k REJECTED CL_ORD_ID_CONFLICT qty_lots"]
    assert story.do(c.CancelOrder("A", "k", 0, "k")) == ["k REJECTED CL_ORD_ID_CONFLICT request"]
    assert story.do(c.AdjustCash("A", "USD", CASH_MICRO, "USD")) == []
    assert story.do(c.AdjustCash("A", "USD", 1, "USD")) == ["refused CL_ORD_ID_CONFLICT amount_micro"]
    assert story.cash("A") == cash
