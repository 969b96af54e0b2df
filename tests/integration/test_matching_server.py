"""The matching server over real gRPC: the link, queries, restarts and refusals."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Event as Gate
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from matching import sequencer
from matching import server as matching_server
from matching.journal.errors import DamagedJournalError, JournalLockedError
from runtime import tokens
from runtime.channels import client_channel
from runtime.serve import running
from runtime.settings import Settings
from tests.simulation.gateway_link import (
    NAME,
    Stub,
    connected,
    day_closed,
    feed,
    last_seq,
    linked,
    order,
    parsed,
    serving,
    settings_in,
    streamed,
)

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A venue of this test's own, not started yet."""
    return settings_in(tmp_path)


@pytest_asyncio.fixture
async def stub(settings: Settings) -> AsyncIterator[Stub]:
    """A running venue whose genesis, and the closing of yesterday, are done."""
    async with serving(settings) as started:
        await day_closed(started)
        yield started


async def test_a_link_is_accepted_at_the_last_event(settings: Settings, stub: Stub) -> None:
    """The first message names the epoch and the event after which the link's events begin."""
    before = await last_seq(stub)
    async with linked(settings, stub) as link:
        assert (link.epoch, link.accepted.accepted.last_seq) == (1, before)
        await link.carry_out(order("DEMO", BUY, 1, 100, "A1"))
        assert parsed(link.events)[0].seq == before + 1


async def test_a_link_begins_with_a_logon(settings: Settings, stub: Stub) -> None:
    """A gateway that does not say who it is, is refused."""
    call = stub.Link(metadata=tokens.service_metadata(settings, NAME))
    await call.write(wire.LinkRequest(frame=wire.LinkFrame(first_correlation=1)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("roles", "code"), [(None, grpc.StatusCode.UNAUTHENTICATED), (["admin"], grpc.StatusCode.PERMISSION_DENIED)]
)
async def test_only_servers_may_come_in(
    settings: Settings, stub: Stub, roles: list[str] | None, code: grpc.StatusCode
) -> None:
    """Nobody without a token, and no person whatever the role, reaches the link, the feed or a query."""
    metadata: list[tuple[str, str]] = []
    if roles is not None:
        token = tokens.issue(
            settings.auth_dev_key_file.read_bytes(),
            kid=tokens.DEV_KID,
            subject="somebody",
            roles=roles,
            accounts=["DEMO"],
            ttl_s=60,
            issuer=settings.auth_issuer,
            audience=settings.auth_audience,
        )
        metadata.append(("authorization", f"Bearer {token}"))
    other = settings.model_copy(update={"home": settings.home / "other"})
    async with (
        running("matching", matching_server.parts, other) as server,
        client_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        bare = matching_pb2_grpc.MatchingServiceStub(channel)
        link = bare.Link(metadata=metadata)
        stream = bare.StreamEvents(wire.StreamEventsRequest(), metadata=metadata)
        query = bare.GetAccount(wire.GetAccountRequest(account="DEMO"), metadata=metadata)
        for call in (link.read(), stream.read(), query):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() == code


async def test_results_are_durable_and_in_order(settings: Settings, stub: Stub) -> None:
    """Each command is answered once, in order, with the seq of its first event, which is in the same message."""
    async with linked(settings, stub) as link:
        for first in range(0, 60, 6):
            await link.send(*(order("DEMO", BUY, 1, 100 + n, f"A{n}") for n in range(first, first + 6)))
        results = await link.results_of(range(1, 61))
        assert link.order == list(range(1, 61))
        seqs = [result.seq for result in results]
        assert seqs == sorted(seqs)
        told = {event.seq: event for event in parsed(link.events)}
        assert [told[seq].order.cl_ord_id for seq in seqs] == [f"A{n}" for n in range(60)]
        for batch in link.batches:
            inside = {event.seq: event for event in parsed(list(batch.events))}
            assert inside.keys() >= set(batch.command_seqs) - {0}
            assert all(event.time_unix_ns <= batch.durable_unix_ns for event in inside.values())
        assert await feed(stub, link.accepted.accepted.last_seq) == link.events


async def test_every_link_hears_all_events_and_its_own_results(settings: Settings, stub: Stub) -> None:
    """Two gateways see the same events in the same order; each is answered for its own commands only."""
    async with linked(settings, stub) as one, linked(settings, stub, "gateway-two") as two:
        await asyncio.gather(
            *(one.carry_out(order("DEMO", BUY, 1, 100, f"one-{n}")) for n in range(20)),
            *(two.carry_out(order("DEMO", BUY, 1, 100, f"two-{n}")) for n in range(20)),
        )
        end = await last_seq(stub)
        for link in (one, two):
            await link.until(lambda link=link: link.batches and parsed(link.events)[-1].seq == end)
        assert one.events == two.events
        assert (len(one.results), len(two.results)) == (20, 20)
        mine = {event.seq for event in parsed(one.events) if event.order.cl_ord_id.startswith("one-")}
        assert {result.seq for result in one.results.values()} == mine


async def test_a_repetition_is_answered_with_the_original(settings: Settings, stub: Stub) -> None:
    """In the same frame, in a later one and on another link: the first event again, and no new one."""
    same = order("DEMO", BUY, 1, 100, "A1")
    async with linked(settings, stub) as link:
        made, repeated = await link.carry_out(same, same)
        (later,) = await link.carry_out(same)
        assert made.repeated is None
        for result in (repeated, later):
            assert result.repeated is not None
            assert (result.seq, result.repeated.seq) == (0, made.seq)
            assert result.original == link.events[0]
        assert len(link.events) == 1
    async with linked(settings, stub) as other:
        (again,) = await other.carry_out(same)
        assert again.repeated is not None
        assert again.repeated.seq == made.seq


async def test_a_link_that_sends_no_more_still_gets_its_results(settings: Settings, stub: Stub) -> None:
    """After the gateway's half of the stream is closed, what it had sent is answered, and then the stream ends."""
    call = stub.Link(metadata=tokens.service_metadata(settings, NAME))
    await call.write(wire.LinkRequest(logon=wire.LinkLogon(gateway_id=NAME, incarnation=1)))
    frame = wire.LinkFrame(first_correlation=1, commands=[order("DEMO", BUY, 1, 100, f"A{n}") for n in range(500)])
    await call.write(wire.LinkRequest(frame=frame))
    await call.done_writing()
    async with asyncio.timeout(60):
        answered: list[int] = []
        while (response := await call.read()) is not grpc.aio.EOF:
            assert isinstance(response, wire.LinkResponse)
            for batch in (response.batch, *response.further):
                answered.extend(batch.correlations)
    assert answered == list(range(1, 501))


async def test_a_silent_link_hears_heartbeats(settings: Settings, stub: Stub) -> None:
    """While nothing happens, the server says so with the last durable event."""
    async with linked(settings, stub) as link:
        await link.until(lambda: len(link.heartbeats) == 2)
        assert link.heartbeats == [link.accepted.accepted.last_seq] * 2


async def test_a_link_hears_heartbeats_while_others_only_repeat(settings: Settings, stub: Stub) -> None:
    """Batches without events, and without an answer for it, are no reason to leave a link in silence."""
    async with linked(settings, stub) as quiet, linked(settings, stub, "another") as busy:
        placing = order("DEMO", BUY, 1, 100, "again")
        await busy.carry_out(placing)
        while len(quiet.heartbeats) < 2:
            (result,) = await busy.carry_out(placing)
            assert result.repeated is not None
        assert not quiet.results


async def test_queries_tell_orders_and_money(settings: Settings, stub: Stub) -> None:
    """After a trade: the order by either id, pages of orders, and the ledger of both accounts."""
    async with linked(settings, stub) as link:
        (bid,) = await link.carry_out(order("DEMO", BUY, 10, 20_000, "A1"))
        await link.carry_out(order("MM", SELL, 4, 19_900, "B1"))
        await link.carry_out(*(order("DEMO", BUY, 1, 100 + n, f"C{n}") for n in range(3)))
    by_id = await stub.LookupOrder(wire.LookupOrderRequest(account="DEMO", order_id=bid.seq))
    by_key = await stub.LookupOrder(wire.LookupOrderRequest(account="DEMO", cl_ord_id="A1"))
    assert by_id == by_key
    last = events.Event.FromString(by_id.order.last_event).order
    assert (last.order_id, last.cum_qty_lots, last.leaves_qty_lots, last.last_px_ticks) == (bid.seq, 4, 6, 20_000)
    assert not (await stub.LookupOrder(wire.LookupOrderRequest(account="MM", order_id=bid.seq))).HasField("order")
    page = await stub.ScanOrders(wire.ScanOrdersRequest(account="DEMO", limit=3))
    assert [events.Event.FromString(one.last_event).order.cl_ord_id for one in page.orders] == ["C2", "C1", "C0"]
    assert page.more
    last_id = events.Event.FromString(page.orders[-1].last_event).order.order_id
    rest = await stub.ScanOrders(wire.ScanOrdersRequest(account="DEMO", limit=3, before_order_id=last_id))
    assert [events.Event.FromString(one.last_event).order.cl_ord_id for one in rest.orders] == ["A1"]
    assert not rest.more
    demo = await stub.GetAccount(wire.GetAccountRequest(account="DEMO"))
    usd = next(cash for cash in demo.cash if cash.currency == "USD")
    spent, held = 4 * 20_000 * 10_000, (6 * 20_000 + 100 + 101 + 102) * 10_000
    # The standard schedule: the maker has paid 50 millionths; held are 150, rounded up, and a millionth a lot.
    fee, held_fees = 40_000, (180_000 + 6) + (150 + 1) + (152 + 1) + (153 + 1)
    assert (usd.cash_micro, usd.fees_micro, usd.held_micro) == (10**13 - spent - fee, fee, held + held_fees)
    aapl = next(position for position in demo.positions if position.symbol == "AAPL")
    assert (aapl.qty_lots, aapl.cost_ticks_lots, demo.open_orders) == (10_004, 10_000 * 19_000 + 4 * 20_000, 4)
    assert not (await stub.GetAccount(wire.GetAccountRequest(account="NOBODY"))).found
    listed = await stub.ListInstruments(wire.ListInstrumentsRequest())
    symbols = [instrument.symbol for instrument in listed.instruments]
    assert symbols == sorted(symbols)
    assert "AAPL" in symbols


async def test_queries_and_feed_show_only_what_is_durable(
    settings: Settings, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the barrier runs, an order is nowhere to be seen; once it has returned, it is everywhere."""
    monkeypatch.setattr(sequencer, "INLINE_BARRIER_S_MAX", 0)
    gate, stands = Gate(), Gate()
    barrier = os.fdatasync

    def held(fd: int) -> None:
        stands.set()
        assert gate.wait(60)
        barrier(fd)

    before = await last_seq(stub)
    async with linked(settings, stub) as link:
        monkeypatch.setattr(os, "fdatasync", held)
        try:
            sent = await link.send(order("DEMO", BUY, 1, 100, "A1"))
            assert await asyncio.to_thread(stands.wait, 60)
            lookup = asyncio.ensure_future(stub.LookupOrder(wire.LookupOrderRequest(account="DEMO", cl_ord_id="A1")))
            reading = asyncio.create_task(streamed(stub, before, before + 1))
            # The next heartbeats of the link come a second later: by then a query that did not wait would be here.
            beats = len(link.heartbeats)
            await link.until(lambda: len(link.heartbeats) >= beats + 2)
            assert link.heartbeats[-1] == before
            assert (lookup.done(), reading.done(), link.results) == (False, False, {})
        finally:
            gate.set()
        (result,) = await link.results_of(sent)
        found = await lookup
        assert events.Event.FromString(found.order.last_event).seq == result.seq == before + 1
        assert [data for response in await reading for data in response.events] == link.events


async def test_a_restart_changes_nothing_but_the_epoch(settings: Settings) -> None:
    """The same events byte for byte, the same balances and orders; repetitions are still repetitions."""
    bid, ask = order("DEMO", BUY, 10, 20_000, "A1"), order("MM", SELL, 4, 19_900, "B1")
    async with serving(settings) as stub:
        await day_closed(stub)
        async with linked(settings, stub) as link:
            made = await link.carry_out(bid, ask)
            epoch = link.epoch
        before = await feed(stub)
        accounts = [await stub.GetAccount(wire.GetAccountRequest(account=name)) for name in ("DEMO", "MM")]
        assert {account.epoch for account in accounts} == {epoch}
        orders = await stub.ScanOrders(wire.ScanOrdersRequest(account="DEMO"))
    async with serving(settings) as stub:
        assert await feed(stub) == before
        for account in accounts:
            account.epoch += 1
        assert [await stub.GetAccount(wire.GetAccountRequest(account=name)) for name in ("DEMO", "MM")] == accounts
        assert await stub.ScanOrders(wire.ScanOrdersRequest(account="DEMO")) == orders
        async with linked(settings, stub) as link:
            assert link.epoch == epoch + 1
            assert link.accepted.accepted.last_seq == len(before)
            again = await link.carry_out(bid, ask)
            assert [one.repeated and one.repeated.seq for one in again] == [one.seq for one in made]
            (fill,) = await link.carry_out(order("MM", SELL, 6, 19_900, "B2"))
            assert fill.seq == len(before) + 1
            assert [event.order.last_qty_lots for event in parsed(link.events)] == [0, 6, 6]


async def test_a_restart_goes_on_in_many_segments(settings: Settings) -> None:
    """Small segments, several restarts: each start reads all of them and the feed gives everything."""
    small = settings.model_copy(update={"journal_segment_bytes": 4096})
    for round_number in range(3):
        async with serving(small) as stub:
            await day_closed(stub)
            async with linked(small, stub) as link:
                for n in range(10):
                    await link.carry_out(*(order("DEMO", BUY, 1, 100, f"{round_number}-{n}-{m}") for m in range(3)))
            told = parsed(await feed(stub))
            assert [event.seq for event in told] == list(range(1, len(told) + 1))
            keys = [event.order.cl_ord_id for event in told if event.HasField("order")]
            assert len(keys) == len(set(keys)) == 30 * (round_number + 1)
    assert len(list(small.journal_dir.glob("*.journal"))) > 5


async def test_commands_of_every_kind_come_through_the_link(settings: Settings, stub: Stub) -> None:
    """Replace, cancel and administration are carried out like orders."""
    async with linked(settings, stub) as link:
        (first,) = await link.carry_out(order("DEMO", BUY, 10, 100, "A1"))
        replace = commands.ReplaceOrder(account="DEMO", order_id=first.seq, cl_ord_id="A2", price_nano=1_010_000_000)
        cancel = commands.CancelOrder(account="DEMO", orig_cl_ord_id="A2")
        deposit = commands.AdjustCash(account="DEMO", currency="USD", amount_micro=5, request_id="d1")
        given = [
            commands.Command(replace_order=replace),
            commands.Command(cancel_order=cancel),
            commands.Command(adjust_cash=deposit),
            commands.Command(open_account=commands.OpenAccount(account="NEW")),
        ]
        await link.carry_out(*(command.SerializeToString() for command in given))
        told = parsed(link.events)
        assert [event.order.exec_type for event in told[:3]] == [
            types.EXEC_TYPE_NEW,
            types.EXEC_TYPE_REPLACED,
            types.EXEC_TYPE_CANCELED,
        ]
        assert (told[1].order.price_ticks, told[3].cash_adjusted.cash_micro) == (101, 10**13 + 5)
        assert told[4].account_opened.account == "NEW"


async def test_an_unreadable_command_is_answered_without_an_event(settings: Settings, stub: Stub) -> None:
    """Bytes that are no command get seq 0 and no replay; the next command is carried out."""
    async with linked(settings, stub) as link:
        unreadable, made = await link.carry_out(b"\xff", order("DEMO", BUY, 1, 100, "A1"))
        assert (unreadable.seq, unreadable.repeated) == (0, None)
        assert made.seq == link.accepted.accepted.last_seq + 1


async def test_a_second_server_on_the_journal_is_refused(settings: Settings, stub: Stub) -> None:
    """Two writers would be two truths: the second does not start, the first does not notice (invariant I8)."""
    with pytest.raises(JournalLockedError):
        async with serving(settings):
            pass
    async with linked(settings, stub) as link:
        assert link.epoch == 1
        await link.carry_out(order("DEMO", BUY, 1, 100, "A1"))


async def test_a_second_server_on_the_port_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Two servers that share a port would each get half of the calls: the second does not start."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running("matching", matching_server.parts, settings))
        other = settings_in(tmp_path / "other", matching_port=first.port)
        with pytest.raises(OSError, match="is the port taken"):
            await stack.enter_async_context(running("matching", matching_server.parts, other))
        assert not other.journal_dir.exists()


async def test_a_damaged_journal_is_refused(settings: Settings) -> None:
    """A changed byte in what was acknowledged: no start, and the offset is named."""
    async with serving(settings) as stub:
        await day_closed(stub)
        async with linked(settings, stub) as link:
            await link.carry_out(order("DEMO", BUY, 1, 100, "A1"))
    (path,) = settings.journal_dir.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedJournalError, match=rf"{path.name}: offset \d+: unreadable, but a whole frame follows"):
        async with serving(settings):
            pass


async def test_health_says_serving_and_a_drain_ends_streams(settings: Settings) -> None:
    """SERVING once recovered; at the end a link and a follower are let go in order, not broken."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running("matching", matching_server.parts, settings))
        async with connected(settings, server.port) as stub, client_channel(f"127.0.0.1:{server.port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            state = await health.Check(health_pb2.HealthCheckRequest(service="ordergate.matching.v1.MatchingService"))
            assert state.status == health_pb2.HealthCheckResponse.SERVING
            await day_closed(stub)
            async with linked(settings, stub) as link:
                following = asyncio.create_task(streamed(stub, await last_seq(stub), 0))
                await link.until(lambda: link.heartbeats)
                await stack.aclose()
                assert all(not response.events for response in await following)
                assert await link.call.code() == grpc.StatusCode.OK
