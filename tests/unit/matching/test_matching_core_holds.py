"""Section 5, holds, short sales and bounds: what resting orders hold, what being short needs."""

import pytest

from matching.core import commands
from matching.core.words import OrdType, TimeInForce, TradingSession
from tests.unit.matching.market import CASH_MICRO, TICK_MICRO, Market

OPTION = commands.ListInstrument("OPT", 2, "USD", 10**7, 10**9, 100, strike_nano=50 * 10**9)
"""Tick 0.01, 100 to a lot, strike 50: a tick on a lot is worth 1.00, the strike of a lot 5,000.00."""
EURUSD = commands.ListInstrument("EURUSD", 3, "USD", 10**5, 10**12, base_currency="EUR")


def shorts(market: Market, **settings: int) -> Market:
    """CAROL has 10,000.00 USD, no lots, and may sell short."""
    market.open("CAROL", cash=10**10, lots=0)
    market.configure("CAROL", short_sale_permitted=True, **settings)
    return market


def test_a_resting_purchase_holds_what_it_could_cost(market: Market) -> None:
    """`leaves * price * worth`; it is not spent."""
    market.buy("ALICE", 10, 99)
    assert (market.cash("ALICE").cash_micro, market.cash("ALICE").held_micro) == (CASH_MICRO, 990 * TICK_MICRO)


@pytest.mark.parametrize(
    ("maker_ppm", "taker_ppm", "lot_micro", "fee"),
    [
        (100, 300, 0, 2_970 + 10),
        (300, 100, 0, 2_970 + 10),
        (0, 0, 7, 70),
        (-100, -50, 7, 70),
        (-100, 50, 0, 495 + 10),
        (0, 1, 0, 10 + 10),
    ],
)
def test_a_resting_purchase_holds_its_fee(
    market: Market, maker_ppm: int, taker_ppm: int, lot_micro: int, fee: int
) -> None:
    """At the higher rate, plus 10^-6 a lot for rounding when that rate is not 0; a rebate is not counted on."""
    market.fees("ALICE", maker_ppm=maker_ppm, taker_ppm=taker_ppm, lot_micro=lot_micro)
    market.buy("ALICE", 10, 99)
    assert market.cash("ALICE").held_micro == 990 * TICK_MICRO + fee


def test_what_is_held_is_enough_for_fills_in_any_number_of_parts(market: Market) -> None:
    """Ten fills of a lot, each fee rounded up: with exactly the held money the account ends at 0 or more."""
    market.fees("ALICE", "BOB", maker_ppm=1, taker_ppm=1)
    market.buy("ALICE", 10, 33)
    held = market.cash("ALICE").held_micro
    for _ in range(10):
        market.sell("BOB", 1, 33)
    assert CASH_MICRO - market.cash("ALICE").cash_micro <= held
    assert market.cash("ALICE").held_micro == 0


def test_a_resting_sale_holds_its_lots(market: Market) -> None:
    """And no cash."""
    market.sell("ALICE", 10, 101)
    assert (market.position("ALICE").held_lots, market.cash("ALICE").held_micro) == (10, 0)


def test_a_resting_sale_of_a_pair_holds_its_base_currency(market: Market) -> None:
    """2 lots of 1,000 EUR; given back with the cancel."""
    market.tell(EURUSD)
    market.tell(commands.AdjustCash("ALICE", "EUR", 10**10, "eur"))
    (ask,) = market.sell("ALICE", 2, 11_000, symbol="EURUSD")
    assert (market.cash("ALICE", "EUR").held_micro, market.cash("ALICE").held_micro) == (2 * 10**9, 0)
    market.buy("BOB", 1, 11_000, symbol="EURUSD")
    assert market.cash("ALICE", "EUR").held_micro == 10**9
    market.cancel(ask)
    assert market.cash("ALICE", "EUR").held_micro == 0


def test_a_resting_short_sale_holds_margin_beyond_its_proceeds(market: Market) -> None:
    """150 % of the value at first, of which the proceeds bring 100 %; and the fee."""
    shorts(market)
    (ask,) = market.short("CAROL", 10, 101)
    assert market.cash("CAROL").held_micro == 505 * TICK_MICRO
    assert market.position("CAROL").open_short_lots == 10
    market.cancel(ask)
    market.fees("CAROL", taker_ppm=100)
    market.short("CAROL", 10, 101)
    assert market.cash("CAROL").held_micro == 505 * TICK_MICRO + 1_010 + 10


def test_a_margin_below_the_proceeds_holds_only_the_fee(market: Market) -> None:
    """Never less than nothing."""
    shorts(market, short_margin_bps=9_000)
    market.fees("CAROL", taker_ppm=100)
    market.short("CAROL", 10, 101)
    assert market.cash("CAROL").held_micro == 1_010 + 10
    market.configure("CAROL", fee_schedule="")
    market.short("CAROL", 10, 101)
    assert market.cash("CAROL").held_micro == 1_010 + 10


@pytest.mark.parametrize("how", ["cancel", "fill", "replace", "expire", "ioc"])
def test_what_has_left_the_book_holds_nothing(market: Market, how: str) -> None:
    """Whatever ended it."""
    (bid,) = market.buy("ALICE", 10, 99, time_in_force=TimeInForce.DAY)
    if how == "cancel":
        market.cancel(bid)
    elif how == "fill":
        market.sell("BOB", 10, 99)
    elif how == "expire":
        market.tell(commands.CloseDay(20261122))
    else:
        market.replace(bid, qty=5)
        assert market.cash("ALICE").held_micro == 495 * TICK_MICRO
        market.replace(bid, price=98)
        assert market.cash("ALICE").held_micro == 490 * TICK_MICRO
        market.cancel(bid)
    if how == "ioc":
        market.buy("ALICE", 10, 99, time_in_force=TimeInForce.IOC)
    cash = market.cash("ALICE")
    assert (cash.held_micro, cash.open_micro, market.position("ALICE").open_buy_lots) == (0, 0, 0)


def test_a_hold_is_computed_when_it_comes_to_rest_and_at_each_change(market: Market) -> None:
    """A schedule that comes later does not change what an order holds, its next change does."""
    (bid,) = market.buy("ALICE", 10, 99)
    market.fees("ALICE", taker_ppm=100)
    assert market.cash("ALICE").held_micro == 990 * TICK_MICRO
    market.replace(bid, qty=5)
    assert market.cash("ALICE").held_micro == 495 * TICK_MICRO + 495 + 5
    market.configure("ALICE", fee_schedule="")
    market.cancel(bid)
    assert market.cash("ALICE").held_micro == 0


def test_short_sales_need_the_permission(market: Market) -> None:
    """DENIED SHORT_SALE_NOT_PERMITTED by default, and again once it is withdrawn."""
    market.open("CAROL", lots=0)
    assert market.short("CAROL", 1, 101, key="A").story == ["A DENIED SHORT_SALE_NOT_PERMITTED side"]
    market.configure("CAROL", short_sale_permitted=True)
    assert market.short("CAROL", 1, 101, key="B").story == ["B NEW"]
    market.configure("CAROL", short_sale_permitted=False)
    assert market.short("CAROL", 1, 101, key="C").story == ["C DENIED SHORT_SALE_NOT_PERMITTED side"]


def test_short_sales_need_no_long_position(market: Market) -> None:
    """SELL what is held: one lot is enough for a no; sold out, or short already, it is a yes."""
    shorts(market)
    market.tell(commands.AdjustPosition("CAROL", "XYZ", 1, 100, "one"))
    assert market.short("CAROL", 1, 101, key="A").story == ["A DENIED SHORT_SALE_NOT_PERMITTED side"]
    market.buy("BOB", 3, 100)
    market.sell("CAROL", 1, 100)
    assert market.short("CAROL", 2, 100, key="B").story[0] == "B NEW"
    assert market.position("CAROL").qty_lots == -2
    assert market.short("CAROL", 1, 101, key="C").story == ["C NEW"]


def test_a_pair_has_no_short_sale(market: Market) -> None:
    """Its base currency is sold, or not."""
    shorts(market).tell(EURUSD)
    assert market.short("CAROL", 1, 101, symbol="EURUSD", key="A").story == ["A DENIED SHORT_SALE_NOT_PERMITTED side"]


@pytest.mark.parametrize(
    ("reference", "bps", "margin"), [(0, 15_000, 150), (200, 15_000, 300), (101, 15_000, 152), (100, 0, 0), (100, 1, 1)]
)
def test_margin_of_a_short_position(market: Market, reference: int, bps: int, margin: int) -> None:
    """`ceil(|lots| * mark * worth * bps / 10,000)`: of one lot short at 100, here with a worth of 10^-6."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**3, 10**9))
    shorts(market, short_margin_bps=bps)
    market.buy("BOB", 1, 100, symbol="ABC")
    market.short("CAROL", 1, 100, symbol="ABC")
    if reference:
        market.reference(reference, "ABC")
    account = market.account("CAROL")
    assert account.margin_micro(account.cash["USD"]) == margin


def test_margin_of_a_short_option(market: Market) -> None:
    """The premium at the mark, and 20 % of the strike value: one lot at 3.00 needs 300.00 + 1,000.00."""
    shorts(market).tell(OPTION)
    market.buy("BOB", 1, 300, symbol="OPT")
    market.short("CAROL", 1, 300, symbol="OPT")
    account = market.account("CAROL")
    assert account.margin_micro(account.cash["USD"]) == 1_300_000_000
    market.reference(500, "OPT")
    assert account.margin_micro(account.cash["USD"]) == 1_500_000_000
    market.short("CAROL", 2, 600, symbol="OPT")
    assert market.cash("CAROL").held_micro == 2_000_000_000


def test_margin_is_of_one_currency(market: Market) -> None:
    """What is short in euros takes no dollars; what is bought back takes nothing any more."""
    market.tell(commands.ListInstrument("DAX", 1, "EUR", 10**7, 10**9))
    shorts(market)
    market.tell(commands.AdjustCash("CAROL", "EUR", 10**10, "eur"))
    market.tell(commands.AdjustCash("BOB", "EUR", 10**10, "eur"))
    for symbol in ("XYZ", "DAX"):
        market.buy("BOB", 10, 100, symbol=symbol)
        market.short("CAROL", 10, 100, symbol=symbol)
    account = market.account("CAROL")
    assert [account.margin_micro(account.cash[currency]) for currency in ("USD", "EUR")] == [1_500 * TICK_MICRO] * 2
    market.sell("BOB", 10, 100)
    market.buy("CAROL", 10, 100)
    assert [account.margin_micro(account.cash[currency]) for currency in ("USD", "EUR")] == [0, 1_500 * TICK_MICRO]


def test_an_option_without_a_strike_needs_what_a_share_needs(market: Market) -> None:
    """The percentage of its value."""
    shorts(market).tell(commands.ListInstrument("OPT", 2, "USD", 10**7, 10**9, 100))
    market.short("CAROL", 1, 300, symbol="OPT")
    assert market.cash("CAROL").held_micro == 150_000_000


def test_margin_and_holds_cannot_be_withdrawn(market: Market) -> None:
    """What is free is cash less held less margin: all of it can go, not a micro more."""
    shorts(market)
    market.buy("BOB", 10, 100)
    market.short("CAROL", 10, 100)
    market.buy("CAROL", 10, 90)
    free = 10**10 + 1_000 * TICK_MICRO - 1_500 * TICK_MICRO - 900 * TICK_MICRO
    refused = market.tell(commands.AdjustCash("CAROL", "USD", -free - 1, "a"))
    assert refused.story == ["command_refused BUYING_POWER amount"]
    assert market.tell(commands.AdjustCash("CAROL", "USD", -free, "b")).story == ["cash_adjusted"]


def test_orders_that_wait_hold_nothing(market: Market) -> None:
    """Only orders in the book hold."""
    market.buy("ALICE", 10, 120, ord_type=OrdType.STOP_LIMIT, stop_px_ticks=110)
    assert (market.cash("ALICE").held_micro, market.cash("ALICE").open_micro) == (0, 0)


def test_the_rest_of_a_purchase_holds_its_own_limit(market: Market) -> None:
    """After a fill at a better price the open lots hold their limit."""
    market.sell("ALICE", 4, 101)
    market.buy("BOB", 10, 110)
    assert market.cash("BOB").held_micro == 6 * 110 * TICK_MICRO


def test_orders_in_an_auction_hold_as_well(market: Market) -> None:
    """They are in the book."""
    market.session(TradingSession.CLOSING_AUCTION)
    market.buy("ALICE", 10, 99)
    market.sell("ALICE", 10, 120)
    assert (market.cash("ALICE").held_micro, market.position("ALICE").held_lots) == (990 * TICK_MICRO, 10)
