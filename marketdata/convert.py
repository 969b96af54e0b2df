"""What the market knows, as messages of the public contract.

Ticks, lots and nanoseconds become decimal strings and timestamps here and
nowhere else in this server.
"""

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from marketdata.depth import Depth, Level, Quote
from marketdata.market import ReferencePrice, SymbolMarket, TradingStatus
from marketdata.trades import Trade
from runtime.clock import timestamp
from runtime.decimals import format_nano
from runtime.instruments import Instrument

_RIGHTS = {"C": "CALL", "P": "PUT"}


def quote_message(instrument: Instrument, quote: Quote) -> marketdata.Quote:
    """The quote; a side without orders stays empty."""
    message = marketdata.Quote()
    if quote.bid_px_ticks:
        message.bid_px = instrument.price_text(quote.bid_px_ticks)
        message.bid_qty = instrument.qty_text(quote.bid_qty_lots)
    if quote.ask_px_ticks:
        message.ask_px = instrument.price_text(quote.ask_px_ticks)
        message.ask_qty = instrument.qty_text(quote.ask_qty_lots)
    return message


def trade_message(instrument: Instrument, trade: Trade) -> marketdata.Trade:
    """The trade."""
    return marketdata.Trade(
        trade_id=str(trade.trade_id),
        px=instrument.price_text(trade.px_ticks),
        qty=instrument.qty_text(trade.qty_lots),
        aggressor_side=types.Side.ValueType(trade.aggressor_side),
    )


def trade_report(instrument: Instrument, trade: Trade) -> marketdata.TradeReport:
    """The trade with its place and time."""
    return marketdata.TradeReport(
        symbol=trade.symbol,
        trade=trade_message(instrument, trade),
        time=timestamp(trade.time_unix_ns),
        journal_seq=trade.seq,
    )


def reference_message(reference: ReferencePrice) -> marketdata.ReferencePrice:
    """The reference price."""
    return marketdata.ReferencePrice(px=format_nano(reference.px_nano), source=reference.source)


def status_message(instrument: Instrument, status: TradingStatus) -> marketdata.TradingStatus:
    """The trading status."""
    auctioned = bool(status.auction_px_ticks)
    return marketdata.TradingStatus(
        trading_session=types.TradingSession.ValueType(status.trading_session),
        delisted=status.delisted,
        reason=types.Reason.ValueType(status.reason),
        auction_px=instrument.price_text(status.auction_px_ticks) if auctioned else "",
        auction_qty=instrument.qty_text(status.auction_qty_lots) if auctioned else "",
    )


def status_tick(instrument: Instrument, market: SymbolMarket, status: TradingStatus) -> marketdata.Tick:
    """The change to `status`."""
    return marketdata.Tick(
        symbol=market.symbol,
        status=status_message(instrument, status),
        time=timestamp(market.time_unix_ns),
        journal_seq=market.last_seq,
    )


def quote_tick(instrument: Instrument, market: SymbolMarket, quote: Quote) -> marketdata.Tick:
    """The change to `quote`."""
    return marketdata.Tick(
        symbol=market.symbol,
        quote=quote_message(instrument, quote),
        time=timestamp(market.time_unix_ns),
        journal_seq=market.last_seq,
    )


def trade_tick(instrument: Instrument, trade: Trade) -> marketdata.Tick:
    """The trade as a change."""
    return marketdata.Tick(
        symbol=trade.symbol,
        trade=trade_message(instrument, trade),
        time=timestamp(trade.time_unix_ns),
        journal_seq=trade.seq,
    )


def reference_tick(reference: ReferencePrice) -> marketdata.Tick:
    """The change of the reference price."""
    return marketdata.Tick(
        symbol=reference.symbol,
        reference=reference_message(reference),
        time=timestamp(reference.time_unix_ns),
    )


def market_data(instrument: Instrument, market: SymbolMarket) -> marketdata.MarketData:
    """Everything that is known of a symbol."""
    message = marketdata.MarketData(
        symbol=market.symbol,
        quote=quote_message(instrument, market.book.quote()),
        traded_qty=instrument.qty_text(market.traded_qty_lots),
        last_seq=market.last_seq,
        status=status_message(instrument, market.status),
    )
    changed_unix_ns = market.time_unix_ns
    if market.last_trade is not None:
        message.last_trade.CopyFrom(trade_message(instrument, market.last_trade))
    if market.reference is not None:
        message.reference.CopyFrom(reference_message(market.reference))
        changed_unix_ns = max(changed_unix_ns, market.reference.time_unix_ns)
    message.updated_time.CopyFrom(timestamp(changed_unix_ns))
    return message


def book_levels(instrument: Instrument, depth: Depth, trading_session: int, time_unix_ns: int) -> marketdata.BookLevels:
    """Levels of both sides, and the session in which they stand so."""
    return marketdata.BookLevels(
        bids=[_level(instrument, level) for level in depth.bids],
        asks=[_level(instrument, level) for level in depth.asks],
        time=timestamp(time_unix_ns),
        trading_session=types.TradingSession.ValueType(trading_session),
    )


def _level(instrument: Instrument, level: Level) -> marketdata.Level:
    return marketdata.Level(
        px=instrument.price_text(level.price_ticks),
        qty=instrument.qty_text(level.qty_lots) if level.qty_lots else "0",
        orders=level.orders,
    )


def instrument_message(instrument: Instrument) -> marketdata.Instrument:
    """The terms of an instrument; what its kind does not have stays empty."""
    expiry = str(instrument.expiry_date)
    return marketdata.Instrument(
        symbol=instrument.symbol,
        asset_class=types.AssetClass.ValueType(instrument.asset_class),
        currency=instrument.currency,
        tick_size=format_nano(instrument.tick_size_nano),
        lot_size=format_nano(instrument.lot_size_nano),
        multiplier=str(instrument.multiplier),
        description=instrument.description,
        base_currency=instrument.base_currency,
        expiry_date=f"{expiry[:4]}-{expiry[4:6]}-{expiry[6:]}" if instrument.expiry_date else "",
        strike_price=format_nano(instrument.strike_nano) if instrument.strike_nano else "",
        option_right=_RIGHTS.get(instrument.option_right, instrument.option_right),
    )
