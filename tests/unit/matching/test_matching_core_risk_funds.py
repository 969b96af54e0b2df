"""Section 6, the rules on open orders, positions and money: boundaries with exact numbers, at entry and at activation.

CheckOrder says the same (`asking`). A docstring begins with the rule that it shows.
"""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import (
    Cause,
    ContingencyType,
    ExecType,
    OrdType,
    Reason,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from tests.unit.matching.asking import denial, passes
from tests.unit.matching.market import TICK_MICRO, Market, numbers

BUY, SELL, SHORT = Side.BUY, Side.SELL, Side.SELL_SHORT
EURUSD = commands.ListInstrument("EURUSD", 3, "USD", 10**5, 10**12, base_currency="EUR")
USDJPY = commands.ListInstrument("USDJPY", 3, "JPY", 10**9, 10**12, base_currency="USD")


def micro(ticks_lots: int) -> int:
    """The money of a value in ticks times lots of XYZ."""
    return ticks_lots * TICK_MICRO


def shorts(market: Market, cash: int = 10**12) -> None:
    """CAROL has no lots and may sell short."""
    market.open("CAROL", cash=cash, lots=0)
    market.configure("CAROL", short_sale_permitted=True)


def test_open_notional(market: Market) -> None:
    """open_notional: MONEY, open orders in the book of this currency, purchases and sales, with this."""
    market.limit(open_notional_micro=micro(1_000))
    market.buy("ALICE", 5, 100)
    market.sell("ALICE", 2, 200)
    assert passes(market, "ALICE", BUY, 1, 100)
    expected = ("open_notional", "MONEY_MICRO", micro(1_000), micro(1_000), micro(1_001), 1)
    assert denial(market, "ALICE", BUY, 1, 1) == ("OPEN_NOTIONAL_LIMIT", expected)
    assert passes(market, "BOB", BUY, 1, 1)


def test_open_notional_counts_currencies_apart(market: Market) -> None:
    """open_notional: and all instruments of one together."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    market.tell(commands.ListInstrument("DAX", 1, "EUR", 10**7, 10**9))
    market.tell(commands.AdjustCash("ALICE", "EUR", 10**12, "eur"))
    market.limit(open_notional_micro=micro(500))
    market.buy("ALICE", 5, 100)
    assert denial(market, "ALICE", BUY, 1, 1, symbol="ABC")[0] == "OPEN_NOTIONAL_LIMIT"
    assert passes(market, "ALICE", BUY, 5, 100, symbol="DAX")


def test_open_notional_is_asked_only_when_a_request_asks_for_more(market: Market) -> None:
    """open_notional: a replace counts what its order holds; also beyond the limit it may get cheaper."""
    (first,) = market.buy("ALICE", 5, 100)
    market.limit(open_notional_micro=micro(400))
    assert market.replace(first, price=99)[0].exec_type == ExecType.REPLACED
    told = market.replace(first, price=100)
    assert told.numbers == ("open_notional", "MONEY_MICRO", micro(400), micro(495), micro(500), 1)
    market.limit(open_notional_micro=micro(500))
    assert market.replace(first, price=100)[0].exec_type == ExecType.REPLACED


def test_net_position_of_a_purchase(market: Market) -> None:
    """net_position: LOTS, the position with open purchases, with this; open sales do not count."""
    market.limit(position_lots=1_010)
    market.buy("ALICE", 4, 90)
    market.sell("ALICE", 500, 200)
    assert passes(market, "ALICE", BUY, 6, 90)
    expected = ("net_position", "LOTS", 1_010, 1_010, 1_011, 1)
    assert denial(market, "ALICE", BUY, 1, 90) == ("POSITION_LIMIT", expected)


def test_net_position_of_a_short_sale(market: Market) -> None:
    """net_position: the size of the short position with open sales; each direction has the whole limit."""
    shorts(market)
    market.buy("BOB", 3, 100)
    market.short("CAROL", 3, 100)
    market.limit(position_lots=10)
    market.short("CAROL", 5, 110)
    assert passes(market, "CAROL", SHORT, 2, 110)
    assert denial(market, "CAROL", SHORT, 1, 110)[1] == ("net_position", "LOTS", 10, 10, 11, 1)
    assert passes(market, "CAROL", BUY, 13, 90)
    assert denial(market, "CAROL", BUY, 1, 90)[1] == ("net_position", "LOTS", 10, 10, 11, 1)


def test_net_position_of_a_sale_that_reduces(market: Market) -> None:
    """net_position: selling out of a long position is far from the limit on the other side."""
    market.limit(position_lots=1)
    assert passes(market, "ALICE", SELL, 1_000, 110)


def test_net_position_of_a_replace(market: Market) -> None:
    """net_position: what its order has open already is counted once."""
    market.limit(position_lots=1_010)
    (first,) = market.buy("ALICE", 4, 90)
    assert market.replace(first, qty=10)[0].exec_type == ExecType.REPLACED
    assert market.replace(first, qty=11).numbers == ("net_position", "LOTS", 1_010, 1_010, 1_011, 1)


def test_gross_position(market: Market) -> None:
    """gross_position: MONEY, the sizes of all positions of the currency, at the reference price or cost, with this."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    market.tell(commands.AdjustPosition("ALICE", "ABC", 10, 50, "abc"))
    market.reference(110)
    held = 1_000 * 110 + 10 * 50
    market.limit(gross_position_micro=micro(held + 100))
    assert passes(market, "ALICE", BUY, 1, 100)
    expected = ("gross_position", "MONEY_MICRO", micro(held + 100), micro(held), micro(held + 101), 1)
    assert denial(market, "ALICE", BUY, 1, 101) == ("POSITION_LIMIT", expected)


def test_gross_position_counts_only_the_part_that_does_not_reduce(market: Market) -> None:
    """gross_position: `value * adding // lots`; a short of 3 that buys 5 at 101 adds 505 * 2 // 5."""
    shorts(market)
    market.buy("BOB", 3, 100)
    market.short("CAROL", 3, 100)
    market.limit(gross_position_micro=1)
    assert passes(market, "CAROL", BUY, 3, 101)
    expected = ("gross_position", "MONEY_MICRO", 1, micro(300), micro(300) + micro(505) * 2 // 5, 1)
    assert denial(market, "CAROL", BUY, 5, 101)[1] == expected


def test_gross_position_follows_every_change(market: Market) -> None:
    """gross_position: trades, bookings, reference prices: the sum over the positions at any time."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    shorts(market)
    market.limit(gross_position_micro=1)

    def current() -> int:
        said = market.check(market.order("ALICE", BUY, 1, 1, symbol="ABC"))
        assert said is not None
        return numbers(said.risk)[3]

    assert current() == micro(1_000 * 100)
    market.tell(commands.AdjustPosition("ALICE", "XYZ", -10, 0, "out"))
    assert current() == micro(990 * 100)
    market.reference(120)
    assert current() == micro(990 * 120)
    market.limit(gross_position_micro=0)
    market.trade(130, qty=90)
    market.limit(gross_position_micro=1)
    assert current() == micro(900 * 120)
    market.tell(commands.AdjustPosition("ALICE", "ABC", 7, 30, "abc"))
    assert current() == micro(900 * 120 + 7 * 30)


def test_gross_position_of_a_replace(market: Market) -> None:
    """gross_position: asked only when it is worth more than what its order holds."""
    (first,) = market.buy("ALICE", 10, 90)
    market.limit(gross_position_micro=1)
    assert market.replace(first, qty=9, price=100)[0].exec_type == ExecType.REPLACED
    assert market.replace(first, qty=6, price=80)[0].exec_type == ExecType.REPLACED
    told = market.replace(first, qty=6, price=81)
    held = micro(1_000 * 100)
    assert told.numbers == ("gross_position", "MONEY_MICRO", 1, held, held + micro(486), 1)


def test_gross_position_is_of_one_currency(market: Market) -> None:
    """gross_position: what is owned in dollars does not stop euros."""
    market.tell(commands.ListInstrument("DAX", 1, "EUR", 10**7, 10**9))
    market.tell(commands.AdjustCash("ALICE", "EUR", 10**12, "eur"))
    market.limit(gross_position_micro=micro(100))
    assert passes(market, "ALICE", BUY, 1, 100, symbol="DAX")
    assert denial(market, "ALICE", BUY, 1, 101, symbol="DAX")[0] == "POSITION_LIMIT"


def test_short_sale(market: Market) -> None:
    """short_sale: SHORT_SALE_NOT_PERMITTED without numbers, behind the limits on positions, before the money."""
    assert denial(market, "ALICE", SHORT, 1, 101) == ("SHORT_SALE_NOT_PERMITTED side", None)
    market.limit(position_lots=1)
    market.open("CAROL", cash=0, lots=0)
    assert denial(market, "CAROL", SHORT, 2, 101)[0] == "POSITION_LIMIT"
    assert denial(market, "CAROL", SHORT, 1, 101)[0] == "SHORT_SALE_NOT_PERMITTED side"


def test_reduce_only(market: Market) -> None:
    """reduce_only: LOTS, reducible, 0, qty; denied when nothing is reducible, one lot is enough to pass."""
    shorts(market)
    expected = ("reduce_only", "LOTS", 0, 0, 5, 0)
    assert denial(market, "CAROL", BUY, 5, 99, reduce_only=True) == ("POSITION_INSUFFICIENT", expected)
    market.buy("BOB", 1, 100)
    market.short("CAROL", 1, 100)
    assert passes(market, "CAROL", BUY, 5, 99, reduce_only=True)
    assert passes(market, "ALICE", SELL, 5, 101, reduce_only=True)
    assert denial(market, "ALICE", BUY, 5, 99, reduce_only=True)[0] == "POSITION_INSUFFICIENT"


def test_reduce_only_of_a_replace(market: Market) -> None:
    """reduce_only: with nothing left to reduce a replace that asks for risk is denied as well."""
    shorts(market)
    market.buy("BOB", 1, 100)
    market.short("CAROL", 1, 100)
    (first,) = market.buy("CAROL", 5, 90, reduce_only=True)
    market.sell("ALICE", 1, 100)
    market.buy("CAROL", 1, 100)
    assert market.replace(first, price=91).numbers == ("reduce_only", "LOTS", 0, 0, 5, 0)


def test_buying_power_of_a_purchase(market: Market) -> None:
    """buying_power: MONEY, cash less margin, held, with this; the last micro can be used, and not one more."""
    market.open("CAROL", cash=micro(1_000), lots=0)
    market.buy("CAROL", 6, 100)
    assert passes(market, "CAROL", BUY, 4, 100)
    expected = ("buying_power", "MONEY_MICRO", micro(1_000), micro(1_000), micro(1_001), 0)
    assert denial(market, "CAROL", BUY, 1, 1) == ("BUYING_POWER", expected)


def test_buying_power_counts_fees(market: Market) -> None:
    """buying_power: what a purchase would hold, its fee and its rounding included."""
    market.open("CAROL", cash=micro(100) + 1_000, lots=0)
    market.fees("CAROL", taker_ppm=1_000)
    expected = ("buying_power", "MONEY_MICRO", micro(100) + 1_000, 0, micro(100) + 1_000 + 1, 0)
    assert denial(market, "CAROL", BUY, 1, 100)[1] == expected
    market.tell(commands.AdjustCash("CAROL", "USD", 1, "one"))
    assert passes(market, "CAROL", BUY, 1, 100)


def test_buying_power_of_a_market_purchase(market: Market) -> None:
    """buying_power: at the collar's price, 111 where the best ask is 101: no sweep can cost more."""
    market.open("CAROL", cash=micro(222) - 1, lots=0)
    market.sell("BOB", 1, 101)
    market.sell("BOB", 1, 102)
    expected = ("buying_power", "MONEY_MICRO", micro(222) - 1, 0, micro(222), 0)
    assert denial(market, "CAROL", BUY, 2)[1] == expected
    market.tell(commands.AdjustCash("CAROL", "USD", 1, "one"))
    assert passes(market, "CAROL", BUY, 2)


def test_buying_power_of_a_short_market_sale(market: Market) -> None:
    """buying_power: its margin beyond the proceeds at the best bid."""
    shorts(market, cash=micro(500) - 1)
    market.buy("BOB", 1, 100)
    market.buy("BOB", 9, 95)
    expected = ("buying_power", "MONEY_MICRO", micro(500) - 1, 0, micro(500), 0)
    assert denial(market, "CAROL", SHORT, 10)[1] == expected
    assert passes(market, "CAROL", SHORT, 9)


@pytest.mark.parametrize("tied", [False, True], ids=["own order", "legs of an OCO"])
def test_a_market_purchase_never_spends_what_is_not_there(market: Market, tied: bool) -> None:
    """buying_power: also when the sweep passes by what it has counted on, and goes on at a dearer price."""
    market.open("CAROL", cash=micro(2_000), lots=10)
    first: dict[str, Any] = {"contingency_type": ContingencyType.OCO, "list_id": "L"} if tied else {}
    market.sell("BOB", 10, 100, leg=1 if tied else 0, **first)
    market.sell("BOB" if tied else "CAROL", 10, 100, leg=2 if tied else 0, **first)
    market.sell("ALICE", 20, 109)
    market.buy("CAROL", 20, self_trade_prevention=SelfTradePrevention.CANCEL_OLDEST)
    assert market.cash("CAROL").cash_micro >= 0


def test_buying_power_of_a_short_sale(market: Market) -> None:
    """buying_power: the margin beyond the proceeds; what is short already lowers the limit by its margin."""
    shorts(market, cash=micro(1_000))
    market.buy("BOB", 10, 100)
    market.short("CAROL", 10, 100)
    assert passes(market, "CAROL", SHORT, 10, 100)
    expected = ("buying_power", "MONEY_MICRO", micro(1_000 + 1_000 - 1_500), micro(500), micro(550), 0)
    assert denial(market, "CAROL", SHORT, 1, 100)[1] == expected


def test_buying_power_of_a_base_currency(market: Market) -> None:
    """buying_power: a pair is sold out of its base currency, in units of that."""
    market.tell(EURUSD)
    market.tell(commands.AdjustCash("ALICE", "EUR", 3 * 10**9, "eur"))
    market.sell("ALICE", 1, 11_000, symbol="EURUSD")
    assert passes(market, "ALICE", SELL, 2, 11_000, symbol="EURUSD")
    expected = ("buying_power", "MONEY_MICRO", 3 * 10**9, 3 * 10**9, 4 * 10**9, 0)
    assert denial(market, "ALICE", SELL, 1, 11_000, symbol="EURUSD") == ("BUYING_POWER", expected)


def test_margin_is_not_sold_as_a_base_currency(market: Market) -> None:
    """buying_power: cash less margin, also where the cash is what a pair delivers."""
    market.tell(USDJPY)
    shorts(market, cash=10**9 + micro(500))
    market.buy("BOB", 10, 100)
    market.short("CAROL", 10, 100)
    assert passes(market, "CAROL", SELL, 1, 150, symbol="USDJPY")
    assert denial(market, "CAROL", SELL, 1, 150, symbol="USDJPY")[1] == (
        "buying_power", "MONEY_MICRO", 10**9, 10**9, 2 * 10**9, 0,
    )  # fmt: skip


def test_buying_power_of_a_replace(market: Market) -> None:
    """buying_power: only what it adds; an order that holds everything can get cheaper, and no tick dearer."""
    market.open("CAROL", cash=micro(1_000), lots=0)
    (first,) = market.buy("CAROL", 2, 500)
    told = market.replace(first, price=501)
    assert told.numbers == ("buying_power", "MONEY_MICRO", micro(1_000), micro(1_000), micro(1_002), 0)
    assert (told[0].exec_type, told[0].order_id) == (ExecType.DENIED, first.order_id)
    assert market.replace(first, qty=4, price=250)[0].exec_type == ExecType.REPLACED


def test_position(market: Market) -> None:
    """position: LOTS, the position, held and open short sales, with this; all of it can be sold, and not one more."""
    market.sell("ALICE", 600, 101)
    assert passes(market, "ALICE", SELL, 400, 101)
    expected = ("position", "LOTS", 1_000, 1_000, 1_001, 0)
    assert denial(market, "ALICE", SELL, 1, 101) == ("POSITION_INSUFFICIENT", expected)


def test_position_counts_open_short_sales(market: Market) -> None:
    """position: lots that came after a short sale was placed are promised to it."""
    shorts(market)
    market.short("CAROL", 5, 110)
    market.sell("BOB", 6, 100)
    market.buy("CAROL", 6, 100)
    assert passes(market, "CAROL", SELL, 1, 110)
    assert denial(market, "CAROL", SELL, 1, 110)[1] == ("position", "LOTS", 6, 6, 7, 0)


def test_position_of_a_replace(market: Market) -> None:
    """position: only what it adds."""
    (first,) = market.sell("ALICE", 600, 101)
    assert market.replace(first, qty=1_001).numbers == ("position", "LOTS", 1_000, 600, 1_001, 0)
    assert market.replace(first, qty=1_000)[0].exec_type == ExecType.REPLACED


def test_the_numbers_of_a_denial_fit_the_contract(market: Market) -> None:
    """position: a sale of 2^62 lots on top of held ones is denied with numbers that 64 bits can carry."""
    market.sell("ALICE", 600, 101)
    assert denial(market, "ALICE", SELL, 2**62)[1] == ("position", "LOTS", 1_000, 600, 2**62, 0)


def test_what_waits_is_asked_when_it_is_its_turn(market: Market) -> None:
    """net_position: none of the funds rules at entry; at activation each, with the numbers of that moment."""
    market.open("CAROL", cash=1, lots=0)
    market.limit(account="CAROL", open_notional_micro=1, position_lots=1, gross_position_micro=1)
    expected = [
        ("open_notional_micro", "open_notional"), ("position_lots", "net_position"),
        ("gross_position_micro", "gross_position"), ("", "buying_power"),
    ]  # fmt: skip
    found = []
    for number, (lifted, _) in enumerate(expected):
        (waiting,) = market.buy("CAROL", 5, 100, ord_type=OrdType.STOP_LIMIT, stop_px_ticks=200 + number)
        market.sell("ALICE", 1, 200 + number)
        ended = market.buy("BOB", 1, 200 + number)[-1]
        assert (ended.order_id, ended.exec_type, ended.cause) == (waiting.order_id, ExecType.CANCELED, Cause.SYSTEM)
        found.append(ended.risk.rule)
        if lifted:
            change: dict[str, Any] = {lifted: 0}
            market.limit(account="CAROL", **change)
    assert found == [name for _, name in expected]


def test_a_triggered_market_order_is_asked_for_its_collar_s_price(market: Market) -> None:
    """buying_power: a STOP has no price at its turn either; the best ask of then is 105, and 115 the furthest."""
    market.open("CAROL", cash=micro(230) - 1, lots=0)
    market.buy("CAROL", 2, ord_type=OrdType.STOP, stop_px_ticks=105)
    for price in (105, 105, 106):
        market.sell("ALICE", 1, price)
    ended = market.buy("BOB", 1, 105)[-1]
    assert numbers(ended.risk) == ("buying_power", "MONEY_MICRO", micro(230) - 1, 0, micro(230), 0)


def test_a_triggered_sale_is_asked_for_its_lots(market: Market) -> None:
    """position: also short sales for their permission."""
    market.open("CAROL", lots=3)
    market.sell("CAROL", 5, key="sale", ord_type=OrdType.STOP, stop_px_ticks=105)
    told = market.short("CAROL", 5, key="short", ord_type=OrdType.STOP, stop_px_ticks=105)
    assert told.story == ["short PENDING_NEW"]
    market.sell("ALICE", 1, 105)
    told = market.buy("BOB", 1, 105, time_in_force=TimeInForce.IOC)
    assert told.story[3:] == [
        "sale TRIGGERED", "sale CANCELED POSITION_INSUFFICIENT",
        "short TRIGGERED", "short CANCELED SHORT_SALE_NOT_PERMITTED side",
    ]  # fmt: skip
    assert numbers(told[4].risk) == ("position", "LOTS", 3, 0, 5, 0)
    assert told[6].reason == Reason.SHORT_SALE_NOT_PERMITTED
