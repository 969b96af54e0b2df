"""Streams of market data end with the token of their caller."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ordergate.marketdata.v1 import marketdata_pb2 as md
from ordergate.types.v1 import types_pb2 as types

from runtime import tokens
from runtime.revocations import add
from tests.integration.marketdata.venue import Venue
from tests.integration.revoking import FORMS, Bearer, revocation, spared

SHORT_S = 2
OVER_WITHIN_S = 30
ANN = Bearer("ann", ["trader"])

STREAMS: dict[str, Callable[[Any], Any]] = {
    "ticks": lambda stub: (stub.SubscribeTicks, md.SubscribeTicksRequest(symbols=["AAPL"])),
    "book": lambda stub: (stub.SubscribeBook, md.SubscribeBookRequest(symbol="AAPL")),
    "trades": lambda stub: (stub.SubscribeTrades, md.SubscribeTradesRequest(symbols=["AAPL"])),
}


def issued(venue: Venue, bearer: Bearer, ttl_s: int = 600) -> str:
    """A token."""
    settings = venue.settings
    return tokens.issue(
        venue.key,
        kid=tokens.DEV_KID,
        subject=bearer.subject,
        roles=bearer.roles,
        accounts=["DEMO"],
        ttl_s=ttl_s,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


async def begun(venue: Venue, name: str, token: str) -> Any:
    """A stream after its first message."""
    method, request = STREAMS[name](venue.stub)
    call = method(request, metadata=(("authorization", f"Bearer {token}"),))
    assert (await call.read()).WhichOneof("message") == "subscribed"
    return call


async def end_of(call: Any) -> types.StreamEnd:
    """How a stream ends in band; nothing comes after it."""
    async with asyncio.timeout(OVER_WITHIN_S):
        while (message := await call.read()).WhichOneof("message") != "end":
            pass
        assert await call.read() is grpc.aio.EOF
    end: types.StreamEnd = message.end
    return end


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STREAMS)
async def test_a_revoked_caller_loses_their_streams(venue: Venue, name: str, form: str) -> None:
    """In band with the reason, while the streams of others go on, of the same subject too where it is not it."""
    gone, good = issued(venue, ANN), issued(venue, spared(form, ANN))
    revoked, other = await begun(venue, name, gone), await begun(venue, name, good)
    add(venue.settings.auth_revocations_file, [revocation(form, gone)], time.time())
    assert (await end_of(revoked)).reason == types.REASON_TOKEN_REVOKED
    assert (await other.read()).WhichOneof("message") != "end"
    other.cancel()


@pytest.mark.parametrize("name", STREAMS)
async def test_an_expired_token_ends_its_streams(venue: Venue, name: str) -> None:
    """A stream lives as long as the token that it was begun with, and says why it ends."""
    call = await begun(venue, name, issued(venue, ANN, ttl_s=SHORT_S))
    end = await end_of(call)
    assert (end.reason, end.retry_delay_ms > 0) == (types.REASON_TOKEN_EXPIRED, True)


async def test_a_removed_key_ends_the_streams_of_its_tokens(venue: Venue) -> None:
    """The key is taken out of the file while the server runs."""
    call = await begun(venue, "ticks", issued(venue, ANN))
    path = venue.settings.auth_jwks_file
    keys = json.loads(path.read_text())["keys"]
    tokens.write_jwks(path, [key for key in keys if key["kid"] != tokens.DEV_KID])
    assert (await end_of(call)).reason == types.REASON_TOKEN_REVOKED
