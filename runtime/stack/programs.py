"""The programs of our own servers and of Envoy, and how each is known to be healthy."""

import asyncio
import json
import ssl
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.settings import Server, Settings
from runtime.stack import envoy
from runtime.stack.home import environment
from runtime.stack.processes import Program
from runtime.tls import channel_credentials, client_context

ORDERGATE = (sys.executable, "-m", "clients.cli.main")
PROBE_TIMEOUT_S = 1.0
CONNECTIONS_TRIED = 16
SERVING = "gateway_serving"
"""Envoy's cluster of the gateways that serve."""
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
        ready=partial(answers_ok, envoy.LOOPBACK, settings.envoy_admin_port, "/ready"),
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


async def answers_ok(host: str, port: int, path: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether HTTP GET of `path` is answered with 200; over TLS with a `context`."""
    return await _got(host, port, path, context) is not None


async def seen_by_envoy(settings: Settings, gateways: Sequence[Settings]) -> bool:
    """Whether Envoy, by its own checks, knows that these gateways serve and would send calls to each."""
    answer = await _got(envoy.LOOPBACK, settings.envoy_admin_port, "/clusters?format=json")
    if answer is None:
        return False
    clusters = {cluster["name"]: cluster for cluster in json.loads(answer)["cluster_statuses"]}
    addresses = [host["address"]["socket_address"] for host in _healthy(clusters.get(SERVING, {}))]
    healthy = {f"{address['address']}:{address['port_value']}" for address in addresses}
    seen = all(gateway.gateway_address in healthy for gateway in gateways)
    return seen and (not gateways or await _passed_on(settings))


async def _passed_on(settings: Settings) -> bool:
    """Whether Envoy's threads, which hear of it one after the other, pass calls on; each takes its own connections."""
    host = settings.gateway_address.rpartition(":")[0].strip("[]")
    context = client_context(settings)
    probes = (answers_ok(host, settings.envoy_port, "/health/live", context) for _ in range(CONNECTIONS_TRIED))
    return all(await asyncio.gather(*probes))


def _healthy(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The hosts of a cluster that passed their last check."""
    return [
        host
        for host in cluster.get("host_statuses", ())
        if not host["health_status"].get("failed_active_health_check", False)
    ]


async def _got(host: str, port: int, path: str, context: ssl.SSLContext | None = None) -> bytes | None:
    """What HTTP GET of `path` is answered with; None unless that is 200."""
    return await asyncio.to_thread(_get, host, port, path, context)


def _get(host: str, port: int, path: str, context: ssl.SSLContext | None) -> bytes | None:
    if context is None:
        connection = HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    else:
        connection = HTTPSConnection(host, port, timeout=PROBE_TIMEOUT_S, context=context)
    try:
        with closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read() if response.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
