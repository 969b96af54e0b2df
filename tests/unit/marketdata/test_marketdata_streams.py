"""Streams from their opening to their end, without a network."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.types.v1 import types_pb2 as types

from marketdata import publisher as publishing
from marketdata.hub import End, Reader
from marketdata.market import ReferencePrice
from marketdata.replica import DRAINING
from marketdata.streams import FRAME_TICKS_MAX, BookStream, TickStream, TradeStream, run, subscribed

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
HOUR_S = 3600.0
FIRST = subscribed([], 0, 5.0)
TickResponse = marketdata.SubscribeTicksResponse
BookResponse = marketdata.SubscribeBookResponse
TradeResponse = marketdata.SubscribeTradesResponse


def ticks_of(feed: Any, reader: Reader, symbols: tuple[str, ...] = ("AAPL",)) -> TickStream:
    """A tick stream of the feed."""
    return TickStream(feed.publisher, symbols, reader, FIRST, 77)


async def taken(messages: AsyncIterator[bytes], response: Any, count: int) -> list[Any]:
    """The next messages of a stream, decoded."""
    return [response.FromString(await anext(messages)) for _ in range(count)]


async def test_ticks_begin_with_the_state_and_go_on_with_changes(feed: Any) -> None:
    """First what was subscribed, then a snapshot for each symbol, then frames; every number follows the last."""
    await feed.rests(3, BUY, 19000, 5)
    with feed.publisher.tick_hub.joined(("AAPL", "MSFT")) as reader:
        messages = run(ticks_of(feed, reader, ("AAPL", "MSFT")), reader, HOUR_S)
        opening = await taken(messages, TickResponse, 3)
        await feed.rests(5, SELL, 19010, 7)
        await feed.trades(19010, 2)
        feed.publisher.referenced(ReferencePrice("MSFT", 410 * 10**9, "simulation", 1))
        (frame,) = await taken(messages, TickResponse, 1)
    assert [one.WhichOneof("message") for one in opening] == ["subscribed", "snapshot", "snapshot"]
    assert (opening[1].snapshot.quote.bid_px, opening[1].snapshot.quote.bid_qty) == ("190.00", "5")
    assert opening[2].snapshot.symbol == "MSFT"
    quote, trade, reference = frame.frame.ticks
    assert (quote.quote.bid_px, quote.quote.ask_px, quote.quote.ask_qty) == ("190.00", "190.10", "7")
    assert (trade.trade.px, trade.trade.qty, trade.trade.aggressor_side) == ("190.10", "2", BUY)
    assert (reference.symbol, reference.reference.px, reference.reference.source) == ("MSFT", "410", "simulation")
    assert (quote.journal_seq, trade.journal_seq, reference.journal_seq) == (4, 6, 0)
    assert [(one.seq, one.prev_seq) for one in (*opening, frame)] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert {one.epoch for one in opening} == {77}


async def test_a_quote_that_did_not_change_is_not_told(feed: Any) -> None:
    """Orders behind the best level make no tick."""
    await feed.rests(3, BUY, 19000, 5)
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        stream = ticks_of(feed, reader)
        list(stream.opening())
        await feed.rests(4, BUY, 18999, 5)
        assert stream.due() == ()


async def test_a_quote_that_came_back_unseen_is_still_told(feed: Any) -> None:
    """A reader whose snapshot differs from what earlier readers had hears of the change back."""
    await feed.rests(3, BUY, 19000, 5)
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        list(ticks_of(feed, reader).opening())
    await feed.rests(3, BUY, 19001, 5)
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        stream = ticks_of(feed, reader)
        list(stream.opening())
        await feed.rests(3, BUY, 19000, 5)
        (message,) = stream.due()
    assert TickResponse.FromString(message).frame.ticks[0].quote.bid_px == "190.00"


async def test_nothing_is_encoded_for_nobody(feed: Any) -> None:
    """Without a reader of the symbol no tick is made."""
    with feed.publisher.tick_hub.joined(("MSFT",)):
        await feed.rests(3, BUY, 19000, 5)
        await feed.trades(19010, 2)
        assert feed.publisher.ticks.end == 0
        await feed.rests(7, BUY, 100, 5, symbol="MSFT")
        assert feed.publisher.ticks.end == 1


async def test_ticks_that_piled_up_come_in_frames_of_bounded_length(feed: Any) -> None:
    """A reader that is a little behind gets every tick, in order, in frames."""
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        stream = ticks_of(feed, reader)
        list(stream.opening())
        count = FRAME_TICKS_MAX + 10
        for lots in range(1, count + 1):
            await feed.rests(3, BUY, 19000, lots)
        frames = [TickResponse.FromString(stream.due()[0]).frame.ticks for _ in range(2)]
        assert stream.due() == ()
    assert [len(frame) for frame in frames] == [FRAME_TICKS_MAX, 10]
    assert [int(tick.quote.bid_qty) for frame in frames for tick in frame] == list(range(1, count + 1))


async def test_a_slow_reader_of_ticks_gets_the_present_state_instead(feed: Any) -> None:
    """Who fell further behind than is kept gets one snapshot of each symbol, and goes on from there."""
    with feed.publisher.tick_hub.joined(("AAPL", "MSFT")) as reader:
        stream = ticks_of(feed, reader, ("AAPL", "MSFT"))
        list(stream.opening())
        for lots in range(1, publishing.KEPT_TICKS_MAX + 2):
            await feed.rests(3, BUY, 19000, lots)
        caught_up = [TickResponse.FromString(message) for message in stream.due()]
        assert stream.due() == ()
    assert [one.snapshot.symbol for one in caught_up] == ["AAPL", "MSFT"]
    assert caught_up[0].snapshot.quote.bid_qty == str(publishing.KEPT_TICKS_MAX + 1)
    assert [one.seq - one.prev_seq for one in caught_up] == [1, 1]


async def test_a_slow_reader_of_depth_gets_a_snapshot_instead(feed: Any) -> None:
    """Depth that was not taken is replaced by the present depth, under the present journal position."""
    with feed.publisher.book_channel("AAPL", 5) as channel:
        stream = BookStream(feed.publisher, feed.view, channel, FIRST)
        *_, last = (BookResponse.FromString(message) for message in stream.opening())
        for lots in range(1, publishing.KEPT_CHANGES_MAX + 2):
            await feed.rests(3, BUY, 19000, lots)
        (message,) = stream.due()
        response = BookResponse.FromString(message)
        assert stream.due() == []
    assert [level.qty for level in response.snapshot.bids] == [str(publishing.KEPT_CHANGES_MAX + 1)]
    assert (response.prev_seq, response.seq) == (last.seq, feed.seq)


async def test_readers_of_one_depth_share_the_encoded_changes(feed: Any) -> None:
    """Two streams of the same symbol and depth differ only in their own numbers."""
    with feed.publisher.book_channel("AAPL", 5) as channel:
        streams = [BookStream(feed.publisher, feed.view, channel, FIRST) for _ in range(2)]
        for stream in streams:
            list(stream.opening())
        await feed.rests(3, BUY, 19000, 5)
        one, other = (stream.due()[0] for stream in streams)
    field = channel.changes.take(0, 1)[0].field
    assert one.endswith(field)
    assert other.endswith(field)
    assert BookResponse.FromString(one).epoch == 3


async def test_a_heartbeat_carries_the_last_number(feed: Any) -> None:
    """With nothing to say the stream still speaks, and names its last message."""
    with feed.publisher.book_hub.joined(("AAPL",)) as reader, feed.publisher.book_channel("AAPL", 5) as channel:
        messages = run(BookStream(feed.publisher, feed.view, channel, FIRST), reader, 0.01)
        *_, snapshot, beat, second = await taken(messages, BookResponse, 4)
    assert beat.WhichOneof("message") == second.WhichOneof("message") == "heartbeat"
    assert beat.heartbeat.last_seq == beat.seq == beat.prev_seq == snapshot.seq
    assert beat.heartbeat.time.seconds > 0


async def test_wakes_for_nothing_do_not_put_off_the_heartbeat(feed: Any) -> None:
    """A reader that is woken over and over without a change for it still gets its heartbeat."""
    await feed.rests(3, BUY, 19000, 5)

    with feed.publisher.book_hub.joined(("AAPL",)) as reader, feed.publisher.book_channel("AAPL", 1) as channel:

        class Restless(BookStream):
            def due(self) -> Sequence[bytes]:
                reader.wake()
                return super().due()

        messages = run(Restless(feed.publisher, feed.view, channel, FIRST), reader, 0.01)
        *_, beat = await taken(messages, BookResponse, 3)
    assert beat.HasField("heartbeat")


async def test_a_drained_stream_says_so_in_band(feed: Any) -> None:
    """The last message of a stream that the server ends names the reason; then the stream is over."""
    with feed.publisher.tick_hub.joined(("AAPL",)) as reader:
        messages = run(ticks_of(feed, reader), reader, HOUR_S)
        await taken(messages, TickResponse, 2)
        feed.publisher.stop_streams(DRAINING)
        (end,) = await taken(messages, TickResponse, 1)
        assert await anext(messages, None) is None
    assert end.end.reason == types.REASON_DRAINING
    assert end.end.retry_delay_ms > 0


async def test_trades_begin_with_the_present_or_where_the_reader_left(feed: Any) -> None:
    """Trades after the given position are replayed; a trade of another symbol is not."""
    first = await feed.trades(19000, 1)
    await feed.trades(41000, 1, symbol="MSFT")
    third = await feed.trades(19001, 2)
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        stream = TradeStream(feed.publisher, feed.view, reader, FIRST, first)
        (opening,) = (TradeResponse.FromString(message) for message in stream.opening())
        (message,) = stream.due()
        assert stream.due() == ()
    response = TradeResponse.FromString(message)
    assert (opening.seq, opening.prev_seq) == (first, 0)
    assert (response.seq, response.prev_seq) == (third, first)
    assert [(one.journal_seq, one.symbol, one.trade.px) for one in response.frame.trades] == [(third, "AAPL", "190.01")]


async def test_a_position_ahead_of_the_view_waits_for_what_comes_after_it(feed: Any) -> None:
    """A reader that has heard more than this view does not get trades twice."""
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        stream = TradeStream(feed.publisher, feed.view, reader, FIRST, feed.seq + 2)
        list(stream.opening())
        await feed.trades(19000, 1)
        assert stream.due() == ()
        later = await feed.trades(19000, 2)
        (message,) = stream.due()
    assert [one.journal_seq for one in TradeResponse.FromString(message).frame.trades] == [later]


async def test_trades_no_longer_kept_are_a_gap(new_feed: Callable[[int], Awaitable[Any]]) -> None:
    """What cannot be replayed is named, first to last, before the trades that can."""
    feed = await new_feed(2)
    seqs = [await feed.trades(19000, lots) for lots in (1, 2, 3, 4)]
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        stream = TradeStream(feed.publisher, feed.view, reader, FIRST, 1)
        _, gap = (TradeResponse.FromString(message) for message in stream.opening())
        (message,) = stream.due()
    assert (gap.gap.from_seq, gap.gap.to_seq, gap.gap.reason) == (2, seqs[1], types.REASON_SNAPSHOT_REQUIRED)
    response = TradeResponse.FromString(message)
    assert response.prev_seq == gap.seq == seqs[1]
    assert [one.journal_seq for one in response.frame.trades] == seqs[2:]


async def test_a_slow_reader_of_trades_is_ended_where_it_can_resume(new_feed: Callable[[int], Awaitable[Any]]) -> None:
    """A reader that is overtaken gets SLOW_CONSUMER in band; resuming there names exactly what it missed."""
    feed = await new_feed(3)
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        messages = run(TradeStream(feed.publisher, feed.view, reader, FIRST, feed.seq), reader, HOUR_S)
        await taken(messages, TradeResponse, 1)
        got = await feed.trades(19000, 1)
        await taken(messages, TradeResponse, 1)
        missed = [await feed.trades(19000, lots) for lots in (2, 3, 4, 5)]
        (end,) = await taken(messages, TradeResponse, 1)
        assert await anext(messages, None) is None
    assert (end.end.reason, end.end.resume_after, end.seq) == (types.REASON_SLOW_CONSUMER, got, got)
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        stream = TradeStream(feed.publisher, feed.view, reader, FIRST, end.end.resume_after)
        _, gap = (TradeResponse.FromString(message) for message in stream.opening())
    assert (gap.gap.from_seq, gap.gap.to_seq) == (got + 1, missed[0])


async def test_an_end_of_a_reader_outlives_pending_data(feed: Any) -> None:
    """A stream that is ended while data waits ends at once; trades name the place to go on."""
    with feed.publisher.trade_hub.joined(("AAPL",)) as reader:
        messages = run(TradeStream(feed.publisher, feed.view, reader, FIRST, feed.seq), reader, HOUR_S)
        (opening,) = await taken(messages, TradeResponse, 1)
        await feed.trades(19000, 1)
        reader.stop(End(types.REASON_DRAINING, "over"))
        (end,) = await taken(messages, TradeResponse, 1)
    assert end.end.resume_after == opening.seq
