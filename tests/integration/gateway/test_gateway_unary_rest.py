"""The unary twins over REST, through the real Envoy: bodies, answers, statuses, and the headers of the budgets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry

from runtime.stack import programs
from runtime.stack.processes import Process
from tests.integration.gateway.venue import Venue, new_key

ORDER = {
    "symbol": "AAPL",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_LIMIT",
    "time_in_force": "TIME_IN_FORCE_GTC",
    "qty": "5",
    "price": "1.00",
}
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
ORDERS_BURST = 40
PAGE = "http://localhost:3000"


@dataclass
class Door:
    """A client of Envoy, in front of a gateway."""

    rest: httpx.AsyncClient
    venue: Venue

    async def call(self, verb: str, path: str, *roles: str, account: str = "DEMO", **request: Any) -> httpx.Response:
        """Calls as a person of the account."""
        token = self.venue.token(*roles, accounts=[account])
        headers = {"authorization": f"Bearer {token}"} | request.pop("headers", {})
        return await self.rest.request(verb, path, headers=headers, **request)

    async def answer(self, verb: str, path: str, *roles: str, **request: Any) -> dict[str, Any]:
        """The body of a call that succeeds."""
        response = await self.call(verb, path, *roles, **request)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body


@pytest_asyncio.fixture(scope="module")
async def door(tmp_path_factory: Any) -> AsyncIterator[Door]:
    """A venue behind Envoy, with a budget of orders that can be used up."""
    folder: Path = tmp_path_factory.mktemp("rest")
    venue = Venue(folder, rate_orders_burst=ORDERS_BURST, rate_orders_per_s=0.001)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    settings = venue.settings.model_copy(update={"gateway_address": f"127.0.0.1:{venue.gateway.port}"})
    envoy = Process(programs.proxy(settings))
    await envoy.start()
    try:
        await envoy.wait_ready()
        url = f"http://{settings.host}:{settings.envoy_port}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as rest:
            yield Door(rest, venue)
    finally:
        await envoy.stop()
        await venue.stop()


def order(**changes: str) -> dict[str, str]:
    """An order's JSON."""
    return ORDER | {"cl_ord_id": new_key()} | changes


async def test_a_basket_over_rest(door: Door) -> None:
    """POST /api/v1/orders:batch: an answer for each order, and the same once more when it is repeated."""
    body = {"account": "MM", "orders": [order(), order(qty="0.5"), order(qty="10000000", price="4.00")]}
    answer = await door.answer("POST", "/api/v1/orders:batch", account="MM", json=body)
    accepted, malformed, denied = answer["results"]
    assert (accepted["report"]["exec_type"], accepted["report"]["account"]) == ("EXEC_TYPE_NEW", "MM")
    assert (malformed["refused"]["code"], malformed["refused"]["field"]) == ("REASON_QTY_OFF_LOT", "orders[1].qty")
    assert denied["report"]["exec_type"] == "EXEC_TYPE_NEW"
    again = await door.answer("POST", "/api/v1/orders:batch", account="MM", json=body)
    for before, after in zip(answer["results"], again["results"], strict=True):
        assert after.get("report", {}).get("seq") == before.get("report", {}).get("seq")
        assert after.get("report", {"poss_dup": True})["poss_dup"]


async def test_a_check_over_rest(door: Door) -> None:
    """POST /api/v1/orders:check: the decision with its numbers; a malformed order is 400 with its field."""
    body = {"account": "DEMO"} | order(qty="1000000", price="40.00")
    answer = await door.answer("POST", "/api/v1/orders:check", json=body)
    assert (answer["accepted"], answer["exec_type"]) == (False, "EXEC_TYPE_DENIED")
    assert answer["reason"]["code"] == "REASON_BUYING_POWER"
    assert float(answer["reason"]["projected"]) > float(answer["reason"]["limit"]) > 0
    assert (await door.answer("POST", "/api/v1/orders:check", json={"account": "DEMO"} | order()))["accepted"]
    response = await door.call("POST", "/api/v1/orders:check", json={"account": "DEMO"} | order(qty="x"))
    assert response.status_code == 400
    assert response.json()["details"][0]["reason"] == "DECIMAL_INVALID"


async def test_a_mass_cancel_over_rest(door: Door) -> None:
    """POST /api/v1/orders:massCancel: how many, and the original answer when it is repeated."""
    for _ in range(2):
        await door.answer("POST", "/api/v1/orders", json={"account": "DEMO"} | order())
    body = {"account": "DEMO", "symbol": "AAPL", "side": "SIDE_BUY", "cl_ord_id": new_key()}
    answer = await door.answer("POST", "/api/v1/orders:massCancel", json=body)
    assert (answer["canceled_orders"], answer["poss_dup"], answer["cl_ord_id"]) == (2, False, body["cl_ord_id"])
    again = await door.answer("POST", "/api/v1/orders:massCancel", json=body)
    assert again == answer | {"poss_dup": True}
    misspelt = {"account": "DEMO", "symbl": "AAPL"}
    refused = await door.call("POST", "/api/v1/orders:massCancel", json=misspelt)
    assert (refused.status_code, refused.json()["details"][0]["reason"]) == (400, "FIELD_MISSING")


async def test_quotes_over_rest(door: Door) -> None:
    """POST /api/v1/quotes: reports of both sides; a wrong price is 400 and names the entry."""
    one = {"symbol": "MSFT", "bid_px": "1.00", "bid_qty": "2", "ask_px": "9000.00", "ask_qty": "3"}
    body = {"account": "MM", "quote_id": new_key(), "entries": [one]}
    answer = await door.answer("POST", "/api/v1/quotes", "market_maker", account="MM", json=body)
    assert [(report["side"], report["leaves_qty"]) for report in answer["reports"]] == [
        ("SIDE_BUY", "2"),
        ("SIDE_SELL", "3"),
    ]
    wrong = body | {"entries": [one, one | {"ask_px": "9000.001"}]}
    response = await door.call("POST", "/api/v1/quotes", "market_maker", account="MM", json=wrong)
    fields = [
        violation["field"] for detail in response.json()["details"] for violation in detail.get("field_violations", ())
    ]
    assert (response.status_code, fields) == (400, ["entries[1].ask_px"])
    trader = await door.call("POST", "/api/v1/quotes", account="MM", json=body)
    assert trader.status_code == 403


async def test_what_is_left_stands_in_the_headers(door: Door) -> None:
    """Of every answer, error or not; the budgets are a call of their own."""
    query = {"account": "FLOW-BID"}
    budget = await door.answer("GET", "/api/v1/rate-budget", account="FLOW-BID", params=query)
    scopes = {told["scope"]: told for told in budget["budgets"]}
    assert scopes["RATE_SCOPE_ACCOUNT_ORDERS"]["limit"] == ORDERS_BURST
    placed = await door.call("POST", "/api/v1/orders", account="FLOW-BID", json=query | order())
    assert placed.headers["ratelimit-limit"] == str(ORDERS_BURST)
    assert placed.headers["ratelimit-remaining"] == str(ORDERS_BURST - 1)
    assert int(placed.headers["ratelimit-reset"]) > 0
    wrong = await door.call("POST", "/api/v1/orders", account="FLOW-BID", json=query | order(qty="x"))
    assert (wrong.status_code, wrong.headers["ratelimit-remaining"]) == (400, str(ORDERS_BURST - 2))
    read = await door.call("GET", "/api/v1/orders/1", account="FLOW-BID")
    assert (read.status_code, "retry-after" in read.headers) == (404, False)
    assert int(read.headers["ratelimit-remaining"]) < int(read.headers["ratelimit-limit"])


async def test_a_page_of_another_origin_reads_the_headers(door: Door) -> None:
    """By gRPC-Web: they are sent, and named among those that a browser may show."""
    request = entry.GetRateBudgetRequest(account="FLOW-BID").SerializeToString()
    response = await door.call(
        "POST",
        "/ordergate.orders.v1.OrderEntryService/GetRateBudget",
        account="FLOW-BID",
        headers={"origin": PAGE, "content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
        content=b"\0" + len(request).to_bytes(4, "big") + request,
    )
    assert response.status_code == 200
    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= set(response.headers)
    exposed = set(response.headers["access-control-expose-headers"].split(","))
    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"} <= exposed


async def test_too_many_is_429(door: Door) -> None:
    """With RATE_EXCEEDED, RetryInfo, Retry-After and the headers; cancels still pass."""
    account = {"account": "FLOW-ASK"}
    basket = account | {"orders": [order() for _ in range(ORDERS_BURST)]}
    results = (await door.answer("POST", "/api/v1/orders:batch", account="FLOW-ASK", json=basket))["results"]
    assert {result["report"]["exec_type"] for result in results} == {"EXEC_TYPE_NEW"}
    refused = await door.call("POST", "/api/v1/orders", account="FLOW-ASK", json=account | order())
    info, retry = refused.json()["details"]
    assert (refused.status_code, info["@type"], info["reason"]) == (429, ERROR_INFO, "RATE_EXCEEDED")
    assert float(retry["retry_delay"].removesuffix("s")) > 0
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= int(refused.headers["ratelimit-reset"])
    everything = account | {"all_orders": True}
    cancel = await door.answer("POST", "/api/v1/orders:massCancel", account="FLOW-ASK", json=everything)
    assert cancel["canceled_orders"] == ORDERS_BURST
