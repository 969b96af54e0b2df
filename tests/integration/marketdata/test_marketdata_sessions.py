"""Sessions, auctions, icebergs and waiting orders of the real matching server, as market data shows them."""

from typing import Any

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.types.v1 import types_pb2 as types

from tests.integration.marketdata.venue import BUY, SELL, Venue, until

SYMBOL = "MSFT"
CLOSED, PRE_OPEN = types.TRADING_SESSION_CLOSED, types.TRADING_SESSION_PRE_OPEN
OPENING, CONTINUOUS = types.TRADING_SESSION_OPENING_AUCTION, types.TRADING_SESSION_CONTINUOUS


def session(trading_session: types.TradingSession.ValueType, symbol: str = SYMBOL) -> commands.Command:
    """The command that changes the session."""
    change = commands.SetTradingSession(symbol=symbol, trading_session=trading_session)
    return commands.Command(actor="calendar", set_trading_session=change)


async def known(venue: Venue, symbol: str, seq: int) -> marketdata.MarketData:
    """What is known of a symbol once the view has come to `seq`."""
    request = marketdata.GetMarketDataRequest(symbols=[symbol])
    while True:
        answer = await venue.stub.GetMarketData(request, metadata=venue.as_role("trader"))
        if answer.as_of_seq >= seq:
            (found,) = answer.market_data
            data: marketdata.MarketData = found
            return data


async def depth(venue: Venue, symbol: str) -> marketdata.BookLevels:
    """The depth as it is now."""
    call = venue.stub.SubscribeBook(marketdata.SubscribeBookRequest(symbol=symbol), metadata=venue.as_role("trader"))
    messages = await until(call, lambda message: message.HasField("snapshot"))
    call.cancel()
    levels: marketdata.BookLevels = messages[-1].snapshot
    return levels


async def test_an_opening_auction_is_seen_from_its_crossed_book_to_its_trades(venue: Venue) -> None:
    """Orders gather in a crossed book, the uncross trades at one price without an aggressor, and the book is whole."""
    call = venue.stub.SubscribeTicks(
        marketdata.SubscribeTicksRequest(symbols=[SYMBOL]), metadata=venue.as_role("trader")
    )
    await until(call, lambda message: message.HasField("snapshot"))
    crossed = await venue.carry_out(
        session(CLOSED),
        session(PRE_OPEN),
        session(OPENING),
        venue.limit(BUY, 41_010, 5, SYMBOL),
        venue.limit(SELL, 40_990, 3, SYMBOL),
    )
    seen = await known(venue, SYMBOL, crossed)
    assert (seen.status.trading_session, seen.quote.bid_px, seen.quote.ask_px) == (OPENING, "410.10", "409.90")
    levels = await depth(venue, SYMBOL)
    assert (levels.trading_session, levels.bids[0].px, levels.asks[0].px) == (OPENING, "410.10", "409.90")
    opened = await venue.carry_out(session(CONTINUOUS))
    seen = await known(venue, SYMBOL, opened)
    # Three can trade at either price; more want to buy, so the higher one.
    assert seen.status == marketdata.TradingStatus(trading_session=CONTINUOUS, auction_px="410.10", auction_qty="3")
    assert (seen.quote.bid_px, seen.quote.bid_qty, seen.quote.ask_px, seen.traded_qty) == ("410.10", "2", "", "3")
    messages = await until(call, lambda message: any(tick.HasField("trade") for tick in message.frame.ticks))
    call.cancel()
    ticks: list[Any] = [tick for message in messages for tick in message.frame.ticks]
    sessions = [tick.status.trading_session for tick in ticks if tick.HasField("status")]
    assert sessions == [CLOSED, PRE_OPEN, OPENING, CONTINUOUS]
    (trade,) = [tick.trade for tick in ticks if tick.HasField("trade")]
    assert (trade.px, trade.qty, trade.aggressor_side) == ("410.10", "3", types.SIDE_UNSPECIFIED)


async def test_only_what_an_iceberg_shows_is_seen(venue: Venue) -> None:
    """The level has the shown part, also when a fill has used it up and it is filled up again; a stop is unseen."""
    symbol = "NVDA"
    stop = venue.limit(SELL, 9_000, 5, symbol)
    stop.new_order.ord_type, stop.new_order.stop_px_ticks = types.ORD_TYPE_STOP_LIMIT, 9_100
    last = await venue.carry_out(venue.limit(BUY, 12_000, 10, symbol, display_qty_lots=3), stop)
    seen = await known(venue, symbol, last)
    assert (seen.quote.bid_px, seen.quote.bid_qty, seen.quote.ask_px) == ("120.00", "3", "")
    sale = venue.limit(SELL, 12_000, 2, symbol, time_in_force=types.TIME_IN_FORCE_IOC)
    seen = await known(venue, symbol, await venue.carry_out(sale))
    assert (seen.quote.bid_qty, seen.last_trade.qty) == ("1", "2")
    sale = venue.limit(SELL, 12_000, 4, symbol, time_in_force=types.TIME_IN_FORCE_IOC)
    seen = await known(venue, symbol, await venue.carry_out(sale))
    assert (seen.quote.bid_qty, seen.last_trade.qty, seen.traded_qty) == ("3", "3", "6")
    (level,) = (await depth(venue, symbol)).bids
    assert (level.px, level.qty, level.orders) == ("120.00", "3", 1)


async def test_an_ended_listing_is_no_longer_listed(venue: Venue) -> None:
    """Its book is empty and it says so when asked by name; the lists go on without it."""
    symbol = "AAPL-20270115-C-200"
    end = commands.DelistInstrument(symbol=symbol, request_id="end")
    last = await venue.carry_out(
        venue.limit(BUY, 200, 1, symbol), commands.Command(actor="calendar", delist_instrument=end)
    )
    seen = await known(venue, symbol, last)
    assert (seen.status.delisted, seen.quote) == (True, marketdata.Quote())
    trader = venue.as_role("trader")
    everything = await venue.stub.GetMarketData(marketdata.GetMarketDataRequest(), metadata=trader)
    assert symbol not in [data.symbol for data in everything.market_data]
    listed = await venue.stub.ListInstruments(marketdata.ListInstrumentsRequest(), metadata=trader)
    assert symbol not in [instrument.symbol for instrument in listed.instruments]
    assert SYMBOL in [instrument.symbol for instrument in listed.instruments]
