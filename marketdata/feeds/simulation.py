"""A market out of nothing: seeded random walks, the same for the same seed.

Each symbol walks by itself, so its n-th price depends only on the seed, the
symbol and n. Integers only: the walk goes in millionths of a tick, and what is
published is whole ticks. A pull towards the starting price keeps a demo that
runs for weeks in sight of it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random

from marketdata.feeds import Registry
from marketdata.market import ReferencePrice
from runtime.clock import unix_ns
from runtime.decimals import parse_nano
from runtime.instruments import Instrument, Instruments

NAME = "simulation"
STARTING_PRICES: Mapping[str, str] = {
    "AAPL": "190.00",
    "MSFT": "410.00",
    "NVDA": "120.00",
    "AAPL-20270115-C-200": "12.00",
    "EURUSD": "1.08000",
    "BTCUSD": "60000.00",
}
"""Where each walk begins; a symbol that is absent has no simulated price."""

MICROTICKS = 1_000_000
STEP_PPM = 60
"""Largest part of the price that one of the draws of a step moves it by."""
DRAWS_PER_STEP = 4
"""Summed up they give a bell-shaped step."""
PULL_DIVISOR = 100_000
"""The part of the distance to the start that each step takes back."""


class Walk:
    """The random walk of one symbol, in ticks."""

    def __init__(self, seed: int, symbol: str, start_ticks: int) -> None:
        # S311: a simulation wants the same numbers again, not secret ones.
        self._random = Random(f"{seed}:{symbol}")  # noqa: S311
        self._start = self._now = start_ticks * MICROTICKS

    @property
    def price_ticks(self) -> int:
        """The present price, rounded to whole ticks, at least 1."""
        return max(1, (self._now + MICROTICKS // 2) // MICROTICKS)

    def step(self) -> int:
        """Makes a step and gives the new price in ticks."""
        span = max(1, self._now * STEP_PPM // 1_000_000)
        drawn = sum(self._random.randint(-span, span) for _ in range(DRAWS_PER_STEP))
        self._now = max(MICROTICKS, self._now + drawn + (self._start - self._now) // PULL_DIVISOR)
        return self.price_ticks


class SimulationFeed:
    """Walks of all listed symbols that have a starting price, a step each `interval_s`."""

    name = NAME

    def __init__(self, seed: int, interval_s: float) -> None:
        self._seed = seed
        self._interval_s = interval_s
        self._walks: dict[str, Walk] = {}

    async def prices(self, instruments: Registry) -> AsyncIterator[Sequence[ReferencePrice]]:
        """One price of each symbol at a time, at even intervals."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            yield self.step(instruments(), unix_ns())
            # A loop that was held up goes on from now instead of catching up.
            due_s = max(due_s + self._interval_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    def step(self, instruments: Instruments, now_unix_ns: int) -> list[ReferencePrice]:
        """The next price of each listed symbol."""
        prices = []
        for symbol in STARTING_PRICES:
            instrument = instruments.get(symbol)
            if instrument is not None:
                ticks = self._walk(instrument).step()
                prices.append(ReferencePrice(symbol, ticks * instrument.tick_size_nano, NAME, now_unix_ns))
        return prices

    def _walk(self, instrument: Instrument) -> Walk:
        walk = self._walks.get(instrument.symbol)
        if walk is None:
            start_ticks = parse_nano(STARTING_PRICES[instrument.symbol]) // instrument.tick_size_nano
            walk = self._walks[instrument.symbol] = Walk(self._seed, instrument.symbol, start_ticks)
        return walk
