"""Streams of execution reports, against the real venue."""

from collections.abc import AsyncIterator
from itertools import pairwise

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.reports import readers_gauge
from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.venue import Venue, eventually, refused, reports_of

Messages = AsyncIterator[entry.StreamExecutionReportsResponse]


async def taken(messages: Messages, number: int) -> list[orders.ExecutionReport]:
    """The next reports."""
    found: list[orders.ExecutionReport] = []
    while len(found) < number:
        message = await anext(messages)
        if message.HasField("report"):
            assert message.report.seq == message.seq
            found.append(message.report)
    return found


async def test_the_first_message_comes_at_once(venue: Venue) -> None:
    """Before anything happens the stream says what was subscribed and where it begins."""
    last = await venue.submit()
    async with reports_of(venue) as messages:
        first = await anext(messages)
        assert first.WhichOneof("message") == "subscribed"
        (result,) = first.subscribed.results
        assert (result.key, result.reason) == ("DEMO", types.REASON_UNSPECIFIED)
        assert first.subscribed.resume_after == first.seq >= last.seq
        assert first.subscribed.heartbeat_interval_s >= 1


async def test_reports_come_as_they_happen(venue: Venue) -> None:
    """Every event of the account from now on, and none of another account."""
    async with reports_of(venue) as messages:
        await anext(messages)
        await venue.submit(accounts=["MM"])
        placed = [await venue.submit() for _ in range(3)]
        reports = await taken(messages, 3)
    assert [report.seq for report in reports] == [report.seq for report in placed]
    assert {report.account for report in reports} == {"DEMO"}
    assert all(report.sent_unix_ns >= report.durable_unix_ns > 0 for report in reports)


async def test_it_resumes_without_a_gap(venue: Venue) -> None:
    """From any point of the past, each report once and in order, then the present."""
    begin = await venue.submit()
    missed = [await venue.submit() for _ in range(4)]
    async with reports_of(venue, resume_after=begin.seq) as messages:
        past = await taken(messages, 4)
        live = await venue.submit()
        (present,) = await taken(messages, 1)
    assert [report.seq for report in past] == [report.seq for report in missed]
    assert present.seq == live.seq
    chain = [begin, *past, present]
    assert all(b.prev_account_seq == a.account_seq for a, b in pairwise(chain))


async def test_the_whole_past_is_there(venue: Venue) -> None:
    """From 0 on the account's numbers are dense."""
    last = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
    async with reports_of(venue, "FLOW-BID", resume_after=0) as messages:
        numbers: list[int] = []
        async for message in messages:
            if message.HasField("report"):
                numbers.append(message.report.account_seq)
                if message.seq == last.seq:
                    break
    assert numbers == list(range(1, len(numbers) + 1))


async def test_the_present_can_be_resumed(venue: Venue) -> None:
    """Resuming at the last event brings no history, and what comes is not missed."""
    last = await venue.submit()
    async with reports_of(venue, resume_after=last.seq) as messages:
        first = await anext(messages)
        assert first.seq == last.seq
        live = await venue.submit()
        assert [report.seq for report in await taken(messages, 1)] == [live.seq]


async def test_the_future_cannot_be_resumed(venue: Venue) -> None:
    """A sequence that has not happened is refused: it belongs to another journal."""
    async with reports_of(venue, resume_after=2**62) as messages:
        code, info = await refused(anext(messages))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_oversight_follows_any_account(venue: Venue) -> None:
    """A risk officer must name the account and then hears all of it; an auditor has no streams."""
    officer = venue.as_role("risk_officer", accounts=[])
    async with reports_of(venue, "DEMO", officer) as messages:
        await anext(messages)
        placed = await venue.submit()
        assert [report.seq for report in await taken(messages, 1)] == [placed.seq]
    async with reports_of(venue, "", officer) as messages:
        assert (await refused(anext(messages)))[1].reason == "FIELD_MISSING"
    async with reports_of(venue, "DEMO", venue.as_role("auditor", accounts=[])) as messages:
        assert (await refused(anext(messages)))[1].reason == "ROLE_NOT_ALLOWED"


async def test_heartbeats_say_where_the_stream_is(own_venue: NewVenue) -> None:
    """While nothing happens a heartbeat repeats the last sequence."""
    venue = own_venue(heartbeat_interval_s=0.05)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with reports_of(venue) as messages:
        begin = (await anext(messages)).seq
        for _ in range(3):
            beat = await anext(messages)
            assert beat.WhichOneof("message") == "heartbeat"
            assert beat.heartbeat.last_seq == beat.seq == begin


@pytest.mark.parametrize("moment", ["at once", "after the first message", "after a report"])
async def test_a_reader_that_leaves_is_forgotten(venue: Venue, moment: str) -> None:
    """Whenever a reader goes away nothing of it stays."""
    before = readers_gauge._value.get()
    async with reports_of(venue) as messages:
        if moment != "at once":
            await anext(messages)
        if moment == "after a report":
            await venue.submit()
            await taken(messages, 1)
    await eventually(lambda: readers_gauge._value.get() == before)
