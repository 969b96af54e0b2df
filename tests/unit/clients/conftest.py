"""A gateway that follows a script, over real gRPC: for what a healthy gateway never does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc, portfolio_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.calls import Patience
from clients.sdk.client import Client

QUICK = Patience(call_s=5.0, retry_s=10.0, reconnect_s=10.0)


class SessionLine:
    """One connection of an order session, seen from the gateway."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.seq = 0

    async def log_on(self, resume_after: int = 0, **accepts: Any) -> entry.Logon:
        """Takes the logon and accepts it; the reports begin after what it asks for, else after `resume_after`."""
        logon: entry.Logon = (await self._context.read()).logon
        self.seq = logon.resume_after if logon.HasField("resume_after") else resume_after
        plain: dict[str, Any] = {"resume_after": self.seq, "heartbeat_interval_s": 1, "max_frame_commands": 4}
        accepted = entry.LogonAccepted(**(plain | accepts))
        await self._context.write(entry.OrderSessionResponse(epoch=1, seq=self.seq, logon=accepted))
        return logon

    async def message(self) -> entry.OrderSessionRequest:
        """The next message, whatever it is."""
        message: entry.OrderSessionRequest = await self._context.read()
        return message

    async def commands(self) -> Sequence[entry.SessionCommand]:
        """The commands of the next frame."""
        commands: Sequence[entry.SessionCommand] = (await self._context.read()).frame.commands
        return commands

    async def report(self, *reports: orders.ExecutionReport, prev_seq: int | None = None) -> None:
        """Sends a frame of reports."""
        message = entry.OrderSessionResponse(
            epoch=1,
            prev_seq=self.seq if prev_seq is None else prev_seq,
            seq=reports[-1].seq,
            frame=entry.ReportFrame(reports=reports),
        )
        self.seq = reports[-1].seq
        await self._context.write(message)

    async def answer(self, commands: Sequence[entry.SessionCommand]) -> None:
        """Accepts every command, the first with the sequence after the last one."""
        await self.report(
            *(
                orders.ExecutionReport(seq=self.seq + place, correlation_id=command.correlation_id)
                for place, command in enumerate(commands, 1)
            )
        )

    async def reply(self, *replies: entry.CommandReply) -> None:
        """Sends answers outside the sequence."""
        frame = entry.ReportFrame(replies=replies)
        await self._context.write(entry.OrderSessionResponse(prev_seq=self.seq, seq=self.seq, frame=frame))

    async def heartbeat(self, last_seq: int | None = None) -> None:
        """Says that `last_seq` was the last sent."""
        beat = types.Heartbeat(last_seq=self.seq if last_seq is None else last_seq)
        await self._context.write(entry.OrderSessionResponse(prev_seq=self.seq, seq=self.seq, heartbeat=beat))

    async def draining(self, reason: types.Reason.ValueType = types.REASON_DRAINING) -> None:
        """Says that the end is near."""
        notice = types.Draining(ends_in_ms=10_000, reason=reason)
        await self._context.write(entry.OrderSessionResponse(prev_seq=self.seq, seq=self.seq, draining=notice))

    async def end(self, reason: types.Reason.ValueType, text: str = "") -> None:
        """Ends the session in band."""
        await self._context.write(entry.OrderSessionResponse(end=types.StreamEnd(reason=reason, text=text)))

    async def until_left(self) -> None:
        """Reads on until the client logs out or leaves."""
        while (message := await self._context.read()) is not grpc.aio.EOF and not message.HasField("logout"):
            pass


SessionScript = Callable[[SessionLine], Awaitable[None]]
ReportScript = Callable[
    [entry.StreamExecutionReportsRequest, Callable[..., Awaitable[None]]],
    Awaitable[None],
]


class ScriptedGateway(order_entry_pb2_grpc.OrderEntryServiceServicer):
    """Each connection follows the next script; when a script ends, the connection breaks.

    Attributes:
        address: where it listens.
        sessions: scripts of order sessions to come.
        streams: scripts of report streams to come.
        calls: scripts of unary SubmitOrder calls to come.
        submitted: the orders of SubmitOrder so far.
        baskets: scripts of SubmitOrders calls to come.
        tokens: what the unary calls showed.
    """

    def __init__(self) -> None:
        self.address = ""
        self.sessions: list[SessionScript] = []
        self.streams: list[ReportScript] = []
        self.calls: list[Callable[[Any], Awaitable[entry.SubmitOrderResponse]]] = []
        self.submitted: list[orders.OrderTerms] = []
        self.baskets: list[Callable[[entry.SubmitOrdersRequest], entry.SubmitOrdersResponse]] = []
        self.tokens: list[str] = []

    async def OrderSession(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        """Follows the next session script."""
        await self.sessions.pop(0)(SessionLine(context))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the script is over")

    async def StreamExecutionReports(self, request: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        """Follows the next stream script."""

        async def write(**fields: Any) -> None:
            await context.write(entry.StreamExecutionReportsResponse(**fields))

        await self.streams.pop(0)(request, write)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the script is over")

    async def SubmitOrder(self, request: Any, context: Any) -> entry.SubmitOrderResponse:  # noqa: N802
        """Follows the next call script."""
        self.submitted.append(request.order)
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        return await self.calls.pop(0)(context)

    async def SubmitOrders(self, request: Any, context: Any) -> entry.SubmitOrdersResponse:  # noqa: N802
        """Follows the next basket script."""
        return self.baskets.pop(0)(request)


class ScriptedPortfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    """Gives snapshots, one after the other."""

    def __init__(self) -> None:
        self.snapshots: list[portfolio.GetAccountSnapshotResponse] = []

    async def GetAccountSnapshot(self, request: Any, context: Any) -> portfolio.GetAccountSnapshotResponse:  # noqa: N802
        """The next snapshot."""
        return self.snapshots.pop(0)


@asynccontextmanager
async def serving(*, portfolios: ScriptedPortfolio | None = None) -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway that listens."""
    servicer = ScriptedGateway()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
    server = grpc.aio.server()
    order_entry_pb2_grpc.add_OrderEntryServiceServicer_to_server(servicer, server)
    if portfolios is not None:
        portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server(portfolios, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


@pytest.fixture
def portfolios() -> ScriptedPortfolio:
    """The snapshots that the scripted gateway gives."""
    return ScriptedPortfolio()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED


@pytest_asyncio.fixture
async def gateway(portfolios: ScriptedPortfolio) -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway."""
    async with serving(portfolios=portfolios) as servicer:
        yield servicer


@pytest_asyncio.fixture
async def other_gateway() -> AsyncIterator[ScriptedGateway]:
    """Another one, to go to."""
    async with serving() as servicer:
        yield servicer


@pytest_asyncio.fixture
async def client(gateway: ScriptedGateway) -> AsyncIterator[Client]:
    """A client of the scripted gateway."""
    async with Client(gateway.address, token="t", patience=QUICK) as connected:
        yield connected


@pytest_asyncio.fixture
async def client_of_both(gateway: ScriptedGateway, other_gateway: ScriptedGateway) -> AsyncIterator[Client]:
    """A client that knows both."""
    async with Client([gateway.address, other_gateway.address], token="t", patience=QUICK) as connected:
        yield connected
