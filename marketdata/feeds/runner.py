"""Runs a feed, keeps its status, and starts it again when it fails."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from marketdata import metrics
from marketdata.feeds import Feed, Registry
from marketdata.market import ReferencePrice
from runtime.logs import get_logger

RESTART_DELAY_S = 5.0
log = get_logger(__name__)


class FeedRunner:
    """One feed and how it is doing."""

    def __init__(self, feed: Feed, restart_delay_s: float = RESTART_DELAY_S) -> None:
        self.name = feed.name
        self.running = False
        self.updates = 0
        """Prices since the start."""
        self.last_update_unix_ns = 0
        self.error = ""
        """Why it does not run; empty if it does."""
        self._feed = feed
        self._restart_delay_s = restart_delay_s

    async def run(self, instruments: Registry, publish: Callable[[ReferencePrice], object]) -> NoReturn:
        """Hands the feed's prices to `publish`, for ever."""
        while True:
            try:
                self.running, self.error = True, ""
                async for prices in self._feed.prices(instruments):
                    for price in prices:
                        self._count(price)
                        publish(price)
                self.error = "the feed has ended"
            except Exception as error:  # a feed is foreign ground: whatever it raises is its status
                self.error = f"{type(error).__name__}: {error}"
                log.warning("feed failed", feed=self.name, exc_info=error)
            finally:
                self.running = False
            await asyncio.sleep(self._restart_delay_s)

    def _count(self, price: ReferencePrice) -> None:
        self.updates += 1
        self.last_update_unix_ns = price.time_unix_ns
        metrics.feed_updates.labels(self.name).inc()
