"""The marketdata server as people reach it, over the real matching server."""

from typing import Any

import grpc
import pytest
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from marketdata.feeds.simulation import STARTING_PRICES, Walk
from tests.integration.marketdata.venue import BUY, SEED, SELL, Venue, chained, reason_of, until


async def test_depth_follows_the_orders_of_the_venue(venue: Venue) -> None:
    """Snapshot, then the changed levels: after orders, a trade and its rest the reader has the venue's book."""
    await venue.carry_out(venue.limit(BUY, 18990, 5), venue.limit(SELL, 19010, 7))
    call = venue.stub.SubscribeBook(marketdata.SubscribeBookRequest(symbol="AAPL"), metadata=venue.as_role("trader"))
    messages = await until(call, lambda message: message.HasField("snapshot"))
    if not messages[-1].snapshot.asks:
        messages += await until(call, lambda message: message.changes.asks)
    last = await venue.carry_out(venue.limit(BUY, 19010, 3), venue.limit(BUY, 19000, 2))
    messages += await until(call, lambda message: message.seq == last)
    call.cancel()
    levels: dict[tuple[str, str], tuple[str, int]] = {}
    for message in messages:
        for side, listed in (("bid", "bids"), ("ask", "asks")):
            for level in (*getattr(message.snapshot, listed), *getattr(message.changes, listed)):
                levels[side, level.px] = (level.qty, level.orders)
    assert levels == {("bid", "189.90"): ("5", 1), ("bid", "190.00"): ("2", 1), ("ask", "190.10"): ("4", 1)}
    assert chained(messages)
    assert messages[0].WhichOneof("message") == "subscribed"
    assert {message.epoch for message in messages} == {1}


async def test_ticks_tell_quotes_trades_and_reference_prices(venue: Venue) -> None:
    """One stream has the state first and then each kind of change; unknown symbols are named, not fatal."""
    request = marketdata.SubscribeTicksRequest(symbols=["AAPL", "NOPE", "AMZN"])
    call = venue.stub.SubscribeTicks(request, metadata=venue.as_role("trader"))
    messages = await until(call, lambda message: message.snapshot.symbol == "AMZN")
    seen: set[tuple[str, str]] = set()

    def complete(message: Any) -> bool:
        seen.update((tick.symbol, tick.WhichOneof("change")) for tick in message.frame.ticks)
        return {("AAPL", "quote"), ("AAPL", "trade"), ("AAPL", "reference"), ("AMZN", "quote")} <= seen

    await venue.carry_out(
        venue.limit(SELL, 19010, 7),
        venue.limit(BUY, 19010, 3),
        venue.limit(BUY, 22300, 1, symbol="AMZN"),
    )
    messages += await until(call, complete)
    call.cancel()
    results = [(result.key, result.reason) for result in messages[0].subscribed.results]
    assert results == [("AAPL", 0), ("NOPE", types.REASON_SYMBOL_UNKNOWN), ("AMZN", 0)]
    assert chained(messages)
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    assert ("AMZN", "reference") not in seen


async def test_trades_are_replayed_after_a_position(venue: Venue) -> None:
    """A reader gets the trades after the position it names, once, and the same trade id as the venue's events."""
    first = await venue.carry_out(venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3))
    second = await venue.carry_out(venue.limit(BUY, 19010, 2), venue.limit(SELL, 22300, 1, "AMZN", account="FLOW-BID"))
    trader = venue.as_role("trader")
    everything = marketdata.SubscribeTradesRequest(symbols=["AAPL"], resume_after=0)
    call = venue.stub.SubscribeTrades(everything, metadata=trader)
    trades: list[Any] = []
    async for message in call:
        trades.extend(message.frame.trades)
        if len(trades) == 2:
            break
    call.cancel()
    assert [(one.trade.px, one.trade.qty, one.trade.aggressor_side) for one in trades] == [
        ("190.10", "3", BUY),
        ("190.10", "2", BUY),
    ]
    assert [one.journal_seq for one in trades] == [int(one.trade.trade_id) for one in trades]
    assert trades[0].journal_seq <= first < trades[1].journal_seq <= second
    rest = marketdata.SubscribeTradesRequest(symbols=["AAPL"], resume_after=trades[0].journal_seq)
    call = venue.stub.SubscribeTrades(rest, metadata=trader)
    messages = await until(call, lambda message: message.HasField("frame"))
    call.cancel()
    assert list(messages[-1].frame.trades) == trades[1:]
    assert chained(messages)


async def test_get_market_data_agrees_with_the_venue(venue: Venue) -> None:
    """Quote, last trade and traded quantity of the symbols asked for, in their order; all symbols sorted otherwise."""
    last = await venue.carry_out(venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3), venue.limit(BUY, 18990, 4))
    trader = venue.as_role("trader")
    while True:
        request = marketdata.GetMarketDataRequest(symbols=["MSFT", "AAPL"])
        response = await venue.stub.GetMarketData(request, metadata=trader)
        if response.as_of_seq >= last:
            break
    msft, aapl = response.market_data
    assert (msft.symbol, aapl.symbol) == ("MSFT", "AAPL")
    assert (aapl.quote.bid_px, aapl.quote.bid_qty, aapl.quote.ask_px, aapl.quote.ask_qty) == (
        "189.90",
        "4",
        "190.10",
        "4",
    )
    assert (aapl.last_trade.px, aapl.last_trade.qty, aapl.traded_qty) == ("190.10", "3", "3")
    assert not msft.HasField("last_trade")
    assert msft.quote == marketdata.Quote()
    everything = await venue.stub.GetMarketData(marketdata.GetMarketDataRequest(), metadata=trader)
    symbols = [one.symbol for one in everything.market_data]
    assert symbols == sorted(symbols)
    assert {"AAPL", "AMZN", "BTCUSD"} <= set(symbols)


async def test_simulated_prices_are_those_of_the_seed(venue: Venue) -> None:
    """The reference prices that people get are the walk of the configured seed, step by step."""
    request = marketdata.SubscribeTicksRequest(symbols=["AAPL"])
    call = venue.stub.SubscribeTicks(request, metadata=venue.as_role("auditor"))
    prices: list[str] = []
    async for message in call:
        prices.extend(tick.reference.px for tick in message.frame.ticks if tick.HasField("reference"))
        if len(prices) >= 5:
            break
    call.cancel()
    walk = Walk(SEED, "AAPL", 19000)
    expected = [f"{walk.step() / 100:.2f}".rstrip("0").rstrip(".") for _ in range(2000)]
    first = next(place for place in range(len(expected)) if expected[place : place + len(prices)] == prices)
    assert expected[first : first + len(prices)] == prices


async def test_instruments_come_in_pages(venue: Venue) -> None:
    """Pages follow each other without loss; the kind can be chosen; a made-up page token is refused."""
    trader = venue.as_role("trader")
    pages: list[list[str]] = []
    request = marketdata.ListInstrumentsRequest(page_size=3)
    while True:
        response = await venue.stub.ListInstruments(request, metadata=trader)
        pages.append([one.symbol for one in response.instruments])
        request.page_token = response.next_page_token
        if not request.page_token:
            break
    symbols = [symbol for page in pages for symbol in page]
    assert symbols == sorted(symbols)
    assert [len(page) for page in pages] == [3, 3, 1]
    request = marketdata.ListInstrumentsRequest(asset_class=types.ASSET_CLASS_OPTION)
    (option,) = (await venue.stub.ListInstruments(request, metadata=trader)).instruments
    assert (option.strike_price, option.option_right, option.expiry_date, option.multiplier, option.tick_size) == (
        "200",
        "CALL",
        "2027-01-15",
        "100",
        "0.05",
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await venue.stub.ListInstruments(marketdata.ListInstrumentsRequest(page_token="§"), metadata=trader)
    assert reason_of(refused.value) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_the_status_tells_feeds_and_positions(venue: Venue) -> None:
    """The feed runs and has prices, the view stands where the journal ends, and live streams are counted."""
    last = await venue.carry_out(venue.limit(SELL, 19010, 7))
    trader = venue.as_role("trader")
    call = venue.stub.SubscribeTicks(marketdata.SubscribeTicksRequest(symbols=["AAPL"]), metadata=trader)
    await until(call, lambda message: message.frame.ticks)
    status = await venue.stub.GetFeedStatus(marketdata.GetFeedStatusRequest(), metadata=trader)
    call.cancel()
    (feed,) = status.feeds
    assert (feed.name, feed.running, feed.error) == ("simulation", True, "")
    assert feed.updates >= len(STARTING_PRICES)
    assert feed.last_update_time.seconds > 0
    assert status.subscriptions == 1
    assert status.as_of_seq <= status.journal_seq <= last
    while status.subscriptions or status.as_of_seq < last:
        status = await venue.stub.GetFeedStatus(marketdata.GetFeedStatusRequest(), metadata=trader)


@pytest.mark.parametrize(
    ("method", "request_message", "reason"),
    [
        ("SubscribeTicks", marketdata.SubscribeTicksRequest(symbols=["NOPE"]), "SYMBOL_UNKNOWN"),
        ("SubscribeTicks", marketdata.SubscribeTicksRequest(), "FIELD_MISSING"),
        ("SubscribeTicks", marketdata.SubscribeTicksRequest(symbols=["AAPL"] * 257), "FIELD_INVALID"),
        ("SubscribeTrades", marketdata.SubscribeTradesRequest(symbols=["NOPE", "NADA"]), "SYMBOL_UNKNOWN"),
        ("SubscribeBook", marketdata.SubscribeBookRequest(symbol="NOPE"), "SYMBOL_UNKNOWN"),
        ("SubscribeBook", marketdata.SubscribeBookRequest(symbol="AAPL", depth=101), "FIELD_INVALID"),
    ],
)
async def test_a_subscription_to_nothing_is_refused(
    venue: Venue, method: str, request_message: Any, reason: str
) -> None:
    """Without a single symbol to subscribe, or beyond a bound, the call ends with a coded error."""
    call = getattr(venue.stub, method)(request_message, metadata=venue.as_role("trader"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(call.__aiter__())
    assert reason_of(refused.value) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_streams_need_a_token(venue: Venue) -> None:
    """Without a token a stream is refused before it begins."""
    call = venue.stub.SubscribeTicks(marketdata.SubscribeTicksRequest(symbols=["AAPL"]))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(call.__aiter__())
    assert reason_of(refused.value) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
