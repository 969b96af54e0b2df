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


class TradingStatus(NamedTuple):
    """Whether a symbol trades, and how; numbers of the contract."""

    trading_session: int
    delisted: bool = False
    reason: int = 0
    """Why, when the venue itself changed the session."""
    auction_px_ticks: int = 0
    """Price of the auction that ended with the change; 0 without trades."""
    auction_qty_lots: int = 0
    """Quantity that could trade at that price."""


class SymbolMarket:
    """The present state of one symbol."""

    __slots__ = (
        "book",
        "last_seq",
        "last_trade",
        "published_quote",
        "reference",
        "status",
        "symbol",
        "time_unix_ns",
        "traded_qty_lots",
    )

    def __init__(self, symbol: str, status: TradingStatus) -> None:
        self.symbol = symbol
        self.status = status
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

    def status_changed(self, market: SymbolMarket, status: TradingStatus) -> None:
        """The symbol trades otherwise; told in order with its trades, and before the quote that follows."""
        ...

    def traded(self, market: SymbolMarket, trade: Trade) -> None:
        """A trade has happened."""
        ...

    def quoted(self, market: SymbolMarket, quote: Quote) -> None:
        """The best bid or ask is another one."""
        ...


class Market:
    """All symbols.

    Calls come in journal order: one for each event of a command that changes
    something, then `end_command`.
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
        self._happened: list[tuple[SymbolMarket, Trade | TradingStatus]] = []

    def list_symbol(self, symbol: str, status: TradingStatus) -> None:
        """A symbol was listed; its book and its status stay if it was already."""
        if symbol not in self.symbols:
            self.symbols[symbol] = SymbolMarket(symbol, status)
        self._in_command[symbol] = self.symbols[symbol]

    def change_status(self, symbol: str, status: TradingStatus) -> None:
        """The symbol trades otherwise from here on."""
        market = self.symbols[symbol]
        market.status = status
        self._in_command[symbol] = market
        self._happened.append((market, status))

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
        market = self.symbols[trade.symbol]
        self._happened.append((market, trade))
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
        if self._happened:
            self._tell_what_happened()
        self._tell_quotes()
        self._in_command.clear()

    def _tell_what_happened(self) -> None:
        for market, change in self._happened:
            wanted = self._listener.wants(market.symbol)
            if isinstance(change, Trade):
                self.trades.add(change)
                if wanted:
                    self._listener.traded(market, change)
            elif wanted:
                self._listener.status_changed(market, change)
        self._happened.clear()

    def _tell_quotes(self) -> None:
        for symbol, market in self._in_command.items():
            if self._listener.wants(symbol):
                quote = market.book.quote()
                if quote != market.published_quote:
                    market.published_quote = quote
                    self._listener.quoted(market, quote)
