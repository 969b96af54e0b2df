"""Silence, drain, restarts: what the marketdata server does when something goes away."""

import asyncio
import shutil
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from tests.integration.marketdata.venue import BUY, SELL, Venue, chained, until


async def test_a_silent_stream_sends_heartbeats_that_name_its_last_message(venue: Venue) -> None:
    """With nothing to tell, heartbeats come and carry the last sequence."""
    request = marketdata.SubscribeTradesRequest(symbols=["AMZN"])
    call = venue.stub.SubscribeTrades(request, metadata=venue.as_role("trader"))
    messages = await until(call, lambda message: message.HasField("heartbeat"))
    call.cancel()
    assert messages[-1].heartbeat.last_seq == messages[0].seq == messages[0].subscribed.resume_after
    assert chained(messages)


async def test_a_drained_server_ends_its_streams_in_band(venue: Venue) -> None:
    """Every kind of stream ends with DRAINING and a normal status when the server is told to stop."""
    trader = venue.as_role("trader")
    calls: list[Any] = [
        venue.stub.SubscribeTicks(marketdata.SubscribeTicksRequest(symbols=["AAPL"]), metadata=trader),
        venue.stub.SubscribeBook(marketdata.SubscribeBookRequest(symbol="AAPL"), metadata=trader),
        venue.stub.SubscribeTrades(marketdata.SubscribeTradesRequest(symbols=["AAPL"]), metadata=trader),
    ]
    for call in calls:
        await until(call, lambda message: message.HasField("subscribed"))
    ends = [asyncio.create_task(until(call, lambda message: message.HasField("end"))) for call in calls]
    stopping = asyncio.create_task(venue.stop_marketdata())
    reasons = [(await end)[-1].end.reason for end in ends]
    codes = [await call.code() for call in calls]
    await stopping
    assert reasons == [types.REASON_DRAINING] * 3
    assert codes == [grpc.StatusCode.OK] * 3


async def test_the_view_survives_the_absence_of_matching(venue: Venue) -> None:
    """While matching is away the book stays readable; after its restart the same stream goes on, under a new epoch."""
    trader = venue.as_role("trader")
    await venue.carry_out(venue.limit(SELL, 19010, 7))
    call = venue.stub.SubscribeBook(marketdata.SubscribeBookRequest(symbol="AAPL"), metadata=trader)
    messages = await until(call, lambda message: message.HasField("snapshot"))
    if not messages[-1].snapshot.asks:
        messages += await until(call, lambda message: message.changes.asks)
    await venue.stop_matching()
    during = await venue.stub.GetMarketData(marketdata.GetMarketDataRequest(symbols=["AAPL"]), metadata=trader)
    health = await venue.health.Check(health_pb2.HealthCheckRequest())
    await venue.start_matching()
    await venue.carry_out(venue.limit(SELL, 19005, 1))
    messages += await until(call, lambda message: any(level.px == "190.05" for level in message.changes.asks))
    call.cancel()
    assert during.market_data[0].quote.ask_px == "190.10"
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert chained(messages)
    assert [messages[0].epoch, messages[-1].epoch] == [1, 2]


async def test_another_journal_is_noticed_and_the_view_built_again(venue: Venue) -> None:
    """A journal whose epoch went back is not the one that was followed: streams end, and the new one is shown."""
    trader = venue.as_role("trader")
    await venue.stop_matching()
    await venue.start_matching()
    last = await venue.carry_out(venue.limit(SELL, 19010, 7))
    status = marketdata.GetFeedStatusResponse()
    while status.as_of_seq < last:
        status = await venue.stub.GetFeedStatus(marketdata.GetFeedStatusRequest(), metadata=trader)
    request = marketdata.SubscribeTradesRequest(symbols=["AAPL"])
    call = venue.stub.SubscribeTrades(request, metadata=trader)
    await until(call, lambda message: message.HasField("subscribed"))
    await venue.stop_matching()
    shutil.rmtree(venue.settings.journal_dir)
    await venue.start_matching()
    new = await venue.carry_out(*(venue.limit(BUY, price, 1) for price in (18000, 18001, 18002)))
    assert new > last
    end = (await until(call, lambda message: message.HasField("end")))[-1].end
    assert end.reason == types.REASON_MATCHING_UNAVAILABLE
    await venue.serving()
    market = await venue.stub.GetMarketData(marketdata.GetMarketDataRequest(symbols=["AAPL"]), metadata=trader)
    quote = market.market_data[0].quote
    assert (quote.bid_px, quote.ask_px, market.as_of_seq) == ("180.02", "", new)


async def test_a_restarted_view_is_the_same_again(venue: Venue) -> None:
    """Market data is a view of the journal: begun from nothing it shows what it showed before."""
    trader = venue.as_role("trader")
    last = await venue.carry_out(
        venue.limit(SELL, 19010, 7), venue.limit(BUY, 19010, 3), venue.limit(BUY, 18990, 4), venue.limit(BUY, 18980, 4)
    )
    book = marketdata.SubscribeBookRequest(symbol="AAPL", depth=100)

    async def shown() -> tuple[Any, Any]:
        market = marketdata.GetMarketDataResponse()
        while market.as_of_seq < last:
            market = await venue.stub.GetMarketData(marketdata.GetMarketDataRequest(), metadata=trader)
        for one in market.market_data:
            one.ClearField("reference")
            one.ClearField("updated_time")
        call = venue.stub.SubscribeBook(book, metadata=trader)
        snapshot = (await until(call, lambda message: message.HasField("snapshot")))[-1]
        call.cancel()
        return market, snapshot.snapshot

    before = await shown()
    await venue.stop_marketdata()
    await venue.start_marketdata()
    await venue.serving()
    assert await shown() == before
