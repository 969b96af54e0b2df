"""How streams of reports and portfolios end: by a drain, a token, revocation, age, and readers that do not read."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from gateway.portfolio_stream import streams_gauge
from gateway.reports import cut_total, readers_gauge
from gateway.stream import Stream
from runtime import revocations
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.streaming import drop_copy, narrow, reports_by, reports_in, trade, truth, until
from tests.integration.gateway.venue import Metadata, Venue, eventually, refused, reports_of
from tests.integration.revoking import FORMS, Bearer, revocation, spared

KINDS = ("reports", "drop copy", "portfolio")


@asynccontextmanager
async def opened(venue: Venue, kind: str, metadata: Metadata) -> AsyncIterator[AsyncIterator[Any]]:
    """A stream of one kind, of DEMO."""
    if kind == "reports":
        call = venue.orders.StreamExecutionReports(entry.StreamExecutionReportsRequest(), metadata=metadata)
    elif kind == "drop copy":
        call = venue.orders.StreamDropCopy(entry.StreamDropCopyRequest(), metadata=metadata)
    else:
        call = venue.portfolio.StreamPortfolio(portfolio.StreamPortfolioRequest(), metadata=metadata)
    try:
        yield aiter(call)
    finally:
        call.cancel()


def bearing(token: str) -> Metadata:
    """Call metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


async def begun(own_venue: NewVenue, **settings: Any) -> Venue:
    """A venue that serves."""
    venue = own_venue(**settings)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


async def rest(messages: AsyncIterator[Any]) -> list[Any]:
    """Everything up to the end of the stream."""
    return [message async for message in messages]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_drain_is_counted_down(own_venue: NewVenue, kind: str) -> None:
    """At once and again until the end, with the time that is left; what happens meanwhile still comes."""
    venue = await begun(own_venue, drain_notice_s=1.2)
    placed = None
    async with opened(venue, kind, venue.as_role()) as messages:
        assert (await anext(messages)).HasField("subscribed")
        stopping = asyncio.create_task(venue.stop_gateway())
        while (message := await anext(messages)).WhichOneof("message") != "draining":
            pass
        notices = [message.draining]
        placed = await venue.submit()
        told = await rest(messages)
        await stopping
    notices += [message.draining for message in told if message.HasField("draining")]
    assert {notice.reason for notice in notices} == {types.REASON_DRAINING}
    left = [notice.ends_in_ms for notice in notices]
    assert len(left) > 1
    assert left == sorted(left, reverse=True)
    assert 1_200 >= left[0] > 0
    assert placed.seq in [message.seq for message in told]
    end = told[-1].end
    assert (end.reason, end.resume_after) == (types.REASON_DRAINING, placed.seq)
    assert end.retry_delay_ms > 0
    assert [message.HasField("end") for message in told].count(True) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_ends_with_its_token(venue: Venue, kind: str) -> None:
    """A notice first, as there are less than 30 seconds left, and TOKEN_EXPIRED in band when there are none."""
    async with opened(venue, kind, bearing(venue.token(ttl_s=2))) as messages:
        told = await rest(messages)
    (notice,) = [message.draining for message in told if message.HasField("draining")]
    assert notice.reason == types.REASON_TOKEN_EXPIRED
    assert notice.ends_in_ms <= 2_000
    assert told[-1].end.reason == types.REASON_TOKEN_EXPIRED


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_ends_when_its_caller_is_revoked(own_venue: NewVenue, kind: str, form: str) -> None:
    """In band, and nothing is told to that caller any more; others stay, of the same subject too where it is not it."""
    venue = await begun(own_venue)
    caller = Bearer("gone", ["trader"])
    gone, good = [venue.token(*bearer.roles, subject=bearer.subject) for bearer in (caller, spared(form, caller))]
    async with opened(venue, kind, bearing(gone)) as messages, opened(venue, kind, bearing(good)) as others:
        assert (await anext(messages)).HasField("subscribed")
        assert (await anext(others)).HasField("subscribed")
        path = venue.settings.auth_revocations_file
        await asyncio.to_thread(revocations.add, path, [revocation(form, gone)], time.time())
        told = await rest(messages)
        assert told[-1].end.reason == types.REASON_TOKEN_REVOKED
        placed = await venue.submit()
        while (await anext(others)).seq < placed.seq:
            pass


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_has_a_longest_life(own_venue: NewVenue, kind: str) -> None:
    """It ends in band, with the place to go on from."""
    venue = await begun(own_venue, stream_age_max_s=0.6)
    async with opened(venue, kind, venue.as_role()) as messages:
        told = await rest(messages)
    assert (told[-1].end.reason, told[-1].end.resume_after) == (types.REASON_DRAINING, told[-1].seq)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_that_is_left_is_forgotten(venue: Venue, kind: str) -> None:
    """Whatever it was doing, nothing of it stays."""
    before = readers_gauge._value.get(), streams_gauge._value.get()
    async with opened(venue, kind, venue.as_role()) as messages:
        assert (await anext(messages)).HasField("subscribed")
        assert (readers_gauge._value.get(), streams_gauge._value.get()) != before
    await eventually(lambda: (readers_gauge._value.get(), streams_gauge._value.get()) == before)


async def test_a_slow_reader_holds_up_nobody(own_venue: NewVenue) -> None:
    """One that takes nothing at all: the reader beside it has everything before the slow one is cut."""
    venue = await begun(own_venue, slow_reader_s=600.0)
    async with narrow(venue) as stub, reports_by(venue, stub) as slow, reports_of(venue) as fast:
        begin = await anext(slow)
        await anext(fast)
        following = asyncio.create_task(until_live(fast, 4_000))
        last_seq = await trade(venue, 2_000)
        told = await following
        assert told[-1].seq == last_seq
        # It still gets what it was meant to get, once it reads.
        late = await until(slow, last_seq)
    seqs = [made.seq for made in told]
    assert seqs == [made.seq for made in late]
    assert seqs == [seq for seq, _ in await truth(venue, begin.seq, last_seq, "DEMO")]


async def until_live(messages: AsyncIterator[Any], number: int) -> list[Any]:
    """So many reports."""
    found: list[Any] = []
    while len(found) < number:
        found += reports_in(await anext(messages))
    return found


@pytest.mark.parametrize("kind", ["reports", "drop copy"])
async def test_a_slow_reader_is_cut(own_venue: NewVenue, kind: str) -> None:
    """Its oldest message has waited too long: nothing is kept for it any more, and it can go on from what it has."""
    venue = await begun(own_venue, slow_reader_s=0.5)
    before, cut_before = readers_gauge._value.get(), cut_total._value.get()
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(narrow(venue))
        asked = reports_by(venue, stub) if kind == "reports" else drop_copy(venue, "DEMO", stub=stub)
        slow: AsyncIterator[Any] = await stack.enter_async_context(asked)
        fast = await stack.enter_async_context(drop_copy(venue))
        begin = await anext(slow)
        following = asyncio.create_task(rest_until(fast, lambda: cut_total._value.get() > cut_before))
        last_seq = 0
        while not following.done():
            last_seq = await trade(venue, 300)
        await eventually(lambda: readers_gauge._value.get() == before + 1)
        given_up = [made for made in gc.get_objects() if isinstance(made, Stream) and made.closed]
        assert given_up
        assert all(made.reports == [] for made in given_up)
        got = await rest(slow)
    end = got[-1].end
    seqs = [made.seq for message in got for made in reports_in(message)]
    assert (end.reason, end.resume_after) == (types.REASON_SLOW_CONSUMER, seqs[-1])
    assert seqs[-1] < last_seq
    async with reports_of(venue, resume_after=end.resume_after) as messages:
        seqs += [made.seq for made in await until(messages, (await venue.submit()).seq)]
    assert seqs[:-1] == [seq for seq, _ in await truth(venue, begin.seq, last_seq, "DEMO")]


async def rest_until(messages: AsyncIterator[Any], happened: Any) -> None:
    """Reads on until something has happened."""
    while not happened():
        await anext(messages)


async def test_streams_draw_from_the_budget_of_queries(own_venue: NewVenue) -> None:
    """To open one costs a query of each account that it names."""
    venue = await begun(own_venue, rate_queries_burst=3, rate_queries_per_s=0.001)
    for kind in KINDS:
        async with opened(venue, kind, venue.as_role()) as messages:
            assert (await anext(messages)).HasField("subscribed")
    for kind in KINDS:
        async with opened(venue, kind, venue.as_role()) as messages:
            code, info = await refused(anext(messages))
        assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_EXCEEDED")
