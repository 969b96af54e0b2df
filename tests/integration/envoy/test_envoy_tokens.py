"""Who gets through the door at all: what jwt_authn lets in, what it says to others, and in which form."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from ordergate.operations.v1 import health_pb2, health_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc

from runtime.claims import CLOCK_LEEWAY_S
from runtime.tokens import LIFETIME_S_MAX, write_jwks
from tests.integration.envoy.conftest import issued

if TYPE_CHECKING:
    from tests.integration.envoy.conftest import Door, OpenDoor

ORDERS = "/api/v1/orders"
SUBMIT = "/ordergate.orders.v1.OrderEntryService/SubmitOrder"
TAKEN_WITHIN_S = 30


def minted(door: "Door", **changes: Any) -> str:
    """A token of the development key with any claims."""
    now = int(time.time())
    settings = door.settings
    claims = {"iss": settings.auth_issuer, "aud": settings.auth_audience, "sub": "me", "iat": now, "exp": now + 60}
    key = settings.auth_dev_key_file.read_bytes()
    return jwt.encode(claims | changes, key, algorithm="EdDSA", headers={"kid": "dev"})


def unsigned(token: str) -> str:
    """The token as one that says it needs no signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "dev"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


BAD: dict[str, tuple[Callable[["Door"], str | None], str]] = {
    "none": (lambda _: None, "TOKEN_MISSING"),
    "basic": (lambda _: "Basic dXNlcjpwYXNz", "TOKEN_MISSING"),
    "garbage": (lambda _: "Bearer x.y.z", "TOKEN_INVALID"),
    "alg none": (lambda door: "Bearer " + unsigned(minted(door)), "TOKEN_INVALID"),
    "no signature": (lambda door: "Bearer " + minted(door).rpartition(".")[0] + ".", "TOKEN_INVALID"),
    "forged": (
        lambda door: "Bearer " + minted(door).rpartition(".")[0] + "." + minted(door, sub="you").rpartition(".")[2],
        "TOKEN_INVALID",
    ),
    "unknown key": (lambda door: "Bearer " + issued(door.settings, kid="unknown"), "TOKEN_INVALID"),
    "another key's name": (lambda door: "Bearer " + issued(door.settings, kid="service"), "TOKEN_INVALID"),
    "issuer": (lambda door: "Bearer " + minted(door, iss="somebody"), "TOKEN_INVALID"),
    "audience": (lambda door: "Bearer " + minted(door, aud="something"), "TOKEN_INVALID"),
    "too long a life": (lambda door: "Bearer " + minted(door, exp=int(time.time()) + 90_000), "TOKEN_INVALID"),
    "not yet": (lambda door: "Bearer " + minted(door, nbf=int(time.time()) + 600), "TOKEN_INVALID"),
    "expired": (
        lambda door: "Bearer " + minted(door, iat=int(time.time()) - 200, exp=int(time.time()) - CLOCK_LEEWAY_S - 60),
        "TOKEN_EXPIRED",
    ),
}


def reason(response: httpx.Response) -> str:
    """The reason of a JSON error that has the form of the servers' errors."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["code"] == 16
    assert body["message"]
    (info,) = body["details"]
    assert (info["@type"], info["domain"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "ordergate")
    return str(info["reason"])


async def reason_of_call(call: Awaitable[Any]) -> str:
    """The reason of an error of gRPC, as a client reads it."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    # Raises when the encoded status does not say the same as the call's.
    status = rpc_status.from_call(cast(Any, refused.value))
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "ordergate"
    return str(info.reason)


@pytest.mark.parametrize("name", BAD)
async def test_envoy_refuses_bad_tokens(door: "Door", name: str) -> None:
    """REST, gRPC and gRPC-Web clients read the same reason, and no server hears of it."""
    make, expected = BAD[name]
    header = make(door)
    headers = {"authorization": header} if header else {}
    door.calls.metadata = {}
    assert reason(await door.bare.post(ORDERS, json={}, headers=headers)) == expected
    assert (await door.bare.post(ORDERS, json={}, headers=headers)).status_code == 401
    async with door.dial(token="") as channel:
        stub: Any = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
        metadata = tuple(headers.items())
        assert await reason_of_call(stub.SubmitOrder(entry.SubmitOrderRequest(), metadata=metadata)) == expected
        stream = stub.StreamExecutionReports(entry.StreamExecutionReportsRequest(), metadata=metadata)
        assert await reason_of_call(stream.read()) == expected
    web = {"content-type": "application/grpc-web+proto", "origin": "http://localhost:3000"}
    page = await door.bare.post(SUBMIT, content=b"\0\0\0\0\0", headers=headers | web)
    assert page.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert page.headers["grpc-status"] == "16"
    assert expected.encode() in base64.b64decode(page.headers["grpc-status-details-bin"] + "==")
    assert door.calls.metadata == {}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_envoy_lets_good_tokens_in(door: "Door", scheme: str) -> None:
    """With the header as it came: the servers verify again. A token in the URL is none."""
    header = f"{scheme} {issued(door.settings)}"
    response = await door.bare.post(ORDERS, json={}, headers={"authorization": header})
    assert response.status_code == 200
    assert door.calls.metadata["authorization"] == header
    in_url = await door.bare.get(f"/api/v1/positions?account=DEMO&access_token={issued(door.settings)}")
    assert reason(in_url) == "TOKEN_MISSING"


async def test_envoy_lets_the_longest_life_in(door: "Door") -> None:
    """Fifteen minutes, as the servers do."""
    longest = minted(door, exp=int(time.time()) + LIFETIME_S_MAX)
    response = await door.bare.post(ORDERS, json={}, headers={"authorization": f"Bearer {longest}"})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/openapi.json", "/docs", "/docs/", "/redoc", "/docs/docs.js"])
async def test_envoy_open_paths(door: "Door", path: str) -> None:
    """Health and the pages need no token, and one that is bad does not matter."""
    for headers in ({}, {"authorization": "Bearer x.y.z"}):
        assert (await door.bare.get(path, headers=headers)).status_code == 200


async def test_envoy_open_health_over_grpc(door: "Door") -> None:
    """The same over gRPC."""
    async with door.dial(token="") as channel:
        stub: Any = health_pb2_grpc.HealthServiceStub(channel)
        assert (await stub.GetLiveness(health_pb2.GetLivenessRequest())).status == health_pb2.COMPONENT_STATUS_UP


@pytest.mark.parametrize(
    "path",
    [
        "/nosuch",
        "/health",
        "/health/../api/v1/positions",
        "/docs/../api/v1/positions",
        "//docs/%2e%2e/api/v1/positions",
        "/openapi.json/../api/v1/positions",
        "/ordergate.operations.v1.HealthServiceX/GetLiveness",
        "/ordergate.matching.v1.MatchingService/LookupOrder",
    ],
)
async def test_envoy_closes_everything_else(door: "Door", path: str) -> None:
    """What is not named as open needs a token, also what does not exist; no spelling of a path gets around it."""
    request = httpx.Request("GET", door.bare.base_url)
    request = httpx.Request("GET", request.url.copy_with(raw_path=path.encode()))
    assert reason(await door.bare.send(request)) == "TOKEN_MISSING"


async def test_envoy_bodies_are_not_awaited_without_a_token(door: "Door") -> None:
    """Whoever has no token cannot make the door keep a body: the refusal comes before the body does."""
    host, port = door.settings.host, door.settings.envoy_port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"POST {ORDERS} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n".encode())
    async with asyncio.timeout(TAKEN_WITHIN_S):
        assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
    writer.close()


async def test_envoy_fetches_keys_ahead(open_door: "OpenDoor") -> None:
    """Keys are there before a request needs them, and are looked at anew without one: no request waits for keys."""
    async with open_door() as door, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{door.settings.envoy_admin_port}/stats?filter=jwks_fetch&format=json"

        async def fetched() -> dict[str, int]:
            stats = (await client.get(url)).json()["stats"]
            return {one["name"].rpartition("_")[2]: one["value"] for one in stats}

        async with asyncio.timeout(TAKEN_WITHIN_S):
            while (before := await fetched())["success"] == 0:
                await asyncio.sleep(0.05)
        for _ in range(100):
            headers = {"authorization": f"Bearer {issued(door.settings)}"}
            assert (await door.bare.post(ORDERS, json={}, headers=headers)).status_code == 200
        async with asyncio.timeout(TAKEN_WITHIN_S):
            while (after := await fetched())["success"] < before["success"] + 2:
                await asyncio.sleep(0.05)
        assert after["failed"] == before["failed"]
        assert after["success"] < before["success"] + 50, "by the clock, not by requests"


async def test_envoy_takes_keys_over_while_it_runs(open_door: "OpenDoor") -> None:
    """A key that is added opens the door, one that is removed does not any more, and no connection is lost for it."""
    async with open_door() as door:
        path = door.settings.auth_jwks_file
        old = json.loads(path.read_text())["keys"]
        private = ec.generate_private_key(ec.SECP256R1())
        public = jwt.get_algorithm_by_name("ES256").to_jwk(private.public_key(), as_dict=True)
        new = {**public, "kid": "new", "alg": "ES256", "use": "sig"}
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        door.settings.auth_dev_key_file.with_name("new.pem").write_bytes(private.private_bytes(*encoding))

        def header(kid: str) -> dict[str, str]:
            key_file = door.settings.auth_dev_key_file.with_name(f"{kid}.pem")
            there = door.settings.model_copy(update={"auth_dev_key_file": key_file})
            return {"authorization": f"Bearer {issued(there, kid=kid)}"}

        async def answers(kid: str, status: int) -> None:
            async with asyncio.timeout(TAKEN_WITHIN_S):
                while (await door.bare.post(ORDERS, json={}, headers=header(kid))).status_code != status:
                    await asyncio.sleep(0.02)

        async with door.rest.stream("GET", "/api/v1/execution-reports:stream?account=DEMO") as stream:
            lines = stream.aiter_lines()
            assert "subscribed" in await anext(lines)
            await answers("dev", 200)
            await answers("new", 401)
            write_jwks(path, [*old, new])
            await answers("new", 200)
            await answers("dev", 200)
            write_jwks(path, [key for key in old if key["kid"] != "dev"] + [new])
            await answers("dev", 401)
            await answers("new", 200)
            door.calls.released.put_nowait(entry.StreamExecutionReportsResponse().heartbeat)
            assert "heartbeat" in await anext(lines)


async def test_envoy_asks_an_identity_provider(open_door: "OpenDoor") -> None:
    """With an address of keys in the settings its tokens open the door too, until it takes the key back."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = jwt.get_algorithm_by_name("ES256").to_jwk(private.public_key(), as_dict=True)
    published = [{**public, "kid": "provider", "alg": "ES256", "use": "sig"}]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"keys": published}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    provider = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/keys"
    async with provider, open_door(auth_jwks_url=url, auth_jwks_refresh_s=1.0) as door:
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        theirs = door.settings.auth_dev_key_file.with_name("provider.pem")
        theirs.write_bytes(private.private_bytes(*encoding))

        async def status(kid: str, **changes: Any) -> int:
            file = theirs if kid == "provider" else door.settings.auth_dev_key_file
            token = issued(door.settings.model_copy(update={"auth_dev_key_file": file}), kid=kid, **changes)
            headers = {"authorization": f"Bearer {token}"}
            return (await door.bare.post(ORDERS, json={}, headers=headers)).status_code

        async with asyncio.timeout(TAKEN_WITHIN_S):
            while await status("provider") != 200:
                await asyncio.sleep(0.02)
        assert await status("dev") == 200
        assert await status("provider", audience="somebody") == 401
        assert await status("provider", issuer="somebody") == 401
        assert reason(await door.bare.post(ORDERS, json={})) == "TOKEN_MISSING"
        # Envoy takes an empty list for a fault of the provider; the servers, behind it, take it at its word.
        published[:] = [published[0] | {"kid": "another"}]
        async with asyncio.timeout(TAKEN_WITHIN_S):
            while await status("provider") != 401:
                await asyncio.sleep(0.02)
        assert await status("dev") == 200
