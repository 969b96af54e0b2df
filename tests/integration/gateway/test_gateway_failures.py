"""What clients see when the link breaks, matching restarts, a deadline passes or the gateway ends."""

import asyncio
import gc
import time

import grpc
import prometheus_client
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from ordergate.operations.v1 import health_pb2 as operations
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.venue import (
    SessionClient,
    Venue,
    cancel,
    details,
    eventually,
    new_key,
    refused,
    replace,
    reports_of,
    second_gateway,
    session,
    submit,
    terms,
)


@pytest_asyncio.fixture
async def linked(own_venue: NewVenue) -> Venue:
    """A venue of the test's own, gateway and matching linked."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


def begun() -> float:
    """How many SubmitOrder calls the gateway has begun; each has handed its command over before it first waits."""
    labels = {
        "grpc_type": "unary",
        "grpc_service": "ordergate.orders.v1.OrderEntryService",
        "grpc_method": "SubmitOrder",
    }
    return prometheus_client.REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0.0


async def test_an_answer_that_was_lost_is_the_original_one(linked: Venue) -> None:
    """Carried out, but the answer never came back: after the link's return the caller gets the original report."""
    linked.cable.holds_answers()
    key = new_key()
    call = asyncio.create_task(linked.submit(cl_ord_id=key))
    await linked.carried_out(key)
    assert not call.done()
    await linked.cable.cut()
    report = await call
    assert (report.exec_type, report.cl_ord_id, report.poss_dup) == (types.EXEC_TYPE_NEW, key, True)
    assert (await linked.order(cl_ord_id=key)).last_seq == report.seq


async def test_a_request_that_was_lost_is_sent_again(linked: Venue) -> None:
    """Lost on its way there: it is sent again and carried out, once."""
    linked.cable.holds_requests()
    key = new_key()
    before = begun()
    call = asyncio.create_task(linked.submit(cl_ord_id=key))
    await eventually(lambda: begun() > before)
    await linked.cable.cut()
    report = await call
    assert (report.exec_type, report.poss_dup) == (types.EXEC_TYPE_NEW, False)
    assert (await linked.order(cl_ord_id=key)).last_seq == report.seq


async def test_what_a_broken_link_held_back_for_too_long_is_not_carried_out(own_venue: NewVenue) -> None:
    """An order that nobody waits for any more does not come to life when the link does; who asked before, by whichever
    gateway, and heard that there is none, was told the truth. One that was carried out is answered with its report."""
    venue = own_venue(command_age_max_s=0.2)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    venue.cable.holds_answers()
    carried_out, late = new_key(), new_key()
    answered = asyncio.create_task(venue.submit(cl_ord_id=carried_out))
    await venue.carried_out(carried_out)
    venue.cable.holds_requests()
    before, sent_s = begun(), time.monotonic()
    lost = asyncio.create_task(venue.submit(cl_ord_id=late))
    await eventually(lambda: begun() > before and time.monotonic() > sent_s + 0.25)
    await venue.cable.cut()
    assert (await answered).poss_dup
    code, info = await refused(lost)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "TOO_LATE")
    _, info = await refused(venue.order(cl_ord_id=late))
    assert info.reason == "ORDER_UNKNOWN"
    assert not (await venue.submit(cl_ord_id=late)).poss_dup


async def test_every_kind_of_lost_answer_is_resolved(linked: Venue) -> None:
    """Submit, replace, cancel, denial and rejection: each answered once with what became of it, in order."""
    first, second, third = await linked.submit(), await linked.submit(), await linked.submit()
    async with session(linked) as client:
        await client.until("logon")
        linked.cable.holds_answers()
        last = new_key()
        commands = [
            submit(1),
            replace(2, orig_cl_ord_id=first.cl_ord_id, cl_ord_id=new_key(), qty="2"),
            cancel(3, order_id=second.order_id, cl_ord_id=new_key()),
            submit(4, qty="1000000", price="1000000.00"),
            cancel(5, order_id="4000000", cl_ord_id=new_key()),
            replace(6, order_id=third.order_id, cl_ord_id=new_key(), qty="2.5"),
            submit(7, cl_ord_id=last),
        ]
        await client.commands(*commands)
        await linked.carried_out(last)
        await linked.cable.cut()
        frame = await client.frames(reports=7, replies=7)
    assert [reply.correlation_id for reply in frame.replies] == list(range(1, 8))
    originals = [reply.original for reply in frame.replies]
    assert [original.exec_type for original in originals] == [
        types.EXEC_TYPE_NEW,
        types.EXEC_TYPE_REPLACED,
        types.EXEC_TYPE_CANCELED,
        types.EXEC_TYPE_DENIED,
        types.EXEC_TYPE_REJECTED,
        types.EXEC_TYPE_REJECTED,
        types.EXEC_TYPE_NEW,
    ]
    assert all(original.poss_dup for original in originals)
    assert [original.seq for original in originals] == [report.seq for report in frame.reports]


async def test_a_clients_deadline_does_not_lose_the_command(linked: Venue) -> None:
    """The caller's time is over before the answer: the order exists all the same, and a repeat finds it."""
    linked.cable.holds_requests()
    order = terms()
    request = entry.SubmitOrderRequest(order=order)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await linked.orders.SubmitOrder(request, metadata=linked.as_role(), timeout=0.2)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    linked.cable.passes()
    await linked.carried_out(order.cl_ord_id)
    found = await linked.order(cl_ord_id=order.cl_ord_id)
    again = (await linked.orders.SubmitOrder(request, metadata=linked.as_role())).report
    assert (again.poss_dup, again.order_id) == (True, found.order_id)


async def test_a_client_that_hangs_up_does_not_lose_the_command(linked: Venue) -> None:
    """A caller that cancels its call has placed the order all the same."""
    linked.cable.holds_requests()
    order = terms()
    before = begun()
    call = linked.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=linked.as_role())
    await eventually(lambda: begun() > before)
    assert call.cancel()
    linked.cable.passes()
    await linked.carried_out(order.cl_ord_id)


async def test_the_default_deadline_does_not_lose_the_command(own_venue: NewVenue) -> None:
    """Nor does the server's own deadline, which tells its reason."""
    venue = own_venue(default_deadline_s=0.2)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    venue.cable.holds_requests()
    order = terms()
    call = venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=venue.as_role())
    code, info = await refused(call)
    assert (code, info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE")
    venue.cable.passes()
    await venue.carried_out(order.cl_ord_id)


async def test_streams_live_through_a_restart_of_matching(linked: Venue) -> None:
    """Session and report stream go on without a gap across a restart; the epoch grows, the sequence does not break."""
    async with session(linked) as client, reports_of(linked) as messages:
        before = (await client.until("logon")).epoch
        await anext(messages)
        await client.commands(*(submit(n) for n in range(1, 51)))
        first = (await client.frames(reports=50)).reports
        await linked.stop_matching()
        await linked.becomes(serving=False)
        await client.commands(submit(51))
        (reply,) = (await client.frames(replies=1)).replies
        assert reply.refused.code == types.REASON_MATCHING_UNAVAILABLE
        await linked.start_matching()
        await linked.becomes(serving=True)
        await client.commands(*(submit(n) for n in range(52, 102)))
        second = (await client.frames(reports=50)).reports
        streamed: list[orders.ExecutionReport] = []
        while len(streamed) < 100:
            message = await anext(messages)
            if message.HasField("report"):
                streamed.append(message.report)
        assert client.epochs[-1] > before
    told = [*first, *second]
    assert [report.correlation_id for report in told] == [*range(1, 51), *range(52, 102)]
    assert [report.seq for report in streamed] == [report.seq for report in told]
    numbers = [report.account_seq for report in told]
    assert numbers == list(range(numbers[0], numbers[0] + 100))
    assert second[0].epoch > first[0].epoch


async def test_commands_under_way_survive_a_restart_of_matching(linked: Venue) -> None:
    """A restart in the middle of a stream of commands: each is answered exactly once, and the chain holds."""
    number = 3_000
    async with session(linked) as client:
        await client.until("logon")
        sent = asyncio.create_task(send_all(client, number))
        answered: list[int] = []
        while len(answered) < number // 4:
            answered += answers((await client.until("frame")).frame)
        await linked.stop_matching()
        await linked.start_matching()
        while len(answered) < number:
            answered += answers((await client.until("frame")).frame)
        await sent
    assert sorted(answered) == list(range(1, number + 1))


async def send_all(client: SessionClient, number: int) -> None:
    """Sends commands in small frames."""
    for begin in range(1, number + 1, 50):
        await client.commands(*(submit(n) for n in range(begin, begin + 50)))


def answers(frame: entry.ReportFrame) -> list[int]:
    """The numbers of the commands that a frame answers; one that was refused because nobody was there is answered."""
    reports = [report.correlation_id for report in frame.reports if report.correlation_id]
    return reports + [reply.correlation_id for reply in frame.replies]


async def test_a_broken_link_leaves_nothing_behind(linked: Venue, caplog: pytest.LogCaptureFixture) -> None:
    """However often the link breaks, no task of a former life goes on waiting."""
    before = len(asyncio.all_tasks())
    for _ in range(3):
        await linked.break_link()
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
    gc.collect()
    assert not [record.message for record in caplog.records if record.name == "asyncio"]


async def test_what_passed_while_the_link_was_down_is_heard(linked: Venue) -> None:
    """Events that another gateway caused in the meantime reach the streams of this one, in their place."""
    async with session(linked) as client:
        begin = await client.until("logon")
        linked.cable.holds_requests()
        async with second_gateway(linked) as place:
            placed = [await place() for _ in range(5)]
        await linked.cable.cut()
        reports = (await client.frames(reports=5)).reports
    assert [report.seq for report in reports] == [report.seq for report in placed]
    assert begin.seq < reports[0].seq


async def test_without_matching_everything_says_so(linked: Venue) -> None:
    """Orders, lookups, streams and readiness are UNAVAILABLE and tell when to try again; liveness is not."""
    await linked.stop_matching()
    await linked.becomes(serving=False)
    role = linked.as_role()
    calls = [
        linked.orders.SubmitOrder(entry.SubmitOrderRequest(order=terms()), metadata=role),
        linked.orders.CancelOrder(entry.CancelOrderRequest(order_id="1"), metadata=role),
        linked.orders.GetOrder(entry.GetOrderRequest(order_id="1"), metadata=role),
        linked.orders.ListOrders(entry.ListOrdersRequest(), metadata=role),
        linked.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(), metadata=role),
        linked.portfolio.ListPositions(portfolio.ListPositionsRequest(symbol="AAPL"), metadata=role),
        linked.operations.GetReadiness(operations.GetReadinessRequest()),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        info, status = details(error.value)
        assert (error.value.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "MATCHING_UNAVAILABLE")
        retry = error_details_pb2.RetryInfo()
        assert status.details[-1].Unpack(retry)
        assert retry.retry_delay.ToNanoseconds() > 0
    async with session(linked) as client:
        assert details(await client.failure())[0].reason == "MATCHING_UNAVAILABLE"
    async with reports_of(linked) as messages:
        assert (await refused(anext(messages)))[1].reason == "MATCHING_UNAVAILABLE"
    live = await linked.operations.GetLiveness(operations.GetLivenessRequest())
    assert live.status == operations.COMPONENT_STATUS_UP


async def test_a_gateway_may_start_first(own_venue: NewVenue) -> None:
    """Before the first link nothing is known, not even the instruments: UNAVAILABLE, not an unknown symbol."""
    venue = own_venue()
    await venue.start_matching()
    await venue.stop_matching()
    await venue.start_gateway()
    role = venue.as_role()
    for call in (
        venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=terms()), metadata=role),
        venue.orders.ListOrders(entry.ListOrdersRequest(symbol="AAPL"), metadata=role),
        venue.portfolio.ListPositions(portfolio.ListPositionsRequest(symbol="AAPL"), metadata=role),
    ):
        code, info = await refused(call)
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "MATCHING_UNAVAILABLE")
    await venue.start_matching()
    await venue.becomes(serving=True)
    assert (await venue.submit()).exec_type == types.EXEC_TYPE_NEW


async def test_readiness_names_every_part(linked: Venue) -> None:
    """What orders need is up; what they do not need is down here, so the whole is degraded and still ready."""
    ready = await linked.operations.GetReadiness(operations.GetReadinessRequest())
    up, degraded, down = (
        operations.COMPONENT_STATUS_UP,
        operations.COMPONENT_STATUS_DEGRADED,
        operations.COMPONENT_STATUS_DOWN,
    )
    assert ready.status == degraded
    assert {(c.name, c.status, c.required) for c in ready.components} == {
        ("gateway", up, True),
        ("matching", up, True),
        ("marketdata", down, False),
        ("compliance", down, False),
    }


async def test_a_drain_ends_streams_in_band(linked: Venue) -> None:
    """A gateway that stops tells each stream so, with the place to go on from; there nothing is missed or repeated."""
    async with session(linked) as client, reports_of(linked) as messages:
        await client.until("logon")
        await anext(messages)
        await client.commands(submit(1))
        (report,) = (await client.frames(reports=1)).reports
        assert (await anext(messages)).report.seq == report.seq
        stopping = asyncio.create_task(linked.stop_gateway())
        end = await client.ended()
        last = await anext(messages)
        await stopping
    assert (end.reason, end.resume_after) == (types.REASON_DRAINING, report.seq)
    assert (last.end.reason, last.end.resume_after) == (types.REASON_DRAINING, report.seq)
    assert end.retry_delay_ms > 0
    await linked.start_gateway()
    await linked.becomes(serving=True)
    missed = await linked.submit()
    async with (
        session(linked, resume_after=end.resume_after) as client,
        reports_of(linked, resume_after=end.resume_after) as messages,
    ):
        assert [one.seq for one in (await client.frames(reports=1)).reports] == [missed.seq]
        assert (await anext(messages)).HasField("subscribed")
        assert (await anext(messages)).report.seq == missed.seq
