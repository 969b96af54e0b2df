"""The real Envoy with the rendered configuration, in front of real gRPC servers that answer as a test tells them.

The servers implement the generated servicers. What is tested is the door, so
they say what came in and send what the test wants to see go out.
"""

# ruff: noqa: N802 - the names of the methods are the contract's

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.compliance.v1 import audit_pb2_grpc
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.marketdata.v1 import marketdata_pb2_grpc
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.operations.v1 import health_pb2 as health
from ordergate.operations.v1 import health_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc, portfolio_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from runtime.channels import OPTIONS
from runtime.errors import Refused, status_of
from runtime.limits import server_options
from runtime.serve import LIVENESS
from runtime.settings import Settings
from runtime.stack import programs
from runtime.stack.envoy import PUBLIC_SERVERS
from runtime.stack.home import isolated
from runtime.stack.processes import Process
from runtime.tokens import DEV_KID, issue, make_keys


@dataclass
class Calls:
    """What arrived behind the door, and what the test releases to go out."""

    metadata: dict[str, str] = field(default_factory=dict)
    released: asyncio.Queue[types.Heartbeat] = field(default_factory=asyncio.Queue)
    stream_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Remembers the metadata of a call."""
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}


class Behind:
    """What every servicer has."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls


class OrderEntryService(Behind, order_entry_pb2_grpc.OrderEntryServiceServicer):
    async def SubmitOrder(self, request: entry.SubmitOrderRequest, context: Any) -> entry.SubmitOrderResponse:
        """Refuses NOSUCH, holds HOLD until the call ends, and reports any other order."""
        self.calls.note(context)
        if request.order.symbol == "NOSUCH":
            refused = Refused(types.REASON_SYMBOL_UNKNOWN, "no such symbol", field="order.symbol", metadata={"n": "1"})
            await context.abort_with_status(rpc_status.to_status(status_of(refused)))
        if request.order.symbol == "HOLD":
            await asyncio.Event().wait()
        terms = request.order
        return entry.SubmitOrderResponse(
            report=orders.ExecutionReport(cl_ord_id=terms.cl_ord_id, side=terms.side, qty=terms.qty)
        )

    async def ReplaceOrder(self, request: entry.ReplaceOrderRequest, context: Any) -> entry.ReplaceOrderResponse:
        """Reports the ids it was given."""
        return entry.ReplaceOrderResponse(report=orders.ExecutionReport(order_id=request.order_id, qty=request.qty))

    async def GetOrder(self, request: entry.GetOrderRequest, context: Any) -> entry.GetOrderResponse:
        """Answers with the ids it was given."""
        terms = orders.OrderTerms(account=request.account, cl_ord_id=request.cl_ord_id)
        return entry.GetOrderResponse(order=orders.Order(order_id=request.order_id, terms=terms))

    async def StreamExecutionReports(
        self, request: entry.StreamExecutionReportsRequest, context: Any
    ) -> AsyncIterator[entry.StreamExecutionReportsResponse]:
        """Refuses the account NOBODY; for others, one message for each that the test releases."""
        if request.account == "NOBODY":
            refused = Refused(types.REASON_ACCOUNT_NOT_ALLOWED, "not your account")
            await context.abort_with_status(rpc_status.to_status(status_of(refused)))
        yield entry.StreamExecutionReportsResponse(subscribed=types.Subscribed(resume_after=request.resume_after))
        try:
            while True:
                yield entry.StreamExecutionReportsResponse(heartbeat=await self.calls.released.get())
        finally:
            self.calls.stream_ended.set()

    async def OrderSession(
        self, request_iterator: AsyncIterator[entry.OrderSessionRequest], context: Any
    ) -> AsyncIterator[entry.OrderSessionResponse]:
        """Answers every frame with a message that has the number of its commands."""
        async for request in request_iterator:
            yield entry.OrderSessionResponse(seq=len(request.frame.commands))


class PortfolioService(Behind, portfolio_pb2_grpc.PortfolioServiceServicer):
    async def ListPositions(self, request: Any, context: Any) -> portfolio.ListPositionsResponse:
        """An account without positions."""
        return portfolio.ListPositionsResponse(account=request.account)


class HealthService(Behind, health_pb2_grpc.HealthServiceServicer):
    async def GetLiveness(self, request: Any, context: Any) -> health.GetLivenessResponse:
        """Lives."""
        return health.GetLivenessResponse(status=health.COMPONENT_STATUS_UP)

    async def GetReadiness(self, request: Any, context: Any) -> health.GetReadinessResponse:
        """Is not ready."""
        await context.abort(grpc.StatusCode.UNAVAILABLE, "no matching")
        raise AssertionError("abort raises")


class MarketDataService(Behind, marketdata_pb2_grpc.MarketDataServiceServicer):
    async def GetMarketData(self, request: Any, context: Any) -> marketdata.GetMarketDataResponse:
        """An entry for each symbol that was asked for."""
        entries = [marketdata.MarketData(symbol=symbol) for symbol in request.symbols]
        return marketdata.GetMarketDataResponse(market_data=entries)


class AuditService(Behind, audit_pb2_grpc.AuditServiceServicer):
    async def GetCheckpoint(self, request: Any, context: Any) -> audit.GetCheckpointResponse:
        """A checkpoint of the size asked for."""
        return audit.GetCheckpointResponse(checkpoint=audit.Checkpoint(tree_size=request.tree_size))


class MatchingService(Behind, matching_pb2_grpc.MatchingServiceServicer):
    async def LookupOrder(self, request: Any, context: Any) -> matching.LookupOrderResponse:
        """What nobody outside may reach."""
        return matching.LookupOrderResponse()


# Typed as anything because the generated servicers are abstract to type
# checkers; a method that is missing here answers UNIMPLEMENTED.
SERVED: tuple[tuple[Any, Any], ...] = (
    (order_entry_pb2_grpc.add_OrderEntryServiceServicer_to_server, OrderEntryService),
    (portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, PortfolioService),
    (health_pb2_grpc.add_HealthServiceServicer_to_server, HealthService),
    (marketdata_pb2_grpc.add_MarketDataServiceServicer_to_server, MarketDataService),
    (audit_pb2_grpc.add_AuditServiceServicer_to_server, AuditService),
    (matching_pb2_grpc.add_MatchingServiceServicer_to_server, MatchingService),
)


async def serve_everything(address: str, calls: Calls) -> grpc.aio.Server:
    """A server that has every service, so that only the door decides what is reached."""
    server = grpc.aio.server(options=server_options())
    for add, servicer in SERVED:
        add(servicer(calls), server)
    probes = grpc_health.aio.HealthServicer()
    for service in ("", LIVENESS):
        await probes.set(service, grpc_health_pb2.HealthCheckResponse.SERVING)
    grpc_health_pb2_grpc.add_HealthServicer_to_server(probes, server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME,), server)
    server.add_insecure_port(address)
    await server.start()
    return server


class _WithToken:
    """Every call of a channel carries a token, unless it has one of its own."""

    def __init__(self, header: str) -> None:
        self._header = header

    async def _carried_on(self, continuation: Any, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        if metadata.get("authorization") is None:
            metadata.add("authorization", self._header)
        carried = grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )
        return await continuation(carried, request)


class _Unary(_WithToken, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._carried_on(continuation, client_call_details, request)


class _Stream(_WithToken, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._carried_on(continuation, client_call_details, request)


class _Session(_WithToken, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._carried_on(continuation, client_call_details, request_iterator)


@dataclass
class Door:
    """A running Envoy: a REST client, a gRPC channel, what arrived behind it, and the servers behind it.

    Client and channel carry a good token; `bare` and `dial(token="")` carry none.
    """

    rest: httpx.AsyncClient
    bare: httpx.AsyncClient
    channel: grpc.aio.Channel
    calls: Calls
    servers: dict[str, grpc.aio.Server]
    settings: Settings
    process: Process

    def dial(self, *, token: str | None = None, options: Any = OPTIONS) -> grpc.aio.Channel:
        """A channel to the door whose calls carry a good token, the given one, or with "" none."""
        header = f"Bearer {issued(self.settings)}" if token is None else token
        carrying: list[grpc.aio.ClientInterceptor] = [kind(header) for kind in (_Unary, _Stream, _Session)]
        address = f"{self.settings.host}:{self.settings.envoy_port}"
        return grpc.aio.insecure_channel(address, options=options, interceptors=carrying if header else [])


def issued(settings: Settings, **changes: Any) -> str:
    """A token that the door takes, but for what is changed."""
    values: dict[str, Any] = {
        "kid": DEV_KID,
        "subject": "tests",
        "roles": ["trader"],
        "accounts": ["DEMO"],
        "ttl_s": 600,
        "issuer": settings.auth_issuer,
        "audience": settings.auth_audience,
    }
    return issue(settings.auth_dev_key_file.read_bytes(), **(values | changes))


OpenDoor = Callable[..., AbstractAsyncContextManager[Door]]


@asynccontextmanager
async def opened(home: Path, **overrides: Any) -> AsyncIterator[Door]:
    """A door in front of servers of its own, with these settings otherwise."""
    settings = isolated(home, **overrides)
    make_keys(settings.auth_jwks_file.parent)
    calls = Calls()
    process = Process(programs.proxy(settings))
    async with AsyncExitStack() as stack:
        servers: dict[str, grpc.aio.Server] = {}
        for name in PUBLIC_SERVERS:
            servers[name] = await serve_everything(settings.address(name), calls)
            stack.push_async_callback(servers[name].stop, None)
        await process.start()
        stack.push_async_callback(process.stop)
        await process.wait_ready()
        url = f"http://{settings.host}:{settings.envoy_port}"
        bare = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        rest = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        rest.headers["authorization"] = f"Bearer {issued(settings)}"
        door = Door(rest, bare, cast(Any, None), calls, servers, settings, process)
        door.channel = await stack.enter_async_context(door.dial())
        yield door


@pytest_asyncio.fixture(scope="session")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door that tests share."""
    async with opened(tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest.fixture
def open_door(tmp_path: Path) -> OpenDoor:
    """Opens a door of the test's own, to break something behind it."""
    return lambda **overrides: opened(tmp_path / "home", **overrides)
