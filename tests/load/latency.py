"""How latencies are taken: open loop, from the intended send time, so that a stall counts for all that it delays."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Latencies:
    """Percentiles in microseconds."""

    count: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {name: round(value, 1) for name, value in asdict(self).items()}


def percentiles(seconds: list[float]) -> Latencies:
    """The percentiles of latencies in seconds, by nearest rank."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e6

    return Latencies(len(ordered), at(0.5), at(0.9), at(0.99), at(0.999), ordered[-1] * 1e6)


async def closed_loop(call: Callable[[int], Awaitable[object]], count: int) -> list[float]:
    """One call after the other; the latency of each, in seconds."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        await call(number)
        taken.append(time.perf_counter() - began)
    return taken


async def open_loop(call: Callable[[int], Awaitable[object]], rate_per_s: float, count: int) -> list[float]:
    """Calls at a fixed rate whether or not the ones before have ended; latency from the intended start."""
    began = time.perf_counter() + 0.05
    taken: list[float] = []

    async def one(number: int) -> None:
        await call(number)
        taken.append(time.perf_counter() - (began + number / rate_per_s))

    tasks = []
    for number in range(count):
        delay = began + number / rate_per_s - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return taken
