"""Section 5, the ledger: what a trade moves, average cost, realised and unrealised P&L, fees."""

import pytest

from matching.core import commands
from matching.core.words import TimeInForce, TradingSession
from tests.unit.matching.market import CASH_MICRO, TICK_MICRO, Market

EURUSD = commands.ListInstrument("EURUSD", 3, "USD", 10**5, 10**12, base_currency="EUR")
"""Tick 0.0001 USD, lot 1,000 EUR: a tick on a lot is worth 0.1 USD."""


def with_pair(market: Market) -> Market:
    """The market with EURUSD; ALICE owns 1,000,000 EUR."""
    market.tell(EURUSD)
    market.tell(commands.AdjustCash("ALICE", "EUR", 10**12, "eur"))
    return market


def all_money(market: Market, currency: str = "USD") -> int:
    """All cash of a currency and the venue's pot."""
    accounts = market.engine.venue.accounts.values()
    owned = sum(account.cash[currency].cash_micro for account in accounts if currency in account.cash)
    return owned + market.engine.venue.fees_micro.get(currency, 0)


def test_a_trade_moves_money_one_way_and_lots_the_other(market: Market) -> None:
    """`price * qty * worth` at the traded price, not at the buyer's limit."""
    market.sell("ALICE", 10, 101)
    market.buy("BOB", 4, 110)
    assert (
        market.cash("ALICE").cash_micro - CASH_MICRO == 404 * TICK_MICRO == CASH_MICRO - market.cash("BOB").cash_micro
    )
    assert (market.position("ALICE").qty_lots, market.position("BOB").qty_lots) == (996, 1_004)


def test_worth_has_the_multiplier_in_it(market: Market) -> None:
    """An option with tick 0.05 on a lot of 1 and multiplier 100 moves 5.00 for each tick and lot."""
    market.tell(commands.ListInstrument("OPT", 2, "USD", 5 * 10**7, 10**9, 100, strike_nano=50 * 10**9))
    market.tell(commands.AdjustPosition("ALICE", "OPT", 3, 20, "opt"))
    market.sell("ALICE", 3, 20, symbol="OPT")
    market.buy("BOB", 3, 20, symbol="OPT")
    assert CASH_MICRO - market.cash("BOB").cash_micro == 3 * 20 * 5_000_000


def test_worth_has_fractions_of_lots_in_it(market: Market) -> None:
    """Crypto with tick 0.01 on a lot of 0.0001 is worth 10^-6."""
    market.tell(commands.ListInstrument("BTC", 4, "USD", 10**7, 10**5))
    assert market.listing("BTC").micro_per_tick_lot == 1


def test_a_pair_moves_its_base_currency_as_cash(market: Market) -> None:
    """2 lots at 1.1000: 2,000 EUR against 2,200.00 USD; the positions are kept for P&L alone and may be negative."""
    with_pair(market)
    market.sell("ALICE", 2, 11_000, symbol="EURUSD")
    market.buy("BOB", 2, 11_000, symbol="EURUSD")
    assert market.cash("ALICE").cash_micro - CASH_MICRO == 2_200_000_000
    assert market.cash("ALICE", "EUR").cash_micro == 10**12 - 2_000_000_000
    assert market.cash("BOB", "EUR").cash_micro == 2_000_000_000
    assert (market.position("ALICE", "EURUSD").qty_lots, market.position("BOB", "EURUSD").qty_lots) == (-2, 2)


def test_the_lot_of_a_pair_is_a_whole_amount_of_its_base_currency(bare: Market) -> None:
    """At least 10^-6 of it; and the pair has a base currency, which is not the other one."""

    def listed(lot_nano: int, base: str) -> list[str]:
        return bare.tell(commands.ListInstrument("P", 3, "USD", 10**12, lot_nano, base_currency=base)).story

    assert listed(1_001, "EUR") == ["command_refused FIELD_INVALID lot_size"]
    assert listed(1_000, "") == ["command_refused FIELD_MISSING base_currency"]
    assert listed(1_000, "USD") == ["command_refused FIELDS_CONFLICT base_currency"]
    assert listed(1_000, "EUR") == ["instrument_listed"]


def test_no_lots_of_a_pair_are_booked_in(market: Market) -> None:
    """Its base currency is cash: AdjustCash is the way."""
    with_pair(market)
    told = market.tell(commands.AdjustPosition("ALICE", "EURUSD", 1, 1, "r"))
    assert told.story == ["command_refused NOT_SUPPORTED symbol"]


def carol(market: Market, *booked: tuple[int, int]) -> None:
    """CAROL with lots booked in at prices."""
    market.open("CAROL", lots=0)
    market.configure("CAROL", short_sale_permitted=True)
    for number, (lots, price) in enumerate(booked):
        market.tell(commands.AdjustPosition("CAROL", "XYZ", lots, price, f"in{number}"))


def state(market: Market, account: str = "CAROL") -> tuple[int, int, int]:
    """Lots, cost in ticks times lots, realised P&L in ticks times lots."""
    position = market.position(account)
    return position.qty_lots, position.cost_ticks_lots, position.realized_pnl_micro // TICK_MICRO


def test_cost_is_carried_at_the_average(market: Market) -> None:
    """100 at 100 and 100 at 130 cost 115 each: selling 50 at 120 realises 5 ticks on each."""
    carol(market, (100, 100), (100, 130))
    market.buy("BOB", 50, 120)
    market.sell("CAROL", 50, 120)
    assert state(market) == (150, 150 * 115, 50 * 5)


def test_what_a_reducing_trade_takes_out_is_rounded_down(market: Market) -> None:
    """`cost * qty // |position|`; the last lot takes the rest, so that rounding never accumulates."""
    carol(market, (2, 100), (1, 101))
    costs = []
    for _ in range(3):
        market.buy("BOB", 1, 100)
        market.sell("CAROL", 1, 100)
        costs.append(market.position("CAROL").cost_ticks_lots)
    assert costs == [201, 101, 0]
    assert state(market) == (0, 0, 300 - 301)


def test_the_cost_of_a_short_position_has_its_sign(market: Market) -> None:
    """Short 2 at 100 and 1 at 101: -301; buying one back at 90 takes 100 out of it and realises 10."""
    carol(market)
    for lots, price in ((2, 100), (1, 101)):
        market.buy("BOB", lots, price)
        market.short("CAROL", lots, price)
    assert state(market) == (-3, -301, 0)
    market.sell("BOB", 1, 90)
    market.buy("CAROL", 1, 90)
    assert state(market) == (-2, -201, 10)


def test_crossing_zero_closes_first_and_opens_the_rest_at_the_trade_s_price(market: Market) -> None:
    """Short 3 at 100, buying 5 at 90: realised 30, long 2 at 90."""
    carol(market)
    market.buy("BOB", 3, 100)
    market.short("CAROL", 3, 100)
    market.sell("BOB", 5, 90)
    market.buy("CAROL", 5, 90)
    assert state(market) == (2, 180, 30)


def test_a_pair_s_position_crosses_zero_downwards(market: Market) -> None:
    """Long 2 bought at 11,000, selling 5 at 11,010: realised 20 ticks, short 3 at 11,010."""
    with_pair(market)
    market.tell(commands.AdjustCash("BOB", "EUR", 10**12, "eur"))
    market.sell("BOB", 2, 11_000, symbol="EURUSD")
    market.buy("ALICE", 2, 11_000, symbol="EURUSD")
    market.buy("BOB", 5, 11_010, symbol="EURUSD")
    market.sell("ALICE", 5, 11_010, symbol="EURUSD")
    position = market.position("ALICE", "EURUSD")
    assert (position.qty_lots, position.cost_ticks_lots, position.realized_pnl_micro) == (-3, -33_030, 20 * 100_000)


def test_unrealised_is_against_the_mark(market: Market) -> None:
    """0 without one, then the last trade, then the reference price."""
    position = market.position("ALICE")
    assert position.unrealized_micro() == 0
    market.trade(110)
    assert position.unrealized_micro() == (110 * 999 - 100 * 999) * TICK_MICRO
    market.reference(90)
    assert position.unrealized_micro() == (90 * 999 - 100 * 999) * TICK_MICRO


def test_realised_pnl_is_bounded(market: Market) -> None:
    """At 2^62 in either direction it stays there: no sum of trades can leave 64 bits."""
    position = market.position("ALICE")
    for sign in (1, -1):
        position.realized_pnl_micro = position.cash.realized_micro = sign * (2**62 - 1)
        market.trade(200 if sign > 0 else 1)
        assert position.realized_pnl_micro == sign * 2**62


@pytest.mark.parametrize(
    ("maker_ppm", "taker_ppm", "lot_micro", "maker", "taker"),
    [
        (100, 300, 0, 303, 909),
        (1, 1, 0, 4, 4),
        (0, 0, 7, 21, 21),
        (-100, 300, 2, -303 + 6, 909 + 6),
        (-1, 0, 0, -3, 0),
    ],
)
def test_fees_are_rounded_up(
    market: Market, maker_ppm: int, taker_ppm: int, lot_micro: int, maker: int, taker: int
) -> None:
    """3 lots at 101 are worth 3.03: `ceil(value * ppm / 1,000,000) + lots * lot_micro`; a negative rate is a rebate."""
    market.fees("ALICE", "BOB", maker_ppm=maker_ppm, taker_ppm=taker_ppm, lot_micro=lot_micro)
    market.sell("ALICE", 3, 101)
    told = market.buy("BOB", 3, 101)
    assert (told[1].fee_micro, told[2].fee_micro) == (maker, taker)
    assert market.cash("ALICE").cash_micro == CASH_MICRO + 3_030_000 - maker
    assert market.cash("BOB").cash_micro == CASH_MICRO - 3_030_000 - taker
    assert (market.cash("ALICE").fees_micro, market.cash("BOB").fees_micro) == (maker, taker)
    assert market.engine.venue.fees_micro.get("USD", 0) == maker + taker
    assert all_money(market) == 2 * CASH_MICRO


def test_fees_of_an_auction_are_the_maker_s(market: Market) -> None:
    """For both."""
    market.fees("ALICE", "BOB", maker_ppm=100, taker_ppm=300)
    market.session(TradingSession.CLOSING_AUCTION)
    market.sell("ALICE", 3, 101)
    market.buy("BOB", 3, 101)
    told = market.session(TradingSession.CLOSED)
    assert [event.fee_micro for event in told[1:]] == [303, 303]
    assert all_money(market) == 2 * CASH_MICRO


def test_fees_are_by_the_account_s_schedule(market: Market) -> None:
    """An account without one pays none; a change of the schedule changes it for all that have it."""
    market.fees("ALICE", maker_ppm=100)
    market.sell("ALICE", 3, 101)
    told = market.buy("BOB", 1, 101)
    assert (told[1].fee_micro, told[2].fee_micro) == (101, 0)
    market.fees(maker_ppm=200)
    assert market.buy("BOB", 1, 101)[1].fee_micro == 202
    market.configure("ALICE", fee_schedule="")
    assert market.buy("BOB", 1, 101)[1].fee_micro == 0


def test_fees_of_a_pair_are_in_its_second_currency(market: Market) -> None:
    """And money is conserved in both."""
    with_pair(market)
    market.fees("ALICE", "BOB", maker_ppm=100, taker_ppm=300)
    market.sell("ALICE", 2, 11_000, symbol="EURUSD")
    told = market.buy("BOB", 2, 11_000, symbol="EURUSD")
    assert [event.fee_micro for event in told[1:]] == [220_000, 660_000]
    assert (all_money(market), all_money(market, "EUR")) == (2 * CASH_MICRO, 10**12)


def test_money_and_lots_are_conserved(market: Market) -> None:
    """Over some trades, shorts, rebates and cancels: all cash and the pot are the deposits, lots stay."""
    market.fees("ALICE", "BOB", maker_ppm=-77, taker_ppm=333, lot_micro=5)
    carol(market)
    market.fees("CAROL", maker_ppm=-77, taker_ppm=333, lot_micro=5)
    for step in range(30):
        market.sell("ALICE", 3, 100 + step % 5)
        market.short("CAROL", 2, 100 + step % 3)
        market.buy("BOB", 4, 100 + step % 7, time_in_force=TimeInForce.IOC)
        market.buy("CAROL", 1, 100 + step % 4, time_in_force=TimeInForce.IOC, self_trade_prevention=2)
    for account in ("ALICE", "BOB", "CAROL"):
        market.tell(commands.MassCancel(account))
        assert (market.cash(account).held_micro, market.cash(account).open_micro) == (0, 0)
        position = market.position(account)
        assert (position.held_lots, position.open_buy_lots, position.open_short_lots) == (0, 0, 0)
    assert all_money(market) == 3 * CASH_MICRO
    assert (
        sum(market.position(account).qty_lots for account in ("ALICE", "BOB", "CAROL"))
        == market.listing().lots
        == 2_000
    )
