"""MarketDataService: checks requests, reads the replica, answers.

Unary answers are messages; streams hand over encoded bytes, because what they
send was encoded once for all readers. `register` therefore names the handlers
itself instead of using the generated function.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import grpc
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from marketdata import convert, metrics
from marketdata.feeds.runner import FeedRunner
from marketdata.hub import End, Reader
from marketdata.publisher import Publisher
from marketdata.replica import Replica
from marketdata.streams import BookStream, TickStream, TradeStream, run, subscribed
from runtime.auth import current_principal, current_verifier
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused
from runtime.lifetimes import Lifetimes
from runtime.pulled import Pulled

SERVICE = marketdata.DESCRIPTOR.services_by_name["MarketDataService"].full_name
SYMBOLS_MAX = 256
DEPTH_DEFAULT = 10
DEPTH_MAX = 100
PAGE_SIZE_MAX = 1_000
Context = grpc.aio.ServicerContext[Any, Any]


class MarketDataService:
    """Quotes, depth and trades, as calls and as streams."""

    def __init__(
        self, replica: Replica, feeds: Sequence[FeedRunner], lifetimes: Lifetimes, heartbeat_interval_s: float
    ) -> None:
        self._replica = replica
        self._feeds = feeds
        self._lifetimes = lifetimes
        self._heartbeat_interval_s = heartbeat_interval_s
        self._epoch = unix_ns()

    async def GetMarketData(  # named by the contract, as are the others
        self, request: marketdata.GetMarketDataRequest, _context: Context
    ) -> marketdata.GetMarketDataResponse:
        """What is known of the symbols now."""
        publisher = self._replica.publisher()
        markets, instruments = publisher.market.symbols, publisher.instruments
        for symbol in request.symbols:
            instruments.require(symbol, "symbols")
        return marketdata.GetMarketDataResponse(
            market_data=[
                convert.market_data(instruments.require(symbol), markets[symbol])
                for symbol in request.symbols or _listed(publisher)
            ],
            as_of_seq=publisher.market.seq,
        )

    async def ListInstruments(
        self, request: marketdata.ListInstrumentsRequest, _context: Context
    ) -> marketdata.ListInstrumentsResponse:
        """A page of the listed instruments."""
        publisher = self._replica.publisher()
        after = _page_start(request.page_token)
        page_size = _page_size(request.page_size)
        found = [
            instrument
            for instrument in map(publisher.instruments.require, _listed(publisher))
            if instrument.symbol > after and request.asset_class in (0, instrument.asset_class)
        ]
        page = found[:page_size]
        return marketdata.ListInstrumentsResponse(
            instruments=map(convert.instrument_message, page),
            next_page_token=_page_token(page[-1].symbol) if len(found) > page_size else "",
        )

    async def GetFeedStatus(
        self, _request: marketdata.GetFeedStatusRequest, _context: Context
    ) -> marketdata.GetFeedStatusResponse:
        """How the feeds of reference prices and the view itself are doing."""
        publisher, view = self._replica.publisher(), self._replica.view
        return marketdata.GetFeedStatusResponse(
            feeds=map(_feed_status, self._feeds),
            as_of_seq=publisher.market.seq,
            journal_seq=view.journal_seq,
            subscriptions=publisher.subscriptions,
        )

    async def SubscribeTicks(self, request: marketdata.SubscribeTicksRequest, context: Context) -> AsyncIterator[bytes]:
        """A stream of ticks, as encoded SubscribeTicksResponses."""
        publisher = self._replica.publisher()
        results, symbols = _subscription(publisher, request.symbols)
        first = subscribed(results, 0, self._heartbeat_interval_s)
        async with self._served("ticks", publisher.tick_hub.joined(symbols), context) as reader:
            stream = TickStream(publisher, symbols, reader, first, self._epoch)
            async for message in run(stream, reader, self._heartbeat_interval_s):
                yield message

    async def SubscribeBook(self, request: marketdata.SubscribeBookRequest, context: Context) -> AsyncIterator[bytes]:
        """A stream of depth, as encoded SubscribeBookResponses."""
        publisher = self._replica.publisher()
        levels_max = _depth(request.depth)
        results, symbols = _subscription(publisher, [request.symbol], "symbol")
        first = subscribed(results, publisher.market.seq, self._heartbeat_interval_s)
        async with self._served("book", publisher.book_hub.joined(symbols), context) as reader:
            with publisher.book_channel(request.symbol, levels_max) as channel:
                stream = BookStream(publisher, self._replica.view, channel, first)
                async for message in run(stream, reader, self._heartbeat_interval_s):
                    yield message

    async def SubscribeTrades(
        self, request: marketdata.SubscribeTradesRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """A stream of trades, as encoded SubscribeTradesResponses."""
        publisher = self._replica.publisher()
        results, symbols = _subscription(publisher, request.symbols)
        resume_after = request.resume_after if request.HasField("resume_after") else publisher.market.seq
        first = subscribed(results, resume_after, self._heartbeat_interval_s)
        async with self._served("trades", publisher.trade_hub.joined(symbols), context) as reader:
            stream = TradeStream(publisher, self._replica.view, reader, first, resume_after)
            async for message in run(stream, reader, self._heartbeat_interval_s):
                yield message

    @asynccontextmanager
    async def _served(
        self, kind: str, joined: AbstractContextManager[Reader], context: Context
    ) -> AsyncIterator[Reader]:
        """The reader of a stream that is counted, and that ends with its caller's token."""
        with joined as reader, _counted(kind):
            stream = Pulled(lambda reason, text: reader.stop(End(reason, text)))
            async with self._lifetimes.of(stream, current_principal(), current_verifier(), context):
                yield reader


def register(service: MarketDataService, server: grpc.aio.Server) -> None:
    """Adds the service to a server."""
    handlers = {
        "GetMarketData": _unary(service.GetMarketData, marketdata.GetMarketDataRequest),
        "ListInstruments": _unary(service.ListInstruments, marketdata.ListInstrumentsRequest),
        "GetFeedStatus": _unary(service.GetFeedStatus, marketdata.GetFeedStatusRequest),
        "SubscribeTicks": _stream(service.SubscribeTicks, marketdata.SubscribeTicksRequest),
        "SubscribeBook": _stream(service.SubscribeBook, marketdata.SubscribeBookRequest),
        "SubscribeTrades": _stream(service.SubscribeTrades, marketdata.SubscribeTradesRequest),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _unary(behavior: Any, request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        behavior,
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _stream(behavior: Any, request: Any) -> Any:
    return grpc.unary_stream_rpc_method_handler(behavior, request_deserializer=request.FromString)


@contextmanager
def _counted(kind: str) -> Iterator[None]:
    gauge = metrics.subscriptions.labels(kind)
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


def _subscription(
    publisher: Publisher, requested: Collection[str], field: str = "symbols"
) -> tuple[list[types.SubscriptionResult], list[str]]:
    """One result for each requested symbol, and the symbols that can be subscribed, each once.

    Raises:
        Refused: none or too many are requested, or none of them is listed.
    """
    if len(requested) > SYMBOLS_MAX:
        raise Refused(
            types.REASON_FIELD_INVALID, f"a stream has at most {SYMBOLS_MAX} symbols, not {len(requested)}", field=field
        )
    listed = publisher.market.symbols
    symbols = list(dict.fromkeys(symbol for symbol in requested if symbol in listed))
    if not symbols:
        publisher.instruments.require(next(iter(requested), ""), field)
    unknown = types.REASON_SYMBOL_UNKNOWN
    results = [
        types.SubscriptionResult(key=symbol, reason=types.REASON_UNSPECIFIED if symbol in listed else unknown)
        for symbol in requested
    ]
    return results, symbols


def _listed(publisher: Publisher) -> list[str]:
    """The symbols whose listing has not ended, sorted."""
    return sorted(symbol for symbol, market in publisher.market.symbols.items() if not market.status.delisted)


def _depth(requested: int) -> int:
    if requested > DEPTH_MAX:
        text = f"depth is 1 to {DEPTH_MAX}, not {requested}"
        raise Refused(types.REASON_FIELD_INVALID, text, field="depth")
    return requested or DEPTH_DEFAULT


def _page_size(requested: int) -> int:
    if requested > PAGE_SIZE_MAX:
        text = f"page_size is 1 to {PAGE_SIZE_MAX}, not {requested}"
        raise Refused(types.REASON_FIELD_INVALID, text, field="page_size")
    return requested or PAGE_SIZE_MAX


def _page_token(last_symbol: str) -> str:
    return base64.urlsafe_b64encode(last_symbol.encode()).decode()


def _page_start(token: str) -> str:
    """The symbol after which a page begins; empty for the first page."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Refused(
            types.REASON_PAGE_TOKEN_INVALID, "page_token is not one that this server gave", field="page_token"
        ) from None


def _feed_status(feed: FeedRunner) -> marketdata.FeedStatus:
    return marketdata.FeedStatus(
        name=feed.name,
        running=feed.running,
        updates=feed.updates,
        last_update_time=timestamp(feed.last_update_unix_ns) if feed.updates else None,
        error=feed.error,
    )
