"""The follower that builds the market from the journal's events.

Kept in memory only: it begins at position 0 with each start. It parses each
event once, hands the few numbers it needs to `marketdata.market`, and lets
other tasks run between slices of a large batch. `runtime.follower` calls it.
"""

import asyncio
from collections.abc import Callable
from sys import intern

from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from marketdata import metrics
from marketdata.market import Market, TradingStatus
from marketdata.trades import Trade
from runtime.clock import unix_ns
from runtime.follower import FeedBatch, FeedGapError
from runtime.instruments import Instruments

SLICE_EVENTS = 512
"""Events after which other tasks get a turn; at the end of the command."""

_OPEN = frozenset({types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED})
_PRICED = frozenset({types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP_LIMIT})
_NEVER_RESTS = frozenset({types.TIME_IN_FORCE_IOC, types.TIME_IN_FORCE_FOK})
_REFUSALS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})
"""Answers that leave every order as it was."""
_AGGRESSORS = {
    types.SIDE_BUY: types.SIDE_BUY,
    types.SIDE_SELL: types.SIDE_SELL,
    types.SIDE_SELL_SHORT: types.SIDE_SELL,
}
"""FIX tag 2446 knows only buy and sell."""


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
        # One message for a slice, and none for longer: a message keeps the memory of all that it ever held.
        event, since_pause = events.Event(), 0
        for encoded in batch.events:
            event.ParseFromString(encoded)
            self._apply(event)
            since_pause += 1
            if since_pause >= SLICE_EVENTS and event.last_of_command:
                self._publish()
                await asyncio.sleep(0)
                event, since_pause = events.Event(), 0
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
        elif body in _OTHERS:
            _OTHERS[body](self, event)
        if event.last_of_command:
            self._market.end_command(event.seq, event.time_unix_ns)

    def _apply_order(self, event: events.Event, order: events.OrderEvent) -> None:
        symbol = order.symbol
        lots = shown_lots(order)
        if lots:
            is_bid = order.side == types.SIDE_BUY
            self._market.order_rests(symbol, order.order_id, is_bid, order.price_ticks, lots)
        else:
            self._market.order_gone(symbol, order.order_id)
        # Both orders of a fill have an event; the second one's stands for the trade, and gives it its id.
        if order.exec_type == types.EXEC_TYPE_TRADE and order.trade_id == event.seq:
            self._market.trade(trade_of(event, order))

    def _list(self, event: events.Event) -> None:
        terms = event.instrument_listed.instrument
        begins = terms.trading_session or types.TRADING_SESSION_CONTINUOUS
        self._market.list_symbol(self._instruments.add(terms).symbol, TradingStatus(begins))

    def _delist(self, event: events.Event) -> None:
        symbol = event.instrument_delisted.symbol
        self._market.change_status(symbol, self._market.symbols[symbol].status._replace(delisted=True))

    def _change_session(self, event: events.Event) -> None:
        changed = event.trading_session_changed
        status = self._market.symbols[changed.symbol].status._replace(
            trading_session=changed.trading_session,
            reason=changed.reason,
            auction_px_ticks=changed.auction_px_ticks,
            auction_qty_lots=changed.auction_qty_lots,
        )
        self._market.change_status(changed.symbol, status)

    def _close_day(self, _event: events.Event) -> None:
        self._market.close_day()


_OTHERS: dict[str | None, Callable[[MarketView, events.Event], None]] = {
    "instrument_listed": MarketView._list,
    "instrument_delisted": MarketView._delist,
    "trading_session_changed": MarketView._change_session,
    "day_closed": MarketView._close_day,
}
"""What events that are not about an order do to the market."""


def shown_lots(order: events.OrderEvent) -> int:
    """What of the order the book shows after this event, if it is its command's last one for the order.

    0 for what is done, waits for its trigger or its parent, or may not rest. Of
    an iceberg it is the shown part, which no reader can tell from a whole order:
    what the event says, or, where it is told before the order has come to rest,
    as much as it may show.
    """
    if order.ord_status not in _OPEN or order.ord_type not in _PRICED or order.time_in_force in _NEVER_RESTS:
        return 0
    if not order.display_qty_lots:
        return order.leaves_qty_lots
    return order.shown_qty_lots or min(order.display_qty_lots, order.leaves_qty_lots)


def trade_of(event: events.Event, order: events.OrderEvent) -> Trade:
    """The trade that its second event tells of: the taker's fill, or the later one of an auction."""
    return Trade(
        seq=event.seq,
        trade_id=order.trade_id,
        symbol=intern(order.symbol),
        px_ticks=order.last_px_ticks,
        qty_lots=order.last_qty_lots,
        aggressor_side=_AGGRESSORS[order.side] if order.liquidity == types.LIQUIDITY_TAKER else 0,
        time_unix_ns=event.time_unix_ns,
    )
