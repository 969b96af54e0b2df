"""Plays on Liquibook, the C++ book, through its Python binding, with a listener as its documentation shows it."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import liquibook

from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve


class Listener(liquibook.OrderListener):  # type: ignore[misc]  # it has no types
    """Books fills on the orders, which Liquibook leaves to its user, and reports those of resting orders."""

    def __init__(self, told: list[Report]) -> None:
        super().__init__()
        self._told = told

    def on_fill(self, order: Any, matched_order: Any, fill_qty: int, fill_cost: int) -> None:
        """Called by the book after each operation, for each trade in it."""
        order.fill(fill_qty, fill_cost, 0)
        matched_order.fill(fill_qty, fill_cost, 0)
        self._told.append((matched_order.order_id_, fill_qty, matched_order.open_qty()))

    def on_accept(self, order: Any) -> None:
        """Has to be there."""

    def on_cancel(self, order: Any) -> None:
        """Has to be there."""


def fresh() -> Play:
    """A fresh book, without the depth that it can keep beside its orders."""
    told: list[Any] = []
    listener = Listener(told)
    book = liquibook.liquibook_book_OrderBook()
    orders: dict[int, Any] = {}

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        # The book does not keep its listener alive; this function does.
        book.set_order_listener(listener)
        for number, is_buy, price_ticks, qty_lots in operations:
            if qty_lots:
                order = orders[number] = liquibook.SimpleOrder(is_buy, price_ticks, qty_lots)
                book.add(order)
                told.append((number, 0, order.open_qty()))
            else:
                book.cancel(orders[number])
                told.append((number, 0, 0))
        return reports

    def reports() -> list[Report]:
        """Its ids count all orders of the process; ours count those of the turn."""
        numbers = {order.order_id_: number for number, order in orders.items()}
        return [(numbers[one] if lots else one, lots, left) for one, lots, left in told]

    return play


if __name__ == "__main__":
    serve(version("liquibook"), fresh)
