"""The view against a venue so plain that it is right by reading it.

The venue below matches in price-time order with lists and loops and writes the
events that a journal would hold; the view gets only their bytes.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata.depth import Depth, Level, changed_levels, with_changes
from marketdata.hub import Reader
from marketdata.publisher import BookChannel, Publisher
from marketdata.streams import BookStream, TickStream, TradeStream
from marketdata.view import MarketView
from runtime.follower import FeedBatch
from runtime.instruments import Instruments

SYMBOLS = ("AAA", "BBB")
LEVELS_MAX = 3


@dataclass
class Resting:
    """An order as the plain venue holds it."""

    order_id: int
    symbol: str
    buys: bool
    price: int
    qty: int
    cum: int = 0

    @property
    def leaves(self) -> int:
        return self.qty - self.cum


@dataclass
class PlainVenue:
    """Lists and loops; every command is one entry of `journal`, a list of encoded events."""

    orders: list[Resting] = field(default_factory=list)
    journal: list[list[bytes]] = field(default_factory=list)
    trades: list[tuple[int, str, int, int, bool]] = field(default_factory=list)
    seq: int = 0
    _command: list[events.Event] = field(default_factory=list)

    def list_symbols(self) -> None:
        for symbol in SYMBOLS:
            terms = commands.ListInstrument(
                symbol=symbol, tick_size_nano=10**7, lot_size_nano=10**9, multiplier=1, currency="USD"
            )
            self._event(instrument_listed=events.InstrumentListed(instrument=terms))
            self._end()

    def place(
        self,
        symbol: str,
        buys: bool,
        price: int,
        qty: int,
        tif: types.TimeInForce.ValueType,
        ord_type: types.OrdType.ValueType,
    ) -> None:
        order = Resting(self.seq + 1, symbol, buys, price, qty)
        self._order(order, types.EXEC_TYPE_NEW, types.ORD_STATUS_NEW, tif=tif, ord_type=ord_type)
        self._match(order, tif, ord_type)
        if order.leaves and (tif == types.TIME_IN_FORCE_IOC or ord_type == types.ORD_TYPE_MARKET):
            self._order(order, types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED, tif=tif, ord_type=ord_type)
        elif order.leaves:
            self.orders.append(order)
        self._end()

    def cancel(self, number: int) -> None:
        if not self.orders:
            return self.refuse()
        order = self.orders.pop(number % len(self.orders))
        self._order(order, types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED)
        return self._end()

    def replace(self, number: int, price: int, more: int) -> None:
        if not self.orders:
            return self.refuse()
        order = self.orders.pop(number % len(self.orders))
        order.price, order.qty = price, order.cum + more
        status = types.ORD_STATUS_PARTIALLY_FILLED if order.cum else types.ORD_STATUS_NEW
        self._order(order, types.EXEC_TYPE_REPLACED, status)
        self._match(order, types.TIME_IN_FORCE_GTC, types.ORD_TYPE_LIMIT)
        if order.leaves:
            self.orders.append(order)
        return self._end()

    def refuse(self) -> None:
        """A refused cancel of an open order: the report says REJECTED, the order goes on."""
        order = self.orders[0] if self.orders else Resting(0, SYMBOLS[0], True, 1, 1)
        self._order(order, types.EXEC_TYPE_REJECTED, types.ORD_STATUS_REJECTED)
        self._end()

    def depth(self, symbol: str) -> Depth:
        sides: list[tuple[Level, ...]] = []
        for buys in (True, False):
            mine = [order for order in self.orders if order.symbol == symbol and order.buys == buys]
            prices = sorted({order.price for order in mine}, reverse=buys)
            at = {price: [order.leaves for order in mine if order.price == price] for price in prices}
            sides.append(tuple(Level(price, sum(at[price]), len(at[price])) for price in prices))
        return Depth(*sides)

    def _match(self, taker: Resting, tif: types.TimeInForce.ValueType, ord_type: types.OrdType.ValueType) -> None:
        others = [order for order in self.orders if order.symbol == taker.symbol and order.buys != taker.buys]
        for maker in sorted(others, key=lambda order: -order.price if order.buys else order.price):
            crosses = taker.price >= maker.price if taker.buys else taker.price <= maker.price
            if not taker.leaves or not (crosses or ord_type == types.ORD_TYPE_MARKET):
                break
            qty = min(taker.leaves, maker.leaves)
            maker.cum += qty
            taker.cum += qty
            trade_id = self.seq + 2
            for order, liquidity in ((maker, types.LIQUIDITY_MAKER), (taker, types.LIQUIDITY_TAKER)):
                status = types.ORD_STATUS_PARTIALLY_FILLED if order.leaves else types.ORD_STATUS_FILLED
                mine = (tif, ord_type) if order is taker else (types.TIME_IN_FORCE_GTC, types.ORD_TYPE_LIMIT)
                event = self._order(order, types.EXEC_TYPE_TRADE, status, tif=mine[0], ord_type=mine[1])
                event.order.trade_id = trade_id
                event.order.last_px_ticks = maker.price
                event.order.last_qty_lots = qty
                event.order.liquidity = liquidity
            self.trades.append((trade_id, taker.symbol, maker.price, qty, taker.buys))
            if not maker.leaves:
                self.orders.remove(maker)

    def _order(
        self,
        order: Resting,
        exec_type: types.ExecType.ValueType,
        status: types.OrdStatus.ValueType,
        tif: types.TimeInForce.ValueType = types.TIME_IN_FORCE_GTC,
        ord_type: types.OrdType.ValueType = types.ORD_TYPE_LIMIT,
    ) -> events.Event:
        done = status in (types.ORD_STATUS_CANCELED, types.ORD_STATUS_FILLED)
        return self._event(
            order=events.OrderEvent(
                order_id=order.order_id,
                symbol=order.symbol,
                side=types.SIDE_BUY if order.buys else types.SIDE_SELL,
                ord_type=ord_type,
                time_in_force=tif,
                exec_type=exec_type,
                ord_status=status,
                qty_lots=order.qty,
                price_ticks=order.price,
                cum_qty_lots=order.cum,
                leaves_qty_lots=0 if done else order.leaves,
            )
        )

    def _event(self, **body: Any) -> events.Event:
        self.seq += 1
        event = events.Event(seq=self.seq, time_unix_ns=1000 + self.seq, **body)
        self._command.append(event)
        return event

    def _end(self) -> None:
        self._command[-1].last_of_command = True
        self.journal.append([event.SerializeToString() for event in self._command])
        self._command = []


symbols = st.sampled_from(SYMBOLS)
prices = st.integers(1, 8)
quantities = st.integers(1, 5)
places = st.tuples(
    st.just("place"),
    symbols,
    st.booleans(),
    prices,
    quantities,
    st.sampled_from([types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_DAY, types.TIME_IN_FORCE_IOC]),
    st.sampled_from([types.ORD_TYPE_LIMIT, types.ORD_TYPE_LIMIT, types.ORD_TYPE_MARKET]),
)
operations = st.lists(
    st.one_of(
        places,
        places,
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("replace"), st.integers(0, 50), prices, quantities),
        st.tuples(st.just("refuse")),
    ),
    max_size=60,
)


def new_view() -> tuple[Publisher, MarketView]:
    """A view of an empty journal."""
    publisher = Publisher(Instruments())
    return publisher, MarketView(publisher.market, publisher.instruments, publisher.publish, lambda: None)


def feed(view: MarketView, encoded: list[bytes]) -> None:
    """Applies whole commands as one batch."""
    first = events.Event.FromString(encoded[0]).seq
    last = first + len(encoded) - 1
    asyncio.run(view.apply(FeedBatch(1, first, last, encoded, last)))


def batches(journal: list[list[bytes]], cuts: list[int]) -> list[list[bytes]]:
    """The journal's commands in batches of the given sizes, over and over."""
    whole, number = [], 0
    left = list(journal)
    while left:
        size = cuts[number % len(cuts)]
        whole.append([encoded for command in left[:size] for encoded in command])
        left, number = left[size:], number + 1
    return whole


def played(chosen: list[tuple[Any, ...]]) -> PlainVenue:
    """The plain venue after the chosen commands."""
    venue = PlainVenue()
    venue.list_symbols()
    for name, *arguments in chosen:
        getattr(venue, name)(*arguments)
    return venue


@settings(deadline=None)
@given(operations)
def test_depth_is_the_sum_of_the_resting_orders_after_every_command(chosen: list[tuple[Any, ...]]) -> None:
    """After each command the book by price is what the orders that rest add up to, and it is not crossed."""
    venue = PlainVenue()
    venue.list_symbols()
    publisher, view = new_view()
    done = 0
    for name, *arguments in [("refuse",), *chosen]:
        getattr(venue, name)(*arguments)
        for command in venue.journal[done:]:
            feed(view, command)
        done = len(venue.journal)
        for symbol in SYMBOLS:
            book = publisher.market.symbols[symbol].book
            assert book.depth(100) == venue.depth(symbol)
            assert not book.quote().crossed


@settings(deadline=None)
@given(operations, st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(0, 20))
def test_snapshot_and_changes_give_the_later_snapshot(
    chosen: list[tuple[Any, ...]], cuts: list[int], joined_after: int
) -> None:
    """A reader that joins anywhere and applies every change has the same levels as a later snapshot."""
    venue = played(chosen)
    publisher, view = new_view()
    feed(view, [encoded for command in venue.journal[: len(SYMBOLS)] for encoded in command])
    later = venue.journal[len(SYMBOLS) :]
    for batch in batches(later[:joined_after], [1]):
        feed(view, batch)
    with publisher.book_channel("AAA", LEVELS_MAX) as channel:
        stream = BookStream(publisher, view, channel, types.Subscribed())
        levels, last_seq = reader_after([*stream.opening()], {}, 0)
        for batch in batches(later[joined_after:], cuts):
            feed(view, batch)
            levels, last_seq = reader_after([*stream.due()], levels, last_seq)
            assert last_seq <= publisher.market.seq
        assert levels == levels_by_key(channel.snapshot())
        assert channel.published == cut(venue.depth("AAA"), LEVELS_MAX)


@settings(deadline=None)
@given(operations, st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(0, 80))
def test_trades_resume_anywhere_without_loss_or_repetition(
    chosen: list[tuple[Any, ...]], cuts: list[int], resume_after: int
) -> None:
    """A reader that resumes after a position gets each later trade of its symbol once, in order."""
    venue = played(chosen)
    publisher, view = new_view()
    stream: TradeStream | None = None
    got: list[marketdata.TradeReport] = []
    for batch in batches(venue.journal, cuts):
        feed(view, batch)
        if stream is None:
            stream = TradeStream(publisher, view, Reader(["AAA"]), types.Subscribed(), resume_after)
            list(stream.opening())
        while messages := stream.due():
            for encoded in messages:
                got.extend(marketdata.SubscribeTradesResponse.FromString(encoded).frame.trades)
    expected = [trade for trade in venue.trades if trade[1] == "AAA" and trade[0] > resume_after]
    assert [int(report.trade.trade_id) for report in got] == [trade[0] for trade in expected]
    assert [report.journal_seq for report in got] == [trade[0] for trade in expected]
    assert [report.trade.aggressor_side == types.SIDE_BUY for report in got] == [trade[4] for trade in expected]


@settings(deadline=None)
@given(operations, st.integers(0, 20))
def test_the_last_quote_tick_is_the_present_quote(chosen: list[tuple[Any, ...]], joined_after: int) -> None:
    """Snapshot and quote ticks leave a reader with the best bid and ask that the book has now."""
    venue = played(chosen)
    publisher, view = new_view()
    joined_after += len(SYMBOLS)
    for command in venue.journal[:joined_after]:
        feed(view, command)
    with publisher.tick_hub.joined(SYMBOLS) as reader:
        stream = TickStream(publisher, SYMBOLS, reader, types.Subscribed(), 1)
        quotes: dict[str, marketdata.Quote] = {}
        for encoded in stream.opening():
            state = marketdata.SubscribeTicksResponse.FromString(encoded).snapshot
            quotes[state.symbol] = state.quote
        for command in venue.journal[joined_after:]:
            feed(view, command)
        for encoded in stream.due():
            for tick in marketdata.SubscribeTicksResponse.FromString(encoded).frame.ticks:
                if tick.HasField("quote"):
                    assert tick.quote != quotes[tick.symbol]
                    quotes[tick.symbol] = tick.quote
    for symbol in SYMBOLS:
        best = cut(venue.depth(symbol), 1)
        assert [quotes[symbol].bid_qty, quotes[symbol].ask_qty] == [
            str(side[0].qty_lots) if side else "" for side in best
        ]
        assert [quotes[symbol].bid_px, quotes[symbol].ask_px] == [
            f"{side[0].price_ticks / 100:.2f}" if side else "" for side in best
        ]


levels_of_side = st.dictionaries(prices, st.tuples(quantities, st.integers(1, 3)), max_size=6)
depths = st.builds(
    lambda bids, asks: Depth(
        tuple(Level(price, *bids[price]) for price in sorted(bids, reverse=True)),
        tuple(Level(price, *asks[price]) for price in sorted(asks)),
    ),
    levels_of_side,
    levels_of_side,
)


@given(depths, depths)
def test_changed_levels_lead_from_one_depth_to_the_other(before: Depth, after: Depth) -> None:
    """For any two depths the changes turn the first into the second, and equal depths have none."""
    assert with_changes(before, changed_levels(before, after)) == after
    assert changed_levels(after, after) == Depth()


def cut(depth: Depth, levels_max: int) -> Depth:
    """The best levels of each side."""
    return Depth(depth.bids[:levels_max], depth.asks[:levels_max])


Levels = dict[tuple[str, str], tuple[str, int]]


def levels_by_key(levels: marketdata.BookLevels) -> Levels:
    """Quantity and orders by side and price."""
    sides = (("bid", levels.bids), ("ask", levels.asks))
    return {(side, level.px): (level.qty, level.orders) for side, listed in sides for level in listed}


def reader_after(messages: list[bytes], levels: Levels, last_seq: int) -> tuple[Levels, int]:
    """What a reader has after messages of a depth stream; it checks that none is missing."""
    for encoded in messages:
        response = marketdata.SubscribeBookResponse.FromString(encoded)
        assert response.prev_seq == last_seq
        last_seq = response.seq
        if response.HasField("snapshot"):
            levels = levels_by_key(response.snapshot)
        elif response.HasField("changes"):
            levels = levels | levels_by_key(response.changes)
            levels = {key: value for key, value in levels.items() if value[0] != "0"}
    return levels, last_seq


def test_a_channel_lives_as_long_as_its_readers() -> None:
    """The depth channel is shared by its readers and gone with the last of them."""
    publisher, view = new_view()
    venue = played([])
    feed(view, [encoded for command in venue.journal for encoded in command])
    with publisher.book_channel("AAA", 5) as first, publisher.book_channel("AAA", 5) as second:
        assert isinstance(first, BookChannel)
        assert first is second
    with publisher.book_channel("AAA", 5) as third:
        assert third is not first
