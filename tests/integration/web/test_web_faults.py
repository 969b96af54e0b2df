"""Streams that break, lose messages or cannot go on, and calls that are repeated: what the client makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_status import rpc_status
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.errors import Refused, status_of
from tests.integration.web.browser import Page
from tests.integration.web.scripted import Line, ScriptedGateway, scripted_gateway

PATIENCE = {"callMs": 5000, "retryMs": 20000, "reconnectMs": 20000}
GIVEN_UP_MS = 600


@pytest_asyncio.fixture(scope="module")
async def one_gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedGateway]:
    """A scripted gateway behind Envoy for all tests of this file."""
    async with scripted_gateway(tmp_path_factory.mktemp("scripted") / "home") as running:
        yield running


@pytest.fixture
def gateway(one_gateway: ScriptedGateway) -> ScriptedGateway:
    """The gateway without what the test before left."""
    for leftover in (one_gateway.streams, one_gateway.calls, one_gateway.submitted, one_gateway.tokens):
        leftover.clear()
    return one_gateway


@pytest_asyncio.fixture
async def client(client_page: Page, gateway: ScriptedGateway) -> Page:
    """A page with a client of the scripted gateway in `client`, as trader of the account A."""
    await connect(client_page, gateway, gateway.token())
    return client_page


async def connect(page: Page, gateway: ScriptedGateway, *tokens: str, **patience: int) -> None:
    """Makes `client` in the page; it shows the next token whenever it is asked for one, the last again and again."""
    settings = json.dumps({"baseUrl": gateway.url, "patience": PATIENCE | patience})
    await page.evaluate(
        f"tokens = {json.dumps(tokens)}; "
        "client = new ordergate.Client("
        f"{{...{settings}, token: () => tokens.length > 1 ? tokens.shift() : tokens[0]}}); 0"
    )


async def read(page: Page, resume_after: int | None = None) -> None:
    """Begins to read the reports of A into `reports`."""
    where = "{}" if resume_after is None else f"{{resumeAfter: {resume_after}n}}"
    await page.evaluate(f"reports = collect(client.reports('A', {where}), seqOf); 0")


async def given(page: Page, count: int) -> list[int]:
    """The sequences of the reports, once there are so many."""
    values: list[int] = await page.until(f"reports.values.length >= {count} && reports.values")
    return values


async def failure(page: Page) -> dict[str, Any]:
    """How the stream failed, once it has."""
    found: dict[str, Any] = await page.until("reports.failure")
    return found


async def submitted(page: Page) -> dict[str, Any]:
    """What came of placing an order without a key of its own."""
    outcome: dict[str, Any] = await page.evaluate(
        "attempt(async () => (await client.submit({account: 'A', symbol: 'AAPL', qty: '1'})).clOrdId)"
    )
    return outcome


async def accepts(order: orders.OrderTerms, _: Any) -> entry.SubmitOrderResponse:
    """Reports the order."""
    return entry.SubmitOrderResponse(report=orders.ExecutionReport(cl_ord_id=order.cl_ord_id))


async def silent(line: Line) -> None:
    """Subscribes and says nothing."""
    await line.begin()
    await line.silent()


async def test_a_broken_stream_resumes_where_it_stood(client: Page, gateway: ScriptedGateway) -> None:
    """The reader sees one stream, each report once, even where the server repeats one."""
    asked: list[int] = []

    async def breaks(line: Line) -> None:
        await line.begin(at=10)
        await line.report(12, 10)

    async def resumes(line: Line) -> None:
        asked.append(line.request.resume_after)
        await line.begin()
        await line.report(12, 10)
        await line.report(15, 12)
        await line.silent()

    gateway.streams = [breaks, resumes]
    await read(client)
    assert await given(client, 2) == [12, 15]
    assert asked == [12]


async def test_everything_is_asked_for_with_zero(client: Page, gateway: ScriptedGateway) -> None:
    """`resumeAfter: 0n` is not the same as none."""
    asked: list[bool] = []

    async def replays(line: Line) -> None:
        asked.append(line.request.HasField("resume_after"))
        await line.begin()
        await line.report(1, 0)
        await line.silent()

    gateway.streams = [replays, replays]
    await read(client, resume_after=0)
    await given(client, 1)
    await read(client)
    await given(client, 1)
    assert asked == [True, False]


async def test_a_lost_message_is_fetched_again(client: Page, gateway: ScriptedGateway) -> None:
    """A message that names another predecessor makes the reader resume, not skip."""

    async def loses_one(line: Line) -> None:
        await line.begin()
        await line.report(1, 0)
        await line.report(3, 2)
        await line.silent()

    async def replays(line: Line) -> None:
        await line.begin()
        await line.report(2, 1)
        await line.report(3, 2)
        await line.silent()

    gateway.streams = [loses_one, replays]
    await read(client)
    assert await given(client, 3) == [1, 2, 3]


async def test_a_heartbeat_reveals_a_lost_message(client: Page, gateway: ScriptedGateway) -> None:
    """The heartbeat's last sequence is held against the reader's."""

    async def loses_the_last(line: Line) -> None:
        await line.begin()
        await line.write(seq=0, prev_seq=0, heartbeat=types.Heartbeat(last_seq=2))
        await line.silent()

    async def replays(line: Line) -> None:
        await line.begin()
        await line.report(2, 0)
        await line.silent()

    gateway.streams = [loses_the_last, replays]
    await read(client)
    assert await given(client, 1) == [2]


async def test_a_gap_that_stays_is_an_error(client: Page, gateway: ScriptedGateway) -> None:
    """What is missing time and again cannot be had any more: the reader is told what it is."""

    async def never_has_it(line: Line) -> None:
        await line.begin()
        if not line.request.resume_after:
            await line.report(1, 0)
        await line.report(5, 4)
        await line.silent()

    gateway.streams = [never_has_it] * 5
    await read(client)
    error = await failure(client)
    assert (error["name"], error["fromSeq"], error["toSeq"]) == ("StreamGap", 2, 4)
    assert await given(client, 1) == [1]


async def test_a_gap_that_the_server_names_is_an_error(client: Page, gateway: ScriptedGateway) -> None:
    """A part that cannot be delivered is never passed over in silence."""

    async def has_a_gap(line: Line) -> None:
        await line.begin()
        await line.write(seq=9, prev_seq=0, gap=types.Gap(from_seq=1, to_seq=9))
        await line.silent()

    gateway.streams = [has_a_gap]
    await read(client)
    error = await failure(client)
    assert (error["name"], error["fromSeq"], error["toSeq"]) == ("StreamGap", 1, 9)


async def test_history_that_is_gone_is_an_error(client: Page, gateway: ScriptedGateway) -> None:
    """SNAPSHOT_REQUIRED says from where on a snapshot is needed."""

    async def too_late(line: Line) -> None:
        await line.write(end=types.StreamEnd(reason=types.REASON_SNAPSHOT_REQUIRED, text="too old", resume_after=4))

    gateway.streams = [too_late]
    await read(client, resume_after=4)
    error = await failure(client)
    assert (error["name"], error["reason"], error["fromSeq"]) == ("StreamGap", "SNAPSHOT_REQUIRED", 5)


async def test_silence_is_a_broken_connection(client: Page, gateway: ScriptedGateway) -> None:
    """Without heartbeats the reader goes elsewhere, and resumes."""

    async def falls_silent(line: Line) -> None:
        await line.begin(heartbeat_interval_s=1)
        await line.report(1, 0)
        await line.silent()

    async def resumes(line: Line) -> None:
        await line.begin()
        await line.report(2, line.request.resume_after)
        await line.silent()

    gateway.streams = [falls_silent, resumes]
    await read(client)
    assert await given(client, 2) == [1, 2]


async def test_an_announced_end_is_followed(client: Page, gateway: ScriptedGateway) -> None:
    """A server that drains says so in band; the reader goes on after its last message."""
    asked: list[int] = []

    async def drains(line: Line) -> None:
        await line.begin()
        await line.report(1, 0)
        await line.write(seq=1, prev_seq=1, draining=types.Draining(ends_in_ms=10, reason=types.REASON_DRAINING))
        await line.report(2, 1)
        await line.write(seq=2, prev_seq=2, end=types.StreamEnd(reason=types.REASON_DRAINING, resume_after=2))

    async def resumes(line: Line) -> None:
        asked.append(line.request.resume_after)
        await line.begin()
        await line.report(3, 2)
        await line.silent()

    gateway.streams = [drains, resumes]
    await read(client)
    assert await given(client, 3) == [1, 2, 3]
    assert asked == [2]


async def test_a_token_that_runs_out_is_replaced(client_page: Page, gateway: ScriptedGateway) -> None:
    """At the notice where there is another token, after the end otherwise; nothing is missed either way."""
    first, second, third = (gateway.token(ttl_s=ttl_s) for ttl_s in (601, 602, 603))
    # The notice is answered by asking for another token; the next connection asks again.
    await connect(client_page, gateway, first, second, second, second, third)

    async def gives_notice(line: Line) -> None:
        await line.begin()
        await line.report(1, 0)
        notice = types.Draining(ends_in_ms=30_000, reason=types.REASON_TOKEN_EXPIRED)
        await line.write(seq=1, prev_seq=1, draining=notice)
        await line.silent()

    async def gives_notice_in_vain(line: Line) -> None:
        await line.begin()
        notice = types.Draining(ends_in_ms=10, reason=types.REASON_TOKEN_EXPIRED)
        await line.write(seq=1, prev_seq=1, draining=notice)
        await line.report(2, 1)
        await line.write(seq=2, prev_seq=2, end=types.StreamEnd(reason=types.REASON_TOKEN_EXPIRED, resume_after=2))

    async def resumes(line: Line) -> None:
        await line.begin()
        await line.report(3, 2)
        await line.silent()

    gateway.streams = [gives_notice, gives_notice_in_vain, resumes]
    await read(client_page)
    assert await given(client_page, 3) == [1, 2, 3]
    assert gateway.tokens == [first, second, third]


async def test_a_revoked_token_ends_the_stream(client: Page, gateway: ScriptedGateway) -> None:
    """Another attempt with the same token would be pointless."""

    async def revokes(line: Line) -> None:
        await line.begin()
        await line.write(end=types.StreamEnd(reason=types.REASON_TOKEN_REVOKED, text="revoked"))

    gateway.streams = [revokes]
    await read(client)
    error = await failure(client)
    assert (error["name"], error["reason"]) == ("Revoked", "TOKEN_REVOKED")


async def test_a_fault_of_the_server_is_survived_once_begun(client: Page, gateway: ScriptedGateway) -> None:
    """In mid-stream resuming is harmless; a stream that cannot even begin is broken for good."""

    async def fails_later(line: Line) -> None:
        await line.begin()
        await line.report(1, 0)
        await line.write(end=types.StreamEnd(reason=types.REASON_INTERNAL, text="a fault", resume_after=1))

    async def fails(line: Line) -> None:
        await line.write(end=types.StreamEnd(reason=types.REASON_INTERNAL, text="a fault"))

    gateway.streams = [fails_later, fails]
    await read(client)
    error = await failure(client)
    assert (error["name"], error["reason"]) == ("Internal", "INTERNAL")
    assert await given(client, 1) == [1]
    assert len(gateway.tokens) == 2


async def test_a_reader_that_leaves_ends_the_call(client: Page, gateway: ScriptedGateway) -> None:
    """Leaving the loop, or the signal, closes the connection: the server hears of it."""
    left = [asyncio.Event(), asyncio.Event()]

    async def until_left(event: asyncio.Event, line: Line) -> None:
        try:
            await line.begin()
            await line.report(1, 0)
            await line.silent()
        finally:
            event.set()

    gateway.streams = [partial(until_left, event) for event in left]
    assert await client.evaluate(
        "(async () => { for await (const report of client.reports('A')) return seqOf(report) })()"
    )
    await client.evaluate("leave = new AbortController(); reports = collect(client.reports('A', leave), seqOf); 0")
    await given(client, 1)
    await client.evaluate("leave.abort()")
    assert (await failure(client))["name"] == "AbortError"
    async with asyncio.timeout(30):
        await asyncio.gather(*(event.wait() for event in left))


async def test_an_order_that_could_not_be_answered_is_sent_again(client: Page, gateway: ScriptedGateway) -> None:
    """With the same key, so that it executes at most once; with a lost answer as with a refused call."""

    async def unavailable(_: orders.OrderTerms, context: Any) -> Any:
        refused = Refused(types.REASON_MATCHING_UNAVAILABLE, "not now")
        await context.abort_with_status(rpc_status.to_status(status_of(refused)))

    async def unknown(_: orders.OrderTerms, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNKNOWN, "the connection was lost on the way")

    gateway.calls = [unavailable, unknown, accepts]
    outcome = await submitted(client)
    assert len(outcome["answer"]) == 32
    assert [order.cl_ord_id for order in gateway.submitted] == [outcome["answer"]] * 3


async def test_an_answer_that_does_not_come_is_asked_for_again(client_page: Page, gateway: ScriptedGateway) -> None:
    """Each attempt has a deadline; the next one has the same key."""
    await connect(client_page, gateway, gateway.token(), callMs=300)

    async def never(_: orders.OrderTerms, __: Any) -> Any:
        await asyncio.Event().wait()

    gateway.calls = [never, accepts]
    outcome = await submitted(client_page)
    assert [order.cl_ord_id for order in gateway.submitted] == [outcome["answer"]] * 2


async def test_patience_ends(client_page: Page, gateway: ScriptedGateway) -> None:
    """When nobody can answer in time, the caller is told that the outcome is not known."""
    await connect(client_page, gateway, gateway.token(), retryMs=GIVEN_UP_MS)

    async def unknown(_: orders.OrderTerms, context: Any) -> Any:
        refused = Refused(types.REASON_OUTCOME_UNKNOWN, "ask again", retry_after_s=0.01)
        await context.abort_with_status(rpc_status.to_status(status_of(refused)))

    gateway.calls = [unknown] * 100
    outcome = await submitted(client_page)
    assert (outcome["failure"]["name"], outcome["failure"]["reason"]) == ("OutcomeUnknown", "OUTCOME_UNKNOWN")
    assert len(gateway.submitted) > 1


async def test_a_refusal_is_final_and_typed(client: Page, gateway: ScriptedGateway) -> None:
    """A denial, a rejection or a wrong field is an answer: it is not asked for again, and its numbers are there."""

    async def denies(_: orders.OrderTerms, context: Any) -> Any:
        numbers = {"rule": "buying_power", "limit": "10", "projected": "11"}
        refused = Refused(types.REASON_BUYING_POWER, "not enough", field="order.qty", metadata=numbers)
        await context.abort_with_status(rpc_status.to_status(status_of(refused)))

    gateway.calls = [denies]
    error = (await submitted(client))["failure"]
    assert (error["name"], error["reason"], error["text"]) == ("Denied", "BUYING_POWER", "not enough")
    assert error["field"] == "order.qty"
    assert error["metadata"]["projected"] == "11"
    assert len(gateway.submitted) == 1


async def test_a_budget_without_room_is_waited_for(client: Page, gateway: ScriptedGateway) -> None:
    """A refused request did nothing; RetryInfo says when there is room again, and not before is it repeated."""

    async def no_room(_: orders.OrderTerms, context: Any) -> Any:
        refused = Refused(types.REASON_RATE_EXCEEDED, "too fast", retry_after_s=0.7)
        await context.abort_with_status(rpc_status.to_status(status_of(refused)))

    gateway.calls = [no_room, accepts]
    waited = await client.evaluate(
        "(async () => { const began = performance.now(); await client.submit({account: 'A'}); "
        "return performance.now() - began })()"
    )
    assert waited >= 700
    assert len(gateway.submitted) == 2


async def test_an_expired_token_is_replaced_once(client_page: Page, gateway: ScriptedGateway) -> None:
    """A call whose token has run out is made again with the next one, and not for ever where all have."""
    old, new, newer = (gateway.token(ttl_s=ttl_s) for ttl_s in (601, 602, 603))

    async def expired(_: orders.OrderTerms, context: Any) -> Any:
        refused = Refused(types.REASON_TOKEN_EXPIRED, "expired")
        await context.abort_with_status(rpc_status.to_status(status_of(refused)))

    await connect(client_page, gateway, old, new)
    gateway.calls = [expired, accepts]
    assert "answer" in await submitted(client_page)
    assert gateway.tokens == [old, new]
    # With the same one it would be in vain.
    gateway.calls = [expired]
    assert (await submitted(client_page))["failure"]["name"] == "Unauthenticated"
    await connect(client_page, gateway, old, new, new, newer, newer)
    gateway.calls = [expired, expired]
    assert (await submitted(client_page))["failure"]["reason"] == "TOKEN_EXPIRED"


async def test_tokens_are_renewed_before_they_expire(client_page: Page, gateway: ScriptedGateway) -> None:
    """One request for a token at a time, its answer kept for three quarters of its life."""
    tokens = [gateway.token(ttl_s=600), gateway.token(ttl_s=600)]
    script = f"""
    (async () => {{
      const asked = [];
      const provider = ordergate.renewed(async () => {json.dumps(tokens)}[asked.push(1) - 1]);
      const first = await Promise.all([provider(), provider(), provider()]);
      const now = performance.now.bind(performance);
      performance.now = () => now() + 400_000;
      const kept = await provider();
      performance.now = () => now() + 500_000;
      return [asked.length - 1, ...new Set(first), kept, await provider(), asked.length];
    }})()
    """
    assert await client_page.evaluate(script) == [0, tokens[0], tokens[0], tokens[1], 2]


async def test_a_book_is_built_from_its_changes(client: Page) -> None:
    """Levels stand by price, compared exactly; a quantity of zero takes one out; a snapshot begins anew."""
    level = "(px, qty) => ({px, qty, orders: 1})"
    script = f"""
    (() => {{
      const level = {level};
      const sides = (bids, asks) => ({{bids, asks, tradingSession: 4}});
      const message = (seq, kind, value) => ({{seq: BigInt(seq), message: {{case: kind, value}}}});
      const builder = new ordergate.BookBuilder("X", 2);
      const shown = ({{bids, asks}}) => [bids, asks].map((side) => side.map(({{px}}) => px).join(" "));
      return [
        message(1, "snapshot", sides([level("9", "1"), level("10.5", "1")], [level("11", "1")])),
        message(2, "changes", sides([level("10.000000001", "2")], [level("100", "1"), level("11.0", "0")])),
        message(3, "changes", sides([level("10.50", "0")], [])),
        message(4, "snapshot", sides([level("1", "1")], [])),
      ].map((one) => shown(builder.apply(one)));
    }})()
    """
    expected = [["10.5 9", "11"], ["10.5 10.000000001", "100"], ["10.000000001 9", "100"], ["1", ""]]
    assert await client.evaluate(script) == expected
