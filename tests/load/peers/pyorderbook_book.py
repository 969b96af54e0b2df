"""Plays on pyorderbook."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from pyorderbook import Book, ask, bid

from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve


def fresh() -> Play:
    """A fresh book."""
    book = Book()
    orders: dict[int, Any] = {}
    known: dict[Any, tuple[int, Any]] = {}

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        told: list[Report] = []
        for number, is_buy, price_ticks, qty_lots in operations:
            if qty_lots:
                order = orders[number] = (bid if is_buy else ask)("XYZ", price_ticks, qty_lots)
                known[order.id] = (number, order)
                for trade in book.match(order).trades:
                    maker, resting = known[trade.standing_order_id]
                    told.append((maker, trade.fill_quantity, resting.quantity))
                told.append((number, 0, order.quantity))
            else:
                book.cancel(orders[number])
                told.append((number, 0, 0))
        return lambda: told

    return play


if __name__ == "__main__":
    serve(version("pyorderbook"), fresh)
