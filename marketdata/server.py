"""The marketdata server: its parts and how they hang together.

1. The replica follows the journal and keeps the market.
2. Feeds give reference prices to the replica.
3. The service lets people read both.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from marketdata.feeds.runner import FeedRunner
from marketdata.feeds.simulation import SimulationFeed
from marketdata.replica import Replica
from marketdata.service import MarketDataService, register
from runtime.lifetimes import Lifetimes
from runtime.serve import Health, Register, serve
from runtime.settings import Settings

MS_PER_S = 1_000


@asynccontextmanager
async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """Everything that the server consists of; it serves once the replica has caught up with the journal."""
    replica = Replica(settings, health)
    feeds = [FeedRunner(SimulationFeed(settings.feed_seed, settings.feed_interval_ms / MS_PER_S))]
    lifetimes = Lifetimes(settings)
    running = [
        asyncio.create_task(lifetimes.run(), name="lifetimes"),
        asyncio.create_task(replica.follow(), name="follow"),
        asyncio.create_task(replica.watch(), name="watch"),
        *(asyncio.create_task(feed.run(replica.instruments, replica.reference), name=feed.name) for feed in feeds),
    ]
    for task in running:
        task.add_done_callback(partial(_ended, health))

    async def drain() -> None:
        replica.drain()

    health.on_drain(drain)
    try:
        yield [partial(register, MarketDataService(replica, feeds, lifetimes, settings.heartbeat_interval_s))]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _ended(health: Health, task: asyncio.Task[None]) -> None:
    """A part that ends by itself is a fault; the server says so and stops serving."""
    if not task.cancelled():
        health.set(False, f"{task.get_name()} failed: {task.exception()!r}")


def main() -> None:
    """Runs the server as the whole process."""
    serve("marketdata", parts, Settings())


if __name__ == "__main__":
    main()
