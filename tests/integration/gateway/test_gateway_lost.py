"""Gateways that are lost, that come back, and that are only away for a moment: what becomes of their sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from runtime import tokens
from runtime.channels import client_channel
from runtime.lifetimes import live_gauge
from runtime.session_ids import session_id
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.processes import gateway_process, matching_process, session_of
from tests.integration.gateway.sessions import CANCELED, OPEN, becomes, history, placed, session_becomes, status_of
from tests.integration.gateway.venue import (
    SessionClient,
    Venue,
    details,
    eventually,
    new_key,
    second_gateway,
    session,
    submit,
)

GATEWAY = "gateway-lost"


class BareLink:
    """A gateway reduced to its link, which a test can make do what no gateway would."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._sent = 0

    async def logon(self, incarnation: int, gateway_id: str = GATEWAY) -> None:
        """Says who it is, and waits until it is let in."""
        logon = matching.LinkLogon(gateway_id=gateway_id, incarnation=incarnation)
        await self._call.write(matching.LinkRequest(logon=logon))
        response = await self._call.read()
        assert response.HasField("accepted")

    async def carry_out(self, **body: Any) -> None:
        """Sends one command and waits until it is carried out."""
        session = body.pop("session_id", "")
        command = commands.Command(actor="me", session_id=session, gateway_id=GATEWAY, **body)
        self._sent += 1
        frame = matching.LinkFrame(first_correlation=self._sent, commands=[command.SerializeToString()])
        await self._call.write(matching.LinkRequest(frame=frame))
        answered: list[int] = []
        while self._sent not in answered:
            response = await self._call.read()
            for batch in (response.batch, *response.further):
                answered += batch.correlations

    async def session_with_order(self, name: str) -> str:
        """Begins a session and places an order in it; gives the order's key."""
        opening = commands.OpenSession(session_id=name, gateway_id=GATEWAY, cancel_on_disconnect=True)
        await self.carry_out(open_session=opening, session_id=name)
        key = new_key()
        order = commands.NewOrder(
            account="DEMO",
            cl_ord_id=key,
            symbol="AAPL",
            side=types.SIDE_BUY,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty_lots=1,
            price_ticks=100,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        )
        await self.carry_out(new_order=order, session_id=name)
        return key

    async def failure(self) -> grpc.aio.AioRpcError:
        """The error that it is ended with."""
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await self._read_on()
        return error.value

    async def _read_on(self) -> None:
        while await self._call.read() is not grpc.aio.EOF:
            pass
        # At the end of the messages only the code says how it ended.
        if await self._call.code() != grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                await self._call.code(),
                await self._call.initial_metadata(),
                await self._call.trailing_metadata(),
                await self._call.details(),
            )

    def drop(self) -> None:
        """Goes away without a word."""
        self._call.cancel()


@asynccontextmanager
async def bare_link(venue: Venue) -> AsyncIterator[BareLink]:
    """A link on which nothing was said yet."""
    async with client_channel(f"127.0.0.1:{venue.settings.matching_port}") as channel:
        stub: Any = matching_pb2_grpc.MatchingServiceStub(channel)
        call = stub.Link(metadata=tokens.service_metadata(venue.settings, GATEWAY))
        try:
            yield BareLink(call)
        finally:
            call.cancel()


async def linked(own_venue: NewVenue, **settings: Any) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue(**settings)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


@pytest.mark.parametrize("logon", [{"gateway_id": "", "incarnation": 1}, {"gateway_id": "g", "incarnation": 0}])
async def test_a_link_says_who_and_which_run_it_is(venue: Venue, logon: dict[str, Any]) -> None:
    """Without either nobody could tell whose sessions are over."""
    async with bare_link(venue) as link:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await link.logon(**logon)
    assert details(error.value)[0].reason == "FIELD_MISSING"


async def test_a_new_run_ends_the_sessions_of_the_one_before(venue: Venue) -> None:
    """At once, before anything that the new run does; sessions of its own live on when it only links again."""
    async with bare_link(venue) as first:
        await first.logon(10)
        before = await first.session_with_order(session_id(GATEWAY, 10, 1))
        async with bare_link(venue) as second:
            await second.logon(11)
            assert await status_of(venue, before) == CANCELED
            mine = await second.session_with_order(session_id(GATEWAY, 11, 1))
            async with bare_link(venue) as again:
                await again.logon(11)
                assert await status_of(venue, mine) == OPEN
                await again.carry_out(close_session=commands.CloseSession(session_id=session_id(GATEWAY, 11, 1)))
                assert await status_of(venue, mine) == CANCELED


async def test_the_newer_of_two_live_links_wins(venue: Venue) -> None:
    """The older is ended and takes no more commands; as long as the newer lives it is not let in again."""
    async with bare_link(venue) as older, bare_link(venue) as newer, bare_link(venue) as late:
        await older.logon(20)
        await newer.logon(21)
        assert details(await older.failure())[0].reason == "ALREADY_EXISTS"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await late.logon(20)
        assert details(error.value)[0].reason == "ALREADY_EXISTS"
        name = session_id(GATEWAY, 21, 1)
        await newer.session_with_order(name)
        await newer.carry_out(close_session=commands.CloseSession(session_id=name))


async def test_a_mixture_of_runs_is_told_apart(venue: Venue) -> None:
    """Only the sessions of other runs end, where some of the present one are open too."""
    async with bare_link(venue) as link:
        await link.logon(30)
        own, other = session_id(GATEWAY, 30, 1), session_id(GATEWAY, 3, 1)
        kept, ended = await link.session_with_order(own), await link.session_with_order(other)
        async with bare_link(venue) as again:
            await again.logon(30)
            assert (await status_of(venue, kept), await status_of(venue, ended)) == (OPEN, CANCELED)
            await again.carry_out(close_session=commands.CloseSession(session_id=own))


async def test_a_gateway_that_stays_away_loses_its_sessions(own_venue: NewVenue) -> None:
    """After the grace matching ends them itself, as a command of the system, once."""
    venue = own_venue(gateway_grace_s=0.3)
    await venue.start_matching()
    async with bare_link(venue) as link:
        await link.logon(1)
        name = session_id(GATEWAY, 1, 1)
        key = await link.session_with_order(name)
        link.drop()
        event = await becomes(venue, key, CANCELED)
    assert event.order.cause == types.CAUSE_DISCONNECT
    closed = [one for one in await history(venue) if one.HasField("session_closed")]
    assert [(one.actor, one.session_closed.session_id) for one in closed] == [("system", name)]


async def test_the_grace_begins_again_with_matching(own_venue: NewVenue) -> None:
    """Sessions that are open in what was recovered end when their gateway does not come after the start."""
    venue = own_venue(gateway_grace_s=0.3)
    await venue.start_matching()
    async with bare_link(venue) as link:
        await link.logon(1)
        key = await link.session_with_order(session_id(GATEWAY, 1, 1))
        await venue.stop_matching()
    await venue.start_matching()
    await becomes(venue, key, CANCELED)


async def test_a_return_within_the_grace_ends_nothing(own_venue: NewVenue) -> None:
    """Neither at once nor when the grace that had begun would be over."""
    venue = own_venue(gateway_grace_s=0.5)
    await venue.start_matching()
    name = session_id(GATEWAY, 1, 1)
    async with bare_link(venue) as link:
        await link.logon(1)
        key = await link.session_with_order(name)
        link.drop()
    async with bare_link(venue) as other, bare_link(venue) as again:
        # Another gateway that is lost at the same time shows when the grace is over.
        await other.logon(1, "gateway-other")
        opening = commands.OpenSession(session_id="other", gateway_id="gateway-other")
        await other.carry_out(open_session=opening)
        await again.logon(1)
        other.drop()
        await session_becomes(venue, "other", "session_opened", "session_closed")
        assert await status_of(venue, key) == OPEN


async def test_a_short_break_of_the_link_ends_no_session(own_venue: NewVenue) -> None:
    """Cut and restored: the client notices nothing, and its orders still end with it."""
    venue = await linked(own_venue)
    async with session(venue, cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        first = await placed(client)
        await venue.break_link()
        second = await placed(client, 2)
        assert await status_of(venue, first) == OPEN
        client.leave()
        await becomes(venue, second, CANCELED)
    assert await status_of(venue, first) == CANCELED
    await session_becomes(venue, accepted.session_id, "session_opened", "session_closed")


async def test_sessions_live_through_a_restart_of_matching(own_venue: NewVenue) -> None:
    """They are recovered with everything else: orders of before and after end with the session."""
    venue = await linked(own_venue)
    async with session(venue, cancel_on_disconnect=True) as client:
        first = await placed(client)
        await venue.stop_matching()
        await venue.start_matching()
        await venue.becomes(serving=True)
        second = await placed(client, 2)
        assert await status_of(venue, first) == OPEN
        client.leave()
        await becomes(venue, second, CANCELED)
    assert await status_of(venue, first) == CANCELED


async def handed_over(client: SessionClient, *keys: str) -> None:
    """Sends orders and waits until the gateway has handed them to the link: it answers what stands behind them."""
    await client.commands(*(submit(n, cl_ord_id=key) for n, key in enumerate(keys, 100)), submit(99, qty="x"))
    (reply,) = (await client.frames(replies=1)).replies
    assert reply.correlation_id == 99


async def test_a_client_that_leaves_while_the_link_is_down(own_venue: NewVenue) -> None:
    """The session's end goes out with what is sent again, behind its orders: they are carried out and cancelled."""
    venue = await linked(own_venue)
    before = live_gauge._value.get()
    async with session(venue, cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        first, second = await placed(client), new_key()
        venue.cable.holds_requests()
        await handed_over(client, second)
        client.leave()
        await eventually(lambda: live_gauge._value.get() == before)
        await venue.cable.cut()
        await becomes(venue, second, CANCELED)
    assert await status_of(venue, first) == CANCELED
    await session_becomes(venue, accepted.session_id, "session_opened", "session_closed")


async def test_a_client_that_leaves_before_the_venue_gives_its_gateway_up(own_venue: NewVenue) -> None:
    """The client is gone, and the grace over, before the link is back: what is sent again does not stay in the book."""
    venue = await linked(own_venue, gateway_grace_s=0.0)
    before = live_gauge._value.get()
    async with session(venue, cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        first, second = await placed(client), new_key()
        venue.cable.holds_requests()
        await handed_over(client, second)
        client.leave()
        await eventually(lambda: live_gauge._value.get() == before)
        await venue.cable.cut()
        await becomes(venue, second, CANCELED)
    assert await status_of(venue, first) == CANCELED
    told = ("session_opened", "session_closed", "session_opened", "session_closed")
    await session_becomes(venue, accepted.session_id, *told)


async def test_a_session_that_the_venue_has_ended_ends(own_venue: NewVenue) -> None:
    """Away for longer than the grace: the client is told, and what was under way does not stay in the book."""
    venue = await linked(own_venue, gateway_grace_s=0.0)
    async with session(venue, cancel_on_disconnect=True) as client:
        accepted = (await client.until("logon")).logon
        first, second = await placed(client), new_key()
        venue.cable.holds_requests()
        await handed_over(client, second)
        await venue.cable.cut()
        end = await client.ended()
        assert end.reason == types.REASON_MATCHING_UNAVAILABLE
        assert end.resume_after == client.seq
    await becomes(venue, second, CANCELED)
    assert await status_of(venue, first) == CANCELED
    told = ("session_opened", "session_closed", "session_opened", "session_closed")
    await session_becomes(venue, accepted.session_id, *told)
    async with session(venue, resume_after=accepted.resume_after) as client:
        reports = (await client.frames(reports=4)).reports
    new, ended = types.EXEC_TYPE_NEW, types.EXEC_TYPE_CANCELED
    assert [(one.cl_ord_id, one.exec_type) for one in reports] == [
        (first, new),
        (first, ended),
        (second, new),
        (second, ended),
    ]


async def test_a_gateway_beyond_what_is_kept_goes_on_from_the_present(own_venue: NewVenue, free_tcp_port: int) -> None:
    """Its streams end with SNAPSHOT_REQUIRED and what their clients have; what was not answered is sent again."""
    venue = own_venue(journal_keep_events=0, snapshot_interval_events=50, journal_segment_bytes=4_096)
    async with matching_process(venue, free_tcp_port) as process:
        await venue.plug_in(free_tcp_port)
        await venue.start_gateway()
        await venue.becomes(serving=True)
        async with session(venue, cancel_on_disconnect=True) as client:
            first, second = await placed(client), new_key()
            venue.cable.holds_requests()
            await handed_over(client, second)
            venue.cable.holds_answers()
            async with second_gateway(venue) as place:
                while oldest_kept(venue) <= (client.seq or 0) + 1:
                    await place()
            # What it has sent lately a matching server has in memory; one that starts has only the journal.
            await process.stop()
            await process.start()
            await process.wait_ready()
            await venue.cable.cut()
            end = await client.ended()
            assert (end.reason, end.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, client.seq)
        await becomes(venue, second, CANCELED)
        assert await status_of(venue, first) == CANCELED
        await venue.becomes(serving=True)
        async with session(venue) as client:
            await placed(client)
        await venue.stop_gateway()


async def test_a_gateway_whose_name_another_takes_ends_its_sessions(own_venue: NewVenue) -> None:
    """Two processes with one name are one too many: the newer one serves, the clients of the older one are told."""
    venue = await linked(own_venue)
    async with session(venue, cancel_on_disconnect=True) as client:
        key = await placed(client)
        async with second_gateway(venue, venue.settings.gateway_id) as place:
            assert await status_of(venue, key) == CANCELED
            end = await client.ended()
            assert end.reason == types.REASON_MATCHING_UNAVAILABLE
            report = await place()
            assert report.exec_type == types.EXEC_TYPE_NEW
        await venue.becomes(serving=True)
        assert await status_of(venue, report.cl_ord_id) == OPEN


def oldest_kept(venue: Venue) -> int:
    """The oldest event that matching's journal still has."""
    return min(int(path.stem) for path in venue.settings.journal_dir.glob("*.journal"))


@pytest.mark.parametrize("comes_back", [False, True])
async def test_a_killed_gateways_orders_are_cancelled(
    own_venue: NewVenue, free_tcp_port: int, comes_back: bool
) -> None:
    """By matching: after the grace when it stays away, and long before that when it comes back as another run."""
    venue = own_venue(gateway_grace_s=3_600.0 if comes_back else 0.5)
    await venue.start_matching()
    async with gateway_process(venue, free_tcp_port) as (process, stub), session_of(venue, stub) as client:
        key = await placed(client)
        await process.kill()
    if comes_back:
        assert await status_of(venue, key) == OPEN
        async with gateway_process(venue, free_tcp_port) as (_, stub), session_of(venue, stub) as client:
            assert await status_of(venue, key) == CANCELED
            await placed(client)
    await becomes(venue, key, CANCELED)
