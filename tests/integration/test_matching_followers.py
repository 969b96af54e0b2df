"""The event feed of the matching server over real gRPC: any place, any range, across restarts."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from ordergate.types.v1 import types_pb2 as types

from runtime.settings import Settings
from tests.simulation.gateway_link import (
    Stub,
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


async def test_the_feed_begins_after_any_seq(settings: Settings, stub: Stub) -> None:
    """Dense, in order, the same bytes for everybody, each message naming the one before."""
    async with linked(settings, stub) as link:
        await link.carry_out(*(order("DEMO", BUY, 1, 100 + n, f"A{n}") for n in range(5)))
        await link.carry_out(*(order("MM", SELL, 1, 100 + n, f"B{n}") for n in range(5)))
    everything = await feed(stub)
    told = parsed(everything)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    for after in range(len(told) + 1):
        responses = await streamed(stub, after, len(told))
        assert [data for response in responses for data in response.events] == everything[after:]
        assert responses[0].prev_seq == after
        assert all(later.prev_seq == before.seq for before, later in pairwise(responses))
        assert (responses[-1].seq, responses[-1].last_seq) == (len(told), len(told))


async def test_the_feed_ends_at_until_seq(stub: Stub) -> None:
    """Exactly there, in the middle of a batch too; the stream then ends by itself."""
    everything = await feed(stub)
    for until in range(1, len(everything) + 1):
        responses = await streamed(stub, 0, until)
        assert [data for response in responses for data in response.events] == everything[:until]
        assert responses[-1].seq == until


async def test_the_feed_waits_for_a_seq_that_has_yet_to_happen(settings: Settings, stub: Stub) -> None:
    """A live reader gets events as they become durable, and heartbeats until then."""
    before = await last_seq(stub)
    reading = asyncio.create_task(streamed(stub, before, before + 2))
    async with linked(settings, stub) as link:
        await link.carry_out(order("DEMO", BUY, 1, 100, "A1"))
        await link.carry_out(order("DEMO", BUY, 1, 100, "A2"))
        responses = await reading
        assert [data for response in responses for data in response.events] == link.events
        assert {response.epoch for response in responses} == {1}


@pytest.mark.parametrize(("after", "until"), [(10**6, 0), (5, 4)])
async def test_a_place_that_cannot_be_is_refused(stub: Stub, after: int, until: int) -> None:
    """Beyond the end of the journal, or a range that ends before it begins: INVALID_ARGUMENT."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await streamed(stub, after, until)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_feed_can_be_filtered_by_account(settings: Settings, stub: Stub) -> None:
    """Only order events of the accounts come; `seq` counts the others too, so nothing looks like a gap."""
    before = await last_seq(stub)
    async with linked(settings, stub) as link:
        await link.carry_out(order("DEMO", BUY, 3, 100, "A1"), order("MM", SELL, 2, 100, "B1"))
        await link.carry_out(order("DEMO", BUY, 1, 99, "A2"))
    end = await last_seq(stub)
    responses = await streamed(stub, 0, end, ["DEMO"])
    told = parsed([data for response in responses for data in response.events])
    assert [event.order.cl_ord_id for event in told] == ["A1", "A1", "A2"]
    assert [event.seq for event in told] == [before + 1, before + 3, before + 5]
    assert (responses[0].prev_seq, responses[-1].seq) == (0, end)
    assert all(later.prev_seq == earlier.seq for earlier, later in pairwise(responses))


async def test_a_follower_resumes_across_a_restart(settings: Settings) -> None:
    """What it had before and what it gets afterwards are together the journal, without a gap or a repetition."""
    async with serving(settings) as stub:
        await day_closed(stub)
        async with linked(settings, stub) as link:
            await link.carry_out(*(order("DEMO", BUY, 1, 100 + n, f"A{n}") for n in range(10)))
        half = await last_seq(stub) - 5
        first = [data for response in await streamed(stub, 0, half) for data in response.events]
    async with serving(settings) as stub:
        async with linked(settings, stub) as link:
            await link.carry_out(*(order("DEMO", BUY, 1, 100 + n, f"B{n}") for n in range(10)))
        responses = await streamed(stub, half, await last_seq(stub))
        assert responses[0].prev_seq == half
        assert {response.epoch for response in responses} == {2}
        assert first + [data for response in responses for data in response.events] == await feed(stub)
