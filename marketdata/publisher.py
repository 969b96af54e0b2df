"""Turns changes of the market into encoded messages, once for all readers.

Ticks go to one ring, changes of depth to a ring for each symbol and number of
levels; trades are encoded when the first reader takes them. What nobody reads
is not encoded. `marketdata.market` tells it of quotes and trades, the view of
the end of each slice, the feeds of reference prices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata

from marketdata import convert
from marketdata.depth import Depth, Quote, changed_levels
from marketdata.hub import End, Hub
from marketdata.market import Market, ReferencePrice, SymbolMarket, TradingStatus
from marketdata.ring import Ring
from marketdata.trades import KEPT_TRADES_MAX, Trade
from marketdata.wire import embedded
from runtime.instruments import Instrument, Instruments

KEPT_TICKS_MAX = 8_192
"""Ticks a reader may be behind before it gets snapshots instead."""
KEPT_CHANGES_MAX = 256
"""Changes of depth a reader may be behind before it gets a snapshot instead."""
ENCODED_TRADES_MAX = 16_384

TICK_FRAME_TICKS = 1
"""Field number of `TickFrame.ticks`."""
TRADE_FRAME_TRADES = 1
"""Field number of `TradeFrame.trades`."""
BOOK_CHANGES = 7
"""Field number of `SubscribeBookResponse.changes`."""


class EncodedTick(NamedTuple):
    """A tick, encoded as a field of TickFrame."""

    symbol: str
    field: bytes


class EncodedChange(NamedTuple):
    """A change of depth, encoded as a field of SubscribeBookResponse."""

    seq: int
    field: bytes


class BookChannel:
    """The depth of one symbol to one number of levels, as its readers have it."""

    def __init__(self, market: SymbolMarket, instrument: Instrument, levels_max: int) -> None:
        self.changes: Ring[EncodedChange] = Ring(KEPT_CHANGES_MAX)
        self.published = market.book.depth(levels_max)
        self._published_session = market.status.trading_session
        self.readers = 0
        self._market = market
        self._instrument = instrument
        self._levels_max = levels_max

    def publish(self, seq: int) -> None:
        """Adds what has changed up to journal position `seq`, if anything has."""
        depth = self._market.book.depth(self._levels_max)
        trading_session = self._market.status.trading_session
        if depth != self.published or trading_session != self._published_session:
            self._published_session = trading_session
            changes = self._levels(changed_levels(self.published, depth)).SerializeToString()
            self.changes.append(EncodedChange(seq, embedded(BOOK_CHANGES, changes)))
            self.published = depth

    def snapshot(self) -> marketdata.BookLevels:
        """The published depth; a reader goes on with the changes from `changes.end` on."""
        return self._levels(self.published)

    def _levels(self, depth: Depth) -> marketdata.BookLevels:
        return convert.book_levels(self._instrument, depth, self._published_session, self._market.time_unix_ns)


class Publisher:
    """Everything that streams read, and their readers.

    It owns the market and is its listener.
    """

    def __init__(self, instruments: Instruments, kept_trades_max: int = KEPT_TRADES_MAX) -> None:
        self.instruments = instruments
        self.market = Market(self, kept_trades_max)
        self.ticks: Ring[EncodedTick] = Ring(KEPT_TICKS_MAX)
        self.tick_hub = Hub()
        self.book_hub = Hub()
        self.trade_hub = Hub()
        self.encoded_trade = lru_cache(ENCODED_TRADES_MAX)(self._encoded_trade)
        """The trade, encoded as a field of TradeFrame."""
        self._channels: dict[str, dict[int, BookChannel]] = {}

    @property
    def subscriptions(self) -> int:
        """Live streams of all kinds."""
        return len(self.tick_hub) + len(self.book_hub) + len(self.trade_hub)

    def wants(self, symbol: str) -> bool:
        """Whether anyone reads ticks of the symbol."""
        return self.tick_hub.has_readers(symbol)

    def status_changed(self, market: SymbolMarket, status: TradingStatus) -> None:
        """Adds a trading status to the ticks."""
        self._add(market.symbol, convert.status_tick(self._terms(market.symbol), market, status))

    def traded(self, market: SymbolMarket, trade: Trade) -> None:
        """Adds a trade to the ticks."""
        self._add(market.symbol, convert.trade_tick(self._terms(market.symbol), trade))

    def quoted(self, market: SymbolMarket, quote: Quote) -> None:
        """Adds a quote to the ticks."""
        self._add(market.symbol, convert.quote_tick(self._terms(market.symbol), market, quote))

    def referenced(self, reference: ReferencePrice) -> bool:
        """Takes in a reference price and tells readers; False when the symbol is not listed."""
        market = self.market.symbols.get(reference.symbol)
        if market is None:
            return False
        market.reference = reference
        if self.wants(reference.symbol):
            self._add(reference.symbol, convert.reference_tick(reference))
            self.tick_hub.wake((reference.symbol,))
        return True

    def publish(self) -> None:
        """Publishes depth and wakes the readers of all that has changed; called between commands."""
        touched = self.market.touched
        for symbol in touched:
            for channel in self._channels.get(symbol, {}).values():
                channel.publish(self.market.seq)
        for hub in (self.tick_hub, self.book_hub, self.trade_hub):
            hub.wake(touched)
        touched.clear()

    def stop_streams(self, end: End) -> None:
        """Ends all streams."""
        for hub in (self.tick_hub, self.book_hub, self.trade_hub):
            hub.stop_all(end)

    @contextmanager
    def book_channel(self, symbol: str, levels_max: int) -> Iterator[BookChannel]:
        """The depth channel, which exists as long as it has readers."""
        channels = self._channels.setdefault(symbol, {})
        channel = channels.get(levels_max)
        if channel is None:
            channel = BookChannel(self.market.symbols[symbol], self._terms(symbol), levels_max)
            channels[levels_max] = channel
        channel.publish(self.market.seq)
        channel.readers += 1
        try:
            yield channel
        finally:
            channel.readers -= 1
            if not channel.readers:
                del channels[levels_max]

    def _add(self, symbol: str, tick: marketdata.Tick) -> None:
        self.ticks.append(EncodedTick(symbol, embedded(TICK_FRAME_TICKS, tick.SerializeToString())))

    def _encoded_trade(self, trade: Trade) -> bytes:
        report = convert.trade_report(self._terms(trade.symbol), trade)
        return embedded(TRADE_FRAME_TRADES, report.SerializeToString())

    def _terms(self, symbol: str) -> Instrument:
        return self.instruments.require(symbol)
