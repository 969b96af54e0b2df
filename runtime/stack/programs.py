"""The programs of our own servers and of Envoy, and how each is known to be healthy."""

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.settings import Server, Settings
from runtime.stack import envoy
from runtime.stack.home import environment
from runtime.stack.processes import Program
from runtime.tls import channel_credentials

ORDERGATE = (sys.executable, "-m", "clients.cli.main")
PROBE_TIMEOUT_S = 1.0
# Beyond the time in which a server finishes its calls.
STOP_MARGIN_S = 5.0
# A new channel must not wait for the backoff of the one before it.
PROBE_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


def log_file(settings: Settings, name: str) -> Path:
    """Where the process `name` writes to."""
    return settings.home / "logs" / f"{name}.log"


def server(settings: Settings, name: Server, process: str | None = None) -> Program:
    """One of our servers, healthy when it says so by grpc.health.

    Args:
        settings: those of this very process.
        name: which server it is.
        process: the name of the process where there are several of that server.
    """
    return Program(
        name=process or name,
        command=[*ORDERGATE, "serve", name],
        log=log_file(settings, process or name),
        environment=environment(settings),
        ready=partial(serving, settings.address(name), settings),
        stop_timeout_s=settings.drain_timeout_s + STOP_MARGIN_S,
    )


def market_maker(settings: Settings) -> Program:
    """The simulated market maker, a client like any other."""
    return Program(
        name="market-maker",
        command=[*ORDERGATE, "market-maker"],
        log=log_file(settings, "market-maker"),
        environment=environment(settings),
    )


def proxy(settings: Settings, gateways: Sequence[Settings] = ()) -> Program:
    """Envoy, healthy when its listeners are up; in front of `gateways` when there are several."""
    config = envoy.render(settings, settings.home / "envoy", [gateway.gateway_address for gateway in gateways])
    return Program(
        name="envoy",
        # Hot restart would tie all Envoys of a machine together through shared memory.
        command=[str(Path(sys.executable).with_name("envoy")), "-c", str(config), "--disable-hot-restart"],
        log=log_file(settings, "envoy"),
        ready=partial(answers_ok, envoy.ADMIN_HOST, settings.envoy_admin_port, "/ready"),
    )


async def serving(address: str, settings: Settings | None = None) -> bool:
    """Whether the gRPC server at `address` says that it serves; with TLS when `settings` say so."""
    credentials = None if settings is None else channel_credentials(settings)
    if credentials is None:
        probe = grpc.aio.insecure_channel(address, options=PROBE_OPTIONS)
    else:
        probe = grpc.aio.secure_channel(address, credentials, options=PROBE_OPTIONS)
    async with probe as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        try:
            response = await health.Check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


async def answers_ok(host: str, port: int, path: str) -> bool:
    """Whether HTTP GET of `path` is answered with 200."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status_line = await reader.readline()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status_line
