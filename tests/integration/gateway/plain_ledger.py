"""What accounts own, computed from genesis and execution reports alone, in exact decimals: the portfolio's oracle."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

NONE = Decimal(0)


@dataclass
class Holding:
    """A position: quantity and what it has cost, both negative when short."""

    qty: Decimal = NONE
    cost: Decimal = NONE
    realized: Decimal = NONE

    def trade(self, qty: Decimal, price: Decimal, step: Decimal) -> None:
        """Takes a quantity in at a price, or gives it away when negative; `step` is a tick on a lot."""
        if self.qty * qty < 0:
            closed = min(abs(qty), abs(self.qty))
            sign = 1 if self.qty > 0 else -1
            cost = abs(self.cost) * closed / abs(self.qty)
            cost -= cost % step
            self.realized += sign * (price * closed - cost)
            self.qty -= sign * closed
            self.cost -= sign * cost
            qty += sign * closed
        self.qty += qty
        self.cost += qty * price


@dataclass(frozen=True)
class Terms:
    """The terms of an instrument."""

    currency: str
    base: str
    multiplier: Decimal
    step: Decimal


class PlainLedger:
    """All accounts of a venue whose prices are those of its trades."""

    def __init__(self, genesis: Path) -> None:
        told: dict[str, Any] = yaml.safe_load(genesis.read_text())
        self._terms = {
            one["symbol"]: Terms(
                one["currency"],
                one.get("base_currency", "") if one["asset_class"] == "FX" else "",
                Decimal(one.get("multiplier", 1)),
                Decimal(one["tick_size"]) * Decimal(one["lot_size"]),
            )
            for one in told["instruments"]
        }
        self.marks: dict[str, Decimal] = {}
        self.cash: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.holdings: dict[tuple[str, str], Holding] = defaultdict(Holding)
        for account in told["accounts"]:
            for currency, amount in account.get("cash", {}).items():
                self.cash[account["account"], currency] = Decimal(amount)
            for symbol, held in account.get("positions", {}).items():
                qty = Decimal(held["qty"])
                self.holdings[account["account"], symbol] = Holding(qty, qty * Decimal(held["price"]))

    def hear(self, report: orders.ExecutionReport) -> None:
        """Takes in a report; those of all accounts must come, in sequence."""
        if report.exec_type != types.EXEC_TYPE_TRADE:
            return
        terms, account = self._terms[report.symbol], report.account
        price = Decimal(report.last_px)
        qty = Decimal(report.last_qty) * (1 if report.side == types.SIDE_BUY else -1)
        fee = Decimal(report.fee or 0)
        self.cash[account, terms.currency] -= qty * price * terms.multiplier + fee
        self.fees[account, terms.currency] += fee
        if terms.base:
            self.cash[account, terms.base] += qty
        self.holdings[account, report.symbol].trade(qty, price, terms.step)
        self.marks[report.symbol] = price

    def check(self, told: portfolio.GetPortfolioResponse) -> None:
        """Holds a portfolio against what this ledger has."""
        account = told.account
        balances = {one.currency: (Decimal(one.cash), Decimal(one.fees)) for one in told.balances}
        assert balances == {
            currency: (self.cash[account, currency], self.fees[account, currency])
            for owner, currency in list(self.cash)
            if owner == account
        }
        seen = {one.symbol: one for one in told.positions}
        assert set(seen) == {symbol for owner, symbol in self.holdings if owner == account}
        for symbol, one in seen.items():
            self._check_position(self.holdings[account, symbol], one)
        self._check_exposures(account, told)

    def value(self, symbol: str, holding: Holding) -> Decimal:
        """What a holding is worth at the last trade, or has cost when there was none."""
        mark = self.marks.get(symbol)
        worth = holding.cost if mark is None else mark * holding.qty
        return worth * self._terms[symbol].multiplier

    def unrealized(self, symbol: str, holding: Holding) -> Decimal:
        """What a holding would bring at the last trade, less what it has cost."""
        return self.value(symbol, holding) - holding.cost * self._terms[symbol].multiplier

    def _check_position(self, holding: Holding, told: portfolio.Position) -> None:
        terms = self._terms[told.symbol]
        assert Decimal(told.qty) == holding.qty
        assert Decimal(told.realized_pnl) == holding.realized * terms.multiplier
        assert Decimal(told.unrealized_pnl) == self.unrealized(told.symbol, holding)
        assert Decimal(told.market_value) == self.value(told.symbol, holding)
        assert told.currency == terms.currency
        assert (Decimal(told.mark_px) if told.mark_px else None) == self.marks.get(told.symbol)
        if holding.qty:
            assert abs(Decimal(told.avg_cost) - holding.cost / holding.qty) <= Decimal("5e-10")
        else:
            assert told.avg_cost == ""

    def _check_exposures(self, account: str, told: portfolio.GetPortfolioResponse) -> None:
        expected: dict[str, list[Decimal]] = {}
        for (owner, currency), cash in self.cash.items():
            if owner == account:
                expected[currency] = [NONE, NONE, NONE, NONE, cash]
        for (owner, symbol), holding in self.holdings.items():
            if owner != account:
                continue
            terms, value = self._terms[symbol], self.value(symbol, holding)
            row = expected[terms.currency]
            changes = (
                abs(value),
                value,
                holding.realized * terms.multiplier,
                self.unrealized(symbol, holding),
                value,
            )
            for place, change in enumerate(changes):
                row[place] += change
            if terms.base:
                expected[terms.base][-1] -= holding.qty
        assert {
            one.currency: [
                Decimal(text) for text in (one.gross, one.net, one.realized_pnl, one.unrealized_pnl, one.equity)
            ]
            for one in told.exposures
        } == expected
        assert [one.currency for one in told.exposures] == sorted(expected)
