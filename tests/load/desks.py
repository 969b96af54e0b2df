"""Who trades in a load test, and what: desks with an account each, whose orders rest or take by turns.

Of two orders one rests and the next, of another desk, takes twice as much as one
that rests: the book stays small however long a test runs. Buyers and sellers take
turns, so that nobody runs out of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import yaml
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.stack.system import Stack

SYMBOL = "LOAD"
REST_QTY, TAKE_QTY = "10", "20"
LOW, HIGH = "99.99", "100.01"
METADATA = tuple[tuple[str, str], ...]


def genesis(desks: int, path: Path) -> Path:
    """Writes what a venue with so many desks begins with: one instrument, and an account for each desk."""
    holdings = {"cash": {"USD": "1000000000"}, "positions": {SYMBOL: {"qty": "10000000", "price": "100"}}}
    content = {
        "instruments": [
            {"symbol": SYMBOL, "asset_class": "EQUITY", "currency": "USD", "tick_size": "0.01", "lot_size": "1"}
        ],
        "accounts": [{"account": account(desk), **holdings} for desk in range(desks)],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def account(desk: int) -> str:
    """The account of a desk."""
    return f"DESK-{desk:03d}"


@dataclass(frozen=True, slots=True)
class Order:
    """One order: its number among all of a run decides everything about it."""

    number: int
    account: str
    cl_ord_id: str

    @property
    def terms(self) -> orders.OrderTerms:
        """As the contract has it."""
        return orders.OrderTerms(
            account=self.account,
            cl_ord_id=self.cl_ord_id,
            symbol=SYMBOL,
            side=types.SIDE_BUY if self._buys else types.SIDE_SELL,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_IOC if self._takes else types.TIME_IN_FORCE_GTC,
            qty=TAKE_QTY if self._takes else REST_QTY,
            price=HIGH if self._buys == self._takes else LOW,
        )

    @property
    def _takes(self) -> bool:
        return self.number % 2 == 1

    @property
    def _buys(self) -> bool:
        # Numbers 0 to 3: a buyer rests, a seller takes; a seller rests, a buyer takes.
        return self.number % 4 in (0, 3)


class Desks:
    """The desks of a running system: their tokens, their next orders, and what they have been told."""

    def __init__(self, system: Stack, number: int) -> None:
        """Makes a token for each.

        Args:
            system: was started with `genesis`.
            number: how many desks; even, so that a desk always rests or always takes.
        """
        self.number = number
        accounts = [account(desk) for desk in range(number)]
        self.tokens = [f"Bearer {system.token(accounts=[name], subject=name)}" for name in accounts]
        self.accounts: Sequence[str] = accounts
        self.told: dict[str, str] = {}
        """The order ids by the client's keys, of all orders that were answered."""
        self.sent = 0
        self.repeated: list[str] = []
        """Keys that were answered more than once."""
        self._numbers = count()

    def order(self) -> tuple[int, Order]:
        """The next order, and the number of its desk."""
        number = next(self._numbers)
        desk = number % self.number
        self.sent += 1
        return desk, Order(number, self.accounts[desk], f"load-{number}")

    def metadata(self, desk: int) -> METADATA:
        """The metadata of a desk's call."""
        return (("authorization", self.tokens[desk]),)

    def answered(self, cl_ord_id: str, order_id: str) -> None:
        """Notes the answer to an order."""
        if cl_ord_id in self.told:
            self.repeated.append(cl_ord_id)
        self.told[cl_ord_id] = order_id


def submit(correlation_id: int, order: Order) -> entry.OrderSessionRequest:
    """A session's frame with one order."""
    command = entry.SessionCommand(correlation_id=correlation_id, submit=order.terms)
    return entry.OrderSessionRequest(frame=entry.CommandFrame(commands=[command]))
