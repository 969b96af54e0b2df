"""Plays on lightmatchingengine."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve


def fresh() -> Play:
    """A fresh book. Of its trades some tell the taking side of a whole level, and are not reports of resting orders."""
    engine = LightMatchingEngine()
    orders: dict[int, Any] = {}
    known: dict[int, tuple[int, Any]] = {}

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        told: list[Report] = []
        for number, is_buy, price_ticks, qty_lots in operations:
            if qty_lots:
                order, trades = engine.add_order("XYZ", price_ticks, qty_lots, Side.BUY if is_buy else Side.SELL)
                orders[number] = order
                known[order.order_id] = (number, order)
                for trade in trades:
                    if trade.order_id != order.order_id:
                        maker, resting = known[trade.order_id]
                        told.append((maker, trade.trade_qty, resting.leaves_qty))
                told.append((number, 0, order.leaves_qty))
            else:
                engine.cancel_order(orders[number].order_id, "XYZ")
                told.append((number, 0, 0))
        return lambda: told

    return play


if __name__ == "__main__":
    serve(version("lightmatchingengine"), fresh)
