"""Plays on akhil4n-orderbook, with integer prices: it takes them in place of decimals and compares them faster."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from orderbook import Order, OrderBook, OrderSide

from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve

BID, ASK = OrderSide.BID, OrderSide.ASK


def fresh() -> Play:
    """A fresh book. It keeps a log of its trades; what comes new into it becomes the reports."""
    book = OrderBook()
    orders: dict[str, tuple[int, Any]] = {}
    ids: dict[int, str] = {}

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        told: list[Report] = []
        log, seen = book.trade_log, 0
        for number, is_buy, price_ticks, qty_lots in operations:
            if qty_lots:
                order = Order(BID if is_buy else ASK, price_ticks, qty_lots)
                ids[number] = order.order_id
                orders[order.order_id] = (number, order)
                book.add_limit_order(order)
                while seen < len(log):
                    trade = log[seen]
                    maker, resting = orders[trade.filler_id]
                    told.append((maker, trade.quantity_filled, resting.remaining_quantity))
                    seen += 1
                told.append((number, 0, order.remaining_quantity))
            else:
                book.cancel_order(ids[number])
                told.append((number, 0, 0))
        return lambda: told

    return play


if __name__ == "__main__":
    serve(version("akhil4n-orderbook"), fresh)
