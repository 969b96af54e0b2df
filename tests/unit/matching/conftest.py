"""A trading floor: the pure core with one instrument and two funded accounts, and words to trade with."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from matching.core import commands
from matching.core.engine import Engine
from matching.core.events import Event, OrderEvent, Replay
from matching.core.ledger import Cash, Position
from matching.core.words import OrdType, Side, TimeInForce

FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
MICRO = 10**6
CASH_MICRO = 10_000 * MICRO
LOTS = 100
TICK_MICRO = 10_000
"""What one tick on one lot of XYZ is worth: 0.01."""


class Floor:
    """An engine whose clock ticks once for each command; remembers what was done."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.done: list[tuple[commands.Command, int]] = []
        self._keys = count(1)

    def opened(self) -> "Floor":
        """Lists XYZ (tick 0.01, lot 1) and gives ALICE and BOB 10,000.00 USD and 100 lots, booked in at 100 ticks."""
        self.told(commands.ListInstrument("XYZ", 1, "USD", 10**7, 10**9))
        for account in ("ALICE", "BOB"):
            self.told(commands.OpenAccount(account))
            self.told(commands.AdjustCash(account, "USD", CASH_MICRO, "cash"))
            self.told(commands.AdjustPosition(account, "XYZ", LOTS, 100, "lots"))
        return self

    def execute(self, body: commands.Body, **origin: Any) -> Sequence[Event] | Replay:
        """Carries out a command."""
        command = commands.Command(body, **origin)
        self.done.append((command, FIRST_TIME_UNIX_NS + len(self.done)))
        return self.engine.execute(*self.done[-1])

    def told(self, body: commands.Body) -> list[Any]:
        """The events of a command that is no repetition."""
        events = self.execute(body)
        assert not isinstance(events, Replay), events
        return list(events)

    def replayed(self, body: commands.Body) -> Any:
        """The original event of a command that is a repetition."""
        replay = self.execute(body)
        assert isinstance(replay, Replay), replay
        return replay.original

    def order(self, account: str, side: Side, qty: int, price: int = 0, **terms: Any) -> commands.NewOrder:
        """An order: a limit order good till cancelled when it has a price, a market order otherwise."""
        given = {
            "cl_ord_id": f"key-{next(self._keys)}",
            "symbol": "XYZ",
            "ord_type": OrdType.LIMIT if price else OrdType.MARKET,
            "time_in_force": TimeInForce.GTC,
        } | terms
        return commands.NewOrder(account, side=side, qty_lots=qty, price_ticks=price, **given)

    def buy(self, account: str, qty: int, price: int = 0, **terms: Any) -> list[OrderEvent]:
        """The events of a buy order."""
        return self.told(self.order(account, Side.BUY, qty, price, **terms))

    def sell(self, account: str, qty: int, price: int = 0, **terms: Any) -> list[OrderEvent]:
        """The events of a sell order."""
        return self.told(self.order(account, Side.SELL, qty, price, **terms))

    def replace(self, first: OrderEvent, qty: int = 0, price: int = 0, **terms: Any) -> list[OrderEvent]:
        """The events of a replace of the order that `first` accepted; in lots and ticks, 0 to keep."""
        given: dict[str, Any] = {"cl_ord_id": f"key-{next(self._keys)}", "order_id": first.order_id} | terms
        return self.told(
            commands.ReplaceOrder(first.terms.account, qty_nano=qty * 10**9, price_nano=price * 10**7, **given)
        )

    def cancel(self, first: OrderEvent, **terms: Any) -> list[OrderEvent]:
        """The events of a cancel of the order that `first` accepted."""
        given: dict[str, Any] = {"order_id": first.order_id} | terms
        return self.told(commands.CancelOrder(first.terms.account, **given))

    def cash(self, account: str) -> Cash:
        """The account's US dollars."""
        return self.engine.venue.accounts[account].cash["USD"]

    def position(self, account: str) -> Position:
        """The account's holding of XYZ."""
        return self.engine.venue.accounts[account].positions["XYZ"]

    def bids(self) -> list[tuple[int, int, list[int]]]:
        """Price, open lots and order ids of each bid level, best first, oldest order first."""
        return self._levels(is_buy=True)

    def asks(self) -> list[tuple[int, int, list[int]]]:
        """The same of the ask levels."""
        return self._levels(is_buy=False)

    def _levels(self, *, is_buy: bool) -> list[tuple[int, int, list[int]]]:
        side = self.engine.venue.listings["XYZ"].book.side(is_buy)
        return [(price, level.qty_lots, list(level.orders)) for price, level in side.best_first()]


@pytest.fixture
def bare() -> Floor:
    """A floor on which nothing exists yet."""
    return Floor()


@pytest.fixture
def floor() -> Floor:
    """A floor with XYZ, ALICE and BOB: seven events, so the first order is number 8."""
    return Floor().opened()
