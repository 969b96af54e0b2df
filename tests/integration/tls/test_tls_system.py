"""The whole system over mutual TLS: servers among themselves, Envoy in front of them, clients of every kind."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client
from runtime.channels import client_channel
from runtime.settings import Settings
from runtime.stack.home import SERVERS, environment, isolated
from runtime.stack.system import Stack, stack
from runtime.tls import channel_credentials, client_context
from tests.integration.tls.authority import Authority

DONE_WITHIN_S = 60


class Secured(NamedTuple):
    """A system over TLS, and what a client needs for it."""

    system: Stack
    ours: Authority
    client: Settings
    """Those of a client with a certificate."""


@pytest_asyncio.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """A system whose every port asks for a certificate."""
    folder: Path = tmp_path_factory.mktemp("secured")
    ours, theirs = Authority(folder / "ours", "ours"), Authority(folder / "theirs", "theirs")
    files = ours.issue("server") | {"tls_ca_file": ours.file, "tls_client_ca_file": theirs.file}
    async with stack(isolated(folder / "home", **files)) as system:
        shown = theirs.issue("client") | {"tls_ca_file": ours.file, "tls_client_ca_file": None}
        yield Secured(system, ours, system.settings.model_copy(update=shown))


def order(cl_ord_id: str) -> orders.OrderTerms:
    """An order that rests."""
    return orders.OrderTerms(
        account="DEMO",
        cl_ord_id=cl_ord_id,
        symbol="AAPL",
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        qty="1",
        price="1.00",
    )


def rest(secured: Secured, context: ssl.SSLContext | bool | None) -> httpx.AsyncClient:
    """A client of REST that trusts and shows what `context` says."""
    headers = {"authorization": f"Bearer {secured.system.token()}"}
    return httpx.AsyncClient(base_url=secured.system.rest_url, headers=headers, verify=context or False)


@pytest.mark.parametrize("place", ["gateway", "envoy"])
async def test_orders_over_grpc(secured: Secured, place: str) -> None:
    """The SDK, straight to the gateway and through Envoy: placed at matching, which is reached over TLS too."""
    settings = secured.system.settings
    address = {"gateway": settings.gateway_address, "envoy": f"127.0.0.1:{settings.envoy_port}"}[place]
    async with Client(address, token=secured.system.token(), credentials=channel_credentials(secured.client)) as client:
        report = await client.submit(order(f"tls-{place}"))
        assert report.ord_status == types.ORD_STATUS_NEW


async def test_orders_over_rest(secured: Secured) -> None:
    """HTTPS with a certificate of one's own; HTTP/1.1 as `curl` speaks it."""
    async with rest(secured, client_context(secured.client)) as client:
        body = {
            "account": "DEMO",
            "cl_ord_id": "tls-rest",
            "symbol": "AAPL",
            "side": "SIDE_BUY",
            "ord_type": "ORD_TYPE_LIMIT",
            "qty": "1",
            "price": "1.00",
        }
        placed = await client.post("/api/v1/orders", json=body)
        assert placed.json()["report"]["ord_status"] == "ORD_STATUS_NEW"
        ready = (await client.get("/health/ready")).json()
        assert {part["name"]: part["status"] for part in ready["components"]} == dict.fromkeys(
            SERVERS, "COMPONENT_STATUS_UP"
        )


async def test_followers_follow(secured: Secured) -> None:
    """Market data and the audit log have what matching has."""
    settings = secured.system.settings
    token = secured.system.token("auditor", accounts=())
    credentials = channel_credentials(secured.client)
    client = Client(f"127.0.0.1:{settings.envoy_port}", token=token, credentials=credentials)
    async with client, asyncio.timeout(DONE_WITHIN_S):
        while (await client.checkpoint()).checkpoint.tree_size < 10:
            await asyncio.sleep(0.05)
        assert [instrument.symbol async for instrument in client.instruments()]


async def test_the_command_line(secured: Secured) -> None:
    """By the same settings, from the environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", "positions", "--account", "DEMO", "--json"),
        env=environment(secured.client),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DONE_WITHIN_S):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def answers(address: str, settings: Settings) -> bool:
    """Whether a server answers a client with these files."""
    async with client_channel(address, channel_credentials(settings)) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with suppress(Exception):
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
            return True
    return False


@pytest.mark.parametrize("name", SERVERS)
async def test_who_reaches_a_server(secured: Secured, name: Any, tmp_path: Path) -> None:
    """Servers reach each other; clients reach the public ones; nobody does in plain text or without a certificate."""
    address = secured.system.settings.address(name)
    strangers = Authority(tmp_path, "strangers").issue("client")
    assert await answers(address, secured.system.settings)
    assert await answers(address, secured.client) is (name != "matching")
    nothing: dict[str, Any] = {"tls_cert_file": None, "tls_key_file": None}
    assert not await answers(address, secured.client.model_copy(update=strangers))
    assert not await answers(address, secured.client.model_copy(update=nothing))
    assert not await answers(address, secured.client.model_copy(update=nothing | {"tls_ca_file": None}))


async def test_who_reaches_envoy(secured: Secured, tmp_path: Path) -> None:
    """As with the servers: a certificate of a client's authority that has not ended, and TLS."""
    strangers = Authority(tmp_path, "strangers").issue("client")
    nothing: dict[str, Any] = {"tls_cert_file": None, "tls_key_file": None}
    for files in (strangers, nothing):
        async with rest(secured, client_context(secured.client.model_copy(update=files))) as client:
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await client.get("/health/live")
    plain = secured.system.rest_url.replace("https:", "http:")
    async with httpx.AsyncClient(base_url=plain) as client:
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await client.get("/health/live")


def shown_serial(settings: Settings, port: int) -> str:
    """The serial number of the certificate that a port shows."""
    context = client_context(settings)
    assert context is not None
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        certificate = tls.getpeercert()
    assert certificate
    return str(certificate["serialNumber"])


async def test_certificates_are_renewed_while_it_runs(secured: Secured) -> None:
    """Servers and Envoy show the new certificate without a restart, and find each other with it after one."""
    system = secured.system
    ports = [system.settings.gateway_port, system.settings.envoy_port]
    before = [await asyncio.to_thread(shown_serial, secured.client, port) for port in ports]
    secured.ours.issue("server", ends_in=timedelta(hours=12))
    async with asyncio.timeout(DONE_WITHIN_S):
        for port, old in zip(ports, before, strict=True):
            while await asyncio.to_thread(shown_serial, secured.client, port) == old:
                await asyncio.sleep(0.05)
    await system.restart("matching")
    credentials = channel_credentials(secured.client)
    async with Client(system.settings.gateway_address, token=system.token(), credentials=credentials) as client:
        assert (await client.submit(order("tls-renewed"))).ord_status == types.ORD_STATUS_NEW
