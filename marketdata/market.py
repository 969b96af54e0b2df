"""Everything that is known of each symbol: book, last trade, traded quantity, reference price.

Fed in journal order with what an order event did, and told when a command
ends; only then do listeners hear of it, so that nobody sees a book between two
events of one command. Prices are ticks, quantities lots. Pure: the follower in
`marketdata.view` turns events into these calls.
"""

from typing import NamedTuple, Protocol

from marketdata.depth import DepthBook, Quote
from marketdata.trades import KEPT_TRADES_MAX, Trade, TradeLog


class ReferencePrice(NamedTuple):
    """A price from outside the book, in units of 10^-9 of the instrument's currency."""

    symbol: str
    px_nano: int
    source: str
    time_unix_ns: int


class SymbolMarket:
    """The present state of one symbol."""

    __slots__ = (
        "book",
        "last_seq",
        "last_trade",
        "published_quote",
        "reference",
        "symbol",
        "time_unix_ns",
        "traded_qty_lots",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.book = DepthBook()
        self.last_trade: Trade | None = None
        self.traded_qty_lots = 0
        """Since the trading day was last closed."""
        self.reference: ReferencePrice | None = None
        self.last_seq = 0
        """Journal position of the last event that touched the symbol."""
        self.time_unix_ns = 0
        """Engine time of that event."""
        self.published_quote = Quote()
        """The quote that listeners have."""

    def quote(self) -> Quote:
        """The present quote, for a listener that begins with it; later ones hear what differs from it."""
        self.published_quote = self.book.quote()
        return self.published_quote


class Listener(Protocol):
    """Who hears of changes; always between commands."""

    def wants(self, symbol: str) -> bool:
        """Whether quotes and trades of the symbol are worth the work of telling them."""
        ...

    def traded(self, market: SymbolMarket, trade: Trade) -> None:
        """A trade has happened."""
        ...

    def quoted(self, market: SymbolMarket, quote: Quote) -> None:
        """The best bid or ask is another one."""
        ...


class Market:
    """All symbols.

    Calls come in journal order: `order_rests`, `order_gone` and `trade` for the
    events of a command, then `end_command`.
    """

    def __init__(self, listener: Listener, kept_trades_max: int = KEPT_TRADES_MAX) -> None:
        self.symbols: dict[str, SymbolMarket] = {}
        self.trades = TradeLog(kept_trades_max)
        self.seq = 0
        """Journal position of the last whole command."""
        self.touched: set[str] = set()
        """Symbols that changed since whoever publishes depth last cleared it."""
        self._listener = listener
        self._in_command: dict[str, SymbolMarket] = {}
        self._trades_of_command: list[Trade] = []

    def list_symbol(self, symbol: str) -> None:
        """A symbol was listed; its book stays if it was already."""
        self._in_command[symbol] = self.symbols.setdefault(symbol, SymbolMarket(symbol))

    def order_rests(self, symbol: str, order_id: int, is_bid: bool, price_ticks: int, leaves_lots: int) -> None:
        """After this event the order rests with `leaves_lots` at `price_ticks`."""
        market = self.symbols[symbol]
        market.book.rest(order_id, is_bid, price_ticks, leaves_lots)
        self._in_command[symbol] = market

    def order_gone(self, symbol: str, order_id: int) -> None:
        """After this event the order does not rest."""
        market = self.symbols[symbol]
        market.book.remove(order_id)
        self._in_command[symbol] = market

    def trade(self, trade: Trade) -> None:
        """A trade happened; called once for each trade."""
        self._trades_of_command.append(trade)
        market = self.symbols[trade.symbol]
        market.last_trade = trade
        market.traded_qty_lots += trade.qty_lots

    def close_day(self) -> None:
        """The trading day was closed: traded quantities begin again."""
        for market in self.symbols.values():
            market.traded_qty_lots = 0

    def end_command(self, seq: int, time_unix_ns: int) -> None:
        """The command whose last event is `seq` is complete."""
        self.seq = seq
        if not self._in_command:
            return
        for symbol, market in self._in_command.items():
            market.last_seq = seq
            market.time_unix_ns = time_unix_ns
            self.touched.add(symbol)
        if self._trades_of_command:
            self._tell_trades()
        self._tell_quotes()
        self._in_command.clear()

    def _tell_trades(self) -> None:
        for trade in self._trades_of_command:
            self.trades.add(trade)
            if self._listener.wants(trade.symbol):
                self._listener.traded(self.symbols[trade.symbol], trade)
        self._trades_of_command.clear()

    def _tell_quotes(self) -> None:
        for symbol, market in self._in_command.items():
            if self._listener.wants(symbol):
                quote = market.book.quote()
                if quote != market.published_quote:
                    market.published_quote = quote
                    self._listener.quoted(market, quote)
