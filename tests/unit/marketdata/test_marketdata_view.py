"""What the view makes of single events."""

from collections.abc import Callable
from typing import Any

import psutil
import pytest
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata.depth import Depth, Level
from marketdata.view import SLICE_EVENTS
from runtime.follower import FeedBatch

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL


@pytest.mark.parametrize(
    "terms",
    [
        {"time_in_force": types.TIME_IN_FORCE_IOC},
        {"time_in_force": types.TIME_IN_FORCE_FOK},
        {"ord_type": types.ORD_TYPE_MARKET},
        {"ord_type": types.ORD_TYPE_STOP, "ord_status": types.ORD_STATUS_PENDING_NEW},
        {"ord_type": types.ORD_TYPE_STOP_LIMIT, "ord_status": types.ORD_STATUS_PENDING_NEW},
        {"ord_type": types.ORD_TYPE_TRAILING_STOP, "ord_status": types.ORD_STATUS_PENDING_NEW},
        {"ord_status": types.ORD_STATUS_PENDING_NEW, "list_id": "l", "leg": 2},
        {"ord_type": types.ORD_TYPE_STOP},
        {"ord_status": types.ORD_STATUS_EXPIRED},
        {"ord_status": types.ORD_STATUS_CANCELED},
        {"exec_type": types.EXEC_TYPE_DENIED, "ord_status": types.ORD_STATUS_REJECTED},
    ],
)
async def test_what_does_not_rest_is_not_in_the_book(
    feed: Any, resting_event: Callable[..., events.Event], terms: dict[str, int]
) -> None:
    """Orders that are done, may not rest, wait for a trigger or were refused have no level."""
    await feed.command(resting_event(3, BUY, 100, 5, **terms))
    assert feed.publisher.market.symbols["AAPL"].book.depth(10) == Depth()


async def test_a_refusal_leaves_the_order_it_names(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """A rejected cancel or replace says REJECTED and changes nothing."""
    await feed.rests(3, BUY, 100, 5)
    refusal = {"exec_type": types.EXEC_TYPE_REJECTED, "ord_status": types.ORD_STATUS_REJECTED}
    await feed.command(resting_event(3, BUY, 100, 5, **refusal))
    assert feed.publisher.market.symbols["AAPL"].book.depth(10).bids == (Level(100, 5, 1),)


@pytest.mark.parametrize("ord_type", [types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP_LIMIT])
@pytest.mark.parametrize("time_in_force", [types.TIME_IN_FORCE_DAY, types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_GTD])
async def test_what_has_a_price_and_time_rests(
    feed: Any, resting_event: Callable[..., events.Event], ord_type: int, time_in_force: int
) -> None:
    """An order that waited is in the book from the end of the command that has triggered it."""
    terms = {"ord_type": ord_type, "time_in_force": time_in_force}
    waits = {"ord_status": types.ORD_STATUS_PENDING_NEW}
    await feed.command(resting_event(3, BUY, 100, 5, **terms, **waits))
    assert feed.publisher.market.symbols["AAPL"].book.depth(10) == Depth()
    await feed.command(resting_event(3, BUY, 100, 5, **terms, exec_type=types.EXEC_TYPE_TRIGGERED))
    assert feed.publisher.market.symbols["AAPL"].book.depth(10).bids == (Level(100, 5, 1),)


async def test_of_an_iceberg_only_the_shown_part_is_public(
    feed: Any, resting_event: Callable[..., events.Event]
) -> None:
    """From its acceptance on, which comes before it rests, after fills, after a restatement and at its end."""
    book = feed.publisher.market.symbols["AAPL"].book
    await feed.rests(3, BUY, 100, 1)
    bids = []
    for shown, more in (
        (0, {"leaves_qty_lots": 10}),
        (1, {"leaves_qty_lots": 7, "ord_status": types.ORD_STATUS_PARTIALLY_FILLED}),
        (4, {"leaves_qty_lots": 6, "ord_status": types.ORD_STATUS_PARTIALLY_FILLED}),
        (2, {"leaves_qty_lots": 2, "exec_type": types.EXEC_TYPE_RESTATED}),
        (0, {"leaves_qty_lots": 0, "ord_status": types.ORD_STATUS_FILLED}),
    ):
        await feed.command(resting_event(4, BUY, 100, 10, display_qty_lots=4, shown_qty_lots=shown, **more))
        bids.append(book.depth(10).bids)
    assert bids == [(Level(100, lots, orders),) for lots, orders in ((5, 2), (2, 2), (5, 2), (3, 2), (1, 1))]


async def test_a_restated_order_rests_with_what_is_left(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """The venue lowered its quantity: the level follows."""
    await feed.rests(3, BUY, 100, 5)
    await feed.command(resting_event(3, BUY, 100, 3, exec_type=types.EXEC_TYPE_RESTATED))
    assert feed.publisher.market.symbols["AAPL"].book.depth(10).bids == (Level(100, 3, 1),)


async def test_short_sales_rest_on_the_ask_side(feed: Any) -> None:
    """A short sale is an ask like any other."""
    await feed.rests(3, types.SIDE_SELL_SHORT, 101, 5)
    assert feed.publisher.market.symbols["AAPL"].book.depth(10).asks == (Level(101, 5, 1),)


async def test_a_trade_counts_once_until_the_day_is_closed(feed: Any) -> None:
    """Maker's and taker's event are one trade; closing the day begins the traded quantity again."""
    await feed.trades(100, 5)
    last = await feed.trades(101, 7, side=types.SIDE_SELL_SHORT)
    market = feed.publisher.market.symbols["AAPL"]
    assert market.traded_qty_lots == 12
    assert (market.last_trade.trade_id, market.last_trade.aggressor_side) == (last, SELL)
    await feed.command(events.Event(day_closed=events.DayClosed(trading_day=20261122)))
    assert market.traded_qty_lots == 0
    assert market.last_trade.px_ticks == 101


async def test_the_view_stands_at_whole_commands(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """Position and lag count whole commands; the journal's end is what the feed said."""
    first, second = resting_event(3, BUY, 100, 5), resting_event(4, BUY, 100, 5)
    first.seq, second.seq, second.last_of_command = 3, 4, True
    await feed.view.apply(FeedBatch(5, 3, 4, [first.SerializeToString(), second.SerializeToString()], 9))
    assert await feed.view.position() == 4
    assert (feed.view.epoch, feed.view.journal_seq, feed.view.lag_events) == (5, 9, 5)


async def test_listing_again_keeps_the_book(feed: Any) -> None:
    """An instrument that is listed a second time keeps its orders."""
    await feed.rests(3, BUY, 100, 5)
    await feed.listed("AAPL", description="again")
    assert len(feed.publisher.market.symbols["AAPL"].book) == 1


async def test_events_leave_no_memory_behind(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """A view that has seen very many events is no larger than one that has seen few: 2 MB for 100,000 of them."""
    process = psutil.Process()
    event = resting_event(3, BUY, 100, 5)
    event.seq, event.last_of_command = feed.seq + 1, True
    batch = FeedBatch(3, event.seq, event.seq, [event.SerializeToString()] * 100, event.seq)

    async def see(batches: int) -> int:
        for _ in range(batches):
            await feed.view.apply(batch)
        return int(process.memory_info().rss)

    before = await see(500)
    assert await see(1_000) - before < 2_000_000


async def test_a_large_batch_is_published_in_slices(feed: Any, resting_event: Callable[..., events.Event]) -> None:
    """A long replay lets readers see it in parts, each of them between two commands."""
    encoded = []
    for seq in range(3, 3 + 4 * SLICE_EVENTS):
        event = resting_event(seq, BUY, 100, 1)
        event.seq, event.last_of_command = seq, seq % 4 == 2
        encoded.append(event.SerializeToString())
    with feed.publisher.book_channel("AAPL", 1) as channel:
        await feed.view.apply(FeedBatch(3, 3, seq, encoded, seq))
        published = [change.seq for change in channel.changes.take(0, 100)]
    assert len(published) == 4
    assert published[-1] == seq
    assert all(one % 4 == 2 for one in published)
