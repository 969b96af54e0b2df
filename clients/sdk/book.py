"""The depth of one symbol as a reader holds it: a snapshot, then the levels that change. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ordergate.marketdata.v1 import marketdata_pb2 as md

from runtime.decimals import parse_nano


@dataclass(frozen=True, slots=True)
class BookLevel:
    """One price level; `px` and `qty` are decimal strings."""

    px: str
    qty: str
    orders: int


@dataclass(frozen=True, slots=True)
class Book:
    """The depth at one journal position, best levels first.

    Outside continuous trading it may be crossed; `trading_session` has the number of the contract.
    """

    symbol: str
    seq: int
    time: datetime
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    trading_session: int


class BookBuilder:
    """Builds `Book` values from the messages of one depth stream."""

    def __init__(self, symbol: str, depth: int) -> None:
        self._symbol = symbol
        self._depth = depth
        self._bids: dict[int, BookLevel] = {}
        self._asks: dict[int, BookLevel] = {}

    def apply(self, message: md.SubscribeBookResponse) -> Book:
        """The depth after `message`, which holds a snapshot or changes."""
        if message.WhichOneof("message") == "snapshot":
            self._bids.clear()
            self._asks.clear()
            levels = message.snapshot
        else:
            levels = message.changes
        _take(self._bids, levels.bids)
        _take(self._asks, levels.asks)
        bids = tuple(self._bids[px] for px in sorted(self._bids, reverse=True)[: self._depth])
        asks = tuple(self._asks[px] for px in sorted(self._asks)[: self._depth])
        return Book(self._symbol, message.seq, levels.time.ToDatetime(), bids, asks, levels.trading_session)


def _take(side: dict[int, BookLevel], changes: Iterable[md.Level]) -> None:
    for level in changes:
        px_nano = parse_nano(level.px)
        if parse_nano(level.qty):
            side[px_nano] = BookLevel(level.px, level.qty, level.orders)
        else:
            side.pop(px_nano, None)
