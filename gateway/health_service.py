"""HealthService: liveness and readiness for probes and people, over gRPC and REST."""

import asyncio
from importlib.metadata import version
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.operations.v1 import health_pb2 as wire
from ordergate.operations.v1 import health_pb2_grpc as wire_grpc
from ordergate.types.v1 import types_pb2 as types

from gateway.link import Link
from runtime.channels import Renewable, client_channel
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused
from runtime.settings import Server, Settings
from runtime.tls import channel_credentials

PROBE_TIMEOUT_S = 1.0
PROBED: tuple[Server, ...] = ("matching", "marketdata", "compliance")
UP, DEGRADED, DOWN = wire.COMPONENT_STATUS_UP, wire.COMPONENT_STATUS_DEGRADED, wire.COMPONENT_STATUS_DOWN


class HealthService(wire_grpc.HealthServiceServicer):
    """Says how the system is. Orders need the gateway and matching; the rest may lag."""

    def __init__(self, settings: Settings, link: Link) -> None:
        self._link = link
        self._version = version("ordergate")
        self._probed = {name: _reached(settings.address(name), settings) for name in PROBED}

    async def close(self) -> None:
        """Closes the channels to the servers that it asks."""
        for reached in self._probed.values():
            await reached.close()

    async def GetLiveness(self, request: wire.GetLivenessRequest, context: Any) -> wire.GetLivenessResponse:
        """An answer is the proof."""
        return wire.GetLivenessResponse(status=UP, version=self._version, time=timestamp(unix_ns()))

    async def GetReadiness(self, request: wire.GetReadinessRequest, context: Any) -> wire.GetReadinessResponse:
        """The state of every part; an error when orders are not taken."""
        matching, *statuses = await asyncio.gather(*map(_probe, self._probed.values()))
        linked = self._link.up.is_set()
        detail = f"seq {self._link.last_seq}, epoch {self._link.epoch}" if linked else "no link"
        if linked and matching != UP:
            detail = f"takes no new orders; {detail}"
        components = [
            wire.Component(name="gateway", status=UP, required=True),
            wire.Component(name="matching", status=matching if linked else DOWN, required=True, detail=detail),
            *(wire.Component(name=name, status=status) for name, status in zip(PROBED[1:], statuses, strict=True)),
        ]
        if components[1].status != UP:
            down = {c.name: wire.ComponentStatus.Name(c.status) for c in components}
            raise Refused(types.REASON_MATCHING_UNAVAILABLE, "orders are not taken at the moment", metadata=down)
        whole = UP if all(c.status == UP for c in components) else DEGRADED
        return wire.GetReadinessResponse(status=whole, components=components)


def _reached(address: str, settings: Settings) -> Renewable:
    return Renewable(lambda: client_channel(address, channel_credentials(settings)), settings)


async def _probe(reached: Renewable) -> wire.ComponentStatus.ValueType:
    await reached.renew()
    stub: Any = health_pb2_grpc.HealthStub(reached.channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_S)
    except grpc.aio.AioRpcError:
        return DOWN
    return UP if answer.status == health_pb2.HealthCheckResponse.SERVING else DOWN
