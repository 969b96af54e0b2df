"""The newest trades of all symbols, one entry for each trade, in journal order.

A reader resumes after any journal position; what it asks for and is no longer
kept is named as a gap, and only if a trade of its own symbols is missing.
Prices are ticks, quantities lots. Pure; `marketdata.market` feeds it,
`marketdata.streams` reads it.
"""

from collections.abc import Collection
from typing import NamedTuple

from marketdata.ring import Ring

KEPT_TRADES_MAX = 131_072


class Trade(NamedTuple):
    """A trade between two orders of the book."""

    seq: int
    """Journal position of the trade's second event: the taker's, where one took."""
    trade_id: int
    symbol: str
    px_ticks: int
    qty_lots: int
    aggressor_side: int
    """Side of the order that took, as in the contract; 0 in an auction, where none did."""
    time_unix_ns: int


class TradeLog:
    """The newest `kept_max` trades."""

    __slots__ = ("_dropped_seq", "_ring")

    def __init__(self, kept_max: int = KEPT_TRADES_MAX) -> None:
        self._ring: Ring[Trade] = Ring(kept_max)
        self._dropped_seq: dict[str, int] = {}

    @property
    def end(self) -> int:
        """Cursor of a reader that wants only what comes."""
        return self._ring.end

    def add(self, trade: Trade) -> None:
        """Adds a trade; its `seq` must be above all before it."""
        dropped = self._ring.append(trade)
        if dropped is not None:
            self._dropped_seq[dropped.symbol] = dropped.seq

    def cursor_after(self, seq: int) -> int:
        """Cursor of a reader that has everything up to journal position `seq`."""
        return self._ring.after(lambda trade: trade.seq, seq)

    def missing_after(self, seq: int, symbols: Collection[str]) -> int:
        """Position of the last trade of `symbols` after `seq` that is no longer kept; 0 when none is missing."""
        last = max((self._dropped_seq.get(symbol, 0) for symbol in symbols), default=0)
        return last if last > seq else 0

    def take(self, cursor: int, count_max: int) -> list[Trade]:
        """Up to `count_max` trades of any symbol from `cursor` on.

        Raises:
            Behind: the reader was too slow for what is kept.
        """
        return self._ring.take(cursor, count_max)
