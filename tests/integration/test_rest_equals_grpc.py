"""REST ≡ gRPC: one table of calls, run by stubs against one venue and through Envoy against another, just as fresh.

Both venues begin with the same accounts and see the same calls in the same
order, so that even the numbers of orders and events are the same. Only times
and the names of streams differ.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from ordergate.compliance.v1 import audit_pb2
from ordergate.marketdata.v1 import marketdata_pb2
from ordergate.operations.v1 import health_pb2
from ordergate.orders.v1 import order_entry_pb2, portfolio_pb2

from runtime.channels import client_channel
from runtime.settings import Server
from runtime.stack import programs
from runtime.stack.processes import Process
from runtime.stack.system import Stack
from tests.integration.gateway.venue import Venue
from tests.integration.two_ways import (
    Fields,
    Outcome,
    by_grpc,
    by_rest,
    lines_by_grpc,
    lines_by_rest,
    without,
)

METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for module in (order_entry_pb2, portfolio_pb2, health_pb2, marketdata_pb2, audit_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
TIMES = frozenset(
    {
        *("time", "transact_time", "accepted_time", "updated_time", "received_time", "event_time", "last_update_time"),
        *("received_unix_ns", "sequenced_unix_ns", "durable_unix_ns", "sent_unix_ns"),
        *("retry_delay", "retry_delay_ms", "remaining", "reset_ms", "stream_id", "checkpoint"),
    }
)
"""What differs from run to run."""
CALLERS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "trader": (("trader",), ["DEMO"]),
    "maker": (("market_maker",), ["MM"]),
    "other": (("trader",), ["FLOW-TAKER"]),
    "auditor": (("auditor",), []),
    "officer": (("risk_officer",), []),
}
CANCELS_BURST = 12
OK = grpc.StatusCode.OK
BUY, SELL = "SIDE_BUY", "SIDE_SELL"
LIMIT, MARKET = "ORD_TYPE_LIMIT", "ORD_TYPE_MARKET"
DAY, IOC, FOK = "TIME_IN_FORCE_DAY", "TIME_IN_FORCE_IOC", "TIME_IN_FORCE_FOK"


@dataclass(frozen=True)
class Step:
    """One call of the table."""

    method: str
    request: Fields
    expected: str = "OK"
    """`OK`, or the reason of the refusal."""
    who: str = "trader"
    """`trader` of DEMO, `maker` of MM, `auditor`, `officer`, `other` (a trader of FLOW-TAKER); `nobody`, `garbage`."""
    save: str = ""
    """The name by which later steps refer to a text of this answer, as in `$name.order_id`."""
    holds: Fields = field(default_factory=dict)
    """Values of the answer by path, such as `report.ord_status`."""

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.method} {dict(self.request)} by {self.who}"


def order(key: str, **changes: Any) -> dict[str, Any]:
    """The terms of a small order that rests far from the market, with changes; those of None are left out."""
    terms = {"account": "DEMO", "cl_ord_id": key, "symbol": "AAPL", "side": BUY, "ord_type": LIMIT}
    terms |= {"time_in_force": DAY, "qty": "5", "price": "150.00"} | changes
    return {name: value for name, value in terms.items() if value is not None}


def submit(key: str, expected: str = "OK", who: str = "trader", save: str = "", **changes: Any) -> Step:
    """Places an order."""
    return Step("SubmitOrder", {"order": order(key, **changes)}, expected, who, save)


def offer(key: str, **changes: Any) -> Step:
    """The market maker's account offers shares."""
    return submit(key, who="maker", account="MM", side=SELL, price="200.00", **changes)


ORDERS = [
    submit("a-1", save="a"),
    submit("a-1"),
    submit("a-1", "CL_ORD_ID_CONFLICT", qty="6"),
    Step("GetOrder", {"account": "DEMO", "order_id": "$a.order_id"}),
    Step("GetOrder", {"account": "DEMO", "cl_ord_id": "a-1"}, holds={"order.ord_status": "ORD_STATUS_NEW"}),
    Step("ReplaceOrder", {"account": "DEMO", "order_id": "$a.order_id", "cl_ord_id": "a-2", "qty": "4"}),
    Step("ReplaceOrder", {"account": "DEMO", "order_id": "$a.order_id", "cl_ord_id": "a-2", "qty": "4"}),
    Step("ReplaceOrder", {"account": "DEMO", "orig_cl_ord_id": "a-2", "cl_ord_id": "a-3", "price": "151.00"}),
    Step("ReplaceOrder", {"account": "DEMO", "orig_cl_ord_id": "a-3", "cl_ord_id": "a-4"}, "NOTHING_TO_REPLACE"),
    Step("CancelOrder", {"account": "DEMO", "orig_cl_ord_id": "a-3", "cl_ord_id": "a-5"}),
    Step("CancelOrder", {"account": "DEMO", "orig_cl_ord_id": "a-3", "cl_ord_id": "a-5"}),
    Step("CancelOrder", {"account": "DEMO", "order_id": "$a.order_id", "cl_ord_id": "a-6"}, "ORDER_NOT_OPEN"),
    Step("ReplaceOrder", {"account": "DEMO", "order_id": "77777", "cl_ord_id": "a-7", "qty": "1"}, "ORDER_UNKNOWN"),
    Step("GetOrder", {"account": "DEMO", "cl_ord_id": "never"}, "ORDER_UNKNOWN"),
    offer("o-1", qty="30"),
    submit("b-1", price="200.00", qty="10"),
    submit("b-2", ord_type=MARKET, price=None, qty="10", time_in_force=IOC),
    submit("b-3", price="200.00", qty="1000", time_in_force=FOK),
    submit("b-4", "WOULD_TAKE", price="200.00", exec_inst={"post_only": True}),
    submit("b-5", price="200.00", qty="20", time_in_force="TIME_IN_FORCE_GTC"),
    submit("b-6", price="150.00", ord_type="ORD_TYPE_STOP_LIMIT", stop_px="205.00"),
    submit(
        "b-7", price="149.00", time_in_force="TIME_IN_FORCE_GTD", expire_time="2100-01-01T00:00:00Z", display_qty="1"
    ),
    Step("ListOrders", {"account": "DEMO", "page_size": 2}, save="page"),
    Step("ListOrders", {"account": "DEMO", "page_size": 2, "page_token": "$page.next_page_token"}),
    Step("ListOrders", {"account": "DEMO", "symbol": "AAPL", "open_only": True}),
    Step("ListOrders", {}),
    Step("ListOrders", {"account": "DEMO"}, who="auditor"),
]
SEVERAL = [
    Step("CheckOrder", {"order": order("c-1")}, holds={"accepted": True}),
    Step("CheckOrder", {"order": order("c-1", qty="999999", price="40.00")}, holds={"accepted": False}),
    Step("CheckOrder", {"order": order("c-1", qty="1.5")}, "QTY_OFF_LOT"),
    Step(
        "SubmitOrders",
        {
            "account": "DEMO",
            "orders": [
                order("d-1"),
                order("d-2", account=None, price="152.00"),
                order("d-3", qty="0.5"),
                order("d-4", qty="999999", price="40.00"),
                order("a-1"),
                order("d-5", account="MM"),
            ],
        },
    ),
    Step("SubmitOrders", {"account": "DEMO", "orders": [order("d-1"), order("d-2", price="152.00")]}),
    Step("SubmitOrders", {"account": "DEMO", "orders": []}, "FIELD_MISSING"),
    Step("MassCancelOrders", {"account": "DEMO", "symbol": "AAPL", "side": BUY, "cl_ord_id": "e-1"}),
    Step("MassCancelOrders", {"account": "DEMO", "symbol": "AAPL", "side": BUY, "cl_ord_id": "e-1"}),
    Step("MassCancelOrders", {"account": "DEMO", "symbol": "MSFT", "cl_ord_id": "e-1"}, "CL_ORD_ID_CONFLICT"),
    Step("MassCancelOrders", {"account": "DEMO", "symbol": "NONE", "cl_ord_id": "e-2"}, "SYMBOL_UNKNOWN"),
    *(
        Step("SubmitQuotes", {"account": "MM", "quote_id": quote_id, "entries": entries}, who="maker")
        for quote_id, entries in (
            ("q-1", [{"symbol": "MSFT", "bid_px": "400.00", "bid_qty": "10", "ask_px": "420.00", "ask_qty": "10"}]),
            ("q-1", [{"symbol": "MSFT", "bid_px": "400.00", "bid_qty": "10", "ask_px": "420.00", "ask_qty": "10"}]),
            ("q-2", [{"symbol": "MSFT", "bid_px": "401.00", "bid_qty": "10"}, {"symbol": "NVDA"}]),
        )
    ),
    Step("SubmitQuotes", {"account": "DEMO", "quote_id": "q-3", "entries": []}, "ROLE_NOT_ALLOWED"),
    Step("SubmitQuotes", {"account": "MM", "quote_id": "q 4", "entries": [{}]}, "FIELD_INVALID", "maker"),
    Step("GetRateBudget", {"account": "DEMO"}),
]
HOLDINGS = [
    Step("GetPortfolio", {"account": "DEMO"}),
    Step("GetPortfolio", {}),
    Step("ListPositions", {"account": "DEMO"}),
    Step("ListPositions", {"account": "DEMO", "symbol": "MSFT"}),
    Step("ListPositions", {"account": "DEMO", "symbol": "NONE"}, "SYMBOL_UNKNOWN"),
    Step("ListBalances", {"account": "DEMO"}),
    Step("ListBalances", {"account": "DEMO", "currency": "EUR"}),
    Step("GetAccountSnapshot", {"account": "DEMO"}),
    Step("GetAccountSnapshot", {"account": "MM"}, who="officer"),
    Step("GetLiveness", {}, who="nobody"),
    Step("GetReadiness", {}, who="nobody"),
]
REFUSALS = [
    submit("r-1", "TOKEN_MISSING", "nobody"),
    submit("r-1", "TOKEN_INVALID", "garbage"),
    submit("r-1", "ROLE_NOT_ALLOWED", "auditor"),
    submit("r-1", "ACCOUNT_NOT_ALLOWED", account="MM"),
    submit("r-1", "FIELD_MISSING", symbol=None),
    submit("r 1", "FIELD_INVALID"),
    submit("r-1", "DECIMAL_INVALID", price="1e3"),
    submit("r-1", "NOT_POSITIVE", qty="0"),
    submit("r-1", "PRICE_OFF_TICK", price="150.001"),
    submit("r-1", "QTY_OFF_LOT", qty="1.5"),
    submit("r-1", "VALUE_TOO_LARGE", qty="999999999999999999"),
    submit("r-1", "ENUM_UNKNOWN", side=99),
    submit("r-1", "SYMBOL_UNKNOWN", symbol="NONE"),
    submit("r-1", "FIELDS_CONFLICT", ord_type=MARKET),
    submit("r-2", "BUYING_POWER", qty="100000", price="150.00"),
    submit("r-2", "BUYING_POWER", qty="100000", price="150.00"),
    submit("r-2", "CL_ORD_ID_CONFLICT", qty="1"),
    submit("r-3", "POSITION_INSUFFICIENT", side=SELL, qty="200000", symbol="MSFT", price="100.00"),
    submit("r-4", "ORDER_NOTIONAL_LIMIT", qty="1000000", price="150.00"),
    submit("r-5", symbol="NVDA", ord_type=MARKET, price=None, time_in_force=IOC),
    Step("ListOrders", {"account": "DEMO", "page_token": "x"}, "PAGE_TOKEN_INVALID"),
    Step("ListOrders", {"account": "DEMO", "page_size": 1_001}, "FIELD_INVALID"),
    Step("GetOrder", {"account": "DEMO", "order_id": "0"}, "FIELD_INVALID"),
    *(
        Step("CancelOrder", {"account": "FLOW-TAKER", "order_id": "77777"}, reason, "other")
        for reason in [*(["ORDER_UNKNOWN"] * CANCELS_BURST), "RATE_EXCEEDED"]
    ),
]
TABLE = [*ORDERS, *SEVERAL, *HOLDINGS, *REFUSALS]
WITHOUT_MATCHING = [
    submit("z-1", "MATCHING_UNAVAILABLE"),
    Step("GetOrder", {"account": "DEMO", "cl_ord_id": "a-1"}, "MATCHING_UNAVAILABLE"),
    Step("GetPortfolio", {"account": "DEMO"}, "MATCHING_UNAVAILABLE"),
    Step("GetReadiness", {}, "MATCHING_UNAVAILABLE", "nobody"),
]

Ask = Callable[[MethodDescriptor, Fields, str], Awaitable[Outcome]]


class Way:
    """A fresh venue, and one way to call it."""

    def __init__(self, venue: Venue, ask: Ask, rest: httpx.AsyncClient) -> None:
        self.venue = venue
        self.rest = rest
        self._ask = ask
        self._saved: dict[str, Any] = {}

    def token(self, who: str) -> str:
        """The token of one of the table's callers."""
        if who in ("garbage", "nobody"):
            return "garbage" if who == "garbage" else ""
        roles, accounts = CALLERS[who]
        return self.venue.token(*roles, accounts=accounts)

    async def take(self, step: Step) -> Outcome:
        """Carries out a step."""
        outcome = await self._ask(METHODS[step.method], self._filled(step.request), self.token(step.who))
        if step.save:
            self._saved[step.save] = outcome.message.get("report", outcome.message)
        return outcome

    def _filled(self, value: Any) -> Any:
        """`value` with what earlier answers said in place of `$name.field`."""
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if isinstance(value, str) and value.startswith("$"):
            name, _, wanted = value[1:].partition(".")
            return self._saved[name][wanted]
        return value


@asynccontextmanager
async def fresh(folder: Path) -> AsyncIterator[tuple[Venue, httpx.AsyncClient]]:
    """A venue of its own behind an Envoy of its own, with a budget of cancels that can be used up."""
    venue = Venue(folder, rate_cancels_burst=CANCELS_BURST, rate_cancels_per_s=0.001)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(venue.stop)
        await venue.start_matching()
        await venue.start_gateway()
        await venue.becomes(serving=True)
        settings = venue.settings.model_copy(update={"gateway_address": f"127.0.0.1:{venue.gateway.port}"})
        envoy = Process(programs.proxy(settings))
        await envoy.start()
        stack.push_async_callback(envoy.stop)
        await envoy.wait_ready()
        url = f"http://{settings.host}:{settings.envoy_port}"
        yield venue, await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))


@pytest_asyncio.fixture(scope="module")
async def ways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Way, Way]]:
    """gRPC to one venue, REST to the other."""
    async with (
        fresh(tmp_path_factory.mktemp("by-grpc")) as (first, first_rest),
        fresh(tmp_path_factory.mktemp("by-rest")) as (second, second_rest),
    ):
        channel = first.channel
        assert channel is not None
        stubs = Way(first, lambda method, fields, token: by_grpc(channel, method, fields, token), first_rest)
        rest = Way(second, lambda method, fields, token: by_rest(second_rest, method, fields, token), second_rest)
        yield stubs, rest


def at(message: Any, path: str) -> Any:
    """The value at a path."""
    for name in path.split("."):
        message = message[name]
    return message


async def compare(ways: tuple[Way, Way], step: Step) -> None:
    """Takes a step in both ways; both must come to the same, and to what the table says."""
    stubs, rest = [await way.take(step) for way in ways]
    assert (stubs.status is OK, stubs.reason) == (step.expected == "OK", step.expected.removeprefix("OK")), step.name
    assert (rest.status, rest.reason) == (stubs.status, stubs.reason), f"{step.name}: {rest.message}"
    # Envoy refuses a bad token before a server can, in words of its own.
    masked = TIMES | {"message"} if step.expected in ("TOKEN_MISSING", "TOKEN_INVALID") else TIMES
    assert without(rest.message, masked) == without(stubs.message, masked), step.name
    assert rest.budget_headers == stubs.budget_headers, step.name
    assert {path: at(rest.message, path) for path in step.holds} == step.holds, step.name


async def test_rest_equals_grpc(ways: tuple[Way, Way]) -> None:
    """Every call of the table has the same result in both ways: message, reason, numbers, fields and headers.

    One test, because each step goes on from where the one before it left the venue.
    """
    for step in TABLE:
        await compare(ways, step)


async def test_rest_equals_grpc_in_streams(ways: tuple[Way, Way]) -> None:
    """The reports of all that happened are the same, one by one, whether as messages or as lines."""
    for name, account in (("StreamExecutionReports", "account"), ("StreamDropCopy", "accounts")):
        fields = {account: "DEMO" if account == "account" else ["DEMO"], "resume_after": "0"}
        read = []
        for way in ways:
            snapshot = await by_rest(way.rest, METHODS["GetAccountSnapshot"], {"account": "DEMO"}, way.token("trader"))
            wanted = (METHODS[name], fields, way.token("trader"))
            seqs = [int(one["last_seq"]) for one in (await orders_of(way))]
            last_seq = min(max(seqs), int(snapshot.message["as_of_seq"]))
            if way is ways[0]:
                assert way.venue.channel is not None
                read.append(await lines_by_grpc(way.venue.channel, *wanted, last_seq))
            else:
                read.append(await lines_by_rest(way.rest, *wanted, last_seq))
        by_stubs, by_lines = [without(reports_in(lines), TIMES) for lines in read]
        assert len(by_stubs) > len(ORDERS) / 2
        assert by_lines == by_stubs


async def orders_of(way: Way) -> list[Any]:
    """All orders of DEMO."""
    fields = {"account": "DEMO", "page_size": 1_000}
    outcome = await by_rest(way.rest, METHODS["ListOrders"], fields, way.token("trader"))
    found: list[Any] = outcome.message["orders"]
    return found


def reports_in(lines: list[Any]) -> list[Any]:
    """The reports in the messages of a stream, however they travelled."""
    single = [line["report"] for line in lines if "report" in line]
    return single + [report for line in lines if "frame" in line for report in line["frame"]["reports"]]


async def test_rest_equals_grpc_without_matching(ways: tuple[Way, Way]) -> None:
    """While matching is away both ways say so alike, and when to try again. Comes last: it stops matching."""
    for way in ways:
        await way.venue.stop_matching()
        await way.venue.becomes(serving=False)
    for step in WITHOUT_MATCHING:
        await compare(ways, step)


QUERIES: list[tuple[str, Fields, str]] = [
    ("GetMarketData", {"symbols": ["MSFT", "AAPL"]}, "trader"),
    ("GetMarketData", {"symbols": ["NONE"]}, "trader"),
    ("ListInstruments", {"asset_class": "ASSET_CLASS_EQUITY", "page_size": 2}, "trader"),
    ("ListInstruments", {"page_token": "x"}, "trader"),
    ("ListAuditEntries", {"account": "DEMO", "event_type": "ACCOUNT_OPENED"}, "auditor"),
    ("ListAuditEntries", {"symbol": "AAPL", "to_time": "2000-01-01T00:00:00Z"}, "auditor"),
    ("ListAuditEntries", {"account": "MM"}, "trader"),
    ("GetCheckpoint", {"tree_size": "999999999"}, "auditor"),
    ("GetInclusionProof", {"leaf_index": "0"}, "auditor"),
    ("GetInclusionProof", {"leaf_index": "999999999"}, "auditor"),
    ("GetConsistencyProof", {"from_size": "999999", "to_size": "1"}, "auditor"),
]
CHANGES_MEANWHILE = frozenset({"hashes", "proof_note", "as_of_seq", "tree_size", "reference"})


@pytest.mark.parametrize(("name", "fields", "role"), QUERIES, ids=[f"{name} {fields}" for name, fields, _ in QUERIES])
async def test_rest_equals_grpc_in_queries(system: Stack, name: str, fields: Fields, role: str) -> None:
    """Market data and the audit log of one system answer alike in both ways."""
    method = METHODS[name]
    server: Server = "compliance" if method.containing_service.name == "AuditService" else "marketdata"
    token = system.token(role, accounts=("DEMO",) if role == "trader" else (), subject=role)
    async with (
        client_channel(system.settings.address(server)) as channel,
        httpx.AsyncClient(base_url=system.rest_url, timeout=30) as rest,
    ):
        stubs = await by_grpc(channel, method, fields, token)
        lines = await by_rest(rest, method, fields, token)
    masked = TIMES | CHANGES_MEANWHILE
    assert (lines.status, lines.reason) == (stubs.status, stubs.reason)
    assert without(lines.message, masked) == without(stubs.message, masked)
