"""Positions, balances and what is at stake, with decimals: examples counted by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import matching_pb2 as link
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from gateway.holdings import balance_of, exposures_of, portfolio_of, position_of
from runtime.decimals import NANO
from runtime.instruments import Instrument, Instruments, money_text
from tests.unit.gateway.conftest import PAIR, SHARE

OPTION = Instrument("AAPL-C", types.ASSET_CLASS_OPTION, "USD", NANO // 20, NANO, multiplier=100)
SWISS = Instrument("NESN", types.ASSET_CLASS_EQUITY, "CHF", NANO // 100, NANO)


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (
            link.PositionState(
                symbol="AAPL",
                qty_lots=3,
                held_lots=1,
                cost_ticks_lots=30_001,
                realized_pnl_micro=-1_500_000,
                unrealized_pnl_micro=29_990_000,
                mark_ticks=11_000,
            ),
            portfolio.Position(
                symbol="AAPL",
                qty="3",
                held_qty="1",
                avg_cost="100.003333333",
                realized_pnl="-1.50",
                currency="USD",
                unrealized_pnl="29.99",
                mark_px="110.00",
                market_value="330.00",
            ),
        ),
        (
            link.PositionState(
                symbol="EURUSD",
                qty_lots=-2,
                cost_ticks_lots=-220_000,
                unrealized_pnl_micro=-5_000_000,
                mark_ticks=110_250,
            ),
            portfolio.Position(
                symbol="EURUSD",
                qty="-2000",
                held_qty="0",
                avg_cost="1.10000",
                realized_pnl="0.00",
                currency="USD",
                unrealized_pnl="-5.00",
                mark_px="1.10250",
                market_value="-2205.00",
            ),
        ),
        (
            link.PositionState(symbol="AAPL", qty_lots=2, cost_ticks_lots=20_001),
            portfolio.Position(
                symbol="AAPL",
                qty="2",
                held_qty="0",
                avg_cost="100.005",
                realized_pnl="0.00",
                currency="USD",
                unrealized_pnl="0.00",
                market_value="200.01",
            ),
        ),
        (
            link.PositionState(symbol="BTCUSD", realized_pnl_micro=1, mark_ticks=6_000_000),
            portfolio.Position(
                symbol="BTCUSD",
                qty="0.0000",
                held_qty="0.0000",
                realized_pnl="0.000001",
                currency="USD",
                unrealized_pnl="0.00",
                mark_px="60000.00",
                market_value="0.00",
            ),
        ),
    ],
    ids=["long", "short", "without a mark", "closed"],
)
def test_positions_have_decimals(instruments: Instruments, state: link.PositionState, seen: portfolio.Position) -> None:
    """A closed position has no average cost and no value; one without a mark is worth what it has cost."""
    assert position_of(state, instruments) == seen


def test_buying_power_is_cash_less_what_is_held_and_margin() -> None:
    """Cash, held, margin and free, in the currency's units; fees are told beside them."""
    state = link.CashState(
        currency="USD", cash_micro=10_000_000, held_micro=2_500_000, margin_micro=1_000_000, fees_micro=-30_000
    )
    assert balance_of(state) == portfolio.Balance(
        currency="USD", cash="10.00", held="2.50", buying_power="6.50", margin="1.00", fees="-0.03"
    )


def exposure(currency: str, **amounts: str) -> portfolio.Exposure:
    """An exposure with 0.00 for what is not named."""
    none = dict.fromkeys(("gross", "net", "realized_pnl", "unrealized_pnl", "equity"), "0.00")
    return portfolio.Exposure(currency=currency, **(none | amounts))


def seen(instruments: Instruments, cash: dict[str, int], *positions: link.PositionState) -> list[portfolio.Exposure]:
    """The exposures of an account with whole units of cash."""
    states = [link.CashState(currency=name, cash_micro=units * 10**6) for name, units in cash.items()]
    return exposures_of(link.GetAccountResponse(cash=states, positions=positions), instruments)


@pytest.fixture
def instruments_of_all(instruments: Instruments) -> Instruments:
    """An option and a share in another currency beside the usual ones."""
    for more in (OPTION, SWISS):
        instruments.add(more.to_proto())
    return instruments


def test_long_and_short_count_without_and_with_their_sign(instruments_of_all: Instruments) -> None:
    """300 long at 110.00 and 2 options of 100 short at 5.00: 33,000 and 1,000 at stake, 32,000 net."""
    share = link.PositionState(
        symbol="AAPL", qty_lots=300, cost_ticks_lots=3_000_000, mark_ticks=11_000, unrealized_pnl_micro=3_000 * 10**6
    )
    option = link.PositionState(
        symbol="AAPL-C",
        qty_lots=-2,
        cost_ticks_lots=-240,
        mark_ticks=100,
        realized_pnl_micro=-7 * 10**6,
        unrealized_pnl_micro=200 * 10**6,
    )
    assert seen(instruments_of_all, {"USD": 1_000}, share, option) == [
        exposure(
            "USD", gross="34000.00", net="32000.00", realized_pnl="-7.00", unrealized_pnl="3200.00", equity="33000.00"
        )
    ]


def test_each_currency_stands_alone(instruments_of_all: Instruments) -> None:
    """Nothing is converted; a currency that only a position has is there too, and they are sorted."""
    share = link.PositionState(symbol="NESN", qty_lots=10, cost_ticks_lots=90_000, mark_ticks=9_000)
    assert seen(instruments_of_all, {"USD": 5}, share) == [
        exposure("CHF", gross="900.00", net="900.00", equity="900.00"),
        exposure("USD", equity="5.00"),
    ]


@pytest.mark.parametrize(("lots", "euros"), [(3, 13_000), (-3, 7_000)])
def test_a_currency_pair_counts_once(instruments: Instruments, lots: int, euros: int) -> None:
    """The euros bought are in the cash, and the position owes them: 10,000 euros were paid in, and are left."""
    cost_ticks = lots * 110_000
    pair = link.PositionState(
        symbol="EURUSD",
        qty_lots=lots,
        cost_ticks_lots=cost_ticks,
        mark_ticks=112_000,
        unrealized_pnl_micro=lots * 2_000 * PAIR.micro_per_tick_lot,
    )
    dollars = 50_000 - lots * 1_100
    euro, dollar = seen(instruments, {"EUR": euros, "USD": dollars}, pair)
    assert euro == exposure("EUR", equity="10000.00")
    assert dollar == exposure(
        "USD",
        gross=f"{abs(lots) * 1_120}.00",
        net=f"{lots * 1_120}.00",
        unrealized_pnl=f"{lots * 20}.00",
        equity=f"{50_000 + lots * 20}.00",
    )


def test_without_a_mark_cost_stands_for_value(instruments: Instruments) -> None:
    """As unrealised profit is none then, so equity is what was paid."""
    share = link.PositionState(symbol="AAPL", qty_lots=2, cost_ticks_lots=20_001)
    (dollar,) = seen(instruments, {"USD": 0}, share)
    assert dollar == exposure("USD", gross="200.01", net="200.01", equity="200.01")


@given(
    cash=st.integers(-(2**62), 2**62),
    states=st.lists(
        st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**15), 10**15), st.integers(0, 10**9)), max_size=4
    ),
)
def test_the_sums_are_exact(cash: int, states: list[tuple[int, int, int]]) -> None:
    """Net is the sum of the market values, equity is cash and net, whatever the numbers: no float comes near them."""
    known = Instruments()
    positions: list[link.PositionState] = []
    for number, (lots, cost, mark) in enumerate(states):
        symbol = f"S{number}"
        known.add(Instrument(symbol, SHARE.asset_class, "USD", NANO // 100, NANO).to_proto())
        positions.append(link.PositionState(symbol=symbol, qty_lots=lots, cost_ticks_lots=cost, mark_ticks=mark))
    ledger = link.GetAccountResponse(cash=[link.CashState(currency="USD", cash_micro=cash)], positions=positions)
    (dollar,) = exposures_of(ledger, known)
    values = [(mark * lots if mark else cost) * 10_000 for lots, cost, mark in states]
    assert dollar.gross == money_text(sum(map(abs, values)))
    assert dollar.net == money_text(sum(values))
    assert dollar.equity == money_text(cash + sum(values))


def test_a_portfolio_is_all_of_it(instruments: Instruments) -> None:
    """Balances, positions, exposures and the number of open orders, at one sequence."""
    fields: dict[str, Any] = {
        "cash": [link.CashState(currency="USD", cash_micro=5)],
        "positions": [link.PositionState(symbol="AAPL", qty_lots=1, cost_ticks_lots=10_000)],
    }
    ledger = link.GetAccountResponse(found=True, open_orders=3, as_of_seq=17, **fields)
    assert portfolio_of("DEMO", ledger, instruments) == portfolio.GetPortfolioResponse(
        account="DEMO",
        balances=[balance_of(ledger.cash[0])],
        positions=[position_of(ledger.positions[0], instruments)],
        open_orders=3,
        as_of_seq=17,
        exposures=exposures_of(ledger, instruments),
    )
