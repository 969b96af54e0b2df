"""The three kinds of stream: each from its opening through data and heartbeats to its end.

A stream holds a cursor into what the publisher keeps and nothing else, so its
memory does not grow. It takes what has come up since its last message in one
go; a reader that fell off the old end gets the present state again (ticks,
depth) or is ended with the place to resume at (trades).
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from marketdata import convert, metrics
from marketdata.hub import End, Reader
from marketdata.publisher import BookChannel, Publisher
from marketdata.ring import Behind
from marketdata.view import MarketView
from marketdata.wire import Envelope, embedded
from runtime.clock import timestamp, unix_ns

FRAME_TICKS_MAX = 1_024
FRAME_TRADES_MAX = 1_024
FRAME_CHANGES_MAX = 64
RETRY_DELAY_MS = 500
SLOW_CONSUMER = End(types.REASON_SLOW_CONSUMER, "the reader was too slow for what is kept")
TICKS_FRAME = 6
"""Field number of `SubscribeTicksResponse.frame`."""
TRADES_FRAME = 6
"""Field number of `SubscribeTradesResponse.frame`."""


class Stream(Protocol):
    """One stream to one reader; every message comes encoded."""

    def opening(self) -> Iterator[bytes]:
        """The messages that come first, whatever happens."""
        ...

    def due(self) -> Sequence[bytes]:
        """The messages that have come up and fit now; none when the reader has everything.

        Raises:
            Behind: the stream cannot go on.
        """
        ...

    def heartbeat(self) -> bytes:
        """Nothing new, still here."""
        ...

    def ended(self, end: End) -> bytes:
        """The last message."""
        ...


async def run(stream: Stream, reader: Reader, heartbeat_interval_s: float) -> AsyncIterator[bytes]:
    """The messages of `stream`, until the server ends it or the reader leaves."""
    loop = asyncio.get_running_loop()
    for message in stream.opening():
        yield message
    heartbeat_at_s = loop.time() + heartbeat_interval_s
    while (end := reader.end) is None:
        reader.looks()
        try:
            messages = stream.due()
        except Behind:
            metrics.slow_consumers.inc()
            reader.stop(SLOW_CONSUMER)
            continue
        for message in messages:
            yield message
        if messages:
            heartbeat_at_s = loop.time() + heartbeat_interval_s
        elif loop.time() >= heartbeat_at_s or not await reader.woken(heartbeat_at_s):
            yield stream.heartbeat()
            heartbeat_at_s = loop.time() + heartbeat_interval_s
    yield stream.ended(end)


def subscribed(
    results: Sequence[types.SubscriptionResult], resume_after: int, heartbeat_interval_s: float
) -> types.Subscribed:
    """What a stream says first."""
    return types.Subscribed(
        resume_after=resume_after,
        results=results,
        heartbeat_interval_s=max(1, round(heartbeat_interval_s)),
    )


class TickStream:
    """Ticks of some symbols, numbered by message."""

    def __init__(
        self, publisher: Publisher, symbols: Sequence[str], reader: Reader, first: types.Subscribed, epoch: int
    ) -> None:
        self._publisher = publisher
        self._symbols = symbols
        self._reader = reader
        self._first = first
        self._epoch = epoch
        self._out = Envelope(marketdata.SubscribeTicksResponse(stream_id=_stream_id()))
        self._cursor = publisher.ticks.end

    def opening(self) -> Iterator[bytes]:
        """What was subscribed, then the state of each symbol."""
        yield self._next(marketdata.SubscribeTicksResponse(subscribed=self._first))
        yield from self._snapshots()

    def due(self) -> Sequence[bytes]:
        """The next frame of ticks; the state of each symbol when the reader has fallen behind."""
        try:
            fields = self._fields()
        except Behind:
            metrics.conflated.labels("ticks").inc()
            return list(self._snapshots())
        if not fields:
            return ()
        metrics.ticks_sent.inc(len(fields))
        return (self._wrap(embedded(TICKS_FRAME, b"".join(fields))),)

    def heartbeat(self) -> bytes:
        """Nothing new."""
        beat = types.Heartbeat(last_seq=self._out.seq, time=timestamp(unix_ns()))
        return self._next(marketdata.SubscribeTicksResponse(heartbeat=beat))

    def ended(self, end: End) -> bytes:
        """The last message; a new stream begins with the state, so there is nothing to resume."""
        return self._next(marketdata.SubscribeTicksResponse(end=_stream_end(end, 0)))

    def _fields(self) -> list[bytes]:
        ticks, symbols = self._publisher.ticks, self._reader.symbols
        fields: list[bytes] = []
        while not fields and self._cursor < ticks.end:
            taken = ticks.take(self._cursor, FRAME_TICKS_MAX)
            self._cursor += len(taken)
            fields = [field for symbol, field in taken if symbol in symbols]
        return fields

    def _snapshots(self) -> Iterator[bytes]:
        self._cursor = self._publisher.ticks.end
        states = [self._state(symbol) for symbol in self._symbols]
        for state in states:
            yield self._next(marketdata.SubscribeTicksResponse(snapshot=state))

    def _state(self, symbol: str) -> marketdata.MarketData:
        market = self._publisher.market.symbols[symbol]
        market.quote()
        return convert.market_data(self._publisher.instruments.require(symbol), market)

    def _next(self, body: marketdata.SubscribeTicksResponse) -> bytes:
        return self._wrap(body.SerializeToString())

    def _wrap(self, body: bytes) -> bytes:
        return self._out.wrap(self._out.seq + 1, self._epoch, body)


class BookStream:
    """Depth of one symbol, numbered by journal position."""

    def __init__(self, publisher: Publisher, view: MarketView, channel: BookChannel, first: types.Subscribed) -> None:
        self._publisher = publisher
        self._view = view
        self._channel = channel
        self._first = first
        self._out = Envelope(marketdata.SubscribeBookResponse(stream_id=_stream_id()))
        self._cursor = 0

    def opening(self) -> Iterator[bytes]:
        """What was subscribed, then the whole depth."""
        seq, snapshot = self._publisher.market.seq, self._snapshot_body()
        yield self._wrap(seq, marketdata.SubscribeBookResponse(subscribed=self._first).SerializeToString())
        yield self._wrap(seq, snapshot)

    def due(self) -> Sequence[bytes]:
        """The next changes; the whole depth when the reader has fallen behind."""
        try:
            changes = self._channel.changes.take(self._cursor, FRAME_CHANGES_MAX)
        except Behind:
            metrics.conflated.labels("book").inc()
            return (self._wrap(self._publisher.market.seq, self._snapshot_body()),)
        self._cursor += len(changes)
        return [self._wrap(seq, field) for seq, field in changes]

    def heartbeat(self) -> bytes:
        """Nothing new."""
        beat = types.Heartbeat(last_seq=self._out.seq, time=timestamp(unix_ns()))
        return self._same(marketdata.SubscribeBookResponse(heartbeat=beat))

    def ended(self, end: End) -> bytes:
        """The last message; a new stream begins with a snapshot."""
        return self._same(marketdata.SubscribeBookResponse(end=_stream_end(end, self._out.seq)))

    def _snapshot_body(self) -> bytes:
        self._cursor = self._channel.changes.end
        return marketdata.SubscribeBookResponse(snapshot=self._channel.snapshot()).SerializeToString()

    def _same(self, body: marketdata.SubscribeBookResponse) -> bytes:
        return self._wrap(self._out.seq, body.SerializeToString())

    def _wrap(self, seq: int, body: bytes) -> bytes:
        return self._out.wrap(seq, self._view.epoch, body)


class TradeStream:
    """Trades of some symbols, numbered by journal position."""

    def __init__(
        self, publisher: Publisher, view: MarketView, reader: Reader, first: types.Subscribed, resume_after: int
    ) -> None:
        self._publisher = publisher
        self._view = view
        self._reader = reader
        self._first = first
        self._out = Envelope(marketdata.SubscribeTradesResponse(stream_id=_stream_id()))
        self._resume_after = resume_after
        self._position = resume_after
        self._cursor = 0

    def opening(self) -> Iterator[bytes]:
        """What was subscribed, then what can no longer be replayed, if anything."""
        trades = self._publisher.market.trades
        missing_to = trades.missing_after(self._resume_after, self._reader.symbols)
        self._position = max(self._resume_after, missing_to)
        self._cursor = trades.cursor_after(self._position)
        yield self._wrap(self._resume_after, marketdata.SubscribeTradesResponse(subscribed=self._first))
        if missing_to:
            gap = types.Gap(from_seq=self._resume_after + 1, to_seq=missing_to, reason=types.REASON_SNAPSHOT_REQUIRED)
            yield self._wrap(missing_to, marketdata.SubscribeTradesResponse(gap=gap))

    def due(self) -> Sequence[bytes]:
        """The next frame of trades."""
        trades, symbols, encoded = self._publisher.market.trades, self._reader.symbols, self._publisher.encoded_trade
        while self._cursor < trades.end:
            taken = trades.take(self._cursor, FRAME_TRADES_MAX)
            self._cursor += len(taken)
            wanted = [trade for trade in taken if trade.symbol in symbols and trade.seq > self._position]
            if wanted:
                self._position = wanted[-1].seq
                body = embedded(TRADES_FRAME, b"".join(map(encoded, wanted)))
                return (self._out.wrap(self._position, self._view.epoch, body),)
        return ()

    def heartbeat(self) -> bytes:
        """Nothing new."""
        beat = types.Heartbeat(last_seq=self._out.seq, time=timestamp(unix_ns()))
        return self._wrap(self._out.seq, marketdata.SubscribeTradesResponse(heartbeat=beat))

    def ended(self, end: End) -> bytes:
        """The last message, with the place to resume at."""
        last = marketdata.SubscribeTradesResponse(end=_stream_end(end, self._out.seq))
        return self._wrap(self._out.seq, last)

    def _wrap(self, seq: int, body: marketdata.SubscribeTradesResponse) -> bytes:
        return self._out.wrap(seq, self._view.epoch, body.SerializeToString())


def _stream_id() -> str:
    return secrets.token_hex(8)


def _stream_end(end: End, resume_after: int) -> types.StreamEnd:
    return types.StreamEnd(reason=end.reason, text=end.text, resume_after=resume_after, retry_delay_ms=RETRY_DELAY_MS)
