"""What an account holds, with decimals: balances, positions, and what is at stake in each currency.

All sums are of whole 10^-6 of a currency, as the ledger of matching has them,
and become decimals at the very end. Positions are valued at their mark, and at
their cost without one, as `unrealized_pnl` counts them.

The base currency of a currency pair is delivered as cash: who has bought 1,000
EURUSD has 1,000 euros more, fewer dollars, and a position of 1,000 that only
remembers what they cost. To close it, those euros go back. So the position
counts in the quote currency like any other, and as much is taken off the equity
in the base currency: what was bought counts once. It follows that in every
currency equity = what was paid in + realised + unrealised result - fees.

Called by `gateway.portfolio_service` and `gateway.portfolio_stream`. Pure but
for the generated message types.
"""

from __future__ import annotations

from dataclasses import dataclass

from ordergate.matching.v1 import matching_pb2 as link
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from runtime.instruments import NANO_PER_MICRO, Instrument, Instruments, money_text

_UNLISTED = Instrument("", 0, "", 10**9, 10**9)


@dataclass(slots=True)
class _Stake:
    """What is at stake in one currency, in 10^-6 of it."""

    gross: int = 0
    net: int = 0
    realized_pnl: int = 0
    unrealized_pnl: int = 0
    equity: int = 0


def portfolio_of(
    account: str, ledger: link.GetAccountResponse, instruments: Instruments
) -> portfolio.GetPortfolioResponse:
    """An account as a whole, without its orders."""
    return portfolio.GetPortfolioResponse(
        account=account,
        balances=[balance_of(state) for state in ledger.cash],
        positions=[position_of(state, instruments) for state in ledger.positions],
        open_orders=ledger.open_orders,
        as_of_seq=ledger.as_of_seq,
        exposures=exposures_of(ledger, instruments),
    )


def position_of(state: link.PositionState, instruments: Instruments) -> portfolio.Position:
    """A position with decimals."""
    instrument = instruments.get(state.symbol) or _UNLISTED
    return portfolio.Position(
        symbol=state.symbol,
        qty=instrument.qty_text(state.qty_lots),
        held_qty=instrument.qty_text(state.held_lots),
        avg_cost=instrument.avg_px_text(state.cost_ticks_lots, state.qty_lots),
        realized_pnl=money_text(state.realized_pnl_micro),
        currency=instrument.currency,
        unrealized_pnl=money_text(state.unrealized_pnl_micro),
        mark_px=instrument.price_text(state.mark_ticks) if state.mark_ticks else "",
        market_value=money_text(_value_micro(state, instrument)),
    )


def balance_of(state: link.CashState) -> portfolio.Balance:
    """Cash with decimals."""
    return portfolio.Balance(
        currency=state.currency,
        cash=money_text(state.cash_micro),
        held=money_text(state.held_micro),
        buying_power=money_text(state.cash_micro - state.held_micro - state.margin_micro),
        margin=money_text(state.margin_micro),
        fees=money_text(state.fees_micro),
    )


def exposures_of(ledger: link.GetAccountResponse, instruments: Instruments) -> list[portfolio.Exposure]:
    """What is at stake, sorted by currency: those of the account's cash and of its positions."""
    stakes = {state.currency: _Stake(equity=state.cash_micro) for state in ledger.cash}
    for state in ledger.positions:
        instrument = instruments.get(state.symbol) or _UNLISTED
        stake = stakes.setdefault(instrument.currency, _Stake())
        value_micro = _value_micro(state, instrument)
        stake.gross += abs(value_micro)
        stake.net += value_micro
        stake.realized_pnl += state.realized_pnl_micro
        stake.unrealized_pnl += state.unrealized_pnl_micro
        stake.equity += value_micro
        if instrument.asset_class == types.ASSET_CLASS_FX:
            base = stakes.setdefault(instrument.base_currency, _Stake())
            base.equity -= state.qty_lots * (instrument.lot_size_nano // NANO_PER_MICRO)
    return [
        portfolio.Exposure(
            currency=currency,
            gross=money_text(stake.gross),
            net=money_text(stake.net),
            realized_pnl=money_text(stake.realized_pnl),
            unrealized_pnl=money_text(stake.unrealized_pnl),
            equity=money_text(stake.equity),
        )
        for currency, stake in sorted(stakes.items())
    ]


def _value_micro(state: link.PositionState, instrument: Instrument) -> int:
    """What a position is worth at its mark, else what it has cost; negative when short."""
    value = state.mark_ticks * state.qty_lots if state.mark_ticks else state.cost_ticks_lots
    return value * instrument.micro_per_tick_lot
