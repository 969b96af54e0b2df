"""Cash, holds and positions of accounts. Integers only; nothing here knows of orders' lives.

An open buy order holds the cash it could cost at its limit, an open sell order
the lots it could deliver. Free is what is owned less what is held, and is never
negative: a trade only spends what was held or checked. Cost is carried at the
average; what a sale takes out of it is rounded down, and the last lot takes the
rest, so that rounding never accumulates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matching.core.commands import AdjustCash, AdjustPosition
    from matching.core.events import AccountOpened, CashAdjusted, PositionAdjusted
    from matching.core.keys import Outcome
    from matching.core.orders import Order

MONEY_MICRO_MAX = 2**62
"""Bound of all money of one currency together, in units of 10^-6; keeps every sum within 64 bits."""
LOTS_MAX = 2**62
"""Bound of all lots of one instrument together, for the same reason."""


class Cash:
    """Cash in one currency, in units of 10^-6."""

    __slots__ = ("cash_micro", "held_micro")

    def __init__(self) -> None:
        self.cash_micro = 0
        self.held_micro = 0

    @property
    def free_micro(self) -> int:
        """Buying power: owned less held."""
        return self.cash_micro - self.held_micro


class Position:
    """A holding of one instrument, in lots; cost in ticks times lots."""

    __slots__ = ("cost_ticks_lots", "held_lots", "qty_lots", "realized_pnl_micro")

    def __init__(self) -> None:
        self.qty_lots = 0
        self.held_lots = 0
        self.cost_ticks_lots = 0
        self.realized_pnl_micro = 0

    def buy(self, qty_lots: int, price_ticks: int) -> None:
        """Takes lots in at a price."""
        self.qty_lots += qty_lots
        self.cost_ticks_lots += qty_lots * price_ticks

    def sell(self, qty_lots: int, price_ticks: int, micro_per_tick_lot: int) -> None:
        """Gives lots away at a price; at most what is owned. What they earned over their average cost is realised."""
        cost = self.book_out(qty_lots)
        self.realized_pnl_micro += (price_ticks * qty_lots - cost) * micro_per_tick_lot

    def book_out(self, qty_lots: int) -> int:
        """Takes lots out at their average cost; gives that cost, in ticks times lots, rounded down."""
        cost = self.cost_ticks_lots * qty_lots // self.qty_lots
        self.qty_lots -= qty_lots
        self.cost_ticks_lots -= cost
        return cost


class Account:
    """One account: what it owns, its orders, and the requests it has made."""

    __slots__ = (
        "account",
        "account_seq",
        "adjustments",
        "cash",
        "keys",
        "open_orders",
        "opened",
        "order_ids",
        "positions",
    )

    def __init__(self, account: str, opened: AccountOpened) -> None:
        self.account = account
        self.opened = opened
        self.account_seq = 0
        self.cash: dict[str, Cash] = {}
        self.positions: dict[str, Position] = {}
        self.open_orders: dict[int, Order] = {}
        self.order_ids: list[int] = []
        self.keys: dict[str, Outcome] = {}
        self.adjustments: dict[str, tuple[AdjustCash | AdjustPosition, CashAdjusted | PositionAdjusted]] = {}

    def cash_in(self, currency: str) -> Cash:
        """The account's cash in a currency, none at first."""
        cash = self.cash.get(currency)
        if cash is None:
            cash = self.cash[currency] = Cash()
        return cash

    def position_in(self, symbol: str) -> Position:
        """The account's position in an instrument, none at first."""
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position()
        return position
