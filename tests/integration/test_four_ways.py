"""The same order in four ways, and everywhere that it must then be seen.

Stubs, REST through Envoy, grpcurl through reflection and the command line place
the same order against the whole system, as real processes. Each time its
report, its trade, its audit row, its position and the proof of its leaf are
looked up through the public contracts.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from ordergate.compliance.v1 import audit_pb2, audit_pb2_grpc
from ordergate.marketdata.v1 import marketdata_pb2, marketdata_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from compliance.verify import InclusionProof, verify_entry
from runtime.channels import client_channel
from runtime.stack.home import environment
from runtime.stack.system import Stack

PRICE = "200.00"
QTY = "3"
SEEN_WITHIN_S = 30

Order = dict[str, str]
Way = Callable[[Stack, str, Order], Awaitable[str]]


def program(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


async def output(*command: str, env: dict[str, str] | None = None) -> str:
    """What a command writes; it must end well."""
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def by_stubs(system: Stack, token: str, order: Order) -> str:
    """Generated Python stubs, straight to the gateway."""
    async with client_channel(system.settings.gateway_address) as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        terms = orders.OrderTerms(**order)  # type: ignore[arg-type]  # enums by name, as in JSON
        answer = await stub.SubmitOrder(entry.SubmitOrderRequest(order=terms), metadata=bearer(token))
    return str(answer.report.order_id)


async def by_rest(system: Stack, token: str, order: Order) -> str:
    """`curl` through Envoy; where the machine has none, the same request by another client."""
    url = f"{system.rest_url}/api/v1/orders"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if shutil.which("curl"):
        given = [word for key, value in headers.items() for word in ("-H", f"{key}: {value}")]
        text = await output("curl", "-sS", "--fail-with-body", "-X", "POST", url, *given, "-d", json.dumps(order))
    else:
        async with httpx.AsyncClient() as client:
            response = await client.post(url, headers=headers, json=order)
        assert response.status_code == httpx.codes.OK, response.text
        text = response.text
    return str(json.loads(text)["report"]["order_id"])


async def by_grpcurl(system: Stack, token: str, order: Order) -> str:
    """`grpcurl`, which learns the contract by reflection."""
    text = await output(
        program("grpcurl"),
        "-plaintext",
        "-H",
        f"authorization: Bearer {token}",
        "-d",
        json.dumps({"order": order}),
        system.settings.gateway_address,
        "ordergate.orders.v1.OrderEntryService/SubmitOrder",
    )
    return str(json.loads(text)["report"]["orderId" if "orderId" in text else "order_id"])


async def by_command_line(system: Stack, token: str, order: Order) -> str:
    """The `ordergate` command."""
    text = await output(
        *(sys.executable, "-m", "clients.cli.main", "--json", "--token", token, "order", "submit"),
        *(order["symbol"], "buy", order["qty"], "--price", order["price"]),
        *("--account", order["account"], "--cl-ord-id", order["cl_ord_id"]),
        env=environment(system.settings),
    )
    return str(json.loads(text.splitlines()[0])["order_id"])


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Call metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
async def channels(system: Stack) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """Channels to the public servers."""
    opened = {name: client_channel(system.settings.address(name)) for name in ("gateway", "marketdata", "compliance")}
    yield opened
    for channel in opened.values():
        await channel.close()


@pytest.mark.parametrize("way", [by_stubs, by_rest, by_grpcurl, by_command_line], ids=lambda way: way.__name__)
async def test_an_order_is_seen_everywhere(system: Stack, channels: dict[str, grpc.aio.Channel], way: Way) -> None:
    """One order: acknowledged, reported, traded, ticked twice over, audited, held and proved."""
    token = system.token()
    auditor = system.token("auditor", accounts=(), subject="auditor")
    before = await position(system, token)
    ticks: Any = marketdata_pb2_grpc.MarketDataServiceStub(channels["marketdata"]).SubscribeTicks(
        marketdata_pb2.SubscribeTicksRequest(symbols=["AAPL"]), metadata=bearer(token)
    )
    assert (await ticks.read()).HasField("subscribed")
    async with ndjson(system, token) as lines:
        assert "subscribed" in await anext(lines)
        await offer(system, channels["gateway"])
        order = {
            "account": "DEMO",
            "cl_ord_id": f"w-{uuid4().hex[:12]}",
            "symbol": "AAPL",
            "side": "SIDE_BUY",
            "ord_type": "ORD_TYPE_LIMIT",
            "time_in_force": "TIME_IN_FORCE_DAY",
            "qty": QTY,
            "price": PRICE,
        }
        order_id = await way(system, token, order)
        reports = await reports_of(channels["gateway"], token, order_id)
        trade = reports[-1]
        async with asyncio.timeout(SEEN_WITHIN_S):
            assert await trade_id_by_grpc(ticks, trade.trade_id)
            assert await trade_id_by_ndjson(lines, trade.trade_id)
    ticks.cancel()
    assert [report.exec_type for report in reports] == [types.EXEC_TYPE_NEW, types.EXEC_TYPE_TRADE]
    assert (trade.last_px, trade.last_qty, trade.ord_status) == (PRICE, QTY, types.ORD_STATUS_FILLED)
    assert await position(system, token) == before + int(QTY)
    rows = await audit_rows(system, auditor, order_id, len(reports))
    assert [int(row["leaf_index"]) for row in rows] == [report.audit_index for report in reversed(reports)]
    assert [row["event_type"] for row in rows] == ["ORDER_TRADE", "ORDER_NEW"]
    await assert_proved(channels["compliance"], auditor, trade.audit_index, b64decode(rows[0]["entry"]))


async def offer(system: Stack, gateway: grpc.aio.Channel) -> None:
    """A counterparty: the market maker's account offers what the order will take, in a book without other orders."""
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(gateway)
    for account, role in (("DEMO", "trader"), ("MM", "market_maker")):
        clear = entry.MassCancelOrdersRequest(account=account, symbol="AAPL", cl_ord_id=f"c-{uuid4().hex[:12]}")
        token = system.token(role, accounts=(account,), subject=f"{account}-desk")
        await stub.MassCancelOrders(clear, metadata=bearer(token))
    terms = orders.OrderTerms(
        account="MM",
        cl_ord_id=f"o-{uuid4().hex[:12]}",
        symbol="AAPL",
        side=types.SIDE_SELL,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_DAY,
        qty=QTY,
        price=PRICE,
    )
    answer = await stub.SubmitOrder(entry.SubmitOrderRequest(order=terms), metadata=bearer(token))
    assert (answer.report.ord_status, len(answer.following)) == (types.ORD_STATUS_NEW, 0), "it rests"


async def reports_of(gateway: grpc.aio.Channel, token: str, order_id: str) -> list[orders.ExecutionReport]:
    """The reports of an order out of the account's stream, up to its trade; the stream's chain has no gap."""
    stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(gateway)
    request = entry.StreamExecutionReportsRequest(account="DEMO", resume_after=0)
    call = stub.StreamExecutionReports(request, metadata=bearer(token))
    found: list[orders.ExecutionReport] = []
    seen = 0
    async with asyncio.timeout(SEEN_WITHIN_S):
        async for message in call:
            assert message.prev_seq == seen
            seen = message.seq
            if message.report.order_id == order_id:
                found.append(message.report)
                if message.report.exec_type == types.EXEC_TYPE_TRADE:
                    break
    call.cancel()
    return found


def ndjson(system: Stack, token: str) -> Any:
    """The tick stream as REST shows it: a context that gives parsed lines."""
    url = f"{system.rest_url}/api/v1/market-data/ticks:stream?symbols=AAPL"
    return _Lines(url, token)


class _Lines:
    """Lines of JSON of one streaming response."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.AsyncClient(timeout=SEEN_WITHIN_S)
        self._url = url
        self._token = token

    async def __aenter__(self) -> AsyncIterator[dict[str, Any]]:
        self._stream = self._client.stream("GET", self._url, headers={"Authorization": f"Bearer {self._token}"})
        response = await self._stream.__aenter__()
        assert response.status_code == httpx.codes.OK
        self._lines = response.aiter_lines()
        return self._parsed()

    async def _parsed(self) -> AsyncIterator[dict[str, Any]]:
        async for line in self._lines:
            if line:
                yield json.loads(line)

    async def __aexit__(self, *error: object) -> None:
        await self._stream.__aexit__(None, None, None)
        await self._client.aclose()


async def trade_id_by_grpc(ticks: Any, trade_id: str) -> bool:
    """Whether the trade comes on the tick stream."""
    while (message := await ticks.read()) is not grpc.aio.EOF:
        if any(tick.trade.trade_id == trade_id for tick in message.frame.ticks):
            return True
    return False


async def trade_id_by_ndjson(lines: AsyncIterator[dict[str, Any]], trade_id: str) -> bool:
    """Whether the trade comes on the tick stream over REST."""
    async for message in lines:
        ticks = message.get("frame", {}).get("ticks", ())
        if any(tick.get("trade", {}).get("trade_id") == trade_id for tick in ticks):
            return True
    return False


async def position(system: Stack, token: str) -> int:
    """Shares of AAPL that the account holds, as REST tells."""
    body = await get(system, token, "/api/v1/positions?symbol=AAPL")
    return int(body["positions"][0]["qty"])


async def audit_rows(system: Stack, token: str, order_id: str, count: int) -> list[dict[str, Any]]:
    """The order's rows of the audit trail, newest first, once all of them have arrived."""
    async with asyncio.timeout(SEEN_WITHIN_S):
        while True:
            body = await get(system, token, f"/api/v1/compliance/audit-trail?order_id={order_id}")
            if len(body["entries"]) >= count:
                return list(body["entries"])


async def get(system: Stack, token: str, path: str) -> dict[str, Any]:
    """A JSON answer of the REST interface."""
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{system.rest_url}{path}", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == httpx.codes.OK, response.text
    return dict(response.json())


async def assert_proved(compliance: grpc.aio.Channel, token: str, leaf_index: int, entry_bytes: bytes) -> None:
    """The leaf's inclusion proof leads from the entry's own bytes to a root that the log has signed."""
    stub: Any = audit_pb2_grpc.AuditServiceStub(compliance)
    key = (await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(), metadata=bearer(token))).verifier_key
    async with asyncio.timeout(SEEN_WITHIN_S):
        while True:
            try:
                request = audit_pb2.GetInclusionProofRequest(leaf_index=leaf_index)
                proof = await stub.GetInclusionProof(request, metadata=bearer(token))
                break
            except grpc.aio.AioRpcError as error:
                # The newest checkpoint may be older than the leaf.
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
    given = InclusionProof(proof.leaf_index, proof.leaf_hash, tuple(proof.hashes))
    verdict = verify_entry(entry_bytes, given, proof.checkpoint.note, key)
    assert verdict.ok, verdict
    forged = verify_entry(entry_bytes + b"\0", given, proof.checkpoint.note, key)
    assert not forged.ok
