"""Every role against every method, over gRPC and REST, as the contracts say: who is let in, and who is not and why."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from ordergate.auth.v1 import auth_pb2 as auth

from runtime import tokens
from runtime.channels import client_channel
from runtime.stack.system import Stack
from tests.integration.authorization import OWN, ROLES, Method, Outcome, methods, over_grpc, over_rest

NOBODY = "nobody"
"""A caller whose token names no role."""
SERVICE = "service"
"""One of the servers."""
CALLERS = (*ROLES, NOBODY, SERVICE)


@dataclass
class Doors:
    """How everything is reached: each server by itself, and Envoy by REST and gRPC."""

    system: Stack
    servers: dict[str, grpc.aio.Channel]
    envoy: grpc.aio.Channel
    rest: httpx.AsyncClient

    def header(self, caller: str, *accounts: str) -> str:
        """The header of a caller; a person is bound to `accounts`, or to one that nobody has."""
        if caller == SERVICE:
            return f"Bearer {tokens.service_token(self.system.settings, 'tests')}"
        settings = self.system.settings
        roles = [] if caller == NOBODY else [caller]
        token = tokens.issue(
            settings.auth_dev_key_file.read_bytes(),
            kid=tokens.DEV_KID,
            subject=f"matrix-{caller}",
            roles=roles,
            accounts=accounts or [OWN],
            ttl_s=600,
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
        )
        return f"Bearer {token}"

    async def call(self, method: Method, header: str | None, *accounts: str) -> AsyncIterator[Outcome]:
        """Calls a method in every way there is; `accounts` are those that the request names."""
        request = method.request(*accounts)
        yield await over_grpc(self.servers[method.server], method, request, header)
        for binding in method.bindings:
            if accounts or not binding.names_account:
                yield await over_rest(self.rest, binding, request, header)


@pytest_asyncio.fixture(scope="session")
async def doors(system: Stack) -> AsyncIterator[Doors]:
    """The doors of the system that integration tests share."""
    settings = system.settings
    async with AsyncExitStack() as stack:
        opened: dict[str, grpc.aio.Channel] = {
            server: await stack.enter_async_context(client_channel(settings.address(server)))
            for server in {method.server for method in methods()}
        }
        envoy = await stack.enter_async_context(client_channel(f"{settings.host}:{settings.envoy_port}"))
        rest = await stack.enter_async_context(httpx.AsyncClient(base_url=system.rest_url))
        yield Doors(system, opened, envoy, rest)


def may_call(method: Method, caller: str) -> bool:
    """What the contract says."""
    if method.rule.access == auth.ACCESS_OPEN:
        return True
    if method.rule.access == auth.ACCESS_SERVICE:
        return caller == SERVICE
    return caller in method.allowed


def named(found: Iterable[Method]) -> list[Any]:
    """Methods as parameters that are called by their paths."""
    return [pytest.param(method, id=method.path.removeprefix("/ordergate.")) for method in found]


def test_every_method_declares_who_may_call_it() -> None:
    """The table is whole: no method without a rule, none that is public without a form over REST or a stream."""
    assert len(methods()) > 30
    for method in methods():
        assert method.rule.access != auth.ACCESS_UNSPECIFIED
        assert (method.rule.access == auth.ACCESS_ROLES) is bool(method.rule.roles)
        assert set(method.any_account) <= set(method.allowed)
        assert bool(method.bindings) is (method.is_public and not method.descriptor.client_streaming)


@pytest.mark.parametrize("method", named(methods()))
async def test_roles(doors: Doors, method: Method) -> None:
    """Each role alone, no role, and a server: who may is not refused for it, everybody else is, with the reason."""
    accounts = (OWN,) if method.rule.account_field else ()
    for caller in CALLERS:
        outcomes = [outcome async for outcome in doors.call(method, doors.header(caller), *accounts)]
        assert len(outcomes) == 1 + len(method.bindings)
        for outcome in outcomes:
            if may_call(method, caller):
                assert not outcome.is_refusal, (caller, outcome)
            else:
                assert outcome.reason == "ROLE_NOT_ALLOWED", (caller, outcome)
                assert outcome.status in (None, grpc.StatusCode.PERMISSION_DENIED)
                assert outcome.http_status in (0, 403)


@pytest.mark.parametrize("method", named(method for method in methods() if not method.is_public))
async def test_internal_methods_have_no_door(doors: Doors, method: Method) -> None:
    """Through Envoy nobody reaches them, not even a server."""
    outcome = await over_grpc(doors.envoy, method, method.request(), doors.header(SERVICE))
    assert outcome.status is grpc.StatusCode.UNIMPLEMENTED
    assert (await over_grpc(doors.envoy, method, method.request(), None)).reason == "TOKEN_MISSING"


async def test_probes_and_reflection_are_open(doors: Doors) -> None:
    """Whoever watches over a server needs no token, on each of them."""
    for channel in doors.servers.values():
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        mirror: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, channel))
        listed = mirror.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        assert (await anext(aiter(listed))).list_services_response.service


@pytest.mark.parametrize(
    "roles", [("trader", "risk_officer"), ("auditor", "trader"), ("admin", "auditor"), ("admin", "market_maker")]
)
async def test_conflicting_roles(doors: Doors, roles: tuple[str, ...]) -> None:
    """Whoever holds two roles that exclude each other is refused everywhere, also where each alone is let in."""
    header = f"Bearer {doors.system.token(*roles, accounts=[OWN])}"
    for method in methods():
        if method.rule.access != auth.ACCESS_ROLES:
            continue
        accounts = (OWN,) if method.rule.account_field else ()
        async for outcome in doors.call(method, header, *accounts):
            assert outcome.reason == "ROLES_CONFLICT", (method.path, outcome)
