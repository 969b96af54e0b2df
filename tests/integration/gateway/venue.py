"""A real gateway and a real matching server in this process, and a client of them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from ordergate.matching.v1 import matching_pb2, matching_pb2_grpc
from ordergate.operations.v1 import health_pb2_grpc as operations_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc, portfolio_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

import gateway.server
import matching.server
from runtime import tokens
from runtime.channels import client_channel
from runtime.serve import Running, running
from runtime.settings import Settings
from runtime.stack.home import isolated
from tests.integration.gateway.cable import Cable, cable

Metadata = tuple[tuple[str, str], ...]
BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
_numbers = count(1)


def new_key() -> str:
    """A client key that was not used before."""
    return f"key-{next(_numbers)}"


def terms(**changes: Any) -> orders.OrderTerms:
    """A small order of DEMO that rests far from the market, with changes."""
    plain: dict[str, Any] = {
        "account": "DEMO",
        "cl_ord_id": new_key(),
        "symbol": "AAPL",
        "side": BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "qty": "5",
        "price": "1.00",
    }
    return orders.OrderTerms(**(plain | changes))


def details(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, status_pb2.Status]:
    """The ErrorInfo and the whole status of an error of ours."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has what a call has
    assert status is not None, f"an error without details: {error!r}"
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "ordergate"
    return info, status


def violations(status: status_pb2.Status) -> list[str]:
    """The fields that a status blames."""
    found = []
    for packed in status.details:
        if packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad_request = error_details_pb2.BadRequest()
            packed.Unpack(bad_request)
            found += [violation.field for violation in bad_request.field_violations]
    return found


async def refused(call: Any) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
    """Awaits a call that must be refused; gives its status and ErrorInfo."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), details(error.value)[0]


class Venue:
    """Both servers, each with a life of its own."""

    def __init__(self, folder: Path, **overrides: Any) -> None:
        ports = {f"{server}{kind}_port": 0 for server in ("gateway", "matching") for kind in ("", "_metrics")}
        settings = isolated(folder)
        tokens.make_keys(folder / "keys")
        self.settings: Settings = settings.model_copy(
            update={
                **ports,
                "journal_segment_bytes": 1 << 20,
                "drain_timeout_s": 1.0,
                "drain_notice_s": 0.0,
                **overrides,
            }
        )
        self._matching = AsyncExitStack()
        self._gateway = AsyncExitStack()
        self._cable = AsyncExitStack()
        self.gateway: Running
        self.channel: grpc.aio.Channel
        self.cable: Cable

    async def start_matching(self) -> None:
        """Starts matching, where it was before if it ran before."""
        server = await self._matching.enter_async_context(running("matching", matching.server.parts, self.settings))
        if not self.settings.matching_port:
            await self.plug_in(server.port)

    async def plug_in(self, matching_port: int) -> None:
        """Lays the cable to the matching server on a port."""
        self.cable = await self._cable.enter_async_context(cable(matching_port))
        places = {"matching_port": matching_port, "matching_address": self.cable.address}
        self.settings = self.settings.model_copy(update=places)

    async def stop_matching(self) -> None:
        """Ends matching in order."""
        await self._matching.aclose()

    async def start_gateway(self) -> None:
        """Starts the gateway and opens a client's channel to it; does not wait for its link."""
        self.gateway = await self._gateway.enter_async_context(running("gateway", gateway.server.parts, self.settings))
        self.channel = client_channel(f"127.0.0.1:{self.gateway.port}")
        self.orders: Any = order_entry_pb2_grpc.OrderEntryServiceStub(self.channel)
        self.portfolio: Any = portfolio_pb2_grpc.PortfolioServiceStub(self.channel)
        self.operations: Any = operations_grpc.HealthServiceStub(self.channel)
        self.health: Any = health_pb2_grpc.HealthStub(self.channel)

    async def stop_gateway(self) -> None:
        """Ends the gateway in order; the client's channel stays open until then."""
        await self._gateway.aclose()
        if hasattr(self, "channel"):
            await self.channel.close()

    async def stop(self) -> None:
        """Ends both and pulls the cable."""
        await self.stop_gateway()
        await self.stop_matching()
        await self._cable.aclose()

    async def becomes(self, serving: bool) -> None:
        """Waits until the gateway says that it serves, or that it does not."""
        wanted = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        watch = self.health.Watch(health_pb2.HealthCheckRequest())
        async for state in watch:
            if state.status == wanted:
                watch.cancel()
                return

    async def break_link(self) -> None:
        """Cuts the cable and waits until the gateway has noticed and is back."""
        watch = self.health.Watch(health_pb2.HealthCheckRequest())
        states = aiter(watch)
        seen = [(await anext(states)).status]
        await self.cable.cut()
        while seen[-2:] != [health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING]:
            seen.append((await anext(states)).status)
        watch.cancel()

    def token(self, *roles: str, accounts: Sequence[str] = ("DEMO",), ttl_s: int = 600, subject: str = "me") -> str:
        """A token, a trader's if no role is named."""
        return tokens.issue(
            self.settings.auth_dev_key_file.read_bytes(),
            kid=tokens.DEV_KID,
            subject=subject,
            roles=roles or ("trader",),
            accounts=accounts,
            ttl_s=ttl_s,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )

    def as_role(self, *roles: str, accounts: Sequence[str] = ("DEMO",)) -> Metadata:
        """Call metadata of a person, a trader if no role is named."""
        return (("authorization", f"Bearer {self.token(*roles, accounts=accounts)}"),)

    async def submit(self, accounts: Sequence[str] = ("DEMO",), **changes: Any) -> orders.ExecutionReport:
        """Places an order; gives its report."""
        order = terms(**({"account": accounts[0]} | changes))
        response = await self.orders.SubmitOrder(
            entry.SubmitOrderRequest(order=order), metadata=self.as_role(accounts=accounts)
        )
        report: orders.ExecutionReport = response.report
        return report

    async def order(self, account: str = "DEMO", **by: str) -> orders.Order:
        """Looks an order up."""
        request = entry.GetOrderRequest(account=account, **by)
        response = await self.orders.GetOrder(request, metadata=self.as_role(accounts=[account]))
        order: orders.Order = response.order
        return order

    @asynccontextmanager
    async def straight_to_matching(self) -> AsyncIterator[Any]:
        """A stub of matching with a server's token, which does not use the cable."""
        own = self.settings.model_copy(update={"matching_address": f"127.0.0.1:{self.settings.matching_port}"})
        async with client_channel(own.matching_address) as channel:
            yield _WithToken(matching_pb2_grpc.MatchingServiceStub(channel), tokens.service_metadata(own, "tests"))

    async def carried_out(self, cl_ord_id: str, account: str = "DEMO") -> None:
        """Waits until matching, asked directly, knows an order."""
        request = matching_pb2.LookupOrderRequest(account=account, cl_ord_id=cl_ord_id)
        async with self.straight_to_matching() as stub:
            while not (await stub.LookupOrder(request)).HasField("order"):
                pass


class _WithToken:
    """A stub whose calls carry a token."""

    def __init__(self, stub: Any, metadata: Metadata) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Any:
        return lambda request: getattr(self._stub, method)(request, metadata=self._metadata)


class SessionClient:
    """A client's session, message by message; checks that no message is missing."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._messages = aiter(call)
        self.seq: int | None = None
        self.epochs: list[int] = []

    async def send(self, **message: Any) -> None:
        """Sends one message."""
        await self._call.write(entry.OrderSessionRequest(**message))

    async def commands(self, *commands: entry.SessionCommand) -> None:
        """Sends one frame."""
        await self.send(frame=entry.CommandFrame(commands=commands))

    async def half_close(self) -> None:
        """Ends the client's side."""
        await self._call.done_writing()

    async def next(self) -> entry.OrderSessionResponse:
        """The next message, which follows the one before it."""
        message: entry.OrderSessionResponse = await anext(self._messages)
        assert self.seq is None or message.prev_seq == self.seq, "the chain is broken"
        assert message.seq >= message.prev_seq
        self.seq = message.seq
        self.epochs.append(message.epoch)
        return message

    async def until(self, kind: str) -> entry.OrderSessionResponse:
        """The next message of a kind; others are passed over."""
        while True:
            message = await self.next()
            if message.WhichOneof("message") == kind:
                return message

    async def frames(self, reports: int = 0, replies: int = 0) -> entry.ReportFrame:
        """Everything that frames bring until there are so many reports and replies."""
        whole = entry.ReportFrame()
        while len(whole.reports) < reports or len(whole.replies) < replies:
            whole.MergeFrom((await self.until("frame")).frame)
        return whole

    async def ended(self) -> types.StreamEnd:
        """Reads on to the end, which must be the last message, and gives it."""
        end = (await self.until("end")).end
        assert await anext(self._messages, None) is None
        return end

    async def failure(self) -> grpc.aio.AioRpcError:
        """The error that the session ends with out of band."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await anext(self._messages)
        return error.value

    def leave(self) -> None:
        """Goes away without a word."""
        self._call.cancel()


@asynccontextmanager
async def session(venue: Venue, metadata: Metadata | None = None, **logon: Any) -> AsyncIterator[SessionClient]:
    """A session that has logged on; unless told otherwise its orders stay when it ends: the next test hears nothing.

    Give `cancel_on_disconnect=None` to leave that to the gateway.
    """
    async with opened(venue, metadata) as client:
        await client.send(logon=entry.Logon(**({"cancel_on_disconnect": False} | logon)))
        yield client


@asynccontextmanager
async def opened(venue: Venue, metadata: Metadata | None = None) -> AsyncIterator[SessionClient]:
    """A session call on which nothing was said yet."""
    call = venue.orders.OrderSession(metadata=venue.as_role() if metadata is None else metadata)
    try:
        yield SessionClient(call)
    finally:
        call.cancel()


def submit(correlation_id: int, **changes: Any) -> entry.SessionCommand:
    """A command that places an order."""
    return entry.SessionCommand(correlation_id=correlation_id, submit=terms(**changes))


def cancel(correlation_id: int, **fields: Any) -> entry.SessionCommand:
    """A command that cancels an order."""
    return entry.SessionCommand(correlation_id=correlation_id, cancel=entry.CancelOrderRequest(**fields))


def replace(correlation_id: int, **fields: Any) -> entry.SessionCommand:
    """A command that changes an order."""
    return entry.SessionCommand(correlation_id=correlation_id, replace=entry.ReplaceOrderRequest(**fields))


@asynccontextmanager
async def reports_of(
    venue: Venue, account: str = "DEMO", metadata: Metadata | None = None, **request: Any
) -> AsyncIterator[AsyncIterator[entry.StreamExecutionReportsResponse]]:
    """A stream of reports; each message must follow the one before it."""
    call = venue.orders.StreamExecutionReports(
        entry.StreamExecutionReportsRequest(account=account, **request),
        metadata=venue.as_role(accounts=[account]) if metadata is None else metadata,
    )

    async def chained() -> AsyncGenerator[entry.StreamExecutionReportsResponse, None]:
        seq = None
        async for message in call:
            assert seq is None or message.prev_seq == seq, "the chain is broken"
            seq = message.seq
            yield message

    messages = chained()
    try:
        yield messages
    finally:
        call.cancel()
        await messages.aclose()


async def eventually(holds: Any) -> None:
    """Waits until something that gives no event holds."""
    while not holds():
        await asyncio.sleep(0.005)


@asynccontextmanager
async def second_gateway(
    venue: Venue, gateway_id: str = "gateway-1"
) -> AsyncIterator[Callable[[], Awaitable[orders.ExecutionReport]]]:
    """Another gateway of the same matching server, which does not use the cable; gives what places an order by it."""
    own = {"gateway_id": gateway_id, "matching_address": f"127.0.0.1:{venue.settings.matching_port}"}
    settings = venue.settings.model_copy(update=own)
    async with (
        running("gateway", gateway.server.parts, settings) as server,
        client_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        await eventually(lambda: server.health.serving)
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)

        async def place() -> orders.ExecutionReport:
            request = entry.SubmitOrderRequest(order=terms())
            report: orders.ExecutionReport = (await stub.SubmitOrder(request, metadata=venue.as_role())).report
            return report

        yield place
