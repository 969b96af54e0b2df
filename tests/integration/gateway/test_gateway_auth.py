"""Every method of the gateway and of matching, against every kind of token that opens nothing."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import jwt
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from ordergate.auth.v1 import auth_pb2 as auth
from ordergate.matching.v1 import matching_pb2
from ordergate.operations.v1 import health_pb2 as operations
from ordergate.orders.v1 import order_entry_pb2, portfolio_pb2

from runtime import tokens
from runtime.auth import role_name
from runtime.channels import client_channel
from tests.integration.gateway.venue import Metadata, Venue, details

MakeToken = Callable[[Venue], str | None]


def methods_of(file: Any) -> dict[str, MethodDescriptor]:
    """The methods of a contract by their path."""
    return {
        f"/{service.full_name}/{method.name}": method
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


PUBLIC = methods_of(order_entry_pb2) | methods_of(portfolio_pb2)
INTERNAL = methods_of(matching_pb2)


async def _one_empty() -> AsyncIterator[bytes]:
    yield b""


async def called(channel: Any, path: str, method: MethodDescriptor, metadata: Metadata) -> None:
    """Calls a method with an empty request and takes its first answer."""
    if method.client_streaming:
        # By an iterator: a write of our own can meet a call that has ended, and then gRPC loses the status.
        await channel.stream_stream(path)(_one_empty(), metadata=metadata).read()
    elif method.server_streaming:
        await channel.unary_stream(path)(b"", metadata=metadata).read()
    else:
        await channel.unary_unary(path)(b"", metadata=metadata)


async def refusal(channel: grpc.aio.Channel, path: str, method: MethodDescriptor, by: Metadata) -> tuple[str, str]:
    """Calls a method; gives the status and reason that it is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await called(channel, path, method, by)
    return error.value.code().name, details(error.value)[0].reason


def signed(venue: Venue, kid: str = tokens.DEV_KID, **changes: Any) -> str:
    """A token whose claims are as told, signed with the key that it names."""
    now = int(time.time())
    claims = {
        "iss": venue.settings.auth_issuer,
        "aud": venue.settings.auth_audience,
        "sub": "me",
        "iat": now,
        "exp": now + 600,
        "roles": ["trader"],
        "accounts": ["DEMO"],
    }
    key = (venue.settings.auth_dev_key_file.parent / f"{kid}.pem").read_bytes()
    return jwt.encode(claims | changes, key, algorithm="EdDSA", headers={"kid": kid})


def forged(venue: Venue) -> str:
    """A good token with one character of its signature changed."""
    token = venue.token()
    place = token.rindex(".") + 10
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


def strange(venue: Venue) -> str:
    """A good token's claims, signed with the key of services but naming that of people."""
    key = venue.settings.auth_service_key_file.read_bytes()
    claims = jwt.decode(venue.token(), options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": tokens.DEV_KID})


BAD_TOKENS: dict[str, tuple[MakeToken, str]] = {
    "none": (lambda venue: None, "TOKEN_MISSING"),
    "garbage": (lambda venue: "garbage", "TOKEN_INVALID"),
    "nested": (lambda venue: "W1tb" * 1_000 + ".e30.", "TOKEN_INVALID"),
    "forged": (forged, "TOKEN_INVALID"),
    "strange key": (strange, "TOKEN_INVALID"),
    "expired": (lambda venue: signed(venue, iat=1_000_000_000, exp=1_000_000_600), "TOKEN_EXPIRED"),
    "other audience": (lambda venue: signed(venue, aud="elsewhere"), "TOKEN_INVALID"),
    "other issuer": (lambda venue: signed(venue, iss="elsewhere"), "TOKEN_INVALID"),
    "too long a life": (lambda venue: signed(venue, exp=int(time.time()) + 3_600), "TOKEN_INVALID"),
}


def metadata_of(token: str | None) -> Metadata:
    """The metadata that carry a token."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


@pytest.mark.parametrize("kind", BAD_TOKENS)
@pytest.mark.parametrize("path", PUBLIC)
async def test_no_public_method_takes_a_bad_token(venue: Venue, path: str, kind: str) -> None:
    """Missing, forged, expired or meant for others: UNAUTHENTICATED with its reason, on each method."""
    make, reason = BAD_TOKENS[kind]
    refused = await refusal(venue.channel, path, PUBLIC[path], metadata_of(make(venue)))
    assert refused == ("UNAUTHENTICATED", reason)


@pytest.mark.parametrize("path", PUBLIC)
async def test_roles_that_are_not_named_open_nothing(venue: Venue, path: str) -> None:
    """Each role that the contract does not name, no role at all, and a service: PERMISSION_DENIED."""
    named = PUBLIC[path].GetOptions().Extensions[auth.authorization].roles
    others = [[role_name(role)] for role in auth.Role.values() if role and role not in named]
    for roles in ([], *others):
        refused = await refusal(venue.channel, path, PUBLIC[path], metadata_of(signed(venue, roles=roles)))
        assert refused == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
    service = tokens.service_metadata(venue.settings, "somebody")
    assert await refusal(venue.channel, path, PUBLIC[path], service) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


@pytest.mark.parametrize("path", PUBLIC)
async def test_roles_that_exclude_each_other_open_nothing(venue: Venue, path: str) -> None:
    """Who trades and oversees, or writes and audits, is let in nowhere."""
    for roles in (["trader", "risk_officer"], ["market_maker", "compliance_officer"], ["auditor", "trader"]):
        metadata = venue.as_role(*roles)
        assert await refusal(venue.channel, path, PUBLIC[path], metadata) == ("PERMISSION_DENIED", "ROLES_CONFLICT")


@pytest.mark.parametrize("path", INTERNAL)
async def test_matching_is_for_servers_only(venue: Venue, path: str) -> None:
    """No token of a person opens a method of matching, whatever its roles; no bad one either."""
    async with client_channel(f"127.0.0.1:{venue.settings.matching_port}") as channel:
        for role in ("trader", "risk_officer", "operator", "admin"):
            refused = await refusal(channel, path, INTERNAL[path], venue.as_role(role))
            assert refused == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
        for make, reason in BAD_TOKENS.values():
            refused = await refusal(channel, path, INTERNAL[path], metadata_of(make(venue)))
            assert refused == ("UNAUTHENTICATED", reason)
        posing = signed(venue, kid=tokens.SERVICE_KID)
        assert await refusal(channel, path, INTERNAL[path], metadata_of(posing)) == ("UNAUTHENTICATED", "TOKEN_INVALID")


async def test_health_is_open(venue: Venue) -> None:
    """Probes need no token, and a bad one does not shut them out."""
    for metadata in ((), metadata_of("garbage")):
        state = await venue.health.Check(health_pb2.HealthCheckRequest(), metadata=metadata)
        assert state.status == health_pb2.HealthCheckResponse.SERVING
        live = await venue.operations.GetLiveness(operations.GetLivenessRequest(), metadata=metadata)
        assert live.status == operations.COMPONENT_STATUS_UP
        ready = await venue.operations.GetReadiness(operations.GetReadinessRequest(), metadata=metadata)
        assert ready.components
