"""Trading sessions, auctions and ended listings: what readers are told, and that the book keeps up with them."""

from collections.abc import Callable
from typing import Any

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata import convert
from marketdata.streams import BookStream, TickStream, subscribed

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
CONTINUOUS, HALTED = types.TRADING_SESSION_CONTINUOUS, types.TRADING_SESSION_HALTED
PRE_OPEN, OPENING = types.TRADING_SESSION_PRE_OPEN, types.TRADING_SESSION_OPENING_AUCTION
FIRST = subscribed([], 0, 5.0)


def session_changed(session: types.TradingSession.ValueType, symbol: str = "AAPL", **more: Any) -> events.Event:
    """The event of a new session."""
    changed = events.TradingSessionChanged(symbol=symbol, trading_session=session, **more)
    return events.Event(trading_session_changed=changed)


def auction_trade(seq: int, price_ticks: int, lots: int) -> tuple[events.Event, events.Event]:
    """The two fills of an auction trade, the second of which will be event `seq`; both orders are done."""
    fills = (
        events.OrderEvent(
            order_id=order_id,
            symbol="AAPL",
            side=side,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            exec_type=types.EXEC_TYPE_TRADE,
            ord_status=types.ORD_STATUS_FILLED,
            trade_id=seq,
            last_px_ticks=price_ticks,
            last_qty_lots=lots,
            liquidity=types.LIQUIDITY_AUCTION,
        )
        for order_id, side in ((4, BUY), (5, SELL))
    )
    bought, sold = fills
    return events.Event(order=bought), events.Event(order=sold)


def known(feed: Any, symbol: str = "AAPL") -> marketdata.MarketData:
    """What is known of a symbol."""
    market = feed.publisher.market.symbols[symbol]
    return convert.market_data(feed.publisher.instruments.require(symbol), market)


async def test_a_listing_says_how_it_begins(feed: Any) -> None:
    """An instrument begins in the session of its listing, or in continuous trading; listing again changes nothing."""
    await feed.listed("NVDA", trading_session=PRE_OPEN)
    assert known(feed, "NVDA").status == marketdata.TradingStatus(trading_session=PRE_OPEN)
    assert known(feed).status == marketdata.TradingStatus(trading_session=CONTINUOUS)
    await feed.command(session_changed(HALTED))
    await feed.listed("AAPL")
    assert known(feed).status.trading_session == HALTED


async def test_a_volatility_halt_has_its_reason(feed: Any) -> None:
    """The venue's own halt says why; the next change, by command, has no reason."""
    halt = session_changed(HALTED, cause=types.CAUSE_SYSTEM, reason=types.REASON_PRICE_BAND)
    await feed.command(halt)
    assert known(feed).status == marketdata.TradingStatus(trading_session=HALTED, reason=types.REASON_PRICE_BAND)
    await feed.command(session_changed(CONTINUOUS))
    assert known(feed).status == marketdata.TradingStatus(trading_session=CONTINUOUS)


async def test_an_auction_is_told_with_its_price_and_its_trades(feed: Any) -> None:
    """First the new session and its auction, then each trade once and without an aggressor, then the quote."""
    await feed.command(session_changed(OPENING))
    await feed.rests(4, BUY, 102, 5)
    await feed.rests(5, SELL, 100, 5)
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        stream = TickStream(feed.publisher, ("AAPL",), reader, FIRST, 1)
        _, snapshot = (marketdata.SubscribeTicksResponse.FromString(message) for message in stream.opening())
        opened = session_changed(CONTINUOUS, auction_px_ticks=101, auction_qty_lots=5)
        await feed.command(opened, *auction_trade(feed.seq + 3, 101, 5))
        (message,) = stream.due()
    quote = snapshot.snapshot.quote
    assert (quote.bid_px, quote.ask_px, snapshot.snapshot.status.trading_session) == ("1.02", "1.00", OPENING)
    status, trade, emptied = marketdata.SubscribeTicksResponse.FromString(message).frame.ticks
    assert status.status == marketdata.TradingStatus(trading_session=CONTINUOUS, auction_px="1.01", auction_qty="5")
    assert (trade.trade.px, trade.trade.qty, trade.trade.aggressor_side) == ("1.01", "5", types.SIDE_UNSPECIFIED)
    assert int(trade.trade.trade_id) == trade.journal_seq == feed.seq
    assert emptied.quote == marketdata.Quote()
    assert known(feed).traded_qty == "5"


async def test_depth_tells_the_session_that_it_stands_in(feed: Any) -> None:
    """A crossed book comes with a session in which it may be crossed; a new session alone is a change too."""
    with feed.publisher.book_channel("AAPL", 5) as channel:
        stream = BookStream(feed.publisher, feed.view, channel, FIRST)
        _, first = (marketdata.SubscribeBookResponse.FromString(message) for message in stream.opening())
        await feed.command(session_changed(OPENING))
        await feed.rests(4, BUY, 102, 5)
        await feed.rests(5, SELL, 100, 7)
        changes = [marketdata.SubscribeBookResponse.FromString(message).changes for message in stream.due()]
    assert first.snapshot.trading_session == CONTINUOUS
    assert [one.trading_session for one in changes] == [OPENING] * 3
    assert [(len(one.bids), len(one.asks)) for one in changes] == [(0, 0), (1, 0), (0, 1)]
    assert feed.publisher.market.symbols["AAPL"].book.quote().crossed


async def test_the_end_of_a_listing_is_told(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """The symbol stays known, says that it is delisted, and its cancelled orders leave the book."""
    await feed.rests(3, BUY, 100, 5)
    ended = events.InstrumentDelisted(symbol="AAPL", canceled_orders=1)
    canceled = resting_event(3, BUY, 100, 5, ord_status=types.ORD_STATUS_CANCELED, leaves_qty_lots=0)
    await feed.command(events.Event(instrument_delisted=ended), canceled)
    seen = known(feed)
    assert (seen.status.delisted, seen.status.trading_session) == (True, CONTINUOUS)
    assert seen.quote == marketdata.Quote()
