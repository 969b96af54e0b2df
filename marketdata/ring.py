"""The last items of an endless log, which many readers follow at their own pace.

Items are numbered from 0 and never renumbered; the ring keeps the newest
`capacity` of them. A reader holds nothing but the number of its next item, so
a slow reader costs no memory: it falls off the old end and is told so. Pure;
the logs of ticks, trades and book changes are rings.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Behind(Exception):
    """The reader's next item is no longer kept."""


class Ring(Generic[Item]):
    """The newest `capacity` items of a log, at least 1."""

    __slots__ = ("_capacity", "_slots", "end")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a ring keeps at least 1 item, not {capacity}")
        self._capacity = capacity
        self._slots: list[Item] = []
        self.end = 0
        """Number of the item that comes next."""

    @property
    def start(self) -> int:
        """Number of the oldest item that is kept."""
        return self.end - len(self._slots)

    def append(self, item: Item) -> Item | None:
        """Adds an item; gives the one that it pushed out, if any."""
        if len(self._slots) < self._capacity:
            self._slots.append(item)
            self.end += 1
            return None
        slot = self.end % self._capacity
        dropped = self._slots[slot]
        self._slots[slot] = item
        self.end += 1
        return dropped

    def take(self, cursor: int, count_max: int) -> list[Item]:
        """Up to `count_max` items from number `cursor` on; none when the reader has them all.

        Raises:
            Behind: item `cursor` is no longer kept.
        """
        if cursor < self.start:
            raise Behind
        stop = min(self.end, cursor + count_max)
        first, last = cursor % self._capacity, stop % self._capacity
        if stop <= cursor:
            return []
        if first < last:
            return self._slots[first:last]
        return self._slots[first:] + self._slots[:last]

    def after(self, key: Callable[[Item], int], value: int) -> int:
        """Number of the first kept item whose `key` is above `value`; keys must ascend."""
        numbers = range(self.start, self.end)
        return self.start + bisect_right(numbers, value, key=lambda number: key(self._slots[number % self._capacity]))
