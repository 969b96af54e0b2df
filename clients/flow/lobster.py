"""Reads LOBSTER message files and says what each event means as a command. Pure.

A file holds what happened at the top of one book: orders, partial cancels,
deletions, executions, halts. Here bids and asks belong to two accounts, which
may trade with each other, and each execution becomes an aggressive IOC order of
a third. Events of an order that
the file never announced cannot be sent. Prices are integers of 10^-4 USD and
become decimal strings without a float in between. Format: LOBSTER, "Output
structure", https://lobsterdata.com/info/DataStructure.php.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePath
from typing import NamedTuple

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

PRICE_SCALE = 10_000
NANOS = 1_000_000_000
RUN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,16}")
"""Leaves room for an order id within the 36 characters of a `cl_ord_id`."""
_FIELDS = 6


class EventType(IntEnum):
    """Type of a LOBSTER event."""

    SUBMIT = 1
    PARTIAL_CANCEL = 2
    DELETE = 3
    EXECUTE_VISIBLE = 4
    EXECUTE_HIDDEN = 5
    CROSS = 6
    HALT = 7


_TYPES = {str(kind.value): kind for kind in EventType}


class FlowEvent(NamedTuple):
    """One line of the file.

    Attributes:
        time_ns: nanoseconds after midnight.
        type: what happened.
        order_id: the file's id of the order.
        qty: shares.
        price: USD times 10,000.
        is_buy: whether the limit order concerned is a buy order.
    """

    time_ns: int
    type: EventType
    order_id: str
    qty: int
    price: int
    is_buy: bool


class FlowAccounts(NamedTuple):
    """Whose orders the flow consists of.

    Attributes:
        bids: account of the resting purchases.
        asks: account of the resting sales; another one, or self-trade prevention would end what meets.
        taker: account of the executions.
    """

    bids: str
    asks: str
    taker: str


class FormatError(ValueError):
    """A line is not LOBSTER."""


def parse(lines: Iterable[str]) -> Iterator[FlowEvent]:
    """The events of a message file, with or without a header line.

    Raises:
        FormatError: a line is malformed; it names the line.
    """
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("Time"):
            continue
        if line.strip():
            try:
                yield _event(line)
            except ValueError as error:
                raise FormatError(f"line {number}: {error}") from None


def _event(line: str) -> FlowEvent:
    fields = line.strip().split(",")
    if len(fields) < _FIELDS:
        raise ValueError(f"expected {_FIELDS} fields, got {len(fields)}")
    time, kind, order_id, qty, price, direction = fields[:_FIELDS]
    if direction not in ("1", "-1"):
        raise ValueError(f"direction is 1 or -1, not {direction[:20]!r}")
    if kind not in _TYPES:
        raise ValueError(f"type is 1 to {len(_TYPES)}, not {kind[:20]!r}")
    return FlowEvent(_nanos(time), _TYPES[kind], order_id, int(qty), int(price), direction == "1")


def _nanos(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole) * NANOS + int(fraction[:9].ljust(9, "0"))


def price_text(price: int) -> str:
    """A price of the file as a decimal string: 2238100 is "223.81"."""
    whole, fraction = divmod(price, PRICE_SCALE)
    return f"{whole}.{fraction:04d}".rstrip("0").rstrip(".")


def symbol_of(path: PurePath) -> str:
    """The symbol that LOBSTER file names begin with: AMZN_2012-06-21_….csv is AMZN."""
    return path.name.partition("_")[0].upper()


@dataclass(slots=True)
class MappingCounts:
    """What became of the events."""

    events: int = 0
    submits: int = 0
    replaces: int = 0
    cancels: int = 0
    executions: int = 0
    not_in_book: int = 0
    halts: int = 0


@dataclass(slots=True)
class _Resting:
    """An announced order: its total quantity and what of it the file has not yet cancelled or executed."""

    total_qty: int
    open_qty: int


class Mapping:
    """Turns events into session commands.

    Args:
        run_id: part of every `cl_ord_id`; the same run id and file give the same keys.
        symbol: the instrument.
        accounts: whose orders they become.
    """

    def __init__(self, run_id: str, symbol: str, accounts: FlowAccounts) -> None:
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"a run id has 1 to 16 letters, digits, dots, colons or dashes, unlike {run_id[:40]!r}")
        self._symbol = symbol
        self._accounts = accounts
        self._prefix = f"{run_id}-"
        self._resting: dict[str, _Resting] = {}
        self.counts = MappingCounts()

    @property
    def prefix(self) -> str:
        """What every `cl_ord_id` of the run begins with."""
        return self._prefix

    def command(self, event: FlowEvent) -> entry.SessionCommand | None:
        """The command that `event` asks for; None when it asks for none, which is counted."""
        counts = self.counts
        counts.events += 1
        kind = event.type
        if kind is EventType.SUBMIT:
            return self._submit(event)
        if kind is EventType.HALT:
            counts.halts += 1
            return None
        if kind in (EventType.EXECUTE_HIDDEN, EventType.CROSS):
            return self._execute(event)
        resting = self._resting.get(event.order_id)
        if resting is None:
            counts.not_in_book += 1
            return None
        if kind is EventType.PARTIAL_CANCEL:
            return self._partial_cancel(event, resting)
        if kind is EventType.DELETE:
            return self._cancel(event)
        resting.open_qty -= event.qty
        if resting.open_qty <= 0:
            del self._resting[event.order_id]
        return self._execute(event)

    def _maker(self, event: FlowEvent) -> str:
        return self._accounts.bids if event.is_buy else self._accounts.asks

    def _submit(self, event: FlowEvent) -> entry.SessionCommand:
        self.counts.submits += 1
        side = types.SIDE_BUY if event.is_buy else types.SIDE_SELL
        self._resting[event.order_id] = _Resting(event.qty, event.qty)
        return entry.SessionCommand(
            submit=orders.OrderTerms(
                account=self._maker(event),
                cl_ord_id=self._prefix + event.order_id,
                symbol=self._symbol,
                side=side,
                ord_type=types.ORD_TYPE_LIMIT,
                time_in_force=types.TIME_IN_FORCE_DAY,
                qty=str(event.qty),
                price=price_text(event.price),
            )
        )

    def _partial_cancel(self, event: FlowEvent, resting: _Resting) -> entry.SessionCommand:
        """Lowers the total quantity; a partial cancel of all that is open is a deletion."""
        resting.total_qty -= event.qty
        resting.open_qty -= event.qty
        if resting.open_qty <= 0:
            return self._cancel(event)
        self.counts.replaces += 1
        return entry.SessionCommand(
            replace=entry.ReplaceOrderRequest(
                account=self._maker(event),
                orig_cl_ord_id=self._prefix + event.order_id,
                cl_ord_id=f"{self._prefix}r{self.counts.events}",
                qty=str(resting.total_qty),
            )
        )

    def _cancel(self, event: FlowEvent) -> entry.SessionCommand:
        self.counts.cancels += 1
        del self._resting[event.order_id]
        return entry.SessionCommand(
            cancel=entry.CancelOrderRequest(
                account=self._maker(event),
                orig_cl_ord_id=self._prefix + event.order_id,
                cl_ord_id=f"{self._prefix}c{self.counts.events}",
            )
        )

    def _execute(self, event: FlowEvent) -> entry.SessionCommand:
        """An aggressive order against the resting side, at the price and for the quantity of the execution."""
        self.counts.executions += 1
        return entry.SessionCommand(
            submit=orders.OrderTerms(
                account=self._accounts.taker,
                cl_ord_id=f"{self._prefix}x{self.counts.events}",
                symbol=self._symbol,
                side=types.SIDE_SELL if event.is_buy else types.SIDE_BUY,
                ord_type=types.ORD_TYPE_LIMIT,
                time_in_force=types.TIME_IN_FORCE_IOC,
                qty=str(event.qty),
                price=price_text(event.price),
            )
        )
