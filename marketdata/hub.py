"""Who reads which symbols, and how readers learn that there is something for them.

A reader has no queue: waking it only says "look again". So waking a slow
reader ten thousand times costs nothing, and nothing piles up.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ordergate.types.v1 import types_pb2 as types


class End(NamedTuple):
    """Why streams are ended by the server."""

    reason: types.Reason.ValueType
    text: str


class Reader:
    """One stream's ear."""

    __slots__ = ("_woken", "end", "symbols")

    def __init__(self, symbols: Collection[str]) -> None:
        self.symbols = frozenset(symbols)
        self.end: End | None = None
        """Set once the server ends the stream."""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to look at."""
        self._woken.set()

    def looks(self) -> None:
        """The stream looks now: what comes after this wakes it again."""
        self._woken.clear()

    async def woken(self, deadline_s: float) -> bool:
        """Waits until it is woken; False when the loop's clock passes `deadline_s` first."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                await self._woken.wait()
        return self._woken.is_set()

    def stop(self, end: End) -> None:
        """Ends the stream; the first end is the one that counts."""
        self.end = self.end or end
        self._woken.set()


class Hub:
    """The readers of one kind of stream."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, set[Reader]] = {}
        self._readers: set[Reader] = set()

    def __len__(self) -> int:
        """The number of readers."""
        return len(self._readers)

    def has_readers(self, symbol: str) -> bool:
        """Whether anyone reads the symbol."""
        return symbol in self._by_symbol

    def wake(self, symbols: Iterable[str]) -> None:
        """Wakes whoever reads one of the symbols."""
        for symbol in symbols:
            for reader in self._by_symbol.get(symbol, ()):
                reader.wake()

    def stop_all(self, end: End) -> None:
        """Ends all streams."""
        for reader in self._readers:
            reader.stop(end)

    @contextmanager
    def joined(self, symbols: Collection[str]) -> Iterator[Reader]:
        """A reader of the symbols, for as long as the block runs."""
        reader = Reader(symbols)
        self._readers.add(reader)
        for symbol in reader.symbols:
            self._by_symbol.setdefault(symbol, set()).add(reader)
        try:
            yield reader
        finally:
            self._leave(reader)

    def _leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        for symbol in reader.symbols:
            readers = self._by_symbol[symbol]
            readers.discard(reader)
            if not readers:
                del self._by_symbol[symbol]
