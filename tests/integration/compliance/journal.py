"""A journal as matching would give it, made up for tests of what follows it."""

from decimal import Decimal
from typing import Any

from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from runtime.follower import FeedBatch

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
EPOCH = 3
START_NS = 1_790_000_000_000_000_000


class Journal:
    """Events as matching would give them; each command is one microsecond after the one before."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.write(instrument_listed=events.InstrumentListed(instrument=terms("AAPL", "0.01", "1", 1)))
        self.write(instrument_listed=events.InstrumentListed(instrument=terms("OPT", "0.05", "1", 100)))
        self.write(instrument_listed=events.InstrumentListed(instrument=terms("BTC", "0.01", "0.0001", 1)))
        for account in ("DEMO", "MM"):
            self.write(account_opened=events.AccountOpened(account=account))
            self.write(cash_adjusted=events.CashAdjusted(account=account, currency="USD", amount_micro=10**12))
            self.write(position_adjusted=events.PositionAdjusted(account=account, symbol="AAPL", qty_lots=1000))

    @property
    def seq(self) -> int:
        """The last sequence."""
        return len(self.entries)

    def order(
        self, account: str, symbol: str, side: int, qty_lots: int, price_ticks: int, key: str = "", **more: Any
    ) -> int:
        """An order that rests, or with more of it something else; gives its id."""
        order_id = self.seq + 1
        event = order_event(order_id, account, symbol, side, qty_lots, price_ticks, key or f"key-{order_id}")
        event.MergeFrom(events.OrderEvent(**more))
        self.write(order=event)
        return order_id

    def trade(self, maker_id: int, taker_id: int, qty_lots: int, fees_micro: tuple[int, int] = (0, 0)) -> None:
        """Both sides of a trade at the maker's price that fills both orders, and the fees of both."""
        maker, taker = self._last(maker_id), self._last(taker_id)
        trade_id = self.seq + 2
        sides = ((maker, taker_id, 1, fees_micro[0]), (taker, maker_id, 2, fees_micro[1]))
        for order, contra, liquidity, fee_micro in sides:
            order.fee_micro = fee_micro
            order.exec_type, order.ord_status = types.EXEC_TYPE_TRADE, types.ORD_STATUS_FILLED
            order.trade_id, order.contra_order_id = trade_id, contra
            order.last_px_ticks, order.last_qty_lots = maker.price_ticks, qty_lots
            order.cum_qty_lots, order.leaves_qty_lots = qty_lots, 0
            order.cum_value_ticks_lots = maker.price_ticks * qty_lots
            order.liquidity = types.Liquidity.ValueType(liquidity)
            self.write(order=order)

    def cancel(self, order_id: int) -> None:
        """The end of an order."""
        order = self._last(order_id)
        order.exec_type, order.ord_status = types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED
        order.leaves_qty_lots = 0
        self.write(order=order)

    def orders(self, count: int) -> None:
        """That many resting orders."""
        for number in range(count):
            self.order("DEMO" if number % 2 else "MM", "AAPL", BUY, 1, 100 + number)

    def batch(self, first_seq: int, last_seq: int | None = None, epoch: int = EPOCH) -> FeedBatch:
        """The events of a range as the feed gives them."""
        last = last_seq or self.seq
        return FeedBatch(epoch, first_seq, last, self.entries[first_seq - 1 : last], self.seq)

    def _last(self, order_id: int) -> events.OrderEvent:
        parsed = (events.Event.FromString(entry).order for entry in reversed(self.entries))
        return next(order for order in parsed if order.order_id == order_id)

    def write(self, **body: Any) -> None:
        """The next event, with this body."""
        seq = self.seq + 1
        event = events.Event(seq=seq, command_seq=seq, last_of_command=True, time_unix_ns=START_NS + 1000 * seq, **body)
        self.entries.append(event.SerializeToString())


def terms(symbol: str, tick: str, lot: str, multiplier: int, base_currency: str = "") -> commands.ListInstrument:
    """The terms of an instrument in USD; of a currency pair when it has a base currency."""
    return commands.ListInstrument(
        symbol=symbol,
        asset_class=types.ASSET_CLASS_FX if base_currency else types.ASSET_CLASS_EQUITY,
        currency="USD",
        base_currency=base_currency,
        tick_size_nano=int(Decimal(tick) * 10**9),
        lot_size_nano=int(Decimal(lot) * 10**9),
        multiplier=multiplier,
    )


def order_event(
    order_id: int, account: str, symbol: str, side: int, qty_lots: int, price_ticks: int, key: str
) -> events.OrderEvent:
    """The first event of an order that rests."""
    return events.OrderEvent(
        account=account,
        cl_ord_id=key,
        order_id=order_id,
        exec_type=types.EXEC_TYPE_NEW,
        ord_status=types.ORD_STATUS_NEW,
        symbol=symbol,
        side=types.Side.ValueType(side),
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        qty_lots=qty_lots,
        price_ticks=price_ticks,
        leaves_qty_lots=qty_lots,
        actor="somebody",
    )
