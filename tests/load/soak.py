"""`make soak`: ten minutes of load by all three ways at once, and whether a server's memory grows.

After a warm-up the resident memory of each gateway and of Envoy must be flat:
they keep nothing of an order that is done. "Flat" is a bound on what an order
leaves behind (`BYTES_PER_ORDER_MAX`), with an allowance for what the allocator
moves by itself. Matching keeps the keys of orders, and grows by them until an
account has `KEYS_PER_ACCOUNT`; few desks are used, so that at a thousand orders a
second (`--rate 1000`, for a machine that carries it) the windows fill in the first
part, and from then on matching must be flat as well. Compliance is held to
the bound of the gateways, and so is market data, but for what its log of the
newest trades still takes until it is full.
"""

from __future__ import annotations

import tests.load.forks  # noqa: F401  # before gRPC is imported

# isort: split

import argparse
import asyncio
import time
from dataclasses import dataclass
from typing import Any

import uvloop

from marketdata.trades import KEPT_TRADES_MAX
from tests.load import ways
from tests.load.desks import Desks
from tests.load.figures import show, show_conditions, store
from tests.load.latency import percentiles
from tests.load.load import Load, conditions, venue
from tests.load.memory import MEGABYTE, Memory, sampled
from tests.load.truth import truth

RATE_PER_S, MINUTES, DESKS = 300.0, 10.0, 2
"""What is done when nothing else is asked for: two cores that others use too carry it with room to spare."""
SHARES = {"session": 0.6, "unary": 0.25, "rest": 0.15}
"""How the rate is shared among the ways."""
WARM_UP_SHARE = 0.4
"""So much of ten minutes at a thousand orders a second fills the windows of two desks, and nearly the log of trades."""
SAMPLE_EVERY_S = 1.0
KEYS_PER_ACCOUNT = 100_000
"""What matching keeps of keys whose orders are done; `matching.core.keys`."""
BYTES_PER_ORDER_MAX = 32.0
"""What an order may leave behind in a server that keeps nothing of it."""
TRADE_BYTES_MAX = 400.0
"""What a trade takes in the log of market data."""
ORDERS_A_TRADE = 2
ALLOWANCE_BYTES = 4 * MEGABYTE
"""What a server may grow in the measured part for other reasons: arenas of the allocator, of threads, of grpc."""
FLAT = ("gateway", "envoy", "marketdata", "compliance")
"""The servers that must be flat whatever the load."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How a server's memory grew in the measured part of a soak."""

    name: str
    bytes_per_s: float
    seconds: float
    orders: float
    filling_bytes: float = 0.0
    """What the server still takes for something of a fixed size that was not full at first."""

    @property
    def total_bytes(self) -> float:
        """What that makes in the whole measured part."""
        return self.bytes_per_s * self.seconds

    @property
    def bytes_per_order(self) -> float:
        """What each order of the measured part left behind."""
        return self.total_bytes / self.orders

    @property
    def is_flat(self) -> bool:
        """Whether it is within the stated bound."""
        return self.total_bytes <= BYTES_PER_ORDER_MAX * self.orders + ALLOWANCE_BYTES + self.filling_bytes


def growths(memory: Memory, orders: int) -> list[Growth]:
    """How each server has grown after the warm-up of a run with so many orders at a constant rate."""
    whole_s = memory.times_s[-1] - memory.times_s[0]
    measured_s = whole_s * (1 - WARM_UP_SHARE)
    return [
        Growth(
            name,
            memory.slope_bytes_per_s(name, whole_s * WARM_UP_SHARE),
            measured_s,
            orders * (1 - WARM_UP_SHARE),
            filling_bytes(name, orders * WARM_UP_SHARE, orders),
        )
        for name in memory.bytes
    ]


def filling_bytes(name: str, orders_before: float, orders: float) -> float:
    """What the log of trades takes after a warm-up with so many of all orders, in the server that has it."""
    if name != "marketdata":
        return 0.0
    trades_before, trades = (min(KEPT_TRADES_MAX, number / ORDERS_A_TRADE) for number in (orders_before, orders))
    return TRADE_BYTES_MAX * (trades - trades_before)


def must_be_flat(name: str, orders_before: float, desks: int) -> bool:
    """Whether a server must be flat after a warm-up with so many orders."""
    if name == "matching":
        return orders_before >= KEYS_PER_ACCOUNT * desks
    return name.startswith(FLAT)


async def measure(load: Load) -> dict[str, Any]:
    """Runs the soak and gives the figures.

    Raises:
        AssertionError: a server grows that must not, or an order was lost, carried out twice, or answered wrongly.
    """
    async with venue(load) as system:
        desks = Desks(system, load.desks)
        async with sampled(system, SAMPLE_EVERY_S) as memory:
            figures = await _all_ways(system, desks, load)
        (await truth(system)).check(desks)
    found = growths(memory, desks.sent)
    for growth in found:
        figures[f"growth_bytes_per_order_{growth.name}"] = round(growth.bytes_per_order, 1)
    warm_up_orders = desks.sent * WARM_UP_SHARE
    fat = [one for one in found if must_be_flat(one.name, warm_up_orders, load.desks) and not one.is_flat]
    assert not fat, f"memory grows: {fat}"
    return figures | {"orders": desks.sent, "lost": 0, "carried_out_twice": 0} | memory.figures()


async def _all_ways(system: Any, desks: Desks, load: Load) -> dict[str, Any]:
    async with (
        ways.session(system, desks, load.sessions) as by_session,
        ways.unary(system, desks) as by_unary,
        ways.rest(system, desks) as by_rest,
    ):
        sends = {"session": by_session, "unary": by_unary, "rest": by_rest}
        taken = await asyncio.gather(*(_sustained(sends[way], SHARES[way] * load.rate_per_s, load) for way in sends))
    return {way: percentiles(seconds) for way, seconds in zip(sends, taken, strict=True)}


async def _sustained(send: ways.Send, rate_per_s: float, load: Load) -> list[float]:
    """Sends at a fixed rate for the whole time; keeps no task of an order that is done, as `open_loop` does."""
    began = time.perf_counter()
    taken: list[float] = []
    sending: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        await send(number)
        taken.append(time.perf_counter() - (began + number / rate_per_s))

    for number in range(int(rate_per_s * load.seconds)):
        await asyncio.sleep(max(0.0, began + number / rate_per_s - time.perf_counter()))
        task = asyncio.create_task(one(number))
        sending.add(task)
        task.add_done_callback(sending.discard)
        # What failed must end the run here, not when it is collected.
        task.add_done_callback(_raise_failure)
    await asyncio.gather(*sending)
    return taken


def _raise_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        raise SystemExit(f"an order failed: {error}") from error


def main() -> None:
    """Measures, prints, and writes JSON beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="orders a second, by all ways together")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--desks", type=int, default=DESKS, help="accounts; an even number. Few fill their windows")
    chosen = parser.parse_args()
    load = Load(
        rate_per_s=chosen.rate,
        seconds=chosen.minutes * 60,
        gateways=chosen.gateways,
        sessions=chosen.sessions,
        desks=chosen.desks,
        together=True,
    )
    known = conditions(load) | {"shares": ", ".join(f"{way} {share:.0%}" for way, share in SHARES.items())}
    show_conditions(known)
    figures = uvloop.run(measure(load))
    show(figures)
    store("soak", known, figures)


if __name__ == "__main__":
    main()
