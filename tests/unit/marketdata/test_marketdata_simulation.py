"""The simulated prices."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import yaml
from ordergate.matching.v1 import commands_pb2 as commands

from marketdata.feeds import Registry
from marketdata.feeds.runner import FeedRunner
from marketdata.feeds.simulation import STARTING_PRICES, SimulationFeed, Walk
from marketdata.market import ReferencePrice
from runtime.decimals import parse_nano
from runtime.instruments import Instruments

GENESIS = yaml.safe_load((Path(__file__).parents[3] / "config" / "genesis.yaml").read_text())
UNQUOTED = {"AMZN"}
"""Symbols that are left to recorded order flow."""
FIXED_WALK = [18998, 18997, 18996, 18998, 19000]


def listed(*symbols: str) -> Instruments:
    """A registry with instruments of the genesis."""
    instruments = Instruments()
    for symbol in symbols:
        tick = next(one["tick_size"] for one in GENESIS["instruments"] if one["symbol"] == symbol)
        instruments.add(commands.ListInstrument(symbol=symbol, tick_size_nano=parse_nano(tick), lot_size_nano=10**9))
    return instruments


def walked(seed: int, symbol: str, start_ticks: int, steps: int) -> list[int]:
    """The first prices of a walk."""
    walk = Walk(seed, symbol, start_ticks)
    return [walk.step() for _ in range(steps)]


def test_the_same_seed_gives_the_same_prices() -> None:
    """Prices depend on seed, symbol and step, and on each of them."""
    assert walked(7, "AAPL", 19000, 200) == walked(7, "AAPL", 19000, 200)
    assert walked(7, "AAPL", 19000, 200) != walked(8, "AAPL", 19000, 200)
    assert walked(7, "AAPL", 19000, 200) != walked(7, "MSFT", 19000, 200)


def test_the_prices_of_a_seed_are_fixed() -> None:
    """The walk is part of recorded demos: it does not change with versions or machines."""
    assert walked(7, "AAPL", 19000, 5) == FIXED_WALK


def test_a_symbol_walks_alone() -> None:
    """Which other symbols are listed does not change a symbol's prices."""
    alone, together = SimulationFeed(7, 1.0), SimulationFeed(7, 1.0)
    for _ in range(20):
        (one,) = alone.step(listed("NVDA"), 0)
        both = together.step(listed("AAPL", "NVDA"), 0)
        assert one in both
        assert len(both) == 2


@pytest.mark.parametrize("symbol", STARTING_PRICES)
def test_prices_are_whole_ticks_in_sight_of_the_start(symbol: str) -> None:
    """Every price is a multiple of the tick, moves now and then, and stays within a fifth of its start for long."""
    instruments = listed(symbol)
    instrument = instruments.require(symbol)
    feed = SimulationFeed(7, 1.0)
    prices = [feed.step(instruments, step)[0].px_nano for step in range(5000)]
    start = parse_nano(STARTING_PRICES[symbol])
    assert all(price % instrument.tick_size_nano == 0 for price in prices)
    assert all(abs(price - start) * 5 < start for price in prices)
    assert len(set(prices)) > 2


def test_a_price_never_falls_below_a_tick() -> None:
    """The cheapest instrument still has a price above 0."""
    assert min(walked(7, "PENNY", 1, 2000)) >= 1


def test_every_quoted_symbol_of_the_genesis_has_a_start_on_its_tick() -> None:
    """All instruments but those left to recorded flow have a starting price, a multiple of the tick."""
    ticks = {one["symbol"]: parse_nano(one["tick_size"]) for one in GENESIS["instruments"]}
    assert set(STARTING_PRICES) == set(ticks) - UNQUOTED
    assert all(parse_nano(price) % ticks[symbol] == 0 for symbol, price in STARTING_PRICES.items())


class Failing:
    """A feed that gives one price and fails, as feeds from outside do."""

    name = "failing"

    def __init__(self) -> None:
        self.runner = FeedRunner(self, restart_delay_s=0.001)
        self.states: asyncio.Queue[tuple[bool, str]] = asyncio.Queue()

    async def prices(self, instruments: Registry) -> AsyncIterator[Sequence[ReferencePrice]]:
        self.states.put_nowait((self.runner.running, self.runner.error))
        yield [ReferencePrice("AAPL", 1, self.name, 5)]
        asyncio.get_running_loop().call_soon(lambda: self.states.put_nowait((self.runner.running, self.runner.error)))
        raise ConnectionError("no route")


async def test_a_feed_that_fails_shows_why_and_is_started_again() -> None:
    """The status holds the error while the feed is down, and the feed comes back by itself."""
    feed = Failing()
    published: list[ReferencePrice] = []
    task = asyncio.create_task(feed.runner.run(Instruments, published.append))
    states = [await feed.states.get() for _ in range(4)]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert states == [(True, ""), (False, "ConnectionError: no route")] * 2
    assert feed.runner.updates == len(published) >= 2
    assert feed.runner.last_update_unix_ns == 5


async def test_the_simulation_goes_on_with_what_is_listed_later() -> None:
    """Prices come at intervals; a symbol has one from the moment it is listed."""
    published: asyncio.Queue[ReferencePrice] = asyncio.Queue()
    instruments = listed("AAPL")
    runner = FeedRunner(SimulationFeed(7, 0.001))
    task = asyncio.create_task(runner.run(lambda: instruments, published.put_nowait))
    assert (await published.get()).symbol == "AAPL"
    instruments.add(listed("MSFT").require("MSFT").to_proto())
    while (await published.get()).symbol != "MSFT":
        pass
    assert runner.running
    assert runner.error == ""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not runner.running
