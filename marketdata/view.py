"""The follower that builds the market from the journal's events.

Kept in memory only: it begins at position 0 with each start. It parses each
event once, hands the few numbers it needs to `marketdata.market`, and lets
other tasks run between slices of a large batch. `runtime.follower` calls it.
"""

import asyncio
from collections.abc import Callable

from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata import metrics
from marketdata.market import Market
from marketdata.trades import Trade
from runtime.clock import unix_ns
from runtime.follower import FeedBatch, FeedGapError
from runtime.instruments import Instruments

SLICE_EVENTS = 512
"""Events after which other tasks get a turn; at the end of the command."""

_OPEN = frozenset({types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED})
_NEVER_RESTS = frozenset({types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK})
_REFUSALS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})
"""Answers that leave every order as it was."""


class MarketView:
    """The view that the follower feeds.

    `publish` is called after each slice, between two commands; `on_caught_up`
    whenever the feed says that the journal holds nothing newer.
    """

    def __init__(
        self,
        market: Market,
        instruments: Instruments,
        publish: Callable[[], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self.epoch = 0
        """Incarnation of the matching server that was last heard."""
        self.journal_seq = 0
        """Last durable event of the journal, as last heard."""
        self.heard_unix_ns = 0
        """When the feed last said anything."""
        self._market = market
        self._instruments = instruments
        self._publish = publish
        self._on_caught_up = on_caught_up
        self._event = events.Event()

    @property
    def lag_events(self) -> int:
        """Events of the journal that the view does not show yet, as far as it has heard."""
        return max(0, self.journal_seq - self._market.seq)

    async def position(self) -> int:
        """The last sequence applied."""
        return self._market.seq

    async def apply(self, batch: FeedBatch) -> None:
        """Takes in a batch.

        Raises:
            FeedGapError: the batch is of another journal than those before it.
        """
        self._hear(batch.epoch, batch.journal_seq)
        event, since_pause = self._event, 0
        for encoded in batch.events:
            event.ParseFromString(encoded)
            self._apply(event)
            since_pause += 1
            if since_pause >= SLICE_EVENTS and event.last_of_command:
                self._publish()
                await asyncio.sleep(0)
                since_pause = 0
        self._publish()
        metrics.events_applied.inc(len(batch.events))

    async def caught_up(self, epoch: int, journal_seq: int) -> None:
        """Hears that the journal holds nothing newer."""
        self._hear(epoch, journal_seq)
        self._on_caught_up()

    def _hear(self, epoch: int, journal_seq: int) -> None:
        if epoch < self.epoch:
            raise FeedGapError(f"epoch {epoch} after epoch {self.epoch}: this is another journal")
        self.epoch = epoch
        self.journal_seq = journal_seq
        self.heard_unix_ns = unix_ns()

    def _apply(self, event: events.Event) -> None:
        body = event.WhichOneof("body")
        if body == "order":
            order = event.order
            if order.exec_type not in _REFUSALS:
                self._apply_order(event, order)
        elif body == "instrument_listed":
            self._market.list_symbol(self._instruments.add(event.instrument_listed.instrument).symbol)
        elif body == "day_closed":
            self._market.close_day()
        if event.last_of_command:
            self._market.end_command(event.seq, event.time_unix_ns)

    def _apply_order(self, event: events.Event, order: events.OrderEvent) -> None:
        symbol = order.symbol
        if rests(order):
            is_bid = order.side == types.SIDE_BUY
            self._market.order_rests(symbol, order.order_id, is_bid, order.price_ticks, order.leaves_qty_lots)
        else:
            self._market.order_gone(symbol, order.order_id)
        # Both orders of a fill have an event; the taker's stands for the trade.
        if order.exec_type == types.EXEC_TYPE_TRADE and order.liquidity == types.LIQUIDITY_TAKER:
            self._market.trade(trade_of(event, order))


def rests(order: events.OrderEvent) -> bool:
    """Whether the order stands in the book after this event, if it is its command's last one for the order."""
    return (
        order.ord_status in _OPEN
        and order.ord_type == types.ORD_TYPE_LIMIT
        and order.time_in_force not in _NEVER_RESTS
        and order.leaves_qty_lots > 0
    )


def trade_of(event: events.Event, order: events.OrderEvent) -> Trade:
    """The trade that a taker's fill tells of."""
    return Trade(
        seq=event.seq,
        trade_id=order.trade_id,
        symbol=order.symbol,
        px_ticks=order.last_px_ticks,
        qty_lots=order.last_qty_lots,
        aggressor_buys=order.side == types.SIDE_BUY,
        time_unix_ns=event.time_unix_ns,
    )
