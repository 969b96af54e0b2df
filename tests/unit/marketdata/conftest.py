"""A market with two listed symbols, fed with the bytes of events."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata.publisher import Publisher
from marketdata.view import MarketView
from runtime.follower import FeedBatch
from runtime.instruments import Instruments

FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Feed:
    """Numbers events, encodes them and applies each call's as one command."""

    def __init__(self, publisher: Publisher, view: MarketView) -> None:
        self.publisher = publisher
        self.view = view
        self.seq = 0

    async def command(self, *bodies: events.Event) -> None:
        """Applies the events as one command in one batch."""
        first = self.seq + 1
        for body in bodies:
            self.seq += 1
            body.seq = self.seq
            body.command_seq = first
            body.time_unix_ns = FIRST_TIME_UNIX_NS + first * SECOND_NS
            body.last_of_command = body is bodies[-1]
        encoded = [body.SerializeToString() for body in bodies]
        await self.view.apply(FeedBatch(3, first, self.seq, encoded, self.seq))

    async def listed(self, symbol: str, **terms: Any) -> None:
        """Lists a symbol with a tick of 0.01 and a lot of 1."""
        given: dict[str, Any] = {
            "tick_size_nano": 10**7,
            "lot_size_nano": 10**9,
            "multiplier": 1,
            "currency": "USD",
        } | terms
        instrument = commands.ListInstrument(symbol=symbol, **given)
        await self.command(events.Event(instrument_listed=events.InstrumentListed(instrument=instrument)))

    async def rests(
        self, order_id: int, side: types.Side.ValueType, price_ticks: int, lots: int, symbol: str = "AAPL"
    ) -> None:
        """An order comes to rest."""
        await self.command(resting(order_id, side, price_ticks, lots, symbol))

    async def trades(
        self, price_ticks: int, lots: int, symbol: str = "AAPL", side: types.Side.ValueType = types.SIDE_BUY
    ) -> int:
        """An IOC order trades in full with one that rested unseen; gives the seq of the trade."""
        maker, taker = (
            events.Event(
                order=events.OrderEvent(
                    order_id=order_id,
                    symbol=symbol,
                    side=side,
                    ord_type=types.ORD_TYPE_LIMIT,
                    time_in_force=types.TIME_IN_FORCE_IOC,
                    exec_type=types.EXEC_TYPE_TRADE,
                    ord_status=types.ORD_STATUS_FILLED,
                    price_ticks=price_ticks,
                    trade_id=self.seq + 2,
                    last_px_ticks=price_ticks,
                    last_qty_lots=lots,
                    liquidity=liquidity,
                )
            )
            for order_id, liquidity in ((10**6, types.LIQUIDITY_MAKER), (10**6 + 1, types.LIQUIDITY_TAKER))
        )
        await self.command(maker, taker)
        return self.seq


def resting(
    order_id: int, side: types.Side.ValueType, price_ticks: int, lots: int, symbol: str = "AAPL", **more: Any
) -> events.Event:
    """The event of an order that has come to rest."""
    order: dict[str, Any] = {
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "exec_type": types.EXEC_TYPE_NEW,
        "ord_status": types.ORD_STATUS_NEW,
        "leaves_qty_lots": lots,
    } | more
    return events.Event(
        order=events.OrderEvent(
            order_id=order_id, symbol=symbol, side=side, qty_lots=lots, price_ticks=price_ticks, **order
        )
    )


@pytest.fixture
def resting_event() -> Callable[..., events.Event]:
    """Builds the event of an order that has come to rest."""
    return resting


@pytest.fixture
def new_feed() -> Callable[[int], Awaitable[Feed]]:
    """Makes a market with AAPL and MSFT that keeps so many trades."""

    async def made(kept_trades_max: int) -> Feed:
        publisher = Publisher(Instruments(), kept_trades_max)
        view = MarketView(publisher.market, publisher.instruments, publisher.publish, lambda: None)
        feed = Feed(publisher, view)
        await feed.listed("AAPL")
        await feed.listed("MSFT")
        return feed

    return made


@pytest.fixture
async def feed(new_feed: Callable[[int], Awaitable[Feed]]) -> Feed:
    """A market with AAPL and MSFT."""
    return await new_feed(1000)
