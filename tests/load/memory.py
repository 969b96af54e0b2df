"""The resident memory of every server while a load test runs, and whether it grows."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations

import psutil

from runtime.stack.system import Stack

MEGABYTE = 1_000_000
SLOPE_POINTS_MAX = 120
"""Points that a slope is taken from; pairs grow with the square."""


class Memory:
    """Samples of the resident memory in bytes, by process."""

    def __init__(self, system: Stack) -> None:
        self._processes = {name: psutil.Process(pid) for name in system.names if (pid := system.pid(name)) is not None}
        self.times_s: list[float] = []
        self.bytes: dict[str, list[int]] = {name: [] for name in self._processes}

    def sample(self) -> None:
        """Takes one sample of every process."""
        self.times_s.append(asyncio.get_running_loop().time())
        for name, process in self._processes.items():
            self.bytes[name].append(process.memory_info().rss)

    def figures(self) -> dict[str, float]:
        """Megabytes at the begin, at most, and at the end, by process."""
        found: dict[str, float] = {}
        for name, samples in self.bytes.items():
            for when, value in (("begin", samples[0]), ("max", max(samples)), ("end", samples[-1])):
                found[f"rss_mb_{name}_{when}"] = round(value / MEGABYTE, 1)
        return found

    def slope_bytes_per_s(self, name: str, after_s: float) -> float:
        """How fast a process has grown from `after_s` seconds on: the median of the slopes of all pairs of samples.

        The estimator of Theil and Sen: a jump, of a snapshot's child or of an
        arena, moves it little.
        """
        points = [
            (time_s, size)
            for time_s, size in zip(self.times_s, self.bytes[name], strict=True)
            if time_s >= self.times_s[0] + after_s
        ]
        points = points[:: max(1, len(points) // SLOPE_POINTS_MAX)]
        return slope(points)


def slope(points: list[tuple[float, int]]) -> float:
    """The median slope between all pairs of points, of which there are at least two."""
    return statistics.median(
        (later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in combinations(points, 2)
    )


@asynccontextmanager
async def sampled(system: Stack, every_s: float) -> AsyncIterator[Memory]:
    """Samples the memory of every process as long as the block lives."""
    memory = Memory(system)

    async def sample() -> None:
        while True:
            memory.sample()
            await asyncio.sleep(every_s)

    sampling = asyncio.create_task(sample())
    try:
        yield memory
    finally:
        sampling.cancel()
        await asyncio.wait([sampling])
        memory.sample()
