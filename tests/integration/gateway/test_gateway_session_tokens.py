"""A session and its token: it ends with it, is prolonged by a newer one, and ends at once when it is revoked."""

import asyncio
import time
from collections.abc import Sequence

import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.types.v1 import types_pb2 as types

from runtime import revocations
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.sessions import CANCELED, OPEN, becomes, placed, quote, status_of
from tests.integration.gateway.venue import Metadata, SessionClient, Venue, session, submit
from tests.integration.revoking import FORMS, Bearer, revocation, spared

SHORT_S = 2


@pytest_asyncio.fixture
async def linked(own_venue: NewVenue) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


def bearing(token: str) -> Metadata:
    """Call metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


def short(venue: Venue) -> Metadata:
    """Call metadata with a token that runs out soon."""
    return bearing(venue.token(ttl_s=SHORT_S))


async def authenticate(client: SessionClient, token: str) -> None:
    """Sends a newer token."""
    await client.send(authentication=entry.Authentication(token=token))


async def test_a_session_ends_with_its_token(venue: Venue) -> None:
    """Warned first, then ended in band with the reason; its orders end with it."""
    async with session(venue, short(venue), cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        notice = (await client.until("draining")).draining
        assert notice.reason == types.REASON_TOKEN_EXPIRED
        assert 0 < notice.ends_in_ms <= SHORT_S * 1_000
        key = await placed(client)
        end = await client.ended()
        assert end.reason == types.REASON_TOKEN_EXPIRED
        assert end.retry_delay_ms > 0
        assert time.time() >= accepted.token_expires_at.seconds
    await becomes(venue, key, CANCELED)


async def test_a_newer_token_prolongs_a_session(venue: Venue) -> None:
    """With a new token in time the session outlives the first one, and is not warned of it any more."""
    async with session(venue, short(venue), heartbeat_interval_s=1, cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        await authenticate(client, venue.token())
        while time.time() < accepted.token_expires_at.seconds + 1:
            await client.until("heartbeat")
        key = await placed(client)
        assert await status_of(venue, key) == OPEN


@pytest.mark.parametrize(
    ("roles", "accounts", "subject", "reason"),
    [
        (["trader"], ["DEMO"], "other", types.REASON_TOKEN_INVALID),
        (["trader"], ["MM"], "me", types.REASON_ACCOUNT_NOT_ALLOWED),
        (["auditor"], ["DEMO"], "me", types.REASON_ROLE_NOT_ALLOWED),
        (["trader", "risk_officer"], ["DEMO"], "me", types.REASON_ROLES_CONFLICT),
    ],
    ids=["subject", "accounts", "roles", "conflict"],
)
async def test_a_newer_token_must_allow_as_much(
    venue: Venue,
    roles: Sequence[str],
    accounts: Sequence[str],
    subject: str,
    reason: types.Reason.ValueType,
) -> None:
    """Another caller's, or one that does not allow what the session does, ends it in band."""
    async with session(venue, cancel_on_disconnect=True) as client:
        key = await placed(client)
        await authenticate(client, venue.token(*roles, accounts=accounts, subject=subject))
        assert (await client.ended()).reason == reason
    await becomes(venue, key, CANCELED)


@pytest.mark.parametrize(
    ("token", "reason"), [("", types.REASON_TOKEN_MISSING), ("a.b.c", types.REASON_TOKEN_INVALID)], ids=["none", "junk"]
)
async def test_junk_is_no_token(venue: Venue, token: str, reason: types.Reason.ValueType) -> None:
    """What is no token ends the session in band."""
    async with session(venue) as client:
        await authenticate(client, token)
        assert (await client.ended()).reason == reason


async def test_the_roles_are_those_of_the_newest_token(venue: Venue) -> None:
    """A market maker whose newer token makes it a trader may go on, but not quote."""
    async with session(venue, venue.as_role("market_maker"), accounts=["DEMO"]) as client:
        await client.commands(quote(1))
        assert (await client.frames(reports=1, replies=1)).replies[0].HasField("quoted")
        await authenticate(client, venue.token("trader"))
        await client.commands(quote(2), submit(3))
        frame = await client.frames(reports=1, replies=1)
        assert frame.replies[0].refused.code == types.REASON_ROLE_NOT_ALLOWED
        assert frame.reports[0].correlation_id == 3


@pytest.mark.parametrize("form", FORMS)
async def test_a_revoked_callers_sessions_end(linked: Venue, form: str) -> None:
    """A revocation reaches live sessions: that caller's end with the reason, and their orders; others go on, of the
    same subject too where it is not the subject that is revoked."""
    caller = Bearer("me", ["trader"])
    gone, good = [linked.token(*bearer.roles, subject=bearer.subject) for bearer in (caller, spared(form, caller))]
    async with (
        session(linked, bearing(gone), accounts=["DEMO"], cancel_on_disconnect=True) as mine,
        session(linked, bearing(good), accounts=["DEMO"], cancel_on_disconnect=True) as theirs,
    ):
        first, second = await placed(mine), await placed(theirs)
        path = linked.settings.auth_revocations_file
        await asyncio.to_thread(revocations.add, path, [revocation(form, gone)], time.time())
        assert (await mine.ended()).reason == types.REASON_TOKEN_REVOKED
        await becomes(linked, first, CANCELED)
        assert await status_of(linked, second) == OPEN
        await placed(theirs, 2)


async def test_a_session_has_a_greatest_age(own_venue: NewVenue) -> None:
    """An old session is warned and ended in band; its client connects again and misses nothing."""
    venue = own_venue(stream_age_max_s=1.0)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with session(venue) as client:
        notice = (await client.until("draining")).draining
        assert notice.reason == types.REASON_DRAINING
        assert 0 < notice.ends_in_ms <= 1_000
        await placed(client)
        end = await client.ended()
        assert (end.reason, end.resume_after) == (types.REASON_DRAINING, client.seq)
    missed = await venue.submit()
    async with session(venue, resume_after=end.resume_after) as client:
        assert [one.seq for one in (await client.frames(reports=1)).reports] == [missed.seq]
