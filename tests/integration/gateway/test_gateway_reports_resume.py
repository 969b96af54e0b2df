"""Streams of reports that are resumed: over restarts of both servers, beside a busy market, and beyond what is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ordergate.matching.v1 import matching_pb2
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from gateway.stream import Stream
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.streaming import (
    Follower,
    alike,
    drop_copy,
    ended,
    narrow,
    reports_by,
    trade,
    truth,
    until,
)
from tests.integration.gateway.venue import SELL, Venue, reports_of, session
from tests.simulation.matching_process import started

OPEN = frozenset({types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED, types.ORD_STATUS_PENDING_NEW})


@pytest_asyncio.fixture
async def linked(own_venue: NewVenue) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


async def restart_matching(venue: Venue) -> None:
    """Ends matching and begins it again."""
    await venue.stop_matching()
    await venue.becomes(serving=False)
    await venue.start_matching()
    await venue.becomes(serving=True)


async def restart_gateway(venue: Venue) -> None:
    """Ends the gateway and begins another."""
    await venue.stop_gateway()
    await venue.start_gateway()
    await venue.becomes(serving=True)


async def restart_both(venue: Venue) -> None:
    """Ends everything, the venue first."""
    await venue.stop_matching()
    await venue.stop_gateway()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)


async def test_each_report_exactly_once_over_restarts(linked: Venue) -> None:
    """Whichever server restarts: what the clients have in the end is the journal's, in order, nothing twice."""

    def own(stub: Any, seq: int) -> Any:
        request = entry.StreamExecutionReportsRequest(account="DEMO", resume_after=seq)
        return stub.StreamExecutionReports(request, metadata=linked.as_role())

    def all_of_them(stub: Any, seq: int) -> Any:
        request = entry.StreamDropCopyRequest(resume_after=seq)
        return stub.StreamDropCopy(request, metadata=linked.as_role("auditor", accounts=[]))

    one, copy = Follower(linked, own, 0), Follower(linked, all_of_them, 0)
    following = [asyncio.create_task(follower.follow()) for follower in (one, copy)]
    last_seq = 0
    for restart in (restart_matching, restart_gateway, restart_both, restart_matching, restart_gateway):
        last_seq = await trade(linked, 50)
        await restart(linked)
    last_seq = await trade(linked, 50)
    await one.reach(last_seq)
    await copy.reach(last_seq)
    for task in following:
        task.cancel()
    await asyncio.wait(following)
    assert [(made.seq, made.account) for made in one.reports] == await truth(linked, 0, last_seq, "DEMO")
    assert [(made.seq, made.account) for made in copy.reports] == await truth(linked, 0, last_seq)
    assert one.connections > 3
    numbers = [made.account_seq for made in one.reports]
    assert numbers == list(range(1, len(numbers) + 1))
    copied = [alike(made) for made in copy.reports if made.account == "DEMO"]
    assert copied == [alike(made) for made in one.reports]


async def test_a_stream_goes_on_while_matching_restarts(linked: Venue) -> None:
    """Its client does not even notice; the epoch says so."""
    async with drop_copy(linked) as messages:
        begin = await anext(messages)
        await restart_matching(linked)
        last_seq = await trade(linked, 10)
        live = await until(messages, last_seq)
    assert [made.seq for made in live] == [seq for seq, _ in await truth(linked, begin.seq, last_seq)]
    assert live[0].epoch > begin.epoch


async def test_history_survives_a_restart_of_matching(linked: Venue) -> None:
    """The past is being read when matching goes away: the stream waits, and goes on with the next report."""
    last_seq = await trade(linked, 3_000)
    async with reports_of(linked, resume_after=0) as messages:
        assert (await anext(messages)).HasField("subscribed")
        first = (await anext(messages)).report
        await restart_matching(linked)
        rest = await until(messages, last_seq)
    told = [(made.seq, made.account) for made in (first, *rest)]
    assert told == await truth(linked, 0, last_seq, "DEMO")


@pytest.mark.parametrize("room", [100, 100_000], ids=["does not fit", "fits"])
async def test_history_beside_a_busy_market(own_venue: NewVenue, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """What happens while the past is read waits its turn; if it does not fit, the past is read further instead."""
    venue = own_venue(slow_reader_s=60.0)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    await trade(venue, 5_000)
    async with (
        narrow(venue) as stub,
        drop_copy(venue, resume_after=0, stub=stub) as copied,
        reports_by(venue, stub, resume_after=0) as own,
    ):
        for messages in (copied, own):
            assert (await anext(messages)).HasField("subscribed")
        # So much past is more than what can be under way: the streams are at it until their clients read on.
        with monkeypatch.context() as patched:
            patched.setattr(Stream, "queue_max", room)
            last_seq = await trade(venue, 500)
        every = await until(copied, last_seq)
        demos = await until(own, every_last(every, "DEMO"))
        live_seq = await trade(venue, 5)
        every += await until(copied, live_seq)
    assert [(made.seq, made.account) for made in every] == await truth(venue, 0, live_seq)
    assert [(made.seq, made.account) for made in demos] == await truth(venue, 0, last_seq, "DEMO")
    assert every[-1].durable_unix_ns > 0


def every_last(reports: list[orders.ExecutionReport], account: str) -> int:
    """The last sequence of an account."""
    return max(made.seq for made in reports if made.account == account)


async def test_a_quiet_account_keeps_its_place(own_venue: NewVenue) -> None:
    """Heartbeats move on with the journal, so that its client never has to resume far back."""
    venue = own_venue(heartbeat_interval_s=0.05)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with reports_of(venue, "FLOW-BID") as messages:
        begin = await anext(messages)
        last_seq = await trade(venue, 5)
        while (message := await anext(messages)).seq < last_seq:
            assert message.heartbeat.last_seq <= message.seq
        assert message.WhichOneof("message") == "heartbeat"
        assert message.seq > begin.seq
    async with reports_of(venue, "FLOW-BID", resume_after=message.seq) as messages:
        await anext(messages)
        placed = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
        assert [made.seq for made in await until(messages, placed.seq)] == [placed.seq]


async def test_a_sequence_from_elsewhere_may_be_ahead_of_the_link(linked: Venue) -> None:
    """A snapshot's, or another gateway's: the stream begins once the link has caught up, and misses nothing."""
    begin = await linked.submit()
    linked.cable.holds_answers()
    async with linked.straight_to_matching() as stub:
        key = "ahead-of-the-link"
        placing = asyncio.create_task(linked.submit(cl_ord_id=key))
        await linked.carried_out(key)
        ahead = (await stub.GetAccount(matching_pb2.GetAccountRequest(account="DEMO"))).as_of_seq
    assert ahead > begin.seq
    async with reports_of(linked, resume_after=ahead) as messages:
        first = asyncio.ensure_future(anext(messages))
        linked.cable.passes()
        assert (await first).subscribed.resume_after == ahead
        await placing
        live = await linked.submit()
        assert [made.seq for made in await until(messages, live.seq)] == [live.seq]


@asynccontextmanager
async def forgetful(venue: Venue) -> AsyncIterator[None]:
    """A matching server, in a process of its own, that keeps no event longer than it must."""
    async with started(venue.settings) as server:
        await server.listening()
        venue.settings = venue.settings.model_copy(
            update={"matching_port": server.port, "matching_address": f"127.0.0.1:{server.port}"}
        )
        yield
        server.process.terminate()
        await server.ended()


def first_kept(venue: Venue) -> int:
    """The oldest event of the journal."""
    return min(int(path.stem) for path in venue.settings.journal_dir.glob("*.journal"))


async def forgotten(venue: Venue) -> None:
    """Trades until the journal has let go of its beginning."""
    while first_kept(venue) == 1:
        await trade(venue, 40)


@pytest_asyncio.fixture
async def without_past(own_venue: NewVenue, tmp_path: Path) -> AsyncIterator[Venue]:
    """A venue whose journal does not begin at 1 any more, with open orders of DEMO."""
    venue = own_venue(journal_segment_bytes=16_384, journal_keep_events=0, snapshot_interval_events=150)
    async with AsyncExitStack() as stack:
        async with forgetful(venue):
            await venue.start_gateway()
            await venue.becomes(serving=True)
            for _ in range(5):
                await venue.submit()
            await forgotten(venue)
            await venue.stop_gateway()
        # What is gone from the files is in memory until it restarts.
        await stack.enter_async_context(forgetful(venue))
        await venue.start_gateway()
        await venue.becomes(serving=True)
        yield venue
        await venue.stop_gateway()


async def test_what_is_not_kept_needs_a_snapshot(without_past: Venue) -> None:
    """SNAPSHOT_REQUIRED in band, with the place that the client has; what is kept comes without one."""
    venue = without_past
    kept = first_kept(venue)
    for after in (0, kept - 2):
        async with reports_of(venue, resume_after=after) as messages:
            assert (await anext(messages)).subscribed.resume_after == after
            end = await ended(messages)
            assert (end.reason, end.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, after)
        async with drop_copy(venue, resume_after=after) as copied:
            end = await ended(copied)
            assert (end.reason, end.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, after)
        async with session(venue, resume_after=after) as client:
            assert (await client.until("logon")).logon.resume_after == after
            told = await client.ended()
            assert (told.reason, told.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, after)
    async with session(venue, resume_after=kept - 1) as client:
        assert (await client.frames(reports=1)).reports[0].seq >= kept
    placed = await venue.submit()
    async with drop_copy(venue, resume_after=kept - 1) as copied:
        every = await until(copied, placed.seq)
    assert [(made.seq, made.account) for made in every] == await truth(venue, kept - 1, placed.seq)


async def test_a_snapshot_and_what_follows_are_whole(without_past: Venue) -> None:
    """Open orders as of the snapshot, then each report once: that is the account as a later snapshot has it."""
    venue = without_past
    going_on = asyncio.create_task(keep_trading(venue))
    before = await snapshot(venue)
    async with reports_of(venue, resume_after=before.as_of_seq) as messages:
        assert (await anext(messages)).subscribed.resume_after == before.as_of_seq
        followed = [(await anext(messages)).report for _ in range(50)]
        going_on.cancel()
        with suppress(asyncio.CancelledError):
            await going_on
        last = await venue.submit()
        followed += await until(messages, last.seq)
    numbers = [made.account_seq for made in followed]
    assert numbers == list(range(before.account_seq + 1, before.account_seq + 1 + len(numbers)))
    after = await snapshot(venue)
    assert (after.account_seq, after.as_of_seq) == (numbers[-1], last.seq)
    standing = {order.order_id: order.leaves_qty for order in before.open_orders}
    for made in followed:
        if made.ord_status in OPEN:
            standing[made.order_id] = made.leaves_qty
        else:
            standing.pop(made.order_id, None)
    assert standing == {order.order_id: order.leaves_qty for order in after.open_orders}
    assert len(standing) > 5


async def keep_trading(venue: Venue) -> None:
    """Places orders of DEMO until it is cancelled: some rest, some trade."""
    for number in count(1):
        await venue.submit(accounts=["MM"], side=SELL, qty="1", price="50.00")
        await venue.submit(qty="2", price="50.00" if number % 2 else "1.00")


async def snapshot(venue: Venue) -> portfolio.GetAccountSnapshotResponse:
    """DEMO as a whole."""
    response: portfolio.GetAccountSnapshotResponse = await venue.portfolio.GetAccountSnapshot(
        portfolio.GetAccountSnapshotRequest(), metadata=venue.as_role()
    )
    return response


async def test_a_stream_of_an_account_without_events(without_past: Venue) -> None:
    """That the account has nothing there makes no difference: nobody can know it any more."""
    async with reports_of(without_past, "FLOW-ASK", resume_after=0) as messages:
        assert (await ended(messages)).reason == types.REASON_SNAPSHOT_REQUIRED


async def test_without_matching_no_stream_begins(linked: Venue) -> None:
    """UNAVAILABLE, before anything is said."""
    await linked.stop_matching()
    await linked.becomes(serving=False)
    async with drop_copy(linked, resume_after=0) as messages:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await anext(messages)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
