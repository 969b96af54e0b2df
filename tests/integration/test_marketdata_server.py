"""The marketdata server as people reach it, over the real matching server."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.marketdata.v1 import marketdata_pb2_grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from marketdata import server as marketdata_server
from marketdata.feeds.simulation import STARTING_PRICES, Walk
from matching import server as matching_server
from runtime import tokens
from runtime.channels import client_channel
from runtime.serve import Running, running
from runtime.settings import Settings
from runtime.stack.home import isolated

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
SEED = 7


class Venue:
    """A real matching server and the real marketdata server that follows it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = settings.auth_dev_key_file.read_bytes()
        self._matching = AsyncExitStack()
        self._marketdata = AsyncExitStack()
        self._numbers = iter(range(1, 10**6))
        self.marketdata: Running

    async def start_matching(self) -> None:
        """Starts matching."""
        await self._matching.enter_async_context(running("matching", matching_server.parts, self.settings))

    async def start_marketdata(self) -> None:
        """Starts marketdata and opens a channel to it."""
        self.marketdata = await self._marketdata.enter_async_context(
            running("marketdata", marketdata_server.parts, self.settings)
        )
        channel = await self._marketdata.enter_async_context(client_channel(f"127.0.0.1:{self.marketdata.port}"))
        self.stub = marketdata_pb2_grpc.MarketDataServiceStub(channel)
        self.health: Any = health_pb2_grpc.HealthStub(channel)

    async def stop_matching(self) -> None:
        """Ends matching in order."""
        await self._matching.aclose()

    async def stop_marketdata(self) -> None:
        """Ends marketdata in order."""
        await self._marketdata.aclose()

    async def serving(self) -> None:
        """Waits until marketdata says that it serves."""
        watch = self.health.Watch(health_pb2.HealthCheckRequest())
        async for state in watch:
            if state.status == health_pb2.HealthCheckResponse.SERVING:
                watch.cancel()
                return

    def as_role(self, *roles: str) -> tuple[tuple[str, str], ...]:
        """Call metadata of a person with the roles."""
        token = tokens.issue(
            self.key,
            kid=tokens.DEV_KID,
            subject="somebody",
            roles=roles,
            accounts=["DEMO"],
            ttl_s=600,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )
        return (("authorization", f"Bearer {token}"),)

    async def carry_out(self, *orders: commands.Command) -> int:
        """Has commands carried out and made durable; gives the last seq."""
        metadata = tokens.service_metadata(self.settings, "gateway-test")
        async with client_channel(self.settings.matching_address) as channel:
            call = matching_pb2_grpc.MatchingServiceStub(channel).Link(metadata=metadata)
            await call.write(matching.LinkRequest(logon=matching.LinkLogon(gateway_id="gateway-test")))
            frame = matching.LinkFrame(first_correlation=1, commands=[one.SerializeToString() for one in orders])
            await call.write(matching.LinkRequest(frame=frame))
            done: list[int] = []
            async for response in call:
                done.extend(response.batch.correlations)
                if len(done) == len(orders):
                    break
            call.cancel()
        return await self.journal_seq()

    async def journal_seq(self) -> int:
        """The last durable event."""
        metadata = tokens.service_metadata(self.settings, "gateway-test")
        async with client_channel(self.settings.matching_address) as channel:
            stub = matching_pb2_grpc.MatchingServiceStub(channel)
            return (await stub.ListInstruments(matching.ListInstrumentsRequest(), metadata=metadata)).as_of_seq

    def limit(
        self, side: types.Side.ValueType, price_ticks: int, lots: int, symbol: str = "AAPL", **more: Any
    ) -> commands.Command:
        """A limit order of DEMO, or of MM where it sells."""
        terms = {"time_in_force": types.TIME_IN_FORCE_GTC, "account": "DEMO" if side == BUY else "MM"} | more
        order = commands.NewOrder(
            cl_ord_id=f"order-{next(self._numbers)}",
            symbol=symbol,
            side=side,
            ord_type=types.ORD_TYPE_LIMIT,
            qty_lots=lots,
            price_ticks=price_ticks,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
            **terms,
        )
        return commands.Command(actor="somebody", gateway_id="gateway-test", new_order=order)


@asynccontextmanager
async def venue_in(home: Path, **more: Any) -> AsyncIterator[Venue]:
    """A venue that keeps everything in `home`."""
    tokens.make_keys(home / "keys")
    given = {"feed_interval_ms": 20, "feed_seed": SEED, "heartbeat_interval_s": 0.5, "journal_segment_bytes": 1 << 20}
    venue = Venue(isolated(home, **given | more))
    await venue.start_matching()
    try:
        await venue.start_marketdata()
        try:
            await venue.serving()
            yield venue
        finally:
            await venue.stop_marketdata()
    finally:
        await venue.stop_matching()


@pytest_asyncio.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    """A venue of this test's own."""
    async with venue_in(tmp_path) as started:
        yield started


async def until(call: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The messages of a stream up to the first that is wanted."""
    messages = []
    async for message in call:
        messages.append(message)
        if wanted(message):
            return messages
    raise AssertionError(f"the stream ended: {messages[-1]}")


def chained(messages: list[Any]) -> bool:
    """Whether each message names the one before."""
    pairs = pairwise(messages)
    return messages[0].prev_seq == 0 and all(after.prev_seq == before.seq for before, after in pairs)


def reason_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """Status code and reason of an error."""
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(cast(Any, error))
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code(), info.reason


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
    second = await venue.carry_out(venue.limit(BUY, 19010, 2), venue.limit(SELL, 22300, 1, "AMZN", account="FLOW"))
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
