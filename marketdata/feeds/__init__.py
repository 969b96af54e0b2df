"""Feeds of reference prices: where prices come from that are not made in the book.

A feed is an async iterator of prices; `marketdata.feeds.runner` runs it, counts
and restarts it. Another feed is another class with `name` and `prices`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from marketdata.market import ReferencePrice
from runtime.instruments import Instruments

Registry = Callable[[], Instruments]
"""Gives the instruments that are listed now; they grow while a feed runs."""


class Feed(Protocol):
    """A source of reference prices."""

    @property
    def name(self) -> str:
        """The name that prices carry as their source."""
        ...

    def prices(self, instruments: Registry) -> AsyncIterator[Sequence[ReferencePrice]]:
        """Prices as they come, those of one moment together.

        Whatever this raises is shown in the feed's status, and the feed is
        started again.
        """
        ...
