"""Several gateways behind Envoy: all of them work, and the loss of one is no more than a retry to its clients."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.channels import client_channel
from runtime.stack.home import isolated
from runtime.stack.programs import serving
from runtime.stack.system import Stack, stack

GATEWAYS = ("gateway", "gateway-1", "gateway-2")
TRIES_MAX = 20
RETRY_AFTER_S = 0.1


@pytest_asyncio.fixture(scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A system with three gateways, shared by the tests of this module."""
    async with stack(isolated(tmp_path_factory.mktemp("three") / "home", gateways=3)) as running:
        yield running


def order(key: str) -> orders.OrderTerms:
    """A small order that rests far from the market."""
    return orders.OrderTerms(
        account="DEMO",
        cl_ord_id=key,
        symbol="AAPL",
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        qty="1",
        price="1.00",
    )


def metadata(system: Stack) -> tuple[tuple[str, str], ...]:
    """The metadata of a trader's call."""
    return (("authorization", f"Bearer {system.token()}"),)


async def placed(stub: Any, key: str, who: tuple[tuple[str, str], ...]) -> orders.ExecutionReport:
    """Places an order, again and again with the same key while the answer is UNAVAILABLE."""
    for _ in range(TRIES_MAX):
        try:
            response = await stub.SubmitOrder(entry.SubmitOrderRequest(order=order(key)), metadata=who, timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(RETRY_AFTER_S)
        else:
            report: orders.ExecutionReport = response.report
            return report
    raise AssertionError(f"{key} was never taken")


async def calls_of(system: Stack) -> Counter[str]:
    """How many orders each gateway has taken by unary calls, from its own metrics."""
    counted: Counter[str] = Counter()
    async with httpx.AsyncClient() as client:
        for name, settings in zip(GATEWAYS, system.gateways, strict=True):
            if system.pid(name) is not None:
                text = (await client.get(f"http://127.0.0.1:{settings.gateway_metrics_port}/metrics")).text
                counted[name] = sum(
                    int(float(line.rpartition(" ")[2]))
                    for line in text.splitlines()
                    if line.startswith("grpc_server_started_total") and 'grpc_method="SubmitOrder"' in line
                )
    return counted


async def test_each_gateway_is_a_process_of_its_own(three: Stack) -> None:
    """Three gateways have names, ports, ids, logs and processes of their own; nothing else is there twice."""
    assert set(GATEWAYS) <= set(three.names)
    assert [name for name in three.names if name.startswith("gateway")] == list(GATEWAYS)
    assert len({three.pid(name) for name in GATEWAYS}) == 3
    assert len({three.log(name) for name in GATEWAYS}) == 3
    assert [settings.gateway_id for settings in three.gateways] == ["gateway-0", "gateway-1", "gateway-2"]
    ports = [port for one in three.gateways for port in (one.gateway_port, one.gateway_metrics_port)]
    assert len(set(ports)) == 6
    for settings in three.gateways:
        assert await serving(settings.gateway_address)


async def test_envoy_spreads_calls_over_all_gateways(three: Stack) -> None:
    """Calls over one connection of one client are spread over all gateways that Envoy has seen healthy."""
    who = metadata(three)
    async with client_channel(f"127.0.0.1:{three.settings.envoy_port}") as channel:
        stub = order_entry_pb2_grpc.OrderEntryServiceStub(channel)

        async def place(name: str, count: int) -> Counter[str]:
            before = await calls_of(three)
            await asyncio.gather(*(placed(stub, f"{name}-{number}", who) for number in range(count)))
            return await calls_of(three) - before

        # Envoy looks at a gateway that was not there yet every 0.4 s.
        rounds = 0
        while set(await place(f"first-{rounds}", 6)) != set(GATEWAYS):
            rounds += 1
        taken = await place("spread", 90)
    assert sum(taken.values()) == 90
    assert min(taken[name] for name in GATEWAYS) > 0


async def test_an_order_placed_at_one_is_known_to_all(three: Stack) -> None:
    """The same key at another gateway gives the original result, and every gateway can look the order up."""
    reports = []
    for settings in three.gateways:
        async with client_channel(settings.gateway_address) as channel:
            stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
            reports.append(await placed(stub, "known-to-all", metadata(three)))
            found = await stub.GetOrder(
                entry.GetOrderRequest(account="DEMO", cl_ord_id="known-to-all"), metadata=metadata(three)
            )
            assert found.order.order_id == reports[0].order_id
    assert len({(report.order_id, report.seq) for report in reports}) == 1
    assert [report.poss_dup for report in reports] == [False, True, True]


@pytest.mark.parametrize("way", ["kill", "restart"])
async def test_clients_of_a_lost_gateway_go_on_at_the_others(three: Stack, way: str) -> None:
    """While a gateway is killed, or ended in order, and comes back, every order is taken once after a few retries."""
    who = metadata(three)
    async with client_channel(f"127.0.0.1:{three.settings.envoy_port}") as channel:
        stub = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        lost = asyncio.create_task(three.kill("gateway-1") if way == "kill" else three.restart("gateway-1"))
        keys = [f"{way}-{number}" for number in range(300)]
        reports = []
        for start in range(0, len(keys), 20):
            reports += await asyncio.gather(*(placed(stub, key, who) for key in keys[start : start + 20]))
        await lost
        await three.restart("gateway-1")
        again = await asyncio.gather(*(placed(stub, key, who) for key in keys))
    assert [report.cl_ord_id for report in reports] == keys
    assert len({report.order_id for report in reports}) == len(keys)
    assert [report.order_id for report in again] == [report.order_id for report in reports]
    assert all(report.poss_dup for report in again)
    await three.wait_healthy()


async def test_a_gateway_that_ends_in_order_refuses_nobody(three: Stack) -> None:
    """While a gateway is told to end, calls through Envoy are answered by it or by another; none has to be repeated."""
    who = metadata(three)
    ended = asyncio.create_task(three.restart("gateway-2"))
    number = 0
    async with client_channel(f"127.0.0.1:{three.settings.envoy_port}") as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        while not ended.done():
            number += 1
            request = entry.SubmitOrderRequest(order=order(f"orderly-{number}"))
            assert (await stub.SubmitOrder(request, metadata=who, timeout=10)).report.cl_ord_id == f"orderly-{number}"
    await ended
    assert number > 1


async def test_without_any_gateway_that_serves_the_reason_is_told(three: Stack) -> None:
    """When matching is away no gateway serves: one that is alive says why; afterwards orders are taken again."""
    who = metadata(three)
    await three.kill("matching")
    async with client_channel(f"127.0.0.1:{three.settings.envoy_port}") as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        async with httpx.AsyncClient(base_url=three.rest_url) as client:
            while (ready := await client.get("/health/ready")).status_code == 200:
                pass
        assert ready.status_code == 503
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.SubmitOrder(entry.SubmitOrderRequest(order=order("nobody")), metadata=who, timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "matching engine cannot be reached" in (refused.value.details() or "")
        await three.restart("matching")
        await three.wait_healthy()
        assert (await placed(stub, "nobody", who)).cl_ord_id == "nobody"


async def test_budgets_are_shared_where_there_are_several(three: Stack, tmp_path: Path) -> None:
    """Several gateways get a Valkey to share, with no TCP port; a single one needs none."""
    assert "valkey" in three.names
    assert {settings.redis_url for settings in three.gateways} == {three.settings.redis_url}
    assert str(three.settings.redis_url).startswith("unix://")
    single = Stack(isolated(tmp_path))
    assert (len(single.gateways), single.settings.redis_url) == (1, None)
