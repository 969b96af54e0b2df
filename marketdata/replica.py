"""The market as this process has it: follows the journal, says when it is fit to be read, rebuilds itself.

The view lives in memory, so the cure for anything wrong with it is to begin
again at position 0. While matching is away it stays readable, and says so.
"""

import asyncio
from typing import NoReturn

from ordergate.types.v1 import types_pb2 as types

from marketdata import metrics
from marketdata.hub import End
from marketdata.market import ReferencePrice
from marketdata.publisher import Publisher
from marketdata.view import MarketView
from runtime.clock import NANOS_PER_SECOND, unix_ns
from runtime.errors import Refused
from runtime.follower import FeedGapError, follow
from runtime.instruments import Instruments
from runtime.logs import get_logger
from runtime.serve import Health
from runtime.settings import Settings

FOLLOWER = "marketdata"
INTERVAL_MS = 2
"""Events that come so soon after others are seen together with what follows them."""
WATCH_INTERVAL_S = 1.0
REBUILD_DELAY_S = 1.0
SILENT_HEARTBEATS = 3
"""Heartbeats that may be missing before matching counts as away."""
DRAINING = End(types.REASON_DRAINING, "the server is draining")
REBUILDING = End(types.REASON_MATCHING_UNAVAILABLE, "the view is built again from the journal")
log = get_logger(__name__)


class Replica:
    """The view, its publisher, and their health."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._ready = False
        self._draining = False
        self._away_after_ns = round(SILENT_HEARTBEATS * settings.heartbeat_interval_s * NANOS_PER_SECOND)
        self._build()

    def _build(self) -> None:
        publisher = self._publisher = Publisher(Instruments())
        self.view = MarketView(publisher.market, publisher.instruments, publisher.publish, self._caught_up)

    def publisher(self) -> Publisher:
        """What calls read.

        Raises:
            Refused: the view has not caught up with the journal yet, or the server is draining.
        """
        if self._draining:
            raise Refused(types.REASON_DRAINING, DRAINING.text)
        if not self._ready:
            raise Refused(types.REASON_MATCHING_UNAVAILABLE, "the view has not caught up with the journal yet")
        return self._publisher

    def instruments(self) -> Instruments:
        """The instruments that are listed now."""
        return self._publisher.instruments

    def reference(self, price: ReferencePrice) -> None:
        """Takes in a reference price."""
        self._publisher.referenced(price)

    async def follow(self) -> NoReturn:
        """Follows the journal for ever; begins again where the feed has a gap."""
        while True:
            try:
                await follow(self._settings, FOLLOWER, self.view, INTERVAL_MS)
            except FeedGapError as gap:
                log.error("the view is built again", why=str(gap))
            self._ready = False
            self._health.set(False, "the view is built again")
            self._publisher.stop_streams(REBUILDING)
            self._build()
            await asyncio.sleep(REBUILD_DELAY_S)

    async def watch(self) -> NoReturn:
        """Keeps health and the lag metric up to date."""
        while True:
            metrics.lag.set(self.view.lag_events)
            if self._ready:
                self._say(self._detail())
            await asyncio.sleep(WATCH_INTERVAL_S)

    def drain(self) -> None:
        """Ends all streams, and takes no more calls."""
        self._draining = True
        self._publisher.stop_streams(DRAINING)

    def _caught_up(self) -> None:
        if not self._ready:
            self._ready = True
            log.info("caught up", seq=self.view.journal_seq, epoch=self.view.epoch)
            self._say("")

    def _detail(self) -> str:
        if unix_ns() - self.view.heard_unix_ns > self._away_after_ns:
            return f"matching is away; this is the state as of seq {self._publisher.market.seq}"
        return ""

    def _say(self, detail: str) -> None:
        if not self._draining and (not self._health.serving or self._health.detail != detail):
            self._health.set(True, detail)
