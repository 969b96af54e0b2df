"""The operations that every book carries out: seeded, in plain numbers, the same for all of them.

Of 100, 35 cancel an order that rests, 15 are limit orders that take from the
other side, and the others are limit orders that rest, up to 50 ticks from the
market. What is left of a taking order rests too, so a book needs neither market
orders nor a time in force to take part.

A book has to say what became of each operation, or nobody could use it: a report
for each resting order that traded, in the order of the trades, and one for the
order of the operation itself. All books come to the same reports; a digest
shows it. Standard library only: whatever runs a peer imports this.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.load.peers.plain_book import PlainBook

CANCELS, TAKES = 0.35, 0.15
MARKET_TICKS, DEPTH_TICKS, REACH_TICKS = 10_000, 50, 5
QTY_LOTS_MAX = 100


class Operation(NamedTuple):
    """Places the limit order `number`, or cancels it: then it has no quantity."""

    number: int
    is_buy: bool
    price_ticks: int
    qty_lots: int


Report = tuple[int, int, int]
"""The number of an order, what it just traded and what it has left, in lots."""


class Market:
    """Makes up operations, endlessly; `book` is as they leave it."""

    def __init__(self, seed: int) -> None:
        self.book = PlainBook()
        self._random = Random(seed)
        self._numbers: list[int] = []
        self._next = 1

    def operations(self) -> Iterator[Operation]:
        """The operations, from the present state of the book on."""
        while True:
            chance = self._random.random()
            if chance < CANCELS and (operation := self._cancel()) is not None:
                yield operation
            else:
                yield self.place(takes=chance < CANCELS + TAKES)

    def steady(self, resting: int) -> Iterator[Operation]:
        """Operations that leave about as many orders resting as there are: fewer than `resting` never for long."""
        while True:
            if self._random.random() < TAKES:
                yield self.place(takes=True)
            elif len(self.book.orders) <= resting or (operation := self._cancel()) is None:
                yield self.place(takes=False)
            else:
                yield operation

    def place(self, *, takes: bool) -> Operation:
        """The next order."""
        random, is_buy = self._random, self._random.random() < 0.5
        if takes:
            price_ticks = self._touch(is_buy) + (1 if is_buy else -1) * random.randrange(REACH_TICKS)
        else:
            away = random.randint(1, DEPTH_TICKS)
            price_ticks = self._behind(is_buy, MARKET_TICKS + (-away if is_buy else away))
        operation = Operation(self._next, is_buy, price_ticks, random.randint(1, QTY_LOTS_MAX))
        self._next += 1
        self.book.place(*operation)
        if operation.number in self.book.orders:
            self._numbers.append(operation.number)
        return operation

    def _cancel(self) -> Operation | None:
        """Cancels any order that rests."""
        numbers = self._numbers
        while numbers:
            index = self._random.randrange(len(numbers))
            numbers[index], numbers[-1] = numbers[-1], numbers[index]
            order = self.book.orders.get(numbers.pop())
            if order is not None:
                self.book.cancel(order.number)
                return Operation(order.number, order.is_buy, abs(order.rank), 0)
        return None

    def _touch(self, is_buy: bool) -> int:
        """The best price of the other side."""
        ranks = (self.book.asks if is_buy else self.book.bids).ranks
        return abs(ranks[-1]) if ranks else MARKET_TICKS

    def _behind(self, is_buy: bool, price_ticks: int) -> int:
        """A price that does not reach the other side."""
        ranks = (self.book.asks if is_buy else self.book.bids).ranks
        if not ranks:
            return price_ticks
        return min(price_ticks, abs(ranks[-1]) - 1) if is_buy else max(price_ticks, abs(ranks[-1]) + 1)


def made(count: int, seed: int) -> list[Operation]:
    """The first operations of a seed."""
    return list(islice(Market(seed).operations(), count))


def digest(reports: Iterable[Report]) -> str:
    """What reports come to; of the JSON that every language writes the same way."""
    return hashlib.sha256(json.dumps(list(reports), separators=(",", ":")).encode()).hexdigest()


def save(path: Path, operations: list[Operation]) -> None:
    """Writes operations for the processes that carry them out."""
    path.write_text(json.dumps(operations))


def load(path: Path) -> list[Operation]:
    """Reads what `save` wrote."""
    return [Operation(*fields) for fields in json.loads(path.read_text())]
