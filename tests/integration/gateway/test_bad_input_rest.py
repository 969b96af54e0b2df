"""Bad input over REST, through Envoy: the same table, with HTTP statuses and JSON bodies, and never 500."""

import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
import pytest_asyncio

from runtime.reasons_page import HTTP
from runtime.stack.system import Stack
from runtime.tokens import DEV_KID
from tests.integration.gateway.bad_input import CASES, ORDER, BadInput, fields_of
from tests.integration.gateway.venue import new_key

BY_REST = [case for case in CASES if case.by_rest]


@pytest_asyncio.fixture(scope="module")
async def rest(system: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A REST client of the whole system."""
    async with httpx.AsyncClient(base_url=system.rest_url, timeout=30) as client:
        yield client


def headers_of(system: Stack, kind: str) -> dict[str, str]:
    """The headers of each kind of token in the table."""
    now = int(time.time())
    good = system.token()
    claims = jwt.decode(good, options={"verify_signature": False}) | {"iat": now - 900, "exp": now - 300}
    key = system.settings.auth_dev_key_file.read_bytes()
    tokens = {
        "good": good,
        "garbage": "garbage",
        "forged": good[:-20] + good[-20:].swapcase(),
        "expired": jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": DEV_KID}),
        "officer": system.token("risk_officer", accounts=[]),
        "two accounts": system.token(accounts=["DEMO", "MM"]),
    }
    return {} if kind == "missing" else {"authorization": f"Bearer {tokens[kind]}"}


def request_of(case: BadInput) -> dict[str, Any]:
    """The HTTP request of a case: what the path does not take is the body, or the query where there is none."""
    fields = fields_of(case, new_key())
    in_path = set(re.findall(r"{(\w+)}", case.call.rest))
    path = re.sub(r"{(\w+)}", lambda found: quote(str(fields[found[1]]), safe=""), case.call.rest)
    rest = {name: value for name, value in fields.items() if name not in in_path}
    where = "params" if case.call.verb in ("GET", "DELETE") else "json"
    return {"method": case.call.verb, "url": path, where: rest}


def info_of(body: dict[str, Any]) -> dict[str, Any]:
    """The ErrorInfo in the body of an error."""
    info: dict[str, Any] = body["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "ordergate"
    return info


async def goes_on(system: Stack, rest: httpx.AsyncClient) -> None:
    """An order is still taken."""
    order = {**ORDER, "cl_ord_id": new_key()}
    response = await rest.post("/api/v1/orders", json=order, headers=headers_of(system, "good"))
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("case", BY_REST, ids=lambda case: case.name)
async def test_bad_input_over_rest(system: Stack, rest: httpx.AsyncClient, case: BadInput) -> None:
    """The HTTP status that belongs to the reason, and a google.rpc.Status as JSON that names reason and field."""
    response = await rest.request(**request_of(case), headers=headers_of(system, case.token))
    assert response.headers["content-type"] == "application/json", response.text
    body = response.json()
    assert (response.status_code, info_of(body)["reason"]) == (case.http, case.reason)
    named = [violation["field"] for detail in body["details"] for violation in detail.get("field_violations", ())]
    if case.http != 413:
        assert named == ([case.field] if case.field else [])
    await goes_on(system, rest)


DEEP = b'{"trail":' * 5_000 + b"1" + b"}" * 5_000
ONLY_REST: list[tuple[str, dict[str, Any], int]] = [
    ("no body", {"method": "POST", "url": "/api/v1/orders"}, 400),
    ("an empty body", {"method": "POST", "url": "/api/v1/orders", "content": b"{}"}, 400),
    ("half of an object", {"method": "POST", "url": "/api/v1/orders", "content": b'{"qty": "1"'}, 400),
    ("no JSON", {"method": "POST", "url": "/api/v1/orders", "content": b"\xff\xfe\x00"}, 400),
    ("invalid UTF-8", {"method": "POST", "url": "/api/v1/orders", "content": b'{"symbol": "\xc3\x28"}'}, 400),
    ("half a surrogate", {"method": "POST", "url": "/api/v1/orders", "content": b'{"symbol": "\\ud800"}'}, 400),
    ("an array", {"method": "POST", "url": "/api/v1/orders", "content": b"[]"}, 400),
    ("null", {"method": "POST", "url": "/api/v1/orders", "content": b"null"}, 400),
    ("an unknown name of an enum", {"method": "POST", "url": "/api/v1/orders", "json": {**ORDER, "side": "UP"}}, 400),
    ("a list for a text", {"method": "POST", "url": "/api/v1/orders", "json": {**ORDER, "symbol": ["AAPL"]}}, 400),
    ("an object for a text", {"method": "POST", "url": "/api/v1/orders", "json": {**ORDER, "qty": {"value": 1}}}, 400),
    (
        "too deep",
        {"method": "POST", "url": "/api/v1/orders", "content": DEEP},
        400,
    ),
    ("text for a number", {"method": "GET", "url": "/api/v1/orders?page_size=many"}, 400),
    ("less than nothing", {"method": "GET", "url": "/api/v1/orders?page_size=-1"}, 400),
    ("too large a number", {"method": "GET", "url": "/api/v1/orders?page_size=4294967296"}, 400),
    ("an unknown parameter", {"method": "GET", "url": "/api/v1/orders?acount=DEMO"}, 400),
    ("an unknown path", {"method": "GET", "url": "/api/v1/nothing"}, 404),
    ("another verb", {"method": "PUT", "url": "/api/v1/orders", "json": ORDER}, 404),
    ("an encoded slash", {"method": "GET", "url": "/api/v1/orders/1%2F2"}, 400),
    ("a path that climbs", {"method": "GET", "url": "/api/v1/../../etc/passwd"}, 404),
]


@pytest.mark.parametrize(("request_", "http"), [case[1:] for case in ONLY_REST], ids=[case[0] for case in ONLY_REST])
async def test_bad_http(system: Stack, rest: httpx.AsyncClient, request_: dict[str, Any], http: int) -> None:
    """What cannot be a request at all is refused with JSON as well, by whoever notices first."""
    headers = headers_of(system, "good") | {"content-type": "application/json"}
    response = await rest.request(**request_, headers=headers)
    assert response.status_code == http, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"code", "message", "details"}
    assert body["code"] not in (0, 2, 13)
    await goes_on(system, rest)


async def test_no_status_is_a_fault() -> None:
    """No case of the table expects a server's fault, and each status has a place in HTTP."""
    assert {case.http for case in CASES} <= {400, 401, 403, 404, 413}
    assert all(json.dumps(case.name) and case.status in HTTP for case in CASES)
