"""Sessions and streams through Envoy whose gateway is lost: they go on at another, with nothing missing or twice."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders

from clients.sdk import Client, DevKeyTokens, Patience
from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack
from tests.integration.test_stack_gateways import GATEWAYS, order

ORDERS = 60
BEFORE = 20


@pytest_asyncio.fixture(scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A system with three gateways, shared by the tests of this module."""
    async with stack(isolated(tmp_path_factory.mktemp("three") / "home", gateways=3)) as running:
        yield running


@pytest_asyncio.fixture
async def client(three: Stack) -> AsyncIterator[Client]:
    """A trader who knows nothing but Envoy's address."""
    token = DevKeyTokens.from_settings(three.settings, subject="trader", roles=["trader"], accounts=["DEMO"])
    address = f"127.0.0.1:{three.settings.envoy_port}"
    async with Client([address], token=token, patience=Patience(retry_s=60.0)) as made:
        yield made


def gateway_of(stream_id: str) -> str:
    """The process that has a session: its id begins with the gateway's."""
    (number,) = (number for number in range(len(GATEWAYS)) if stream_id.startswith(f"gateway-{number}-"))
    return GATEWAYS[number]


async def test_a_session_goes_on_at_another_gateway(three: Stack, client: Client) -> None:
    """The gateway that has it is killed in the midst of its orders: each is placed once, and each is reported once."""
    heard: list[orders.ExecutionReport] = []
    async with client.session(["DEMO"], cancel_on_disconnect=False, heartbeat_interval_s=1) as session:

        async def read() -> None:
            async for frame in session.frames():
                heard.extend(frame.reports)

        reading = asyncio.create_task(read())
        lost = gateway_of(session.accepted.session_id)
        for number in range(ORDERS):
            await session.send([entry.SessionCommand(submit=order(f"session-{number}"))])
            if number == BEFORE:
                await three.kill(lost)
        await session.drained()
        await session.quiet()
        assert session.reconnects >= 1
        assert gateway_of(session.accepted.session_id) != lost
    await reading
    await three.restart(lost)
    assert [report.cl_ord_id for report in heard] == [f"session-{number}" for number in range(ORDERS)]
    assert [report.seq for report in heard] == sorted({report.seq for report in heard})
    await client.mass_cancel("DEMO", symbol="AAPL")


async def reader_of(system: Stack) -> str:
    """The gateway that has the only stream of reports, once one has."""
    async with httpx.AsyncClient() as http:
        while True:
            for name, settings in zip(GATEWAYS, system.gateways, strict=True):
                if system.pid(name) is not None:
                    text = (await http.get(f"http://127.0.0.1:{settings.gateway_metrics_port}/metrics")).text
                    if "\nordergate_gateway_report_readers 1.0\n" in text:
                        return name


async def test_a_report_stream_goes_on_at_another_gateway(three: Stack, client: Client) -> None:
    """The gateway that has it is killed in the midst of orders, twice, and is away until later ones are placed: each
    report comes once, in order."""
    heard: list[str] = []

    async def read() -> None:
        async for report in client.reports("DEMO", resume_after=first.seq):
            heard.append(report.cl_ord_id)
            if report.cl_ord_id == f"stream-{ORDERS - 1}":
                return

    first = await client.submit(order("before"))
    reading = asyncio.create_task(read())
    lost = [await reader_of(three)]
    for number in range(ORDERS - 1):
        await client.submit(order(f"stream-{number}"))
        if number % BEFORE == BEFORE // 2 and len(lost) <= 2:
            await three.kill(lost[-1])
        elif number % BEFORE == BEFORE - 1 and len(lost) <= 2:
            now = await reader_of(three)
            assert now != lost[-1]
            await three.restart(lost[-1])
            lost.append(now)
    await client.submit(order(f"stream-{ORDERS - 1}"))
    await reading
    assert len(lost) == 3
    assert heard == [f"stream-{number}" for number in range(ORDERS)]
