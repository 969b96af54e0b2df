"""Serving: the guard around every call, the life of a server, and what it says of itself."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import prometheus_client
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from ordergate.orders.v1 import portfolio_pb2 as wire
from ordergate.orders.v1 import portfolio_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from runtime import calls
from runtime.auth import current_principal
from runtime.channels import client_channel
from runtime.errors import Refused
from runtime.limits import MESSAGE_BYTES_MAX
from runtime.serve import Health, Register, Running, running
from runtime.settings import Settings
from runtime.stack.home import isolated
from runtime.tokens import issue, make_keys

SERVICE = "ordergate.orders.v1.PortfolioService"
Behavior = Callable[[wire.GetPortfolioRequest], Awaitable[wire.GetPortfolioResponse]]


class Portfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    """A servicer whose one method does what a test says."""

    def __init__(self) -> None:
        self.behavior: Behavior

    async def GetPortfolio(  # noqa: N802  # the contract's name
        self, request: wire.GetPortfolioRequest, context: Any
    ) -> wire.GetPortfolioResponse:
        """Does what the test says."""
        return await self.behavior(request)


class Door:
    """A served servicer and a client of it."""

    def __init__(self, servicer: Portfolio, server: Running, channel: grpc.aio.Channel, token: str) -> None:
        self.servicer = servicer
        self.server = server
        self.channel = channel
        self.token = token
        self.metadata = (("authorization", f"Bearer {token}"),)

    async def call(self, behavior: Behavior, account: str = "DEMO", **options: Any) -> wire.GetPortfolioResponse:
        """Calls the method, which does `behavior`."""
        self.servicer.behavior = behavior
        stub = portfolio_pb2_grpc.PortfolioServiceStub(self.channel)
        request = wire.GetPortfolioRequest(account=account)
        answer: wire.GetPortfolioResponse = await stub.GetPortfolio(request, **{"metadata": self.metadata} | options)
        return answer

    async def refused(self, behavior: Behavior, **options: Any) -> tuple[grpc.StatusCode, str]:
        """Calls the method; gives the status and the reason that it is refused with."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self.call(behavior, **options)
        return error.value.code(), reason_of(error.value)


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in the ErrorInfo of an error."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has what a call has
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "ordergate"
    return str(info.reason)


async def answered(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
    """Answers with what was asked."""
    return wire.GetPortfolioResponse(account=request.account)


async def never(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
    """Does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


def settings_in(folder: Path, **overrides: Any) -> Settings:
    """Settings with keys of their own and free ports."""
    make_keys(folder / "keys")
    return isolated(folder).model_copy(update={"gateway_port": 0, "gateway_metrics_port": 0, **overrides})


@asynccontextmanager
async def served(servicer: Portfolio, settings: Settings) -> AsyncIterator[Running]:
    """Serves a servicer as the gateway is served."""

    @asynccontextmanager
    async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
        health.set(True)
        yield [partial(portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, servicer)]

    async with running("gateway", parts, settings) as server:
        yield server


@asynccontextmanager
async def door(folder: Path, **overrides: Any) -> AsyncIterator[Door]:
    """A servicer that is served, and a client with a token."""
    settings = settings_in(folder, **overrides)
    servicer = Portfolio()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
    async with (
        served(servicer, settings) as server,
        client_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Door(servicer, server, channel, token_of(settings))


@pytest_asyncio.fixture(scope="module", name="own")
async def shared_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A door for every test that leaves it as it was."""
    async with door(tmp_path_factory.mktemp("door")) as opened:
        yield opened


def token_of(settings: Settings) -> str:
    """A trader's token."""
    return issue(
        settings.auth_dev_key_file.read_bytes(),
        kid="dev",
        subject="me",
        roles=["trader"],
        accounts=["DEMO"],
        ttl_s=600,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


def counted(code: str, method: str = "GetPortfolio") -> float:
    """How many calls have ended with a status so far."""
    labels = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": method, "grpc_code": code}
    return prometheus_client.REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0.0


async def test_a_servicer_knows_who_calls(own: Door) -> None:
    """The caller of a verified token is there while the call runs."""

    async def tell(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        return wire.GetPortfolioResponse(account=current_principal().subject)

    assert (await own.call(tell)).account == "me"


async def test_a_refusal_becomes_its_status(own: Door) -> None:
    """What a servicer refuses arrives with status, reason and details."""

    async def refuse(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        raise Refused(types.REASON_ACCOUNT_UNKNOWN, "no such account", field="account")

    before = counted("FAILED_PRECONDITION")
    assert await own.refused(refuse) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_UNKNOWN")
    assert counted("FAILED_PRECONDITION") == before + 1


async def test_a_fault_says_nothing_of_itself(own: Door) -> None:
    """An exception that nobody expected is INTERNAL with a reason, without its text, and the server goes on."""

    async def fail(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        raise RuntimeError("the secret is 42")

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await own.call(fail)
    assert (error.value.code(), reason_of(error.value)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "42" not in str(error.value)
    assert (await own.call(answered)).account == "DEMO"


async def test_a_call_without_a_deadline_gets_one(tmp_path: Path) -> None:
    """REST sets no deadline: the server's default ends the call with a reason."""
    async with door(tmp_path, default_deadline_s=0.05) as own:
        assert await own.refused(never) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")


async def test_a_clients_deadline_cancels_the_handler(own: Door) -> None:
    """When the client's own deadline passes, the handler is cancelled and counted as such."""
    cancelled = asyncio.Event()

    async def wait(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        try:
            return await never(request)
        finally:
            cancelled.set()

    before = counted("CANCELLED")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await own.call(wait, timeout=0.1)
    await cancelled.wait()
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert counted("CANCELLED") == before + 1


@pytest.mark.parametrize(("bytes_", "code"), [(0, None), (1, grpc.StatusCode.INVALID_ARGUMENT)])
async def test_a_request_has_a_largest_size(own: Door, bytes_: int, code: grpc.StatusCode | None) -> None:
    """A request of exactly the largest size reaches the servicer, one byte more does not."""
    account = "D" * (calls.REQUEST_BYTES_MAX - 4 + bytes_)
    assert wire.GetPortfolioRequest(account=account).ByteSize() == calls.REQUEST_BYTES_MAX + bytes_
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await own.call(answered, account=account)
    expected = "ACCOUNT_NOT_ALLOWED" if code is None else "MESSAGE_TOO_LARGE"
    assert reason_of(error.value) == expected
    assert code is None or error.value.code() == code


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\x0a\xff", b"\x0a\x02\xff\xfe", b"\x0b" * 200])
async def test_bytes_that_are_no_message_are_refused(own: Door, data: bytes) -> None:
    """Garbage, a field that is cut off, invalid UTF-8 and endless groups: INVALID_ARGUMENT with a reason."""
    raw: Any = own.channel.unary_unary(f"/{SERVICE}/GetPortfolio")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(data, metadata=own.metadata)
    assert (error.value.code(), reason_of(error.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await raw(data)
    assert reason_of(error.value) == "TOKEN_MISSING"


async def test_an_answer_has_no_largest_size(own: Door) -> None:
    """A server sends what it must; how much it takes is for the reader to say."""

    async def large(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        return wire.GetPortfolioResponse(account="D" * (MESSAGE_BYTES_MAX + 1))

    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{own.server.port}", options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        answer = await Door(own.servicer, own.server, channel, own.token).call(large)
    assert len(answer.account) == MESSAGE_BYTES_MAX + 1


async def test_unknown_methods_are_unimplemented(own: Door) -> None:
    """A method that does not exist, or that nobody serves, says so."""
    for method in (f"/{SERVICE}/Nothing", "/nobody.Knows/This", "/ordergate.orders.v1.OrderEntryService/GetOrder"):
        call: Any = own.channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(b"", metadata=own.metadata)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_and_reflection_are_open(own: Door) -> None:
    """Probes and grpcurl need no token; both name the services that are there."""
    health: Any = health_pb2_grpc.HealthStub(own.channel)
    for service in ("", SERVICE):
        state = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert state.status == health_pb2.HealthCheckResponse.SERVING
    address = f"127.0.0.1:{own.server.port}"
    names = await asyncio.to_thread(reflected, address)
    assert set(names) == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def reflected(address: str) -> Sequence[str]:
    """The services that reflection names."""
    with grpc.insecure_channel(address) as channel:
        names: Sequence[str] = ProtoReflectionDescriptorDatabase(channel).get_services()
        return names


async def test_health_follows_the_parts_until_the_drain(tmp_path: Path) -> None:
    """What the parts say is what a watcher hears; once the server drains nothing turns it back."""
    async with door(tmp_path) as own:
        health: Any = health_pb2_grpc.HealthStub(own.channel)
        call = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        watch = aiter(call)
        heard = [(await anext(watch)).status]
        own.server.health.set(False, "no database")
        assert (own.server.health.serving, own.server.health.detail) == (False, "no database")
        heard.append((await anext(watch)).status)
        own.server.health.set(True)
        heard.append((await anext(watch)).status)
        await own.server.health.drain()
        heard.append((await anext(watch)).status)
        own.server.health.set(True)
        assert (own.server.health.serving, own.server.health.detail) == (False, "draining")
        call.cancel()
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert heard == [serving, not_serving, serving, not_serving]


async def test_a_drain_lets_running_calls_finish(tmp_path: Path) -> None:
    """A call that runs when the server is told to stop is answered."""
    entered, draining = asyncio.Event(), asyncio.Event()

    async def slow(request: wire.GetPortfolioRequest) -> wire.GetPortfolioResponse:
        entered.set()
        await draining.wait()
        return await answered(request)

    settings = settings_in(tmp_path, drain_timeout_s=60)
    servicer = Portfolio()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(servicer, settings))

        async def drain() -> None:
            draining.set()

        server.health.on_drain(drain)
        channel = client_channel(f"127.0.0.1:{server.port}")
        call = asyncio.create_task(Door(servicer, server, channel, token_of(settings)).call(slow))
        await entered.wait()
    assert (await call).account == "DEMO"
    await channel.close()


async def test_two_servers_do_not_share_a_port(own: Door, tmp_path: Path) -> None:
    """The second server on a port says that it is taken, instead of taking half of the calls."""
    settings = settings_in(tmp_path, gateway_port=own.server.port)
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{own.server.port}"):
        async with running("gateway", no_parts, settings):
            pass


@asynccontextmanager
async def no_parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """A server that serves nothing."""
    yield []


async def test_a_taken_metrics_port_stops_the_start(tmp_path: Path) -> None:
    """A server nobody could watch does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_in(tmp_path, gateway_metrics_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with running("gateway", no_parts, settings):
                pass


async def test_the_metrics_endpoint_shows_calls(own: Door) -> None:
    """A call shows on /metrics of its server, under its method and status."""
    await own.call(answered)
    reader, writer = await asyncio.open_connection("127.0.0.1", own.server.metrics_port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    line = f'grpc_method="GetPortfolio",grpc_service="{SERVICE}",grpc_type="unary"'
    assert f'grpc_server_handled_total{{grpc_code="OK",{line}}}' in text
