"""`make bench`: latency and throughput of order entry, as ratios to a bare echo measured in the same run.

Gateway and matching run as processes of their own, with real journal, ledger,
authorization and metrics; every order is on disk before it is acknowledged.
Echo and gateway are measured in turns, so that noise of the machine meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from native.modules import how_it_runs
from runtime.channels import client_channel
from runtime.settings import Settings
from runtime.tokens import issue, make_keys
from tests.load.echo import SERVICE
from tests.load.figures import ROOT, machine, show, show_conditions, store
from tests.load.latency import Latencies, closed_loop, open_loop, percentiles

ACCOUNTS = ("FLOW-BID", "FLOW-TAKER")
ECHO_BYTES = 100
DEPTH_TICKS = 20
OPEN_LOOP_RATE_PER_S = 500
FRAMES_IN_FLIGHT = 8
HEALTHY_WITHIN_S = 20


class Target:
    """A running gateway and what is needed to call it."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._numbers = count(1)

    def order(self) -> orders.OrderTerms:
        """The next order: of five, four rest in the book at some depth and one takes from it."""
        number = next(self._numbers)
        takes = number % 5 == 4
        buys = number % 2 == 0
        away = DEPTH_TICKS if takes else 1 + number % DEPTH_TICKS
        price_cents = 22_300 + (away if buys == takes else -away)
        return orders.OrderTerms(
            account=ACCOUNTS[takes],
            cl_ord_id=f"b{number}",
            symbol="AMZN",
            side=types.SIDE_BUY if buys else types.SIDE_SELL,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_IOC if takes else types.TIME_IN_FORCE_GTC,
            qty="10",
            price=f"{price_cents // 100}.{price_cents % 100:02d}",
        )

    async def submit(self, _number: int) -> None:
        """One unary order, answered once it is on disk."""
        await self.stub.SubmitOrder(entry.SubmitOrderRequest(order=self.order()), metadata=self.metadata)


class SessionDriver:
    """One order session; knows which of its commands are answered."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._outgoing: asyncio.Queue[entry.OrderSessionRequest | None] = asyncio.Queue()
        self._answered = 0
        self._sent = 0
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Logs on."""
        await self._outgoing.put(entry.OrderSessionRequest(logon=entry.Logon(accounts=ACCOUNTS)))
        call = self._target.stub.OrderSession(self._requests(), metadata=self._target.metadata)
        self._responses = aiter(call)
        first = await anext(self._responses)
        assert first.WhichOneof("message") == "logon"
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Logs out."""
        await self._outgoing.put(None)
        await self._reading

    def frame(self, size: int) -> entry.OrderSessionRequest:
        """The next frame of so many orders."""
        commands = []
        for _ in range(size):
            self._sent += 1
            commands.append(entry.SessionCommand(correlation_id=self._sent, submit=self._target.order()))
        return entry.OrderSessionRequest(frame=entry.CommandFrame(commands=commands))

    async def send(self, frame: entry.OrderSessionRequest) -> None:
        """Puts a frame on the wire."""
        await self._outgoing.put(frame)

    async def answered(self, commands: int) -> None:
        """Returns once so many commands have been answered."""
        while self._answered < commands:
            self._news.clear()
            await self._news.wait()

    async def ping_pong(self, _number: int) -> None:
        """One order on the session and its answer."""
        before = self._sent
        await self.send(self.frame(1))
        await self.answered(before + 1)

    async def _requests(self) -> AsyncIterator[entry.OrderSessionRequest]:
        while (request := await self._outgoing.get()) is not None:
            yield request

    async def _read(self) -> None:
        async for response in self._responses:
            if response.HasField("frame"):
                assert not response.frame.replies, response.frame.replies[0]
                self._answered += sum(1 for report in response.frame.reports if report.correlation_id)
                self._news.set()


async def throughput(driver: SessionDriver, size: int, frames: int) -> float:
    """Durable orders a second in frames of `size`, with a fixed number of frames in flight.

    The frames are built beforehand: what a client spends on making orders is not the gateway's.
    """
    prepared = [driver.frame(size) for _ in range(frames)]
    base = driver._sent - size * frames
    began = time.perf_counter()
    for number, frame in enumerate(prepared):
        await driver.answered(base + max(0, number - FRAMES_IN_FLIGHT) * size)
        await driver.send(frame)
    await driver.answered(base + frames * size)
    return frames * size / (time.perf_counter() - began)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs everything and gives the figures."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ordergate-bench-")))
        settings = _settings(home)
        echo_port = stack.enter_context(_echo())
        pids = {name: stack.enter_context(_server(name, settings)) for name in ("matching", "gateway")}
        pids["client"] = os.getpid()
        async with client_channel(f"127.0.0.1:{echo_port}") as floor, client_channel(settings.gateway_address) as line:
            await _ready(line)
            target = Target(line, _token(home, settings))
            echo_unary: Any = floor.unary_unary(f"/{SERVICE}/Unary")
            payload = bytes(ECHO_BYTES)

            async def echo(_number: int) -> None:
                await echo_unary(payload)

            unary = await _in_turns(options, echo, target.submit)
            session = SessionDriver(target)
            await session.start()
            pings = await _stream_turns(options, floor, payload, session)
            rates: dict[str, float] = {}
            for size in (16, 64, 256):
                await throughput(session, size, 4)
                before = {name: _cpu_s(pid) for name, pid in pids.items()}
                frames = max(8, options.orders // size)
                runs = [await throughput(session, size, frames) for _ in range(options.rounds)]
                rates[f"frames_of_{size}_orders_per_s"] = round(statistics.median(runs))
                for name, pid in pids.items():
                    used_s = _cpu_s(pid) - before[name]
                    rates[f"frames_of_{size}_cpu_us_{name}"] = round(used_s / (frames * size * options.rounds) * 1e6, 1)
            await session.stop()
    return unary | pings | rates


async def _in_turns(options: argparse.Namespace, echo: Any, submit: Any) -> dict[str, Any]:
    """Unary calls, closed loop and open loop, echo and gateway by turns."""
    taken: dict[str, list[float]] = {name: [] for name in ("echo", "submit", "echo_open", "submit_open")}
    for call in (echo, submit):
        await closed_loop(call, 50)
    for _ in range(options.rounds):
        taken["echo"] += await closed_loop(echo, options.calls)
        taken["submit"] += await closed_loop(submit, options.calls)
        taken["echo_open"] += await open_loop(echo, OPEN_LOOP_RATE_PER_S, options.calls)
        taken["submit_open"] += await open_loop(submit, OPEN_LOOP_RATE_PER_S, options.calls)
    found = {name: percentiles(seconds) for name, seconds in taken.items()}
    return {
        "echo_unary": found["echo"],
        "submit_unary": found["submit"],
        "submit_unary_ratio_p50": _ratio(found["submit"], found["echo"]),
        "echo_unary_open_500_per_s": found["echo_open"],
        "submit_unary_open_500_per_s": found["submit_open"],
        "submit_unary_open_ratio_p50": _ratio(found["submit_open"], found["echo_open"]),
    }


async def _stream_turns(
    options: argparse.Namespace, floor: grpc.aio.Channel, payload: bytes, session: SessionDriver
) -> dict[str, Any]:
    """Ping-pong on a stream, echo and session by turns."""
    call: Any = floor.stream_stream(f"/{SERVICE}/Stream")()

    async def echo(_number: int) -> None:
        await call.write(payload)
        await call.read()

    taken: dict[str, list[float]] = {"echo": [], "session": []}
    for _ in range(options.rounds):
        taken["echo"] += await closed_loop(echo, options.calls)
        taken["session"] += await closed_loop(session.ping_pong, options.calls)
    call.cancel()
    found = {name: percentiles(seconds) for name, seconds in taken.items()}
    return {
        "echo_stream": found["echo"],
        "session_ping_pong": found["session"],
        "session_ratio_p50": _ratio(found["session"], found["echo"]),
    }


def _ratio(above: Latencies, floor: Latencies) -> float:
    return round(above.p50_us / floor.p50_us, 2)


def _settings(home: Path) -> Settings:
    make_keys(home / "keys")
    ports = [_free_port() for _ in range(4)]
    return Settings(
        home=home,
        matching_port=ports[0],
        gateway_port=ports[1],
        matching_metrics_port=ports[2],
        gateway_metrics_port=ports[3],
        matching_address=f"127.0.0.1:{ports[0]}",
        gateway_address=f"127.0.0.1:{ports[1]}",
        auth_jwks_file=home / "keys" / "jwks.json",
        auth_service_key_file=home / "keys" / "service.pem",
        auth_dev_key_file=home / "keys" / "dev.pem",
        log_level="warning",
    )


def _cpu_s(pid: int) -> float:
    """Processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _token(home: Path, settings: Settings) -> str:
    return issue(
        (home / "keys" / "dev.pem").read_bytes(),
        kid="dev",
        subject="bench",
        roles=["trader"],
        accounts=list(ACCOUNTS),
        ttl_s=900,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


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


@contextmanager
def _server(name: str, settings: Settings) -> Iterator[int]:
    fields = {
        f"ORDERGATE_{field.upper()}": str(value)
        for field, value in settings.model_dump().items()
        if value is not None and not field.endswith("_url")
    }
    command = [sys.executable, "-c", f"from {name}.server import main; main()"]
    process = subprocess.Popen(command, env=os.environ | fields, cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def _ready(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="ordergate.orders.v1.OrderEntryService")
    async with asyncio.timeout(HEALTHY_WITHIN_S):
        async for answer in stub.Watch(request, wait_for_ready=True):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


def conditions() -> dict[str, Any]:
    """What stands beside every figure."""
    return machine("shared by client, gateway and matching") | {
        "grpcio": grpc.__version__,
        "uvloop": version("uvloop"),
        "core": how_it_runs(),
        "durability": "one fdatasync for each batch, before the acknowledgement",
        "orders": "4 of 5 rest, 1 of 5 takes and trades; authorization, risk, ledger, metrics on",
    }


def main() -> None:
    """Measures, prints, and writes JSON beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each measurement")
    parser.add_argument("--calls", type=int, default=500, help="calls in a turn")
    parser.add_argument("--orders", type=int, default=50_000, help="orders in a throughput run")
    options = parser.parse_args()
    known = conditions()
    show_conditions(known)
    figures = uvloop.run(measure(options))
    show(figures)
    store("bench", known, figures)


if __name__ == "__main__":
    main()
