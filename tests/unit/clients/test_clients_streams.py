"""Server streams that break, lose messages, or cannot go on; and unary calls that are repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors, streams
from clients.sdk.client import Client

if TYPE_CHECKING:
    from tests.unit.clients.conftest import ScriptedGateway

Write = Callable[..., Awaitable[None]]
Request = entry.StreamExecutionReportsRequest


async def begin(write: Write, request: Request, at: int = 0) -> None:
    """Accepts a subscription that begins after what it asks for, else after `at`."""
    position = request.resume_after if request.HasField("resume_after") else at
    await write(seq=position, subscribed=types.Subscribed(resume_after=position, heartbeat_interval_s=1))


async def report(write: Write, seq: int, prev_seq: int) -> None:
    """Sends a report."""
    await write(seq=seq, prev_seq=prev_seq, report=orders.ExecutionReport(seq=seq))


async def silent(_write: Write) -> None:
    """Says nothing until the client leaves."""
    await asyncio.Event().wait()


async def take(client: Client, count: int, resume_after: int | None = None) -> list[int]:
    """The sequences of the next reports."""
    seqs: list[int] = []
    async with asyncio.timeout(10), aclosing(client.reports("A", resume_after=resume_after)) as reports:
        async for got in reports:
            seqs.append(got.seq)
            if len(seqs) == count:
                break
    return seqs


async def test_a_broken_stream_resumes_where_it_stood(gateway: ScriptedGateway, client: Client) -> None:
    """The reader sees one stream; each report once."""
    asked: list[int] = []

    async def breaks(request: Request, write: Write) -> None:
        await begin(write, request, at=10)
        await report(write, 12, 10)

    async def resumes(request: Request, write: Write) -> None:
        asked.append(request.resume_after)
        await begin(write, request)
        await report(write, 15, 12)
        await silent(write)

    gateway.streams = [breaks, resumes]
    assert await take(client, 2) == [12, 15]
    assert asked == [12]


async def test_everything_is_asked_for_with_zero(gateway: ScriptedGateway, client: Client) -> None:
    """`resume_after` 0 is not the same as none."""
    asked: list[bool] = []

    async def replays(request: Request, write: Write) -> None:
        asked.append(request.HasField("resume_after"))
        await begin(write, request)
        await report(write, 1, 0)
        await silent(write)

    gateway.streams = [replays]
    assert await take(client, 1, resume_after=0) == [1]
    assert asked == [True]


async def test_a_lost_message_is_fetched_again(gateway: ScriptedGateway, client: Client) -> None:
    """A message that names another predecessor makes the reader resume, not skip."""

    async def loses_one(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 1, 0)
        await report(write, 3, 2)
        await silent(write)

    async def replays(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 2, 1)
        await report(write, 3, 2)
        await silent(write)

    gateway.streams = [loses_one, replays]
    assert await take(client, 3) == [1, 2, 3]


async def test_a_heartbeat_reveals_a_lost_message(gateway: ScriptedGateway, client: Client) -> None:
    """The heartbeat's last sequence is held against the reader's."""

    async def loses_the_last(request: Request, write: Write) -> None:
        await begin(write, request)
        await write(seq=2, prev_seq=2, heartbeat=types.Heartbeat(last_seq=2))
        await silent(write)

    async def replays(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 2, 0)
        await silent(write)

    gateway.streams = [loses_the_last, replays]
    assert await take(client, 1) == [2]


async def test_a_permanent_gap_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """Three connections with the same hole, and the reader is told what is missing."""

    async def loses_one(request: Request, write: Write) -> None:
        await begin(write, request, at=4)
        await report(write, 9, 8)
        await silent(write)

    gateway.streams = [loses_one] * 3
    with pytest.raises(errors.StreamGap) as gap:
        await take(client, 1)
    assert (gap.value.from_seq, gap.value.to_seq) == (5, 8)


async def test_a_gap_in_band_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """The server's own word that a part is missing is final."""

    async def has_a_gap(request: Request, write: Write) -> None:
        await begin(write, request)
        await write(gap=types.Gap(from_seq=3, to_seq=7))

    gateway.streams = [has_a_gap]
    with pytest.raises(errors.StreamGap) as gap:
        await take(client, 1)
    assert (gap.value.from_seq, gap.value.to_seq) == (3, 7)


async def test_a_stream_that_begins_later_than_asked_for_is_a_gap(gateway: ScriptedGateway, client: Client) -> None:
    """A server that has forgotten the past must not look like one that has nothing to say."""

    async def begins_late(request: Request, write: Write) -> None:
        await write(subscribed=types.Subscribed(resume_after=50, heartbeat_interval_s=1))
        await silent(write)

    gateway.streams = [begins_late] * 3
    with pytest.raises(errors.StreamGap):
        await take(client, 1, resume_after=7)


async def test_silence_is_a_dead_connection(
    gateway: ScriptedGateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that misses its heartbeats is given up."""
    monkeypatch.setattr(streams, "HEARTBEATS_MISSED_MAX", 0.1)

    async def falls_silent(request: Request, write: Write) -> None:
        await begin(write, request)
        await silent(write)

    async def answers(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 1, 0)
        await silent(write)

    gateway.streams = [falls_silent, answers]
    assert await take(client, 1) == [1]


async def test_a_refused_part_of_a_subscription_is_an_error(gateway: ScriptedGateway, client: Client) -> None:
    """What was not subscribed is not waited for."""

    async def refuses(request: Request, write: Write) -> None:
        result = types.SubscriptionResult(key="A", reason=types.REASON_ACCOUNT_UNKNOWN)
        await write(subscribed=types.Subscribed(results=[result], heartbeat_interval_s=1))

    gateway.streams = [refuses]
    with pytest.raises(errors.Denied, match="ACCOUNT_UNKNOWN"):
        await take(client, 1)


@pytest.mark.parametrize("reason", [types.REASON_SLOW_CONSUMER, types.REASON_DRAINING])
async def test_an_end_that_permits_it_is_resumed(
    gateway: ScriptedGateway, client: Client, reason: types.Reason.ValueType
) -> None:
    """A reader that was cut for slowness, or whose server stops, goes on where it stood."""

    async def ends(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 1, 0)
        await write(end=types.StreamEnd(reason=reason, resume_after=1, retry_delay_ms=1))

    async def resumes(request: Request, write: Write) -> None:
        await begin(write, request)
        await report(write, 2, 1)
        await silent(write)

    gateway.streams = [ends, resumes]
    assert await take(client, 2) == [1, 2]


async def fail(context: Any) -> entry.SubmitOrderResponse:
    """Answers UNAVAILABLE."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
    raise AssertionError


async def accept(_context: Any) -> entry.SubmitOrderResponse:
    """Accepts the order."""
    return entry.SubmitOrderResponse(report=orders.ExecutionReport(seq=3))


async def test_a_call_is_repeated_under_the_same_key(gateway: ScriptedGateway, client: Client) -> None:
    """After UNAVAILABLE the same order goes out again; its key makes that safe."""
    gateway.calls = [fail, fail, accept]
    report = await client.submit(orders.OrderTerms(account="A", symbol="X"))
    assert report.seq == 3
    keys = [order.cl_ord_id for order in gateway.submitted]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert keys[0]


async def test_a_definite_answer_is_not_repeated(gateway: ScriptedGateway, client: Client) -> None:
    """A refusal is final."""

    async def refuse(context: Any) -> entry.SubmitOrderResponse:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no")
        raise AssertionError

    gateway.calls = [refuse]
    with pytest.raises(errors.Rejected):
        await client.submit(orders.OrderTerms(account="A", symbol="X"))
    assert len(gateway.submitted) == 1
