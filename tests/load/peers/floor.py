"""Plays on our plain book, interpreted, or compiled: `--compiled=FOLDER` says where the binary is."""

import sys
from collections.abc import Callable, Sequence

COMPILED = [argument.partition("=")[2] for argument in sys.argv if argument.startswith("--compiled=")]
sys.path[:0] = COMPILED

from tests.load.peers import plain_book
from tests.load.peers.operations import Operation, Report
from tests.load.peers.worker import Play, serve


def fresh() -> Play:
    """A fresh book."""
    book = plain_book.PlainBook()

    def play(operations: Sequence[Operation]) -> Callable[[], list[Report]]:
        told: list[Report] = []
        for number, is_buy, price_ticks, qty_lots in operations:
            if qty_lots:
                fills = book.place(number, is_buy, price_ticks, qty_lots)
                told += fills
                told.append((number, 0, qty_lots - sum(fill[1] for fill in fills) if fills else qty_lots))
            else:
                book.cancel(number)
                told.append((number, 0, 0))
        return lambda: told

    return play


if __name__ == "__main__":
    assert plain_book.__file__.endswith(".so") == bool(COMPILED), plain_book.__file__
    serve("compiled by mypyc" if COMPILED else "interpreted", fresh)
