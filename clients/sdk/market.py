"""The calls and streams of market data; a part of `clients.sdk.client`."""

from collections.abc import AsyncGenerator
from typing import Any

from ordergate.marketdata.v1 import marketdata_pb2 as md
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.book import Book, BookBuilder
from clients.sdk.calls import Caller
from clients.sdk.places import Service
from clients.sdk.streams import StreamKind, follow

_TRADES = StreamKind("trades", resumes=True)
_TICKS = StreamKind("ticks", resumes=False)
_BOOK = StreamKind("book levels", resumes=False, snapshots=frozenset({"snapshot"}))


class Market:
    """What can be asked of the market; a part of `Client`."""

    _caller: Caller
    _market: Service

    async def market_data(self, *symbols: str) -> md.GetMarketDataResponse:
        """The present quote, last trade and reference price of symbols; of all when none is named."""
        request = md.GetMarketDataRequest(symbols=symbols)
        response: md.GetMarketDataResponse = await self._caller.call(self._market.GetMarketData, request)
        return response

    async def instruments(
        self, *, asset_class: types.AssetClass.ValueType = types.ASSET_CLASS_UNSPECIFIED
    ) -> AsyncGenerator[md.Instrument, None]:
        """The listed instruments, sorted by symbol."""
        request = md.ListInstrumentsRequest(asset_class=asset_class)
        async for page in self._caller.pages(self._market.ListInstruments, request):
            for instrument in page.instruments:
                yield instrument

    async def feed_status(self) -> md.GetFeedStatusResponse:
        """Which feeds run, and how fresh they are."""
        response: md.GetFeedStatusResponse = await self._caller.call(
            self._market.GetFeedStatus, md.GetFeedStatusRequest()
        )
        return response

    async def ticks(self, *symbols: str) -> AsyncGenerator[md.MarketData | md.Tick, None]:
        """First the present state of each symbol (`MarketData`), then its changes (`Tick`); again after a reconnect."""
        request = md.SubscribeTicksRequest(symbols=symbols)
        async for message in follow(self._caller, _TICKS, self._market.SubscribeTicks, lambda _position: request):
            if message.WhichOneof("message") == "snapshot":
                yield message.snapshot
            else:
                for tick in message.frame.ticks:
                    yield tick

    async def book(self, symbol: str, *, depth: int = 10) -> AsyncGenerator[Book, None]:
        """The depth of a symbol, whole, after each change."""
        request = md.SubscribeBookRequest(symbol=symbol, depth=depth)
        builder = BookBuilder(symbol, depth)
        async for message in follow(self._caller, _BOOK, self._market.SubscribeBook, lambda _position: request):
            yield builder.apply(message)

    async def trades(self, *symbols: str, resume_after: int | None = None) -> AsyncGenerator[md.TradeReport, None]:
        """The trades of symbols as they come, or everything after the journal position `resume_after`.

        Raises:
            StreamGap: trades are missing and cannot be had any more.
        """

        def request_at(position: int | None) -> Any:
            return md.SubscribeTradesRequest(symbols=symbols, resume_after=position)

        messages = follow(self._caller, _TRADES, self._market.SubscribeTrades, request_at, resume_after)
        async for message in messages:
            for trade in message.frame.trades:
                yield trade
