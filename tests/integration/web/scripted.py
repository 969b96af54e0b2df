"""A gateway that follows a script, behind the real Envoy: for what a healthy gateway never does to a browser."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.settings import Settings
from runtime.stack import programs
from runtime.stack.home import held, isolated
from runtime.stack.processes import Process
from runtime.tokens import DEV_KID, issue

HEALTH_CHECKS = ("", "liveness")
"""What Envoy asks a gateway for."""


@dataclass
class Line:
    """One connection of a report stream, seen from the gateway."""

    request: entry.StreamExecutionReportsRequest
    token: str
    context: Any

    async def write(self, **fields: Any) -> None:
        """Sends a message."""
        await self.context.write(entry.StreamExecutionReportsResponse(**fields))

    async def begin(self, at: int = 0, *, heartbeat_interval_s: int = 60) -> None:
        """Accepts the subscription, which begins after what it asks for, else after `at`.

        Heartbeats are so rare that no test goes on because the client misses them, unless it asks for that.
        """
        position = self.request.resume_after if self.request.HasField("resume_after") else at
        subscribed = types.Subscribed(resume_after=position, heartbeat_interval_s=heartbeat_interval_s)
        await self.write(seq=position, subscribed=subscribed)

    async def report(self, seq: int, prev_seq: int) -> None:
        """Sends a report."""
        await self.write(seq=seq, prev_seq=prev_seq, report=orders.ExecutionReport(seq=seq))

    async def silent(self) -> None:
        """Says nothing until the browser has gone, which ends the call."""
        await asyncio.Event().wait()


StreamScript = Callable[[Line], Awaitable[None]]
CallScript = Callable[[orders.OrderTerms, Any], Awaitable[entry.SubmitOrderResponse]]


@dataclass
class ScriptedGateway(order_entry_pb2_grpc.OrderEntryServiceServicer):
    """Each connection follows the next script; when a script ends, the connection breaks.

    Attributes:
        url: where Envoy is.
        streams: scripts of report streams to come.
        calls: scripts of unary SubmitOrder calls to come.
        submitted: the orders of SubmitOrder so far.
        tokens: what streams and calls showed, in order.
    """

    settings: Settings
    streams: list[StreamScript] = field(default_factory=list)
    calls: list[CallScript] = field(default_factory=list)
    submitted: list[orders.OrderTerms] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the browser finds Envoy."""
        return f"http://{self.settings.host}:{self.settings.envoy_port}"

    def token(self, *, ttl_s: int = 600) -> str:
        """A token that Envoy takes; each is another one."""
        return issue(
            self.settings.auth_dev_key_file.read_bytes(),
            kid=DEV_KID,
            subject="demo",
            roles=["trader"],
            accounts=["A"],
            ttl_s=ttl_s,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )

    async def StreamExecutionReports(self, request: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        """Follows the next stream script."""
        self.tokens.append(_token(context))
        await self.streams.pop(0)(Line(request, self.tokens[-1], context))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the script is over")

    async def SubmitOrder(self, request: Any, context: Any) -> entry.SubmitOrderResponse:  # noqa: N802
        """Follows the next call script."""
        self.tokens.append(_token(context))
        self.submitted.append(request.order)
        return await self.calls.pop(0)(request.order, context)


def _token(context: Any) -> str:
    metadata = dict(context.invocation_metadata())
    return str(metadata["authorization"]).removeprefix("Bearer ")


@asynccontextmanager
async def scripted_gateway(home: Path) -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway and an Envoy in front of it, as long as the block lasts."""
    settings = isolated(home)
    async with AsyncExitStack() as stack:
        stack.enter_context(held(settings))
        gateway = ScriptedGateway(settings)  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        order_entry_pb2_grpc.add_OrderEntryServiceServicer_to_server(gateway, server)
        probes = grpc_health.aio.HealthServicer()
        for name in HEALTH_CHECKS:
            await probes.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(probes, server)
        server.add_insecure_port(settings.gateway_address)
        await server.start()
        stack.push_async_callback(server.stop, None)
        envoy = Process(programs.proxy(settings))
        await envoy.start()
        stack.push_async_callback(envoy.stop)
        await envoy.wait_ready()
        yield gateway
